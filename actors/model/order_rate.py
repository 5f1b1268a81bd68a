"""A token bucket in one integer, and one for each order that repeats."""

from __future__ import annotations

from typing import Final

import msgspec

from actors.events.durations import SECOND

INTENT_RATE: Final = "INTENT_RATE"
"""The code of a refusal of one intent too many."""
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


class IntentBudgets(msgspec.Struct):
    """How many intents each strategy has left."""

    rates: dict[str, OrderRate] = {}

    def refusal(self, strategy: str, now: int, per_second: int, burst: int) -> str:
        """Count an intent, or return why it is one too many.

        Args:
            strategy: whose intent it is.
            now: UTC nanoseconds.
            per_second: intents that are acted on; 0 for any number.
            burst: of them, how many may come at once.
        """
        if not per_second:
            return ""
        rate, interval = self.rates.setdefault(strategy, OrderRate()), SECOND // per_second
        if rate.waiting(now, interval, burst):
            return f"more than {per_second} intents a second after a burst of {burst}"
        rate.take(now, interval)
        return ""
