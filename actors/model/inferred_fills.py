"""Fills that were concluded from the venue's totals, and the real ones that come for them later.

Nothing is guessed: an inferred fill has the quantity and the amount that are missing, and no price.
Its id follows from the order and the totals before and after it, so whoever concludes it again
concludes the same. A real fill is known by its own totals: it takes the place of what was inferred
for it, and what is still missing then is inferred again.
"""

from __future__ import annotations

from hashlib import sha256

from msgspec.structs import replace

from actors.events.event import Event
from actors.events.order_words import Liquidity
from actors.events.orders import FillCorrected, OrderFilled
from actors.events.venue import ExecutionReport
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
        last_qty=fill.qty,
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
    if not record.inferred_fills:
        return 0
    return sum(qty for _, qty in _stood_for(record, report))


def correct(record: OrderRecord, report: ExecutionReport, *, late: bool) -> list[Event]:
    """Put a reported trade in the place of what was inferred for it.

    Args:
        record: the order, whose filled quantity is already what it is with the report.
        report: a trade of which something was inferred.
        late: whether the order had ended before.
    """
    taken = _stood_for(record, report)
    touched = [fill for fill, _ in taken]
    rests = [_rest(record, fill, qty) for fill, qty in taken if qty < fill.qty]
    untouched = tuple(fill for fill in record.inferred_fills if fill not in touched)
    record.inferred_fills = (*untouched, *rests)
    real = fill_of(record, report, late=late)
    void = replace(real, last_qty=0, last_px=0, fee=0)
    first, *others = touched
    return [
        FillCorrected(first.exec_id, real),
        *(FillCorrected(other.exec_id, void) for other in others),
        *(fill_inferred(record, rest, late=late) for rest in rests),
    ]


def _stood_for(record: OrderRecord, report: ExecutionReport) -> list[tuple[InferredFill, int]]:
    """Return what was inferred for a trade, with how much of each.

    Everything up to the total behind an inferred fill was counted then. So a trade up to that total
    which was not heard of before is what was missing, wherever it stands among the others.
    """
    before, left = report.cum_qty - report.last_qty, report.last_qty
    taken: list[tuple[InferredFill, int]] = []
    for fill in record.inferred_fills:
        qty = min(left, fill.qty, min(report.cum_qty, fill.cum_qty) - before)
        if qty > 0:
            taken.append((fill, qty))
            left -= qty
    return taken


def _rest(record: OrderRecord, fill: InferredFill, taken: int) -> InferredFill:
    order_id, start = record.order.client_order_id, fill.cum_before + taken
    amount = divide_half_even(fill.amount * (fill.qty - taken), fill.qty)
    return inferred_fill(order_id, start, fill.cum_qty, amount)
