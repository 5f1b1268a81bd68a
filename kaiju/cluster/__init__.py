"""The nodes of a topology as processes of this host."""
