"""A node: one process, its wiring, life and supervision."""
