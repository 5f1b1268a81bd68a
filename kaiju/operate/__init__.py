"""What an operator asks of a running system, and does with it."""
