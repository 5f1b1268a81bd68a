"""Profit and loss of the account since the day began, by currency."""

from __future__ import annotations

import msgspec

from actors.events.accounts import PnlUpdated

DAY_NS = 86_400 * 10**9


class DayResult(msgspec.Struct):
    """Net profit of every strategy, summed by currency, against its value at the day's start.

    Days are UTC. Only marks of LIVE books reach `PnlUpdated`, so one bad tick cannot trip a limit
    that watches this.
    """

    day: int = 0
    """Days since 1970-01-01."""
    nets: dict[str, dict[str, int]] = {}
    """Newest net by strategy, then by instrument."""
    totals: dict[str, int] = {}
    """Sum of `nets` by currency, in smallest units."""
    base: dict[str, int] = {}
    """What `totals` were when the day began, or when the limit was armed again."""

    def take(self, pnl: PnlUpdated, now: int) -> int:
        """Count the newest profit or loss of one strategy in one instrument.

        Args:
            pnl: the newest figures.
            now: UTC nanoseconds; a new day begins from the totals before `pnl`.

        Returns:
            The day's loss in the currency of `pnl`, in smallest units; negative for a profit.
        """
        if now // DAY_NS != self.day:
            self.day = now // DAY_NS
            self.rearm()
        own = self.nets.setdefault(pnl.strategy, {})
        total = self.totals.get(pnl.currency, 0) + pnl.net - own.get(pnl.instrument, 0)
        own[pnl.instrument] = pnl.net
        self.totals[pnl.currency] = total
        return self.base.get(pnl.currency, 0) - total

    def rearm(self) -> None:
        """Count losses from here on only."""
        self.base = dict(self.totals)
