"""Simulated venues: a matching engine with synthetic flow, and own orders on recorded data."""
