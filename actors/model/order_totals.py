"""What a report says about the whole order, compared with what is known of it here.

A venue's report names the order's side, instrument, status and totals besides what happened. Where
they differ from ours something was missed, or one of the two is wrong: then the order is in doubt.
Whether a trade was allowed is another question: it happened, so it is booked.
"""

from __future__ import annotations

from typing import Final

from actors.events.order_words import ExecType, OrderType, OrdStatus
from actors.events.venue import ExecutionReport
from actors.model.order_record import (
    CANCELED,
    EXPIRED,
    FILLED,
    REJECTED,
    TERMINAL,
    OrderRecord,
)

ENDS: Final = {
    ExecType.CANCELED: CANCELED,
    ExecType.EXPIRED: EXPIRED,
    ExecType.REJECTED: REJECTED,
}
"""How an order can end without a fill, by the report that says so."""


def malformed(report: ExecutionReport) -> str:
    """Return why a report of a trade cannot be one; empty where it can."""
    if report.last_qty > 0 and report.last_px > 0 and report.exec_id:
        return ""
    return (
        f"a fill of {report.last_qty} at {report.last_px} with exec_id {report.exec_id!r}; "
        "quantity and price must be positive and the exec_id given"
    )


def violation(record: OrderRecord, report: ExecutionReport, booked: int) -> str:
    """Return why the venue should not have made a trade; empty where it was allowed.

    A trade behind a cancel or an expiry crossed it on its way: that is allowed.

    Args:
        record: the order before the trade.
        report: of the trade.
        booked: quantity that the report adds to what is filled.
    """
    order = record.order
    if (report.side, report.instrument) != (order.side, order.instrument):
        return (
            f"filled as {report.side.name} {report.instrument}, "
            f"the order is {order.side.name} {order.instrument}"
        )
    if record.cum_qty + booked > order.qty:
        return f"overfill: {record.cum_qty} + {booked} of {order.qty}"
    if record.status is REJECTED:
        return "filled after it was REJECTED"
    beyond = order.side * report.last_px > order.side * order.limit_px
    if order.order_type is OrderType.LIMIT and order.limit_px and beyond:
        return f"filled at {report.last_px}, beyond its limit {order.limit_px}"
    return ""


def difference(record: OrderRecord, report: ExecutionReport, booked: int = 0) -> str:
    """Return what the report says otherwise than we do, in words; empty for nothing.

    Args:
        record: the order before the report is applied.
        report: any report but the answer to a question.
        booked: quantity that the report adds to what is filled.
    """
    here = record.cum_qty + booked
    there = max(record.venue_cum_qty, report.cum_qty)
    if report.exec_type is ExecType.CANCEL_REJECTED:
        return _of_refused_cancel(record, report, there)
    order = record.order
    if (report.side, report.instrument) != (order.side, order.instrument):
        told = f"{report.side.name} {report.instrument} at the venue"
        return f"{told}, {order.side.name} {order.instrument} here"
    end = ENDS.get(report.exec_type)
    if end is not None:
        final = record.status not in TERMINAL and report.cum_qty != here
        there = report.cum_qty if final else there
    if there != here:
        return _totals(report.ord_status, there, here)
    if record.status in TERMINAL:
        return ""
    return _of_status(record, report, end)


def _of_refused_cancel(record: OrderRecord, report: ExecutionReport, there: int) -> str:
    if there > record.cum_qty:
        return _totals(report.ord_status, there, record.cum_qty)
    if report.ord_status in TERMINAL and record.status not in TERMINAL:
        return f"{report.ord_status} at the venue, {record.status} here"
    return ""


def _of_status(record: OrderRecord, report: ExecutionReport, end: OrdStatus | None) -> str:
    status, qty = report.ord_status, record.order.qty
    if end is not None and status is not end:
        return f"reported as {report.exec_type} and {status}"
    if end is None and (status is FILLED) != (report.cum_qty >= qty):
        return f"{status} at the venue with {report.cum_qty} of {qty} filled"
    if end is None and status in TERMINAL and status is not FILLED:
        return f"reported as {report.exec_type} and {status}"
    leaves = 0 if status in TERMINAL else qty - report.cum_qty
    if report.leaves_qty != leaves:
        return f"{report.leaves_qty} of {qty} left at the venue with {report.cum_qty} filled"
    return ""


def _totals(status: OrdStatus, there: int, here: int) -> str:
    return f"{status} with {there} filled at the venue, {here} here"
