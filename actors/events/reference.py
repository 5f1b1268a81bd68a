"""Reference data: what can be traded, in which units and under which venue filters."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum

from actors.events.event import Event

EXACT = Context(prec=128)
"""For conversions between units and decimals: the usual context would round beyond 28 digits."""


class Contract(StrEnum):
    """How a quantity at a price becomes money."""

    LINEAR = "linear"
    """Amount = quantity x price, in the quote currency (spot, USD-margined futures)."""
    INVERSE = "inverse"
    """Amount = contracts x contract_size / price, in the base currency (coin-margined futures)."""


class Currency(Event):
    """A currency and its smallest unit, ``10 ** -scale``."""

    currency: str
    scale: int

    def amount(self, value: Decimal | str) -> int:
        """Return `value` in smallest units, rounded half-even."""
        return to_units(Decimal(value), self.scale)


class Instrument(Event):
    """One tradable instrument of one venue.

    Scales are fixed for the life of the id. Zero in a maximum or in `min_notional` means that the
    venue sets no such filter.
    """

    instrument: str
    """Our id, ``SYMBOL.VENUE``."""
    venue: str
    symbol: str
    """The venue's own name."""
    base: str
    quote: str
    settle: str
    """Currency of amounts: the quote of a linear instrument, the base of an inverse one."""
    price_scale: int
    qty_scale: int
    settle_scale: int
    tick_size: int = 1
    """Smallest price step, in price units."""
    lot_size: int = 1
    """Smallest quantity step, in quantity units."""
    min_qty: int = 0
    max_qty: int = 0
    min_notional: int = 0
    """Smallest amount of one order, in settle units."""
    min_px: int = 0
    max_px: int = 0
    max_open_orders: int = 0
    contract: Contract = Contract.LINEAR
    contract_size: int = 1
    """Quote value of one inverse contract; 1 for linear instruments."""

    def price(self, value: Decimal | str) -> int:
        """Return the price `value` in price units.

        Raises:
            ValueError: `value` has more decimals than `price_scale`.
        """
        return exact_units(Decimal(value), self.price_scale, f"price of {self.instrument}")

    def qty(self, value: Decimal | str) -> int:
        """Return the quantity `value` in quantity units.

        Raises:
            ValueError: `value` has more decimals than `qty_scale`.
        """
        return exact_units(Decimal(value), self.qty_scale, f"quantity of {self.instrument}")


def venue_of(instrument: str) -> str:
    """Return the venue that an instrument id names; empty where it names none."""
    _, dot, venue = instrument.rpartition(".")
    return venue if dot else ""


def to_units(value: Decimal, scale: int) -> int:
    """Return `value` in units of ``10 ** -scale``, rounded half-even."""
    return int(value.scaleb(scale, EXACT).to_integral_value(ROUND_HALF_EVEN, EXACT))


def exact_units(value: Decimal, scale: int, what: str) -> int:
    """Return `value` in units of ``10 ** -scale``.

    Raises:
        ValueError: `value` is not a whole number of units; `what` names it in the message.
    """
    units = value.scaleb(scale, EXACT)
    whole = units.to_integral_value(ROUND_HALF_EVEN, EXACT)
    if units != whole:
        raise ValueError(f"{what} was {value}, allowed are at most {scale} decimals")
    return int(whole)


def from_units(units: int, scale: int) -> Decimal:
    """Return `units` of ``10 ** -scale`` as an exact decimal."""
    return Decimal(units).scaleb(-scale, EXACT)
