"""Links between nodes: streams over ZeroMQ, resumed from a position whatever happened between."""
