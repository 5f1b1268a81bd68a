"""The two parts of a stream's name, ``owner.output``."""

from __future__ import annotations


def owner_of(stream: str) -> str:
    """Return the name of the actor whose stream it is."""
    return stream.partition(".")[0]


def output_of(stream: str) -> str:
    """Return which of its owner's outputs a stream is."""
    return stream.partition(".")[2]
