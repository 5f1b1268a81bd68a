"""Venues: recorded, simulated, and the gateway that stands before them."""
