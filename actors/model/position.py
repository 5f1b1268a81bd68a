"""A position as (quantity, cost): exact for any sequence of fills, with no average to round."""

from __future__ import annotations

import msgspec

from actors.events.market import Side
from actors.events.reference import Instrument
from actors.model.money import checked, divide_half_even, mark_value, notional, value_sign


class Booking(msgspec.Struct):
    """What one fill put into a position."""

    side: Side
    qty: int
    amount: int
    """Settle units, positive."""


class Position(msgspec.Struct):
    """What a sequence of fills in one instrument left behind, and what it earned.

    `cost` is what the open quantity cost, signed like `qty`, in settle units. Closing k of q
    releases round-half-even(cost * k / q) and leaves the rest, so nothing is ever lost: after any
    fills ``realized == cash_flow + cost`` (linear) or ``cash_flow - cost`` (inverse, where a
    long gains as its amount in base currency shrinks, so that buying is what brings cash in).
    """

    qty: int = 0
    """Signed: negative is short."""
    cost: int = 0
    realized: int = 0
    """Gross profit of what was closed, in settle units; fees are apart."""
    cash_flow: int = 0
    """Signed amounts of all fills, in settle units."""
    bought_qty: int = 0
    sold_qty: int = 0
    fees: dict[str, int] = {}
    """Fees paid by currency, each in its own smallest units; negative where rebates prevail."""
    exec_id: str = ""
    """The last fill that was applied."""

    def fill(self, instrument: Instrument, side: Side, qty: int, px: int) -> None:
        """Apply one fill; a fill beyond the open quantity closes it and opens the other way.

        Args:
            instrument: gives scales and contract.
            side: direction of the fill.
            qty: filled quantity, positive.
            px: price of the fill, in price units.

        Raises:
            OverflowError: an amount or a quantity has more than 38 digits; the position is as it
                was.
        """
        self.fill_amount(instrument, side, qty, notional(instrument, qty, px))

    def fill_amount(self, instrument: Instrument, side: Side, qty: int, amount: int) -> None:
        """Apply one fill whose amount is known, in settle units, as `fill` does.

        Raises:
            OverflowError: an amount or a quantity has more than 38 digits; the position is as it
                was.
        """
        held = self.qty * side
        closed = min(qty, -held) if held < 0 else 0
        closing_amount = divide_half_even(amount * closed, qty)
        released = divide_half_even(abs(self.cost) * closed, -held) if closed else 0
        # Only magnitudes so far: a long (closed by a sale) gains what it brought above its cost.
        gained = -side * value_sign(instrument) * (closing_amount - released)
        cost = self.cost + side * (released + amount - closing_amount)
        cash_flow = self.cash_flow - side * value_sign(instrument) * amount
        if side > 0:
            checked(self.bought_qty + qty, "bought quantity")
        else:
            checked(self.sold_qty + qty, "sold quantity")
        self._book(cost, self.realized + gained, cash_flow)
        self._count(side, qty)

    def correct(self, instrument: Instrument, replaced: Booking, booked: Booking) -> None:
        """Put one fill in the place of another.

        Where the other is still open, its cost becomes that of the one and no profit is touched;
        else the other is taken back by a fill against it.

        Raises:
            OverflowError: an amount or a quantity has more than 38 digits.
        """
        more = booked.side * booked.qty - replaced.side * replaced.qty
        paid = booked.side * booked.amount - replaced.side * replaced.amount
        side = replaced.side
        if self.qty * side > 0 and (self.qty + more) * side > 0:
            cash_flow = self.cash_flow - value_sign(instrument) * paid
            self._book(self.cost + paid, self.realized, cash_flow)
            self._count(side, -replaced.qty)
            self._count(booked.side, booked.qty)
            return
        against = Side(-side)
        self.fill_amount(instrument, against, replaced.qty, replaced.amount)
        self._count(against, -replaced.qty)
        self._count(side, -replaced.qty)
        if booked.qty:
            self.fill_amount(instrument, booked.side, booked.qty, booked.amount)

    def pay(self, fee: int, currency: str) -> None:
        """Add a fee, negative for a rebate, in smallest units of `currency`."""
        total = self.fees.get(currency, 0) + fee
        self.fees[currency] = checked(total, f"fees in {currency}")

    def _book(self, cost: int, realized: int, cash_flow: int) -> None:
        self.cost, self.realized, self.cash_flow = (
            checked(cost, "cost of the position"),
            checked(realized, "realized profit"),
            checked(cash_flow, "cash flow"),
        )

    def _count(self, side: Side, qty: int) -> None:
        if side > 0:
            self.bought_qty += qty
        else:
            self.sold_qty += qty
        self.qty = self.bought_qty - self.sold_qty


def unrealized(instrument: Instrument, qty: int, cost: int, mark_px: int) -> int:
    """Return what closing `qty`, which cost `cost`, at `mark_px` would earn, in settle units.

    Args:
        instrument: gives scales and contract.
        qty: signed quantity units.
        cost: settle units, signed like `qty`.
        mark_px: half price units; 0 while there is no mark, which counts as the cost.
    """
    if not qty or not mark_px:
        return 0
    return value_sign(instrument) * (mark_value(instrument, qty, mark_px) - cost)
