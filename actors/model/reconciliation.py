"""What is open here against what is open at the venue, and what to do about each difference.

The venue's list comes behind all reports of what happened before it. So what it lacks, and what
it says otherwise, was not explained by any report: such an order is UNKNOWN, and the venue is asked
about it until it says something. No answer is never taken for an answer, and nothing is sent twice
but questions and cancels. What the venue has and nobody here asked for is admitted as EXTERNAL.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.events.event import Event
from actors.events.order_words import ExecType
from actors.events.orders import OrderUnknown, ReconciliationCompleted, ReconciliationFailed
from actors.events.reference import Instrument
from actors.events.venue import ExecutionReport, OrderMassStatus, OrderStatus
from actors.model.answers import agree, terms
from actors.model.order_facts import external_order
from actors.model.order_record import OrderRecord, ask_about, dispute, doubt
from actors.model.order_table import OrderTable
from actors.model.questions import QUESTIONS_AT_ONCE

Instruments = Mapping[str, Instrument]


class Reconciliation(msgspec.Struct):
    """One list of a venue being worked off, until nothing that it concerns is in doubt."""

    request_id: str
    instruments: tuple[str, ...] = ()
    """What the list is about; empty for all."""
    unexplained: int = 0
    """Orders that became UNKNOWN by a list."""
    doubtful: tuple[str, ...] = ()
    """Orders of the newest list that are in doubt, by client order id."""
    told: ReconciliationCompleted | None = None
    """What was said last."""

    def covers(self, instrument: str) -> bool:
        """Return whether the list is about orders in this instrument."""
        return not self.instruments or instrument in self.instruments

    def take(self, table: OrderTable, listing: OrderMassStatus, now: int) -> list[Event]:
        """Compare the open orders with the venue's, at `now` (UTC ns), and return what follows."""
        listed = {status.client_order_id: status for status in listing.orders}
        events: list[Event] = []
        missing: list[OrderRecord] = []
        for record in [r for r in table.open.values() if self.covers(r.order.instrument)]:
            status = listed.pop(record.order.client_order_id, None)
            if status is None:
                missing.append(record)
            else:
                events += _compare(table, record, status, now)
        events += self._ask(missing, now)
        for status in listed.values():
            events += _admit(table, status, now)
        self.unexplained += sum(isinstance(e, OrderUnknown) and e.queries == 1 for e in events)
        self.doubtful = tuple(
            record.order.client_order_id
            for record in table.doubtful()
            if self.covers(record.order.instrument)
        )
        return events

    def progress(self, table: OrderTable) -> ReconciliationCompleted | None:
        """Return where the list stands, if that is more than was said before."""
        mine = [r for r in table.open.values() if self.covers(r.order.instrument)]
        doubtful = [r for name in self.doubtful if (r := table.find(name)) and r.in_doubt]
        in_doubt = tuple(sorted({record.order.instrument for record in doubtful}))
        if self.told is not None and self.told.in_doubt == in_doubt:
            return None
        completed = ReconciliationCompleted(self.request_id, len(mine), self.unexplained, in_doubt)
        self.told = completed
        return completed

    def _ask(self, missing: list[OrderRecord], now: int) -> list[Event]:
        """Ask about orders that are not listed; what has been asked by this list waits its turn."""
        events: list[Event] = []
        for record in missing:
            if record.in_doubt and record.order.client_order_id in self.doubtful:
                continue
            if len(events) < QUESTIONS_AT_ONCE:
                events.append(ask_about(record, now))
            else:
                doubt(record, now)
        return events


def _compare(table: OrderTable, record: OrderRecord, status: OrderStatus, now: int) -> list[Event]:
    order = record.order
    here = (order.side, order.qty, order.instrument, record.cum_qty)
    there = (status.side, status.qty, status.instrument, status.cum_qty)
    if here != there:
        return dispute(record, f"{terms(*there)} at the venue, {terms(*here)} here", now)
    return agree(table, record, _as_answer(status), now)


def _admit(table: OrderTable, status: OrderStatus, now: int) -> list[Event]:
    """Take over an order that the venue lists as open and that is not open here."""
    known = table.closed.get(status.client_order_id)
    if known is not None:  # the list may be older than its end: the venue is asked
        return dispute(
            known, f"listed as {status.ord_status} at the venue, {known.status} here", now
        )
    order = external_order(status.client_order_id, status.instrument, status.side, status.qty)
    record = table.admit(order, status.venue_order_id, now)
    record.cum_qty = record.venue_cum_qty = status.cum_qty
    text = f"{status.ord_status} at the venue, unknown here; it is kept as EXTERNAL"
    alarm = ReconciliationFailed(status.client_order_id, status.instrument, text)
    return [alarm, *agree(table, record, _as_answer(status), now)]


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
