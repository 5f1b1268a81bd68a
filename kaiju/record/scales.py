"""From integer units to the decimals that people read, by the scales of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from actors.events.reference import Currency, Instrument, from_units

SETTLE_AMOUNTS = {
    "PositionUpdated": ("cost", "realized", "fees", "cash_flow"),
    "PnlUpdated": ("realized", "unrealized", "fees", "net"),
    "OrderFilled": ("cum_amount",),
    "ExecutionReport": ("cum_amount",),
}
"""Fields in settle units of the event's instrument, by tag."""
CURRENCY_AMOUNTS = {
    ("OrderFilled", "fee"): "fee_currency",
    ("ExecutionReport", "fee"): "fee_currency",
    ("FeePaid", "amount"): "currency",
}
"""Fields in smallest units of a currency that another field of the event names."""
HALF_PRICES = {("PnlUpdated", "mark_px")}
"""Fields in half price units, as a mid price is."""


class Unit:
    """What the integers of one field count.

    Args:
        named_by: the event's field that names the instrument or currency.
        scales: scale by that name.
        half: the field counts halves of a unit.
    """

    def __init__(self, named_by: str, scales: Mapping[str, int], *, half: bool = False) -> None:
        self.named_by = named_by
        self.half = half
        self._scales = scales

    @property
    def largest_scale(self) -> int:
        """Decimals that hold every value of the field exactly."""
        return max(self._scales.values(), default=0) + self.half

    def at(self, scale: int, units: int | None, name: str) -> int | None:
        """Return `units` in units of ``10 ** -scale``; None where the scale of `name` is unknown.

        `scale` is `largest_scale` or more, so that nothing is rounded.
        """
        own = self._scales.get(name)
        if own is None or units is None:
            return None
        finer = units * 5 if self.half else units
        return finer * int(10 ** (scale - own - self.half))

    def decimal(self, units: int | None, name: str) -> Decimal | None:
        """Return the exact value of `units`; None where the scale of `name` is unknown."""
        scale = self._scales.get(name)
        if scale is None or units is None:
            return None
        finer = units * 5 if self.half else units
        return from_units(finer, scale + self.half)


class Scales:
    """The scales of a run's instruments and currencies."""

    def __init__(self, instruments: Iterable[Instrument], currencies: Iterable[Currency]) -> None:
        known = tuple(instruments)
        self.instruments = {i.instrument: i for i in known}
        self.prices = {i.instrument: i.price_scale for i in known}
        self.quantities = {i.instrument: i.qty_scale for i in known}
        self.settle = {i.instrument: i.settle_scale for i in known}
        self.currencies = {c.currency: c.scale for c in currencies}

    def unit(self, tag: str, field: str, siblings: Iterable[str]) -> Unit | None:
        """Return what `field` of the events `tag` counts; None if it is no amount.

        Names ending in ``px`` are prices and those ending in ``qty`` quantities, in every event
        that has an `instrument`, so events of users are understood too.
        """
        if currency_field := CURRENCY_AMOUNTS.get((tag, field)):
            return Unit(currency_field, self.currencies)
        if "instrument" not in siblings:
            return None
        if field in SETTLE_AMOUNTS.get(tag, ()):
            return Unit("instrument", self.settle)
        if field == "px" or field.endswith("_px"):
            return Unit("instrument", self.prices, half=(tag, field) in HALF_PRICES)
        if field == "qty" or field.endswith("_qty"):
            return Unit("instrument", self.quantities)
        return None


def scales_of_header(header: Mapping[str, Any]) -> Scales:
    """Return the scales that a record's header holds."""
    return Scales(
        [msgspec.convert(item, Instrument) for item in header.get("instruments", ())],
        [msgspec.convert(item, Currency) for item in header.get("currencies", ())],
    )
