"""A taker that follows the pressure of the book."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from pydantic import Field

from actors.events.accounts import PositionUpdated
from actors.events.event import Event
from actors.events.market import BookStateChanged, Side, TopOfBook
from actors.events.orders import Signal
from actors.events.reference import to_units
from actors.model.market_view import MarketView
from actors.model.money import quantity_worth
from actors.runtime.actor import Actor, Settings, handles
from actors.runtime.settings import Amount, Duration

SECOND = 1_000_000_000
PERCENT = 100

Positive = Annotated[Amount, Field(gt=0)]


class Holding(msgspec.Struct):
    """What the taker signaled in one instrument."""

    position: int = 0
    """Sum of own signals; what was really filled, where positions are among the inputs."""
    trade_qty: int = 0
    """Size of a signal, fixed at the first price."""
    max_position: int = 0
    next_at: int = 0
    """UTC nanoseconds before which nothing is signaled."""


class Taker(Actor):
    """Buy when bids outweigh offers at the top of the book, sell when offers outweigh bids.

    One input, tops of books, is enough; then the position is the sum of its own signals. With
    positions among the inputs, what was filled replaces what was hoped for.
    """

    class Settings(Settings):
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
        """Books that may be used, and one holding an instrument."""

        market: MarketView = msgspec.field(default_factory=MarketView)
        holdings: dict[str, Holding] = {}

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"signals": (Signal,)}

    settings: Taker.Settings
    state: State

    @handles(TopOfBook)
    def on_top_of_book(self, top: TopOfBook) -> None:
        """Signal a strong imbalance, unless it is too soon or the position is full."""
        if self.stale or not self.state.market.take(top) or not (top.bid_px and top.ask_px):
            return
        holding = self._holding(top)
        if self.now < holding.next_at:
            return
        excess, depth = top.bid_qty - top.ask_qty, top.bid_qty + top.ask_qty
        if abs(excess) * PERCENT < self.settings.imbalance_pct * depth:
            return
        side = Side.BUY if excess > 0 else Side.SELL
        if abs(holding.position + side * holding.trade_qty) <= holding.max_position:
            self._trade(top, side, holding, abs(excess) * PERCENT // depth)

    @handles(BookStateChanged)
    def on_book_state_changed(self, change: BookStateChanged) -> None:
        """Keep whether the book may be used."""
        self.state.market.note(change)

    @handles(PositionUpdated)
    def on_position_updated(self, position: PositionUpdated) -> None:
        """Take what was filled for what was signaled."""
        holding = self.state.holdings.get(position.instrument)
        if holding is not None and position.strategy == self.name:
            holding.position = position.qty

    def _holding(self, top: TopOfBook) -> Holding:
        holding = self.state.holdings.get(top.instrument)
        if holding is None:
            instrument, settings = self.instruments[top.instrument], self.settings
            px, scale = top.ask_px, instrument.settle_scale
            holding = self.state.holdings[top.instrument] = Holding(
                trade_qty=quantity_worth(instrument, to_units(settings.trade_amount, scale), px),
                max_position=quantity_worth(
                    instrument, to_units(settings.max_position_amount, scale), px
                ),
            )
        return holding

    def _trade(self, top: TopOfBook, side: Side, holding: Holding, imbalance: int) -> None:
        if not holding.trade_qty:
            return
        holding.position += side * holding.trade_qty
        holding.next_at = self.now + self.settings.cooldown
        reason = f"{'bids' if side > 0 else 'offers'} outweigh by {imbalance} %"
        self.emit(
            Signal(
                self.name,
                top.instrument,
                side,
                holding.trade_qty,
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
