"""Fills that were concluded from the venue's totals, and the real ones that come for them later.

Nothing is guessed: an inferred fill has the quantity and the amount that are missing, and no price.
Its id follows from the order and the totals before and after it, so whoever concludes it again
concludes the same. A real fill is known by its own totals: it stands in the place of all that was
inferred there, and what it does not cover is inferred again.
"""

from __future__ import annotations

from hashlib import sha256

from msgspec.structs import replace

from actors.events.event import Event
from actors.events.orders import ExecutionReport, FillCorrected, Liquidity, OrderFilled
from actors.model.money import divide_half_even
from actors.model.order_facts import fill_of
from actors.model.order_record import InferredFill, OrderRecord


def inferred_fill(client_order_id: str, cum_before: int, cum_qty: int, amount: int) -> InferredFill:
    """Return the fill that brings an order from one total to the next.

    Args:
        client_order_id: of the order.
        cum_before: filled quantity before it, in quantity units.
        cum_qty: filled quantity behind it.
        amount: settle units.
    """
    named = f"{client_order_id} {cum_before} {cum_qty}".encode()
    return InferredFill(sha256(named).hexdigest()[:16], cum_before, cum_qty, amount)


def fill_inferred(record: OrderRecord, fill: InferredFill, *, late: bool = False) -> OrderFilled:
    """Return the fact of an inferred fill, of an order as it is behind it."""
    order = record.order
    return OrderFilled(
        order.client_order_id,
        order.strategy,
        order.instrument,
        order.side,
        last_qty=fill.cum_qty - fill.cum_before,
        last_px=0,
        cum_qty=record.cum_qty,
        leaves_qty=record.leaves_qty,
        exec_id=fill.exec_id,
        fee=0,
        fee_currency="",
        liquidity=Liquidity.NONE,
        account=order.account,
        inferred=True,
        amount=fill.amount,
        late=late,
    )


def inferred_qty(record: OrderRecord, report: ExecutionReport) -> int:
    """Return how much of a reported trade was inferred before."""
    low, high = report.cum_qty - report.last_qty, report.cum_qty
    return sum(
        max(0, min(high, fill.cum_qty) - max(low, fill.cum_before))
        for fill in record.inferred_fills
    )


def correct(record: OrderRecord, report: ExecutionReport, *, late: bool) -> list[Event]:
    """Put a reported trade in the place of what was inferred for it.

    Args:
        record: the order, whose filled quantity is already what it is with the report.
        report: a trade of which something was inferred.
        late: whether the order had ended before.
    """
    low, high = report.cum_qty - report.last_qty, report.cum_qty
    touched = [f for f in record.inferred_fills if f.cum_before < high and low < f.cum_qty]
    rests = [rest for fill in touched for rest in _rests(record, fill, low, high)]
    untouched = tuple(f for f in record.inferred_fills if f not in touched)
    record.inferred_fills = (*untouched, *rests)
    real = fill_of(record, report, late=late)
    void = replace(real, last_qty=0, last_px=0, fee=0)
    first, *others = touched
    return [
        FillCorrected(first.exec_id, real),
        *(FillCorrected(other.exec_id, void) for other in others),
        *(fill_inferred(record, rest, late=late) for rest in rests),
    ]


def _rests(record: OrderRecord, fill: InferredFill, low: int, high: int) -> list[InferredFill]:
    parts = ((fill.cum_before, low), (high, fill.cum_qty))
    order_id, qty = record.order.client_order_id, fill.cum_qty - fill.cum_before
    return [
        inferred_fill(order_id, start, end, divide_half_even(fill.amount * (end - start), qty))
        for start, end in parts
        if start < end
    ]
