"""A market maker that leans against its own inventory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import sqrt
from typing import Annotated, ClassVar

import msgspec
from pydantic import Field

from actors.events.accounts import PositionUpdated
from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.market import BookStateChanged, TopOfBook
from actors.events.orders import QuoteIntent
from actors.events.reference import Instrument, to_units
from actors.events.role import Role
from actors.events.system import ResumeTrading, StreamReset, StreamStale, TimerFired
from actors.model.market_view import MarketView
from actors.model.money import BASIS_POINTS, notional, quantity_worth
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Amount, Duration

PARTS = 1_000
"""Basis points and factors are kept in thousandths."""
MEMORY = 32
"""Quotes over which the volatility estimate averages."""

Positive = Annotated[Amount, Field(gt=0)]
Factor = Annotated[Amount, Field(ge=0)]


class Desk(msgspec.Struct):
    """What the maker knows and wants in one instrument."""

    position: int = 0
    quote_qty: int = 0
    """Size of a quote, fixed at the first price so that prices do not resize it."""
    max_position: int = 0
    mid: int = 0
    """Mid of the last quote, in half price units."""
    variance: float = 0.0
    """Of the mid between two quotes, in squared half price units."""
    next_at: int = 0
    """UTC nanoseconds before which the quote stays as it is."""
    waiting: bool = False
    """True while a newer top waits for `next_at`."""
    quote: QuoteIntent | None = None
    """What was wanted last; None if it must be said again even if it is the same."""
    quoting: bool = False
    """True while the last intent asked for an order."""


class Maker(Actor):
    """Quote both sides of every instrument around a price that inventory moves.

    The reservation price is the mid, less `skew` half-spreads times the share of `max_position`
    that is held: a long maker quotes lower on both sides, and not at all on the side that would
    pass its limit. The half-spread is the wider of a fixed one and a multiple of how far the mid
    moves from one quote to the next. Quotes never cross the book, and are withdrawn while it must
    not be used.
    """

    class Settings(Actor.Settings):
        """Sizes are worth amounts, so one entry serves instruments of any price."""

        quote_amount: Positive = Amount("1000")
        """What a quote is worth, in the settle currency."""
        max_position_amount: Positive = Amount("5000")
        """What the largest position is worth, in the settle currency."""
        half_spread_bps: Positive = Amount("1")
        """Least distance of a quote from the reservation price, in basis points."""
        volatility_factor: Factor = Amount("1")
        """Half-spread in standard deviations of the mid between two quotes; 0 for fixed."""
        skew: Factor = Amount("1")
        """Half-spreads by which a full position moves the reservation price."""
        reprice_bps: Factor = Amount("0.1")
        """Moves of a price up to this leave a quote where it is, in its queue."""
        interval: Duration = Field(default=100 * MILLISECOND, gt=0)
        """Shortest time between two quotes; fills and withdrawals do not wait."""

    class State(msgspec.Struct):
        """Books, and one desk an instrument."""

        market: MarketView = msgspec.field(default_factory=MarketView)
        desks: dict[str, Desk] = {}
        timer: int = 0
        """Pending timer; 0 for none."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"intents": (QuoteIntent,)}

    role = Role.STRATEGY

    settings: Maker.Settings
    state: State

    @cached_property
    def _half_spread_bps(self) -> int:
        return int(self.settings.half_spread_bps * PARTS)

    @cached_property
    def _reprice_bps(self) -> int:
        return int(self.settings.reprice_bps * PARTS)

    @cached_property
    def _skew(self) -> int:
        return int(self.settings.skew * PARTS)

    @cached_property
    def _volatility_factor(self) -> float:
        return float(self.settings.volatility_factor)

    @handles(TopOfBook)
    def on_top_of_book(self, top: TopOfBook) -> None:
        """Quote around the new top, or remember it until the interval has passed."""
        if not self.state.market.take(top):
            return
        desk = self._desk(top.instrument)
        if self.now >= desk.next_at:
            self._requote(top.instrument, desk)
        else:
            self._wait(desk)

    @handles(BookStateChanged)
    def on_book_state_changed(self, change: BookStateChanged) -> None:
        """Withdraw from a book that must not be used."""
        if not self.state.market.note(change):
            self._withdraw(change.instrument)

    @handles(StreamStale)
    def on_stream_stale(self, _stale: StreamStale) -> None:
        """Withdraw from everywhere: market or position is not known any more."""
        for instrument in self.state.desks:
            self._withdraw(instrument)

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Withdraw until the next tops, where something of the market was missed."""
        if self.state.market.forget(self.heard.get(reset.stream, ())):
            for instrument in self.state.desks:
                self._withdraw(instrument)

    @handles(PositionUpdated)
    def on_position_updated(self, position: PositionUpdated) -> None:
        """Quote anew after an own fill: a filled side is empty, and the inventory another."""
        if position.strategy == self.name:
            desk = self._desk(position.instrument)
            desk.position = position.qty
            self._refresh(position.instrument, desk)

    @handles(ResumeTrading)
    def on_resume_trading(self, _resume: ResumeTrading) -> None:
        """Quote anew: the halt canceled everything."""
        for instrument, desk in self.state.desks.items():
            self._refresh(instrument, desk)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        """Quote around the tops that waited."""
        self.state.timer = 0
        for instrument, desk in self.state.desks.items():
            if desk.waiting and self.now >= desk.next_at:
                self._requote(instrument, desk)
            elif desk.waiting:
                self._wait(desk)

    def _desk(self, instrument: str) -> Desk:
        desk = self.state.desks.get(instrument)
        if desk is None:
            desk = self.state.desks[instrument] = Desk()
        return desk

    def _wait(self, desk: Desk) -> None:
        desk.waiting = True
        if not self.state.timer:
            self.state.timer = self.set_timer("requote", desk.next_at - self.now)

    def _refresh(self, instrument: str, desk: Desk) -> None:
        desk.quote = None
        if instrument in self.state.market.tops:
            self._requote(instrument, desk)

    def _withdraw(self, instrument: str) -> None:
        desk = self._desk(instrument)
        desk.waiting = False
        if desk.quoting:
            self._want(desk, QuoteIntent(self.name, instrument, 0, 0, 0, 0))

    def _requote(self, instrument: str, desk: Desk) -> None:
        top = self.state.market.tops.get(instrument)
        if self.stale or top is None or not (top.bid_px and top.ask_px):
            self._withdraw(instrument)
            return
        desk.waiting = False
        desk.next_at = self.now + self.settings.interval
        self._learn(self.instruments[instrument], desk, top)
        quote = self._quote(self.instruments[instrument], desk, top)
        if desk.quote is None or self._differs(quote, desk.quote, desk.mid):
            self._want(desk, quote)

    def _want(self, desk: Desk, quote: QuoteIntent) -> None:
        desk.quote = quote
        desk.quoting = bool(quote.bid_qty or quote.ask_qty)
        self.emit(quote)

    def _learn(self, instrument: Instrument, desk: Desk, top: TopOfBook) -> None:
        mid = top.bid_px + top.ask_px
        if desk.mid:
            desk.variance += ((mid - desk.mid) ** 2 - desk.variance) / MEMORY
        else:
            scale, px = instrument.settle_scale, mid // 2
            amount = to_units(self.settings.quote_amount, scale)
            desk.quote_qty = quantity_worth(instrument, amount, px)
            largest = to_units(self.settings.max_position_amount, scale)
            desk.max_position = quantity_worth(instrument, largest, px)
        desk.mid = mid

    def _quote(self, instrument: Instrument, desk: Desk, top: TopOfBook) -> QuoteIntent:
        half_spread = self._half_spread(desk)
        skew = self._skew * half_spread * desk.position
        center = desk.mid - skew // (PARTS * max(desk.max_position, 1))
        tick = instrument.tick_size
        bid_px = min((center - half_spread) // (2 * tick) * tick, top.ask_px - tick)
        ask_px = max(-(-(center + half_spread) // (2 * tick)) * tick, top.bid_px + tick)
        bid_qty = _size(instrument, desk, desk.position, bid_px)
        ask_qty = _size(instrument, desk, -desk.position, ask_px)
        return QuoteIntent(
            self.name,
            instrument.instrument,
            bid_px if bid_qty else 0,
            bid_qty,
            ask_px if ask_qty else 0,
            ask_qty,
        )

    def _half_spread(self, desk: Desk) -> int:
        fixed = desk.mid * self._half_spread_bps // (BASIS_POINTS * PARTS)
        return max(fixed, int(self._volatility_factor * sqrt(desk.variance)), 1)

    def _differs(self, new: QuoteIntent, old: QuoteIntent, mid: int) -> bool:
        if (new.bid_qty, new.ask_qty) != (old.bid_qty, old.ask_qty):
            return True
        moved = max(abs(new.bid_px - old.bid_px), abs(new.ask_px - old.ask_px))
        kept = mid * self._reprice_bps // (2 * BASIS_POINTS * PARTS)
        return moved > kept


def _size(instrument: Instrument, desk: Desk, held: int, px: int) -> int:
    room = (desk.max_position - held) // instrument.lot_size * instrument.lot_size
    qty = min(desk.quote_qty, room)
    if px <= 0 or qty <= 0 or qty < instrument.min_qty:
        return 0
    return qty if notional(instrument, qty, px) >= instrument.min_notional else 0
