"""A run again with other settings, and what differs."""
