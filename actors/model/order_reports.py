"""The venue's reports of one order: which came before, and what is told of one that should not be.

A report is known by the id of its execution in its instrument, and by what it says.
"""

from __future__ import annotations

from typing import Final

from actors.events.event import Event
from actors.events.order_words import ExecType
from actors.events.orders import TransitionFailed
from actors.events.system import HaltTrading
from actors.events.venue import ExecutionReport
from actors.model.fills import execution_id
from actors.model.order_record import TRADE, OrderRecord

NO_STATUS: Final = "NONE"
"""Status that a failure names where there is no such order."""
NOT_KNOWN: Final = "the OMS does not know this order"


def note(record: OrderRecord, report: ExecutionReport) -> None:
    """Remember a report with an id, so that it is recognized; the first of an id is kept."""
    if report.exec_id:
        record.executions.setdefault(_name(record, report), _content(record, report))


def repeats(record: OrderRecord, report: ExecutionReport) -> bool:
    """Return whether a report says what one of the same id said, or what was learned by asking."""
    content = _content(record, report)
    if record.executions.get(_name(record, report)) == content:
        return True
    if report.exec_type not in record.inferred:
        return False
    record.inferred = tuple(t for t in record.inferred if t is not report.exec_type)
    record.executions[_name(record, report)] = content
    return True


def contradiction(record: OrderRecord, report: ExecutionReport) -> str:
    """Return what a report says otherwise than one of the same id; empty where there is none."""
    known = record.executions.get(_name(record, report))
    if known is None:
        return ""
    exec_type, qty, px = known
    now_type, now_qty, now_px = _content(record, report)
    return (
        f"exec_id came before as {exec_type} of {qty} at {px}, "
        f"now as {now_type} of {now_qty} at {now_px}"
    )


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


def _name(record: OrderRecord, report: ExecutionReport) -> str:
    execution = execution_id(report)
    if report.instrument == record.order.instrument:
        return execution
    return f"{report.instrument} {execution}"


def _content(record: OrderRecord, report: ExecutionReport) -> tuple[ExecType, int, int]:
    qty = report.last_qty if report.side is record.order.side else -report.last_qty
    return (report.exec_type, qty, report.last_px)
