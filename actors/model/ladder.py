"""One side of an order book: quantities by price, and which price is best."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

import msgspec

from actors.events.market import Level

SLACK = 64
"""Ranks of removed levels that are kept in any case before the heap is made anew."""


class Ladder(msgspec.Struct):
    """The levels of one side.

    `ranks` is a heap of ``-sign * price``, so its first entry is the best price. A removed level
    leaves its rank behind until that comes first or such ranks outnumber the levels: removing far
    from the top is then free. Measured on recorded markets, applying a diff takes two thirds of
    the time that a sorted list of prices takes.
    """

    sign: int
    """1 for bids (highest is best), -1 for asks (lowest is best)."""
    quantities: dict[int, int] = {}
    ranks: list[int] = []

    def __len__(self) -> int:
        return len(self.quantities)

    def best(self) -> Level:
        """Return price and quantity of the best level; (0, 0) where there is none."""
        if not self.ranks:
            return 0, 0
        price = -self.sign * self.ranks[0]
        return price, self.quantities[price]

    def levels(self) -> tuple[Level, ...]:
        """Return all levels, best first."""
        return tuple(sorted(self.quantities.items(), reverse=self.sign > 0))

    def clear(self) -> None:
        """Remove every level."""
        self.quantities.clear()
        self.ranks.clear()

    def load(self, levels: Iterable[Level]) -> bool:
        """Replace all levels; False where a price or a quantity is not positive."""
        self.quantities = dict(levels)
        self._rank()
        return not self.quantities or (
            min(self.quantities) > 0 and min(self.quantities.values()) > 0
        )

    def change(self, changes: Iterable[Level]) -> bool:
        """Set the quantities of some levels; 0 removes a level, also one that is not there.

        Returns:
            False where a price or a quantity is damaged; the ladder is then half changed and
            must not be used any more.
        """
        sign, quantities, ranks = -self.sign, self.quantities, self.ranks
        for price, qty in changes:
            if qty > 0:
                if price not in quantities:
                    if price <= 0:
                        return False
                    heappush(ranks, sign * price)
                quantities[price] = qty
            elif qty < 0:
                return False
            else:
                quantities.pop(price, 0)
        while ranks and sign * ranks[0] not in quantities:
            heappop(ranks)
        if len(ranks) > 2 * len(quantities) + SLACK:
            self._rank()
        return True

    def _rank(self) -> None:
        self.ranks = [-self.sign * price for price in self.quantities]
        heapify(self.ranks)
