"""One side of an order book: quantities by price, and the prices in order."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

import msgspec

from actors.events.market import Level


class Ladder(msgspec.Struct):
    """The levels of one side, best first when read by `levels`.

    Prices are also kept as ranks, ``sign * price`` in ascending order: the best level is the last
    one on either side, so the many changes near the top of a deep book move few entries. (A heap
    that leaves removed prices behind applies a diff in two thirds of the time, but then who walks
    down the levels, as matching against a recorded book does with every diff, pays for sorting.)
    """

    sign: int
    """1 for bids (highest is best), -1 for asks (lowest is best)."""
    quantities: dict[int, int] = {}
    ranks: list[int] = []

    def __len__(self) -> int:
        return len(self.ranks)

    def best(self) -> Level:
        """Return price and quantity of the best level; (0, 0) where there is none."""
        if not self.ranks:
            return 0, 0
        price = self.sign * self.ranks[-1]
        return price, self.quantities[price]

    def levels(self) -> tuple[Level, ...]:
        """Return all levels, best first."""
        sign, quantities = self.sign, self.quantities
        return tuple([(sign * rank, quantities[sign * rank]) for rank in reversed(self.ranks)])

    def clear(self) -> None:
        """Remove every level."""
        self.quantities.clear()
        self.ranks.clear()

    def load(self, levels: Iterable[Level]) -> bool:
        """Replace all levels; False where a price or a quantity is not positive."""
        self.quantities = dict(levels)
        self.ranks = sorted(self.sign * price for price in self.quantities)
        return not self.ranks or (min(self.quantities) > 0 and min(self.quantities.values()) > 0)

    def change(self, changes: Iterable[Level]) -> bool:
        """Set the quantities of some levels; 0 removes a level, also one that is not there.

        Returns:
            False where a price or a quantity is damaged; the ladder is then half changed and
            must not be used any more.
        """
        sign, quantities, ranks = self.sign, self.quantities, self.ranks
        for price, qty in changes:
            if qty > 0:
                if price not in quantities:
                    if price <= 0:
                        return False
                    insort(ranks, sign * price)
                quantities[price] = qty
            elif qty < 0:
                return False
            elif quantities.pop(price, 0):
                del ranks[bisect_left(ranks, sign * price)]
        return True
