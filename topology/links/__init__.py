"""Links between nodes: streams over ZeroMQ, resumed from a position after any interruption."""
