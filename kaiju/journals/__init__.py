"""What the journals of a run hold, and the proof that they hold."""
