"""kaiju."""
