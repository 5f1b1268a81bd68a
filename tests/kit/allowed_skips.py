"""Which tests may be skipped: a list of how the reasons begin, which CI holds against a session."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def read_allowed(file: Path) -> list[str]:
    """Return how allowed reasons begin: the lines of a file that are neither empty nor comments."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def not_allowed(reasons: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Return the reasons that do not begin as an allowed one, each once."""
    beginnings = tuple(allowed)
    return sorted({reason for reason in reasons if not reason.startswith(beginnings)})
