"""A token bucket in one integer, and one for each order that repeats."""

from __future__ import annotations

import msgspec

MAX_REMEMBERED = 1_000
"""Different orders after which those that need no throttle any more are forgotten."""


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


class Repeats(msgspec.Struct):
    """How often the same order comes again, by what makes it the same."""

    rates: dict[str, OrderRate] = {}

    def waiting(self, order: str, now: int, interval_ns: int, burst: int) -> int:
        """Return the nanoseconds until the same order is allowed again; 0 means at once."""
        rate = self.rates.get(order)
        return 0 if rate is None else rate.waiting(now, interval_ns, burst)

    def take(self, order: str, now: int, interval_ns: int) -> None:
        """Count one order, and forget those that may come as if they had never come."""
        if len(self.rates) >= MAX_REMEMBERED:
            self.rates = {o: rate for o, rate in self.rates.items() if rate.full_at > now}
        self.rates.setdefault(order, OrderRate()).take(now, interval_ns)
