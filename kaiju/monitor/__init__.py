"""What a running node shows: observer, metrics, HTTP, live table."""
