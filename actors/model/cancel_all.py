"""What halts had canceled, until the venue lists nothing of it as open any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from actors.events.venue import OrderMassStatus

ALL = ("",)
"""The scope of a halt of everything."""


class CancelAllProgress(msgspec.Struct):
    """Halts of which it is not verified yet that nothing is open, and what the venue listed last.

    The venue's list is not enough: an order may be on its way. Order management compares the list
    with its own orders and says which instruments have one in doubt; only what is neither listed
    nor in doubt is over.
    """

    scopes: dict[str, tuple[str, ...]] = {}
    """Instruments that a halt covers, `ALL` for all, by the halt's key; those not verified."""
    request_id: str = ""
    """The list that was asked for last."""
    listed: dict[str, str] = {}
    """Instrument of each order in that list, by client order id."""
    timer: int = 0
    """Timer after which everything is canceled again; 0 for none."""

    def take(self, listing: OrderMassStatus) -> None:
        """Keep what the venue lists as open."""
        self.listed = {order.client_order_id: order.instrument for order in listing.orders}

    def verify(self, in_doubt: Collection[str]) -> list[str]:
        """Return the halts of which nothing is open any more, and forget them.

        Args:
            in_doubt: instruments with an order of which order management does not know.
        """
        still = {*in_doubt, *self.listed.values()}
        over = [key for key, scope in self.scopes.items() if not _overlap(scope, still)]
        for key in over:
            del self.scopes[key]
        return over

    def instruments(self) -> list[str]:
        """Return what is to be canceled again; an empty one is everything."""
        found = {instrument for scope in self.scopes.values() for instrument in scope}
        return [""] if "" in found else sorted(found)

    def orders(self) -> list[tuple[str, str]]:
        """Return (client order id, instrument) of what is listed and should not be."""
        return [
            (order_id, instrument)
            for order_id, instrument in self.listed.items()
            if any(_overlap(scope, (instrument,)) for scope in self.scopes.values())
        ]

    def keep(self, keys: Collection[str]) -> None:
        """Forget all halts but these: what is lifted needs no verification."""
        self.scopes = {key: scope for key, scope in self.scopes.items() if key in keys}


def _overlap(scope: tuple[str, ...], instruments: Iterable[str]) -> bool:
    return any(scope == ALL or instrument in scope for instrument in instruments)
