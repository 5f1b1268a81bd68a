"""Units of time, in nanoseconds: the unit of every time and duration in the system."""

from __future__ import annotations

from typing import Final

MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
