"""Profit and loss of the account since the day began, by currency."""

from __future__ import annotations

import msgspec

from actors.events.accounts import PnlUpdated
from actors.events.durations import DAY


class DayResult(msgspec.Struct):
    """Net profit of every strategy, summed by currency, against its value at the day's start.

    Days are UTC. Only marks of LIVE books reach `PnlUpdated`; a limit that watches this waits for
    `beyond` to count several events in a row, so that one bad tick cannot trip it.
    """

    day: int = 0
    """Days since 1970-01-01."""
    nets: dict[str, dict[str, int]] = {}
    """Newest net by strategy, then by instrument."""
    totals: dict[str, int] = {}
    """Sum of `nets` by currency, in smallest units."""
    base: dict[str, int] = {}
    """What `totals` were when the day began."""
    beyond: dict[str, int] = {}
    """By currency, how many outside events in a row left the loss beyond its limit."""
    last_roots: dict[str, tuple[str, int, int]] = {}
    """By currency, the last outside event that was counted."""

    def take(self, pnl: PnlUpdated, now: int) -> int:
        """Count the newest profit or loss of one strategy in one instrument.

        Args:
            pnl: the newest figures.
            now: UTC nanoseconds; a new day begins from the totals before `pnl`.

        Returns:
            The day's loss in the currency of `pnl`, in smallest units; negative for a profit.
        """
        if now // DAY != self.day:
            self.day = now // DAY
            self.base = dict(self.totals)
        own = self.nets.setdefault(pnl.strategy, {})
        total = self.totals.get(pnl.currency, 0) + pnl.net - own.get(pnl.instrument, 0)
        own[pnl.instrument] = pnl.net
        self.totals[pnl.currency] = total
        return self.base.get(pnl.currency, 0) - total

    def confirm(self, currency: str, *, beyond: bool, root: tuple[str, int, int]) -> int:
        """Count the outside events in a row that left the loss beyond its limit.

        Args:
            currency: of the loss.
            beyond: whether it is beyond its limit now.
            root: (stream, epoch, number) of the outside event behind it, such as a tick; what
                several strategies lose by one tick counts once.

        Returns:
            How many there are; 0 where the loss is within its limit.
        """
        if not beyond:
            self.beyond.pop(currency, None)
            self.last_roots.pop(currency, None)
            return 0
        if self.last_roots.get(currency) != root:
            self.last_roots[currency] = root
            self.beyond[currency] = self.beyond.get(currency, 0) + 1
        return self.beyond[currency]
