"""A token bucket in one integer."""

from __future__ import annotations

import msgspec


class OrderRate(msgspec.Struct):
    """Orders per second with a burst, kept as the time at which the bucket is full again.

    Every order moves that time one interval further; an order is allowed while it is no more
    than `burst` intervals ahead of now (the generic cell rate algorithm).
    """

    full_at: int = 0
    """UTC nanoseconds."""

    def waiting(self, now: int, interval_ns: int, burst: int) -> int:
        """Return the nanoseconds until one more order is allowed; 0 means at once."""
        return max(0, max(self.full_at, now) + interval_ns - now - burst * interval_ns)

    def take(self, now: int, interval_ns: int) -> None:
        """Count one order."""
        self.full_at = max(self.full_at, now) + interval_ns
