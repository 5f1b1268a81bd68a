"""Our own orders against recorded data: they trade with it, and do not change it.

A marketable order takes what the recorded book shows or, without a book, the recorded quote. A
resting order waits behind the quantity that rested at its price when it joined. Recorded trades at
its price shorten that queue, and so does a level that shrinks below it: cancels are taken to be
behind us, so we never advance on a guess. A venue prints a trade before or after the quote and the
diff that show it: a trade that is not younger than what made the queue shrink explains that, and
only what is left of it is progress. It fills when trades reach it, or when the recorded
opposite side comes to its price.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import msgspec

from actors.events.market import (
    BookState,
    DepthDiff,
    DepthSnapshot,
    Level,
    Quote,
    Side,
    Trade,
)
from actors.model.book import Book
from gateways.simulated.engine.venue_orders import OPPOSITE

UNKNOWN = -1
"""Quantity ahead of an order at a price that the recorded data does not show."""


class QueuedOrder(msgspec.Struct, gc=False):
    """One of our resting orders, and the recorded quantity ahead of it."""

    client_order_id: str
    side: Side
    px: int
    leaves_qty: int
    ahead_qty: int
    shown_qty: int = 0
    """Of what left the queue as the depth showed, the part for which no trade was printed yet."""
    shown_at: int = 0
    """Venue time (UTC ns) of the depth that showed it."""

    def shrink(self, shown: int, time: int) -> None:
        """Wait behind no more than the depth of `time` shows."""
        if self.ahead_qty == UNKNOWN:
            self.ahead_qty = shown
        elif shown < self.ahead_qty:
            self.shown_qty += self.ahead_qty - shown
            self.ahead_qty, self.shown_at = shown, time

    def explain(self, qty: int, time: int) -> int:
        """Return what is left of a printed trade that the depth may have shown before."""
        if time > self.shown_at:
            self.shown_qty = 0
        explained = min(qty, self.shown_qty)
        self.shown_qty -= explained
        return qty - explained


class RestingFill(NamedTuple):
    """A fill of one of our resting orders, at its own price."""

    client_order_id: str
    qty: int
    px: int


class Depth(Protocol):
    """Both sides of the recorded market at one moment."""

    def levels(self, side: Side) -> Iterable[Level]:
        """Return the bids (BUY) or the asks (SELL), best first."""

    def shown(self, side: Side, px: int) -> int:
        """Return the quantity at a price of the side, or `UNKNOWN`."""


class QuoteDepth(NamedTuple):
    """One level per side: nothing is known behind the best price."""

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
    """(quantity shown, how much of it we took) by price: what we took is gone for us until the
    recorded venue shows another quantity there."""
    last_trade_id: int = 0
    newest_id: int = 0
    """Update id of what is known: of the newest quote or the LIVE book."""

    def take_quote(self, quote: Quote) -> bool:
        """Keep a quote; False, and it is not kept, where it is older than what is known."""
        update_id = quote.update_id
        if update_id:
            if update_id < self.newest_id:
                return False
            self.newest_id = update_id
        self.quote = quote
        return True

    def take_depth(self, depth: DepthDiff | DepthSnapshot) -> bool:
        """Update the recorded book, and return whether it is LIVE."""
        if isinstance(depth, DepthSnapshot):
            if not self.book.restore(depth):
                return False
            self.newest_id = self.book.last_update_id  # also where the venue's ids began again
            return True
        if not self.book.apply(depth):
            return False
        self.newest_id = max(self.newest_id, self.book.last_update_id)
        return True

    def is_new(self, trade: Trade) -> bool:
        """Tell whether a trade was not printed before; one without an id always is."""
        if not trade.trade_id:
            return True
        newest, self.last_trade_id = self.last_trade_id, max(self.last_trade_id, trade.trade_id)
        return trade.trade_id > newest

    def depth(self) -> Depth:
        """Return the most complete current liquidity."""
        if self.book.state is BookState.LIVE:
            return BookDepth(self.book)
        return NOTHING if self.quote is None else QuoteDepth(self.quote)

    def plan(self, depth: Depth, side: Side, qty: int, limit_px: int | None) -> list[Level]:
        """Return (price, quantity) that an order could take now, best first.

        Args:
            depth: the recorded liquidity.
            side: of the order.
            qty: most to take.
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
        """Note that an order of `side` took the plan, and forget prices no longer shown."""
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
        """Add a resting order, behind ours at the same price."""
        insort(self.resting, order, key=lambda queued: -queued.side * queued.px)

    def leave(self, client_order_id: str) -> None:
        """Forget a resting order."""
        self.resting = [o for o in self.resting if o.client_order_id != client_order_id]

    def best_own_px(self, side: Side) -> int:
        """Return the best price of our resting orders on a side, or 0."""
        return next((order.px for order in self.resting if order.side == side), 0)

    def meet_depth(self, depth: Depth, time: int) -> list[RestingFill]:
        """Update queue positions, and fill the orders that the opposite side has reached.

        Args:
            depth: the recorded liquidity.
            time: the venue's, or of receipt where the venue gives none; UTC ns.
        """
        fills: list[RestingFill] = []
        for order in self.resting:
            shown = depth.shown(order.side, order.px)
            if shown != UNKNOWN:
                order.shrink(shown, time)
            plan = self.plan(depth, order.side, order.leaves_qty, order.px)
            if plan:
                self.take(depth, order.side, plan)
                order.ahead_qty = 0
                fills.append(_fill(order, sum(qty for _, qty in plan)))
        self._drop_filled(fills)
        return fills

    def meet_trade(self, trade: Trade) -> list[RestingFill]:
        """Fill the orders that a recorded trade would have reached in our queues."""
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
                # Others rest between two of our orders, but our first is not among those
                # that the second counted: what it takes is no progress in the second's queue.
                passing = order.explain(left - ours, trade.venue_time)
                qty = max(0, min(passing - order.ahead_qty, order.leaves_qty))
                order.ahead_qty = max(0, order.ahead_qty - passing)
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
