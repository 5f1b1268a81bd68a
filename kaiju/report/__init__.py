"""What is reported at the end of a run: audit, JSON, HTML and console."""
