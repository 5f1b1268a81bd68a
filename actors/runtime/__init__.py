"""The actor runtime: streams, steps, one loop a node, clocks, statistics."""
