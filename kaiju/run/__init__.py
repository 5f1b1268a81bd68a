"""One process that runs a topology, a node of it, or a venue."""
