"""A taker that follows the pressure of the book."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from pydantic import Field

from actors.events.accounts import PositionUpdated
from actors.events.durations import SECOND
from actors.events.event import Event
from actors.events.market import BookStateChanged, Side, TopOfBook
from actors.events.orders import Signal
from actors.events.reference import to_units
from actors.events.role import Role
from actors.events.system import StreamReset
from actors.model.market_view import MarketView
from actors.model.money import quantity_worth
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Amount, Duration

PERCENT = 100

Positive = Annotated[Amount, Field(gt=0)]


class Sizing(msgspec.Struct):
    """Sizes in one instrument, fixed at its first price, and when to trade next."""

    trade_qty: int
    max_position: int
    next_at: int = 0
    """UTC nanoseconds before which nothing is signaled."""


class Taker(Actor):
    """Buy when bids outweigh offers at the top of the book, sell when offers outweigh bids.

    With positions among the inputs the position is what was filled: whatever a signal did not
    fill by the end of the cooldown never counts, so the cooldown must be longer than an order
    takes. One input, tops of books, is enough; then the position is the sum of its own signals.
    """

    class Settings(Actor.Settings):
        """When to trade, and how much."""

        trade_amount: Positive = Amount("500")
        """What a trade is worth, in the settle currency."""
        max_position_amount: Positive = Amount("2500")
        """What the largest position is worth, in the settle currency."""
        imbalance_pct: int = Field(default=80, gt=0, lt=100)
        """Imbalance to act on: (bid quantity - ask quantity) in percent of their sum."""
        cooldown: Duration = Field(default=5 * SECOND, gt=0)
        """Pause after a signal, in each instrument."""
        limit_ticks: int | None = Field(default=None, ge=0)
        """Ticks beyond the far side up to which to trade; without it, at market."""

    class State(msgspec.Struct):
        """Books that may be used, positions, and one desk an instrument."""

        market: MarketView = msgspec.field(default_factory=MarketView)
        positions: dict[str, int] = {}
        desks: dict[str, Sizing] = {}

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"signals": (Signal,)}

    role = Role.STRATEGY

    settings: Taker.Settings
    state: State

    @handles(TopOfBook)
    def on_top_of_book(self, top: TopOfBook) -> None:
        """Signal a strong imbalance, unless it is too soon or the position is full."""
        if self.stale or not self.state.market.take(top) or not (top.bid_px and top.ask_px):
            return
        desk = self._desk(top)
        if self.now < desk.next_at:
            return
        excess, depth = top.bid_qty - top.ask_qty, top.bid_qty + top.ask_qty
        if abs(excess) * PERCENT < self.settings.imbalance_pct * depth:
            return
        side = Side.BUY if excess > 0 else Side.SELL
        held = abs(self.state.positions.get(top.instrument, 0) + side * desk.trade_qty)
        if desk.trade_qty and held <= desk.max_position:
            self._trade(top, side, desk, abs(excess) * PERCENT // depth)

    @handles(BookStateChanged)
    def on_book_state_changed(self, change: BookStateChanged) -> None:
        """Keep whether the book may be used."""
        self.state.market.note(change)

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Use no book before its next top, where something of the market was missed."""
        self.state.market.forget(self.heard.get(reset.stream, ()))

    @handles(PositionUpdated)
    def on_position_updated(self, position: PositionUpdated) -> None:
        """Take what was filled."""
        if position.strategy == self.name:
            self.state.positions[position.instrument] = position.qty

    def _desk(self, top: TopOfBook) -> Sizing:
        desk = self.state.desks.get(top.instrument)
        if desk is None:
            instrument, settings = self.instruments[top.instrument], self.settings
            px, scale = top.ask_px, instrument.settle_scale
            desk = self.state.desks[top.instrument] = Sizing(
                quantity_worth(instrument, to_units(settings.trade_amount, scale), px),
                quantity_worth(instrument, to_units(settings.max_position_amount, scale), px),
            )
        return desk

    def _trade(self, top: TopOfBook, side: Side, desk: Sizing, imbalance: int) -> None:
        if not any(PositionUpdated in classes for classes in self.heard.values()):
            positions = self.state.positions
            positions[top.instrument] = positions.get(top.instrument, 0) + side * desk.trade_qty
        desk.next_at = self.now + self.settings.cooldown
        reason = f"{'bids' if side > 0 else 'offers'} outweigh by {imbalance} %"
        self.emit(
            Signal(
                self.name,
                top.instrument,
                side,
                desk.trade_qty,
                self._limit_px(top, side),
                reason,
            )
        )

    def _limit_px(self, top: TopOfBook, side: Side) -> int:
        ticks = self.settings.limit_ticks
        if ticks is None:
            return 0
        far_px = top.ask_px if side > 0 else top.bid_px
        return far_px + side * ticks * self.instruments[top.instrument].tick_size
