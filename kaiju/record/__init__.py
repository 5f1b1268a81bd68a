"""A run's record, added up."""
