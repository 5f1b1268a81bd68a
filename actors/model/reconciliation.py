"""What is open here against what is open at the venue, and what to do about each difference.

The venue's list comes behind all reports of what happened before it. So what it lacks, and what
it says otherwise, was not explained by any report: such an order is UNKNOWN, and the venue is asked
about it until it says something. No answer is never taken for an answer, and nothing is sent twice
but questions and cancels.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from actors.events.event import Event
from actors.events.market import Side
from actors.events.orders import (
    ExecType,
    ExecutionReport,
    OrderMassStatus,
    OrderPendingCancel,
    OrderStatus,
    OrderUnknown,
    OrdRejReason,
    OrdStatus,
    ReconciliationCompleted,
    ReconciliationFailed,
)
from actors.model.order_table import (
    PENDING,
    UNKNOWN,
    OrderRecord,
    OrderTable,
    ask_about,
    ask_to_cancel,
)

NEVER_RECEIVED = "never received by the venue, or never accepted: it knows no such order"

WORKING: Final = frozenset({OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.PENDING_CANCEL})
ENDS: Final = {
    OrdStatus.CANCELED: ExecType.CANCELED,
    OrdStatus.EXPIRED: ExecType.EXPIRED,
    OrdStatus.REJECTED: ExecType.REJECTED,
}
"""How an order can end without a fill, and the report that says so."""


class Reconciliation(msgspec.Struct):
    """One list of a venue being worked off, until nothing that it concerns is in doubt."""

    request_id: str
    instruments: tuple[str, ...] = ()
    """What the list is about; empty for all."""
    foreign: int = 0
    """Orders in the newest list that are not open here; nothing is sure until they are gone."""
    unexplained: int = 0
    """Orders that became UNKNOWN by a list."""

    def covers(self, instrument: str) -> bool:
        """Return whether the list is about orders in this instrument."""
        return not self.instruments or instrument in self.instruments

    def take(self, table: OrderTable, listing: OrderMassStatus, now: int) -> list[Event]:
        """Compare the open orders with the venue's, at `now` (UTC ns), and return what follows."""
        listed = {status.client_order_id: status for status in listing.orders}
        events: list[Event] = []
        for record in [r for r in table.open.values() if self.covers(r.order.instrument)]:
            status = listed.pop(record.order.client_order_id, None)
            if status is None:
                events.append(ask_about(record, now))
            else:
                events += _compare(table, record, status, now)
        self.unexplained += sum(isinstance(e, OrderUnknown) and e.queries == 1 for e in events)
        self.foreign = len(listed)
        for status in listed.values():
            events += _disown(table, status)
        return events

    def completed(self, table: OrderTable) -> ReconciliationCompleted | None:
        """Return that nothing is in doubt any more; None while something is."""
        mine = [r for r in table.open.values() if self.covers(r.order.instrument)]
        if self.foreign or any(record.status is UNKNOWN for record in mine):
            return None
        return ReconciliationCompleted(self.request_id, len(mine), self.unexplained)


class Sweep(NamedTuple):
    """What a look at the orders in flight found."""

    asked: list[OrderUnknown]
    wait: int
    """Nanoseconds until the next look is due; 0 where nothing is in flight."""


def take_answer(table: OrderTable, answer: ExecutionReport, now: int) -> list[Event]:
    """Apply what the venue says of an order about which it was asked, and return what follows.

    Only an UNKNOWN order is changed: any other was explained by a report meanwhile. An answer that
    knows of less than was filled here is older than the fill.
    """
    record = table.open.get(answer.client_order_id)
    if record is None or record.status is not UNKNOWN:
        return []
    if answer.ord_rej_reason is OrdRejReason.UNKNOWN_ORDER:
        if record.accepted or record.cum_qty:
            return _dispute(record, "the venue had this order, and now knows no such", now)
        return _inferred(table, record, ExecType.REJECTED, replace(answer, text=NEVER_RECEIVED))
    if answer.cum_qty < record.cum_qty:
        return []
    if answer.cum_qty > record.cum_qty or answer.ord_status is OrdStatus.FILLED:
        text = f"{answer.ord_status} with {answer.cum_qty} filled at the venue"
        return _dispute(record, f"{text}, {record.cum_qty} here", now)
    record.disputed = ""
    return _agree(table, record, answer, now)


def sweep(table: OrderTable, now: int, ack_timeout: int, query_interval: int) -> Sweep:
    """Ask about orders for whose answer the venue takes too long; all times are nanoseconds.

    Args:
        table: its PENDING_NEW and PENDING_CANCEL orders may become UNKNOWN.
        now: UTC.
        ack_timeout: how long the venue may take to answer a request.
        query_interval: between two questions about an UNKNOWN order.
    """
    asked: list[OrderUnknown] = []
    waits: list[int] = []
    for record in table.open.values():
        if record.status in PENDING or record.status is UNKNOWN:
            patience = query_interval if record.status is UNKNOWN else ack_timeout
            wait = record.since + patience - now
            if wait <= 0:
                asked.append(ask_about(record, now))
                wait = query_interval
            waits.append(wait)
    return Sweep(asked, min(waits, default=0))


def _compare(table: OrderTable, record: OrderRecord, status: OrderStatus, now: int) -> list[Event]:
    order = record.order
    here = (order.side, order.qty, order.instrument, record.cum_qty)
    there = (status.side, status.qty, status.instrument, status.cum_qty)
    if here != there:
        return _dispute(record, f"{_told(*there)} at the venue, {_told(*here)} here", now)
    record.disputed = ""
    return _agree(table, record, _as_answer(status), now)


def _agree(
    table: OrderTable, record: OrderRecord, answer: ExecutionReport, now: int
) -> list[Event]:
    if answer.ord_status in WORKING:
        return _works(table, record, answer, now)
    end = ENDS.get(answer.ord_status)
    return [] if end is None else _inferred(table, record, end, answer)


def _works(
    table: OrderTable, record: OrderRecord, answer: ExecutionReport, now: int
) -> list[Event]:
    events: list[Event] = []
    if not record.accepted:
        events += _inferred(table, record, ExecType.NEW, answer)
    elif record.status is UNKNOWN:
        record.status = record.known_status
    if record.canceling:
        events.append(ask_to_cancel(record, now))
    return events


def _inferred(
    table: OrderTable, record: OrderRecord, exec_type: ExecType, answer: ExecutionReport
) -> list[Event]:
    fact = table.infer(record, replace(answer, exec_type=exec_type))
    return [] if fact is None else [fact]


def _dispute(record: OrderRecord, text: str, now: int) -> list[Event]:
    """Keep the order UNKNOWN; a difference is told once, for as long as it is the same."""
    events: list[Event] = []
    order = record.order
    if record.disputed != text:
        record.disputed = text
        events.append(ReconciliationFailed(order.client_order_id, order.instrument, text))
    if record.status is not UNKNOWN:
        events.append(ask_about(record, now))
    return events


def _disown(table: OrderTable, status: OrderStatus) -> list[Event]:
    known = table.closed.get(status.client_order_id)
    here = "unknown here" if known is None else f"{known.status} here"
    about = (status.client_order_id, status.instrument)
    return [
        ReconciliationFailed(*about, f"{status.ord_status} at the venue, {here}; it is canceled"),
        OrderPendingCancel(
            status.client_order_id,
            "" if known is None else known.order.strategy,
            status.instrument,
            status.venue_order_id,
        ),
    ]


def _told(side: Side, qty: int, instrument: str, cum_qty: int) -> str:
    return f"{side.name} {qty} {instrument} with {cum_qty} filled"


def _as_answer(status: OrderStatus) -> ExecutionReport:
    return ExecutionReport(
        client_order_id=status.client_order_id,
        venue_order_id=status.venue_order_id,
        exec_id="",
        exec_type=ExecType.ORDER_STATUS,
        ord_status=status.ord_status,
        instrument=status.instrument,
        side=status.side,
        last_qty=0,
        last_px=0,
        cum_qty=status.cum_qty,
        leaves_qty=status.leaves_qty,
    )
