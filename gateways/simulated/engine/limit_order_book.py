"""A limit order book with price-time priority.

Pure: orders in, matches out. Who owns an order matters only for self-trade prevention.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

import msgspec

from actors.events.market import Level, Side


class RestingOrder(msgspec.Struct, gc=False):
    """An order in the queue of its price."""

    order_id: int
    client_order_id: str
    """Empty for a background order; anything else is one of ours."""
    leaves_qty: int


class PriceLevel(msgspec.Struct, gc=False):
    """All orders at one price, oldest first; `qty` is the sum of their remaining quantities."""

    qty: int = 0
    orders: dict[int, RestingOrder] = {}


class Match(NamedTuple):
    """A resting order matched by an incoming one."""

    order_id: int
    client_order_id: str
    px: int
    qty: int


class BookSide(msgspec.Struct):
    """The bids or the asks.

    `keys` holds prices times `sign`, +1 for bids and -1 for asks, so that on both sides a better
    price has a larger key and the best is the last.
    """

    sign: int
    keys: list[int] = []
    levels: dict[int, PriceLevel] = {}
    """By key."""
    changed: dict[int, int] = {}
    """Quantity by price of the levels that changed since the changes were last taken."""
    orders: int = 0

    def best_px(self) -> int:
        """Return the best price, or 0 if the side is empty."""
        return self.keys[-1] * self.sign if self.keys else 0

    def best_qty(self) -> int:
        """Return the quantity at the best price, or 0 if the side is empty."""
        return self.levels[self.keys[-1]].qty if self.keys else 0

    def depth(self) -> tuple[Level, ...]:
        """Return all levels, best first."""
        return tuple((key * self.sign, self.levels[key].qty) for key in reversed(self.keys))

    def take_changes(self) -> tuple[Level, ...]:
        """Return the levels changed since the last call, best first; quantity 0 means removed."""
        changes = sorted(self.changed.items(), reverse=self.sign > 0)
        self.changed = {}
        return tuple(changes)


class LimitOrderBook(msgspec.Struct):
    """Bids and asks of one instrument.

    Never crossed between calls, as long as only what `take` left of an order is added. `places`
    finds an order's level without a search; queues keep their orders in order of arrival.
    """

    bids: BookSide = msgspec.field(default_factory=lambda: BookSide(sign=1))
    asks: BookSide = msgspec.field(default_factory=lambda: BookSide(sign=-1))
    places: dict[int, tuple[Side, int]] = {}
    """Order id to its side and key."""
    update_id: int = 0
    """Incremented with every change of a level."""

    def side(self, side: Side) -> BookSide:
        """Return the side on which orders of `side` rest."""
        return self.bids if side == Side.BUY else self.asks

    def opposite(self, side: Side) -> BookSide:
        """Return the side against which an incoming order of `side` is matched."""
        return self.asks if side == Side.BUY else self.bids

    def add(
        self, order_id: int, side: Side, px: int, qty: int, *, client_order_id: str = ""
    ) -> None:
        """Add an order behind all others at its price; it must not cross.

        Args:
            order_id: never used in this book before.
            side: of the order.
            px: its limit, in price units, positive.
            qty: remaining quantity, in quantity units, positive.
            client_order_id: empty for a background order.
        """
        queue = self.side(side)
        key = px * queue.sign
        level = queue.levels.get(key)
        if level is None:
            insort(queue.keys, key)
            level = queue.levels[key] = PriceLevel()
        level.orders[order_id] = RestingOrder(order_id, client_order_id, qty)
        level.qty += qty
        self.places[order_id] = (side, key)
        queue.orders += 1
        self._mark(queue, key, level.qty)

    def remove(self, order_id: int) -> bool:
        """Remove an order; False if it does not rest here, or no longer does."""
        place = self.places.pop(order_id, None)
        if place is None:
            return False
        queue, key = self.side(place[0]), place[1]
        level = queue.levels[key]
        level.qty -= level.orders.pop(order_id).leaves_qty
        queue.orders -= 1
        if not level.orders:
            del queue.keys[bisect_left(queue.keys, key)]
            del queue.levels[key]
        self._mark(queue, key, level.qty)
        return True

    def take(
        self, side: Side, qty: int, limit_px: int = 0, *, own: bool = False
    ) -> tuple[list[Match], bool]:
        """Match an incoming order against the opposite side, best price and oldest first.

        Args:
            side: of the incoming order.
            qty: most to match, in quantity units.
            limit_px: worst price allowed, in price units; 0 for any.
            own: whether the order is ours; then matching stops before another order of ours.

        Returns:
            The matches in order, and whether one of our own orders stopped the matching.
        """
        queue = self.opposite(side)
        worst = limit_px * queue.sign if limit_px else None
        matches: list[Match] = []
        blocked = False
        while qty and queue.keys and not blocked:
            key = queue.keys[-1]
            if worst is not None and key < worst:
                break
            before = qty
            qty, blocked = self._take_level(queue, key, qty, matches, own=own)
            if qty == before:
                break
        return matches, blocked

    def available(self, side: Side, qty: int, limit_px: int = 0) -> int:
        """Return how much of `qty` an order of ours could trade now; changes nothing.

        What rests behind another order of ours does not count: see `take`.
        """
        queue = self.opposite(side)
        found = 0
        for key in reversed(queue.keys):
            if found >= qty or (limit_px and key < limit_px * queue.sign):
                break
            for order in queue.levels[key].orders.values():
                if order.client_order_id:
                    return min(found, qty)
                found += order.leaves_qty
        return min(found, qty)

    def _take_level(
        self, queue: BookSide, key: int, qty: int, matches: list[Match], *, own: bool
    ) -> tuple[int, bool]:
        level = queue.levels[key]
        px = key * queue.sign
        gone: list[int] = []
        blocked = False
        before = qty
        for order in level.orders.values():
            if own and order.client_order_id:
                blocked = True
                break
            traded = min(qty, order.leaves_qty)
            qty -= traded
            order.leaves_qty -= traded
            matches.append(Match(order.order_id, order.client_order_id, px, traded))
            if not order.leaves_qty:
                gone.append(order.order_id)
            if not qty:
                break
        if qty == before:
            return qty, blocked
        for order_id in gone:
            del level.orders[order_id]
            del self.places[order_id]
        queue.orders -= len(gone)
        level.qty -= before - qty
        if not level.orders:
            queue.keys.pop()
            del queue.levels[key]
        self._mark(queue, key, level.qty)
        return qty, blocked

    def _mark(self, queue: BookSide, key: int, qty: int) -> None:
        self.update_id += 1
        queue.changed[key * queue.sign] = qty
