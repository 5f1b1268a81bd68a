"""Rejection by the venue's static rules: the text says what was found and what is allowed."""

from __future__ import annotations

from actors.events.order_words import OrderType, TimeInForce
from actors.events.reference import Instrument, from_units
from actors.events.venue import NewOrderSingle
from actors.model.money import notional

ORDER_TYPES = (OrderType.LIMIT, OrderType.MARKET)
TIMES_IN_FORCE = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)
UNSUPPORTED = ("stop_px", "expire_time", "reduce_only", "display_qty")
"""Fields of an order that must not be given."""


def filter_refusal(
    order: NewOrderSingle, instrument: Instrument, *, open_orders: int, reference_px: int
) -> str:
    """Return why the venue's filters refuse an order, or an empty text if they do not.

    Args:
        order: as it arrived.
        instrument: gives the filters; 0 in a maximum or in `min_notional` means none.
        open_orders: our orders that already work in this instrument.
        reference_px: values an order without a limit, in price units; 0 if there is no price,
            and its notional is not checked.
    """
    return (
        _unsupported(order)
        or _contradiction(order)
        or _qty_refusal(order, instrument)
        or _px_refusal(order, instrument)
        or _amount_refusal(order, instrument, reference_px)
        or _count_refusal(instrument, open_orders)
    )


def _unsupported(order: NewOrderSingle) -> str:
    """Refuse what this venue does not do: it must not look as if it did."""
    if order.order_type not in ORDER_TYPES:
        return f"order_type was {order.order_type}, allowed are {' and '.join(ORDER_TYPES)}"
    if order.time_in_force not in TIMES_IN_FORCE:
        return f"time_in_force was {order.time_in_force}, allowed are {', '.join(TIMES_IN_FORCE)}"
    if not (order.stop_px or order.expire_time or order.reduce_only or order.display_qty):
        return ""
    given = next(name for name in UNSUPPORTED if getattr(order, name))
    return f"{given} was {getattr(order, given)}, this venue has no such orders"


def _contradiction(order: NewOrderSingle) -> str:
    if order.order_type is OrderType.MARKET and order.limit_px:
        return f"limit_px was {order.limit_px} units, a MARKET order has none"
    if order.post_only and order.order_type is OrderType.MARKET:
        return "order_type was MARKET, a post-only order must be LIMIT"
    if order.post_only and order.time_in_force is not TimeInForce.GTC:
        return f"time_in_force was {order.time_in_force}, a post-only order must be GTC"
    return ""


def _qty_refusal(order: NewOrderSingle, instrument: Instrument) -> str:
    def shown(units: int) -> str:
        return f"{from_units(units, instrument.qty_scale):f}"

    qty = order.qty
    if qty <= 0:
        return f"LOT_SIZE: qty was {shown(qty)}, allowed is above 0"
    if qty % instrument.lot_size:
        return f"LOT_SIZE: qty was {shown(qty)}, allowed are steps of {shown(instrument.lot_size)}"
    if qty < instrument.min_qty:
        return f"LOT_SIZE: qty was {shown(qty)}, allowed is at least {shown(instrument.min_qty)}"
    if instrument.max_qty and qty > instrument.max_qty:
        return f"LOT_SIZE: qty was {shown(qty)}, allowed is at most {shown(instrument.max_qty)}"
    return ""


def _px_refusal(order: NewOrderSingle, instrument: Instrument) -> str:
    def shown(units: int) -> str:
        return f"{from_units(units, instrument.price_scale):f}"

    px, lowest, highest = order.limit_px, instrument.min_px, instrument.max_px
    if order.order_type is OrderType.MARKET:
        return ""
    if px <= 0:
        return f"PRICE_FILTER: price was {shown(px)}, allowed is above 0"
    if px % instrument.tick_size:
        tick = shown(instrument.tick_size)
        return f"PRICE_FILTER: price was {shown(px)}, allowed are steps of {tick}"
    if px < lowest:
        return f"PRICE_FILTER: price was {shown(px)}, allowed is at least {shown(lowest)}"
    if highest and px > highest:
        return f"PRICE_FILTER: price was {shown(px)}, allowed is at most {shown(highest)}"
    return ""


def _amount_refusal(order: NewOrderSingle, instrument: Instrument, reference_px: int) -> str:
    px = order.limit_px or reference_px
    if not instrument.min_notional or not px:
        return ""
    amount = notional(instrument, order.qty, px)
    if amount >= instrument.min_notional:
        return ""
    found, allowed = (
        f"{from_units(units, instrument.settle_scale):f}"
        for units in (amount, instrument.min_notional)
    )
    return f"NOTIONAL: amount was {found} {instrument.settle}, allowed is at least {allowed}"


def _count_refusal(instrument: Instrument, open_orders: int) -> str:
    limit = instrument.max_open_orders
    if limit and open_orders >= limit:
        return f"MAX_NUM_ORDERS: {open_orders} orders were open, allowed are {limit}"
    return ""
