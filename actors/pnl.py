"""Profit and loss: positions against the mid of LIVE books."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import msgspec
from pydantic import Field

from actors.events.accounts import PnlUpdated, PositionUpdated
from actors.events.durations import SECOND
from actors.events.event import Event
from actors.events.market import BookStateChanged, TopOfBook
from actors.events.system import StreamReset, TimerFired
from actors.model.market_view import MarketView
from actors.model.position import unrealized
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Duration


class ProfitAndLoss(Actor):
    """Value every position at the last mid of its LIVE book.

    A changed position is told at once; moved marks are told together, once an interval. A book
    that is not LIVE, or has one side only, leaves the last mark as it was.
    """

    class Settings(Actor.Settings):
        """How often moved marks are told."""

        interval: Duration = Field(default=SECOND, gt=0)

    class State(msgspec.Struct):
        """Newest positions and marks, and which of them moved since they were told."""

        positions: dict[str, dict[str, PositionUpdated]] = {}
        """By instrument, then by strategy."""
        market: MarketView = msgspec.field(default_factory=MarketView)
        told: dict[str, int] = {}
        """Mark at which an instrument's open positions were last told."""
        timer: int = 0
        """Pending timer; 0 for none."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"pnl": (PnlUpdated,)}

    settings: ProfitAndLoss.Settings
    state: State

    @handles(PositionUpdated)
    def on_position_updated(self, position: PositionUpdated) -> None:
        """Tell the profit or loss of the position as it is now."""
        self.state.positions.setdefault(position.instrument, {})[position.strategy] = position
        self.emit(self._value(position))

    @handles(TopOfBook)
    def on_top_of_book(self, top: TopOfBook) -> None:
        """Take the mark, and see that it will be told if it moved and a position is open."""
        state = self.state
        if not state.market.take(top) or state.timer or top.instrument not in state.positions:
            return
        if self._moved(top.instrument):
            state.timer = self.set_timer("marks", self.settings.interval)

    @handles(BookStateChanged)
    def on_book_state_changed(self, change: BookStateChanged) -> None:
        """Keep whether the book may be used for marks."""
        self.state.market.note(change)

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Use no book before its next top, where something of the market was missed."""
        self.state.market.forget(self.heard.get(reset.stream, ()))

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        """Tell every open position whose mark moved."""
        self.state.timer = 0
        for instrument in self.state.positions:
            if self._moved(instrument):
                self._tell(instrument)

    def snapshot(self, output: str) -> Iterator[Event]:
        """Return the profit or loss of every position, for a new reader."""
        if output == "pnl":
            for positions in self.state.positions.values():
                yield from map(self._value, positions.values())

    def _moved(self, instrument: str) -> bool:
        state = self.state
        return state.market.marks.get(instrument, 0) != state.told.get(instrument, 0) and any(
            position.qty for position in state.positions[instrument].values()
        )

    def _tell(self, instrument: str) -> None:
        self.state.told[instrument] = self.state.market.marks[instrument]
        for position in self.state.positions[instrument].values():
            if position.qty:
                self.emit(self._value(position))

    def _value(self, position: PositionUpdated) -> PnlUpdated:
        instrument = self.instruments[position.instrument]
        mark_px = self.state.market.marks.get(position.instrument, 0)
        open_profit = unrealized(instrument, position.qty, position.cost, mark_px)
        return PnlUpdated(
            position.strategy,
            position.instrument,
            instrument.settle,
            position.qty,
            mark_px,
            position.realized,
            open_profit,
            position.fees,
            position.realized + open_profit - position.fees,
        )
