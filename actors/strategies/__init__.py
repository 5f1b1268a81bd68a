"""Strategies that ship with kaiju, as working examples."""
