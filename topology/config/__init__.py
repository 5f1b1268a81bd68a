"""What a topology file says."""
