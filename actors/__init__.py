"""The trading system: its events, its actor runtime, its pure model and its components."""
