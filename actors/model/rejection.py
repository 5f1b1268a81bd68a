"""The report that refuses an order, whoever refuses it: a venue, or somebody in its place."""

from __future__ import annotations

from actors.events.order_words import ExecType, OrdStatus
from actors.events.orders import SubmitOrder
from actors.events.venue import ExecutionReport, NewOrderSingle


def rejection(
    order: SubmitOrder | NewOrderSingle, text: str, *, exec_id: str, now: int
) -> ExecutionReport:
    """Return the report that an order was refused whole.

    Args:
        order: what was refused.
        text: why.
        exec_id: id that no other report has.
        now: UTC nanoseconds.
    """
    return ExecutionReport(
        client_order_id=order.client_order_id,
        venue_order_id="",
        exec_id=exec_id,
        exec_type=ExecType.REJECTED,
        ord_status=OrdStatus.REJECTED,
        instrument=order.instrument,
        side=order.side,
        last_qty=0,
        last_px=0,
        cum_qty=0,
        leaves_qty=0,
        text=text,
        transact_time=now,
    )
