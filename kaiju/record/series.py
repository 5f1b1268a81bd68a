"""Curves of a run for its charts, thinned out while they are read."""

from __future__ import annotations

from typing import NamedTuple

from actors.events.accounts import PnlUpdated, PositionUpdated
from actors.events.market import Quote, TopOfBook
from actors.events.orders import OrderFilled
from kaiju.record.record import Recorded
from kaiju.record.scales import Scales
from kaiju.record.totals import Key

MAX_POINTS = 2_000
"""Least number of points of a long curve; it has at most twice as many."""


class Curve:
    """A value over time, at even spacing that widens as the run gets longer."""

    def __init__(self) -> None:
        self.times: list[int] = []
        """UTC nanoseconds."""
        self.values: list[float] = []
        self._spacing = 0
        self._next = 0
        self._last: tuple[int, float] | None = None

    def wants(self, time: int) -> bool:
        """Return whether a point at `time` would be kept."""
        return time >= self._next

    def add(self, time: int, value: float) -> None:
        """Add a point, unless it is too close to the one before."""
        self._last = (time, value)
        if time < self._next:
            return
        self.times.append(time)
        self.values.append(value)
        self._next = time + self._spacing
        if len(self.times) >= 2 * MAX_POINTS:
            self.times, self.values = self.times[::2], self.values[::2]
            self._spacing = max(1, (self.times[-1] - self.times[0]) // len(self.times))

    def finished(self) -> Curve:
        """Return the curve with its last point, however close it is to the one before."""
        if self._last and self._last[0] != self.times[-1]:
            self.times.append(self._last[0])
            self.values.append(self._last[1])
        return self


class PlottedFill(NamedTuple):
    """One own fill, as a chart shows it."""

    time: int
    price: float
    side: int


class Series:
    """Equity, positions, prices and own fills of a run.

    Values are floats in whole currency, quantity and price: for pictures, never for accounts.
    """

    def __init__(self, scales: Scales) -> None:
        self.equity: dict[Key, Curve] = {}
        self.positions: dict[Key, Curve] = {}
        self.prices: dict[str, Curve] = {}
        self.fills: dict[Key, list[PlottedFill]] = {}
        self._quotes: dict[str, Curve] = {}
        self._scales = scales
        self._add = {
            "PnlUpdated": self._add_pnl,
            "PositionUpdated": self._add_position,
            "TopOfBook": self._add_top,
            "Quote": self._add_quote,
            "OrderFilled": self._add_fill,
        }

    def add(self, recorded: Recorded) -> None:
        """Take one event; those that no chart shows are ignored."""
        add = self._add.get(recorded.event[0])
        if add is not None:
            add(recorded)

    def finish(self) -> None:
        """Add the last values of the run."""
        for instrument, curve in self._quotes.items():
            self.prices.setdefault(instrument, curve)
        for curves in (self.equity, self.positions, self.prices):
            for curve in curves.values():
                curve.finished()

    def _add_pnl(self, recorded: Recorded) -> None:
        pnl = recorded.as_event(PnlUpdated)
        scale = self._scales.settle.get(pnl.instrument, 0)
        curve = self.equity.setdefault((pnl.strategy, pnl.instrument), Curve())
        curve.add(recorded.time, pnl.net / 10**scale)

    def _add_position(self, recorded: Recorded) -> None:
        position = recorded.as_event(PositionUpdated)
        scale = self._scales.quantities.get(position.instrument, 0)
        curve = self.positions.setdefault((position.strategy, position.instrument), Curve())
        curve.add(recorded.time, position.qty / 10**scale)

    def _add_top(self, recorded: Recorded) -> None:
        self._add_price(self.prices, recorded, TopOfBook)

    def _add_quote(self, recorded: Recorded) -> None:
        self._add_price(self._quotes, recorded, Quote)

    def _add_price(
        self, curves: dict[str, Curve], recorded: Recorded, event_class: type[TopOfBook | Quote]
    ) -> None:
        instrument: str = recorded.event[1]
        curve = curves.setdefault(instrument, Curve())
        if not curve.wants(recorded.time):
            return
        top = recorded.as_event(event_class)
        if top.bid_px and top.ask_px:
            scale = self._scales.prices.get(instrument, 0)
            curve.add(recorded.time, (top.bid_px + top.ask_px) / 2 / 10**scale)

    def _add_fill(self, recorded: Recorded) -> None:
        fill = recorded.as_event(OrderFilled)
        price = fill.last_px / 10 ** self._scales.prices.get(fill.instrument, 0)
        fills = self.fills.setdefault((fill.strategy, fill.instrument), [])
        fills.append(PlottedFill(recorded.time, price, int(fill.side)))
