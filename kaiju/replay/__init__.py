"""A run repeated with other settings, and what differs."""
