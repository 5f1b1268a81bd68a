"""The venue's reports of one order: which came before, and what is told of one that should not be.

A report is known by the id of its execution in its instrument, and by what it says.
"""

from __future__ import annotations

from typing import Final

from actors.events.event import Event
from actors.events.orders import TransitionFailed
from actors.events.system import HaltTrading
from actors.events.venue import ExecutionReport
from actors.model.fills import execution_id
from actors.model.order_record import TRADE, OrderRecord

NO_STATUS: Final = "NONE"
"""Status that a failure names where there is no such order."""
NOT_KNOWN: Final = "the OMS does not know this order"


def recognize(record: OrderRecord, report: ExecutionReport) -> str | None:
    """Tell whether a report came before, and remember it if it did not.

    Returns:
        None for a new report; empty where one of the same id said the same, or where it was
        learned by asking; else what it says otherwise than one of the same id.
    """
    execution, exec_type = execution_id(report), report.exec_type
    if report.instrument != record.order.instrument:
        execution = f"{report.instrument} {execution}"
    qty = report.last_qty if report.side is record.order.side else -report.last_qty
    content = (exec_type, qty, report.last_px)
    known = record.executions.get(execution)
    if known == content:
        return ""
    if exec_type in record.inferred:
        record.inferred = tuple(t for t in record.inferred if t is not exec_type)
        record.executions[execution] = content
        return ""
    if known is not None:
        was, was_qty, was_px = known
        return (
            f"exec_id came before as {was} of {was_qty} at {was_px}, "
            f"now as {exec_type} of {qty} at {report.last_px}"
        )
    if execution and (exec_type is not TRADE or (qty and report.last_px > 0)):
        record.executions[execution] = content
    return None


def hold(record: OrderRecord, report: ExecutionReport) -> list[Event]:
    """Keep what an order of nobody traded, until the venue says itself that it has the order."""
    failed = failure(report, NO_STATUS, NOT_KNOWN)
    record.venue_cum_qty = max(record.venue_cum_qty, report.cum_qty)
    if report.exec_type is not TRADE:
        return [failed]
    record.held += (report,)
    return [failed, halt(report, f"a fill of {report.client_order_id!r}: {NOT_KNOWN}")]


def halt(report: ExecutionReport, reason: str) -> HaltTrading:
    """Return the halt of the instrument in which something traded, named after the order."""
    return HaltTrading(reason, report.client_order_id, instrument=report.instrument)


def failure(report: ExecutionReport, status: str, text: str) -> TransitionFailed:
    """Return that a report should not have come for an order of this status."""
    return TransitionFailed(report.client_order_id, status, report.exec_type, report.exec_id, text)
