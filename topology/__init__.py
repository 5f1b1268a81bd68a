"""The topology file: load, check, draw, compose and run."""
