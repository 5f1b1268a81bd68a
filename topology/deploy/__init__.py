"""Files for orchestrators."""
