"""Whole numbers in JSON: as text where its readers would not take them exactly."""

from __future__ import annotations

from typing import Any, Final

EXACT: Final = 2**53
"""Largest number that every reader of JSON takes exactly: most read a float of 64 bits."""
WHOLE: Final = 2**63
"""Largest number that a reader takes exactly who knows whole numbers of 64 bits."""


def as_json(value: Any, largest: int) -> Any:
    """Return plain data with every whole number beyond `largest` as decimal text."""
    match value:
        case int():
            return value if -largest <= value <= largest else str(value)
        case list() | tuple():
            return [as_json(item, largest) for item in value]
        case dict():
            return {key: as_json(item, largest) for key, item in value.items()}
    return value
