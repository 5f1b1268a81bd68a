"""Our own orders against recorded data: they see its liquidity, and it does not see them.

A marketable order takes what the recorded book, or where there is none the recorded quote, shows.
A resting order waits behind the quantity that stood at its price when it joined. Recorded trades
at its price shorten that queue, and so does a level that shrinks below it: those who leave are
taken to have stood behind us, so we never advance on a guess. It fills when trades reach it, or
when the recorded opposite side comes to its price.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import msgspec

from actors.events.market import BookState, Level, Quote, Side, Trade
from actors.model.book import Book
from gateways.simulated.engine.venue_orders import OPPOSITE

UNKNOWN = -1
"""Quantity ahead of an order whose price the recorded data does not show."""


class QueuedOrder(msgspec.Struct, gc=False):
    """One of our resting orders and the recorded quantity that trades before it."""

    client_order_id: str
    side: Side
    px: int
    leaves_qty: int
    ahead_qty: int


class RestingFill(NamedTuple):
    """A fill of one of our resting orders, at its own price."""

    client_order_id: str
    qty: int
    px: int


class Depth(Protocol):
    """What recorded data shows of both sides at one moment."""

    def levels(self, side: Side) -> Iterable[Level]:
        """Return the bids (BUY) or the asks (SELL), best first."""

    def shown(self, side: Side, px: int) -> int:
        """Return the quantity at a price of that side, or `UNKNOWN`."""


class QuoteDepth(NamedTuple):
    """One level a side: what is behind the best is not known."""

    quote: Quote

    def levels(self, side: Side) -> Iterable[Level]:
        """Return the best level, if there is one."""
        px, qty = self._best(side)
        return ((px, qty),) if qty else ()

    def shown(self, side: Side, px: int) -> int:
        """Return the quantity at the best price, 0 before it and `UNKNOWN` behind it."""
        best_px, best_qty = self._best(side)
        if px == best_px:
            return best_qty
        return 0 if px * side > best_px * side and best_px else UNKNOWN

    def _best(self, side: Side) -> Level:
        quote = self.quote
        if side == Side.BUY:
            return quote.bid_px, quote.bid_qty
        return quote.ask_px, quote.ask_qty


class BookDepth(NamedTuple):
    """All levels of a LIVE book."""

    book: Book

    def levels(self, side: Side) -> Iterator[Level]:
        """Yield the levels; most callers want only the first few."""
        ladder = self.book.bids if side == Side.BUY else self.book.asks
        for rank in reversed(ladder.ranks):
            px = rank * ladder.sign
            yield px, ladder.quantities[px]

    def shown(self, side: Side, px: int) -> int:
        """Return the quantity at a price, `UNKNOWN` behind the last level of the snapshot."""
        ladder = self.book.bids if side == Side.BUY else self.book.asks
        if not ladder.ranks or px * ladder.sign < ladder.ranks[0]:
            return UNKNOWN
        return ladder.quantities.get(px, 0)


NOTHING = QuoteDepth(Quote("", 0, 0, 0, 0, 0))


class RecordedMarket(msgspec.Struct):
    """One instrument: its recorded data so far, and our orders in it."""

    book: Book = msgspec.field(default_factory=Book)
    quote: Quote | None = None
    resting: list[QueuedOrder] = []
    """Bids before asks, better prices first, older orders first."""
    taken: dict[Side, dict[int, Level]] = msgspec.field(
        default_factory=lambda: {Side.BUY: {}, Side.SELL: {}}
    )
    """Price to (quantity shown, how much of it we took): what we took once is gone for us until
    the recorded venue shows another quantity there."""

    def depth(self) -> Depth:
        """Return the best knowledge of the present liquidity."""
        if self.book.state is BookState.LIVE:
            return BookDepth(self.book)
        return NOTHING if self.quote is None else QuoteDepth(self.quote)

    def plan(self, depth: Depth, side: Side, qty: int, limit_px: int | None) -> list[Level]:
        """Return (price, quantity) that an order could take now, best first.

        Args:
            depth: what is shown.
            side: of the order.
            qty: at most so much.
            limit_px: worst price allowed; None for any.
        """
        opposite, plan = OPPOSITE[side], []
        taken = self.taken[opposite]
        for px, shown in depth.levels(opposite):
            if not qty or (limit_px is not None and px * side > limit_px * side):
                break
            before = taken.get(px, (0, 0))
            free = shown - before[1] if before[0] == shown else shown
            if free > 0:
                plan.append((px, min(free, qty)))
                qty -= plan[-1][1]
        return plan

    def take(self, depth: Depth, side: Side, plan: list[Level]) -> None:
        """Remember that an order of `side` took the plan, and forget what is no longer shown."""
        opposite, newest = OPPOSITE[side], self.depth()
        taken = {
            px: entry
            for px, entry in self.taken[opposite].items()
            if entry[0] in (depth.shown(opposite, px), newest.shown(opposite, px))
        }
        for px, qty in plan:
            taken[px] = (depth.shown(opposite, px), taken.get(px, (0, 0))[1] + qty)
        self.taken[opposite] = taken

    def join(self, order: QueuedOrder) -> None:
        """Let an order rest, behind ours of the same price."""
        insort(self.resting, order, key=lambda queued: -queued.side * queued.px)

    def leave(self, client_order_id: str) -> None:
        """Forget a resting order."""
        self.resting = [o for o in self.resting if o.client_order_id != client_order_id]

    def best_own_px(self, side: Side) -> int:
        """Return the best price at which we rest on a side, or 0."""
        return next((order.px for order in self.resting if order.side == side), 0)

    def meet_depth(self, depth: Depth) -> list[RestingFill]:
        """Bring queue positions up to date, and fill what the opposite side came to meet."""
        fills: list[RestingFill] = []
        for order in self.resting:
            shown = depth.shown(order.side, order.px)
            if shown != UNKNOWN:
                known = order.ahead_qty != UNKNOWN
                order.ahead_qty = min(order.ahead_qty, shown) if known else shown
            plan = self.plan(depth, order.side, order.leaves_qty, order.px)
            if plan:
                self.take(depth, order.side, plan)
                order.ahead_qty = 0
                fills.append(_fill(order, sum(qty for _, qty in plan)))
        self._drop_filled(fills)
        return fills

    def meet_trade(self, trade: Trade) -> list[RestingFill]:
        """Fill what a recorded trade would have met on its way through our queues."""
        side = OPPOSITE[trade.aggressor]
        left, ours = trade.qty, 0
        fills: list[RestingFill] = []
        for order in self.resting:
            better = (order.px - trade.px) * side
            if order.side != side or better < 0:
                continue
            if better:
                order.ahead_qty = 0
                qty = min(left, order.leaves_qty)
                left -= qty
            elif order.ahead_qty == UNKNOWN:
                qty = 0
            else:
                # Between two of our orders stand others, but our first is not among those
                # that the second counted: what it takes is no progress in the second's queue.
                qty = max(0, min(left - ours - order.ahead_qty, order.leaves_qty))
                order.ahead_qty = max(0, order.ahead_qty - (left - ours))
                ours += qty
            if qty:
                fills.append(_fill(order, qty))
        self._drop_filled(fills)
        return fills

    def _drop_filled(self, fills: list[RestingFill]) -> None:
        if fills:
            self.resting = [order for order in self.resting if order.leaves_qty]


def _fill(order: QueuedOrder, qty: int) -> RestingFill:
    order.leaves_qty -= qty
    return RestingFill(order.client_order_id, qty, order.px)
