"""The life of every order, as a table of allowed transitions.

The venue's reports come doubled, late and out of order. What a report may do depends on the
order's status alone; anything else is a `TransitionFailed`, and changes nothing but what traded. An
order whose outcome is not known is UNKNOWN until the venue says something about it, and stays open.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Final

import msgspec

from actors.events.event import Event
from actors.events.order_words import ExecType, OrdStatus
from actors.events.orders import (
    CancelOrder,
    CancelRejected,
    OrderDenied,
    OrderPendingCancel,
    OrderSubmitted,
    ReconciliationFailed,
    ReportRepeated,
    SubmitOrder,
    TransitionFailed,
)
from actors.events.venue import ExecutionReport
from actors.model.inferred_fills import correct, fill_inferred, inferred_fill, inferred_qty
from actors.model.order_facts import accepted, denied, external_order, fact_of
from actors.model.order_record import (
    ACKNOWLEDGED,
    CANCELED,
    EXPIRED,
    FILLED,
    NEW,
    PARTIALLY_FILLED,
    PENDING_CANCEL,
    PENDING_NEW,
    REJECTED,
    TERMINAL,
    TRADE,
    UNKNOWN,
    WORKING,
    OrderRecord,
    ask_about,
    ask_to_cancel,
    dispute,
)
from actors.model.order_reports import NO_STATUS, NOT_KNOWN, failure, halt, hold, recognize
from actors.model.order_totals import difference, malformed, violation

ARRIVED_LATE = "works at the venue, though it was rejected here as never received; it is canceled"

DUPLICATE_ORDER_ID: Final = "DUPLICATE_ORDER_ID"
"""The code of risk for an id that was used before: the OMS remembers ids too."""

NEXT_STATUS: Final[Mapping[OrdStatus, Mapping[ExecType, OrdStatus]]] = {
    PENDING_NEW: {
        ExecType.NEW: NEW,
        ExecType.TRADE: PARTIALLY_FILLED,
        ExecType.CANCELED: CANCELED,
        ExecType.EXPIRED: EXPIRED,
        ExecType.REJECTED: REJECTED,
        ExecType.CANCEL_REJECTED: PENDING_NEW,
    },
    NEW: {
        ExecType.TRADE: PARTIALLY_FILLED,
        ExecType.CANCELED: CANCELED,
        ExecType.EXPIRED: EXPIRED,
        ExecType.REJECTED: REJECTED,
        ExecType.CANCEL_REJECTED: NEW,
    },
    PARTIALLY_FILLED: {
        ExecType.NEW: PARTIALLY_FILLED,
        ExecType.TRADE: PARTIALLY_FILLED,
        ExecType.CANCELED: CANCELED,
        ExecType.EXPIRED: EXPIRED,
        ExecType.CANCEL_REJECTED: PARTIALLY_FILLED,
    },
    PENDING_CANCEL: {
        ExecType.NEW: PENDING_CANCEL,
        ExecType.TRADE: PENDING_CANCEL,
        ExecType.CANCELED: CANCELED,
        ExecType.EXPIRED: EXPIRED,
        ExecType.REJECTED: REJECTED,
        ExecType.CANCEL_REJECTED: PENDING_CANCEL,
    },
    UNKNOWN: {
        ExecType.NEW: NEW,
        ExecType.TRADE: PARTIALLY_FILLED,
        ExecType.CANCELED: CANCELED,
        ExecType.EXPIRED: EXPIRED,
        ExecType.REJECTED: REJECTED,
        ExecType.CANCEL_REJECTED: UNKNOWN,
    },
    FILLED: {
        ExecType.NEW: FILLED,
        ExecType.TRADE: FILLED,
        ExecType.CANCEL_REJECTED: FILLED,
    },
    CANCELED: {
        ExecType.NEW: CANCELED,
        ExecType.TRADE: CANCELED,
        ExecType.CANCEL_REJECTED: CANCELED,
    },
    EXPIRED: {
        ExecType.NEW: EXPIRED,
        ExecType.TRADE: EXPIRED,
        ExecType.CANCEL_REJECTED: EXPIRED,
    },
    REJECTED: {ExecType.TRADE: REJECTED, ExecType.CANCEL_REJECTED: REJECTED},
}
"""Status after a report, by status before it and the report's type.

Some entries are refined by what else is known: a trade that completes the order makes it FILLED, a
rejected cancel puts a PENDING_CANCEL order back to what it was, and an UNKNOWN order for which a
cancel was asked becomes PENDING_CANCEL; a rejected cancel does not tell what the order is, so it
stays UNKNOWN, and so does one of which fills are missing. An acknowledgment behind a fill or
an end, a trade behind an end (it crossed the cancel on its way) and a refused cancel of an order
that ended meanwhile are races that happen, not mistakes. A trade behind a fill or a rejection is a
mistake of the venue's, and counts: it happened.
"""

DISPUTED = attrgetter("disputed")


class OrderTable(msgspec.Struct):
    """All open orders, and the closed ones that reports may still be late for."""

    open: dict[str, OrderRecord] = {}
    closed: dict[str, OrderRecord] = {}
    """Ended orders, oldest first."""

    def find(self, client_order_id: str) -> OrderRecord | None:
        """Return the order, open or closed; None if it is unknown or was forgotten."""
        return self.open.get(client_order_id) or self.closed.get(client_order_id)

    def doubtful(self) -> list[OrderRecord]:
        """Return the orders about which the venue is to be asked, open ones first."""
        # An ended order is in doubt only where it is disputed, and there may be many of them.
        in_doubt = [record for record in self.open.values() if record.in_doubt]
        return in_doubt + list(filter(DISPUTED, self.closed.values()))

    def submit(
        self, order: SubmitOrder, now: int
    ) -> OrderSubmitted | OrderDenied | TransitionFailed:
        """Enter an approved order as PENDING_NEW at `now` (UTC ns); an id is used once.

        Another order with the id of a known one is denied, so that whoever sent it is done with
        it. The same order approved again is only a failed transition: it works, and its own
        events answer for both.
        """
        order_id, known = order.client_order_id, self.find(order.client_order_id)
        if known is None:
            self.open[order_id] = OrderRecord(order, since=now)
            return OrderSubmitted(order)
        if order_id in self.open and known.order == order:
            text = "approved a second time; a client_order_id is used once"
            return TransitionFailed(order_id, known.status, ExecType.NEW, "", text)
        text = f"client_order_id {order_id!r} was used before, its order is {known.status}"
        return denied(order, DUPLICATE_ORDER_ID, text)

    def request_cancel(self, cancel: CancelOrder, now: int) -> OrderPendingCancel | CancelRejected:
        """Make an open order PENDING_CANCEL at `now` (UTC ns), unless it is UNKNOWN.

        Asking again is allowed, a request may be lost. Asking for another strategy's is not.
        """
        record = self.open.get(cancel.client_order_id)
        if record is None:
            ended = self.closed.get(cancel.client_order_id)
            text = NOT_KNOWN if ended is None else f"was {ended.status}"
            return CancelRejected(
                cancel.client_order_id, cancel.strategy, cancel.instrument, f"no open order: {text}"
            )
        if record.order.strategy != cancel.strategy:
            text = f"the order is of {record.order.strategy}, not of {cancel.strategy}"
            return CancelRejected(cancel.client_order_id, cancel.strategy, cancel.instrument, text)
        return ask_to_cancel(record, now)

    def apply(self, report: ExecutionReport, now: int) -> list[Event]:
        """Apply one report of the venue at `now` (UTC ns).

        Whatever traded is booked. What should not have traded, or should not have been reported
        at all, is a `TransitionFailed` too; a halt of the instrument follows where it traded.
        Where the report's totals are not ours, the order is in doubt and nothing else of the
        report is believed.

        Returns:
            The facts that follow for everyone else, a `ReportRepeated` for a report that came
            before with the same content; nothing for an acknowledgment behind the end.
        """
        record = self.find(report.client_order_id)
        if record is None:
            return self._meet_stranger(report, now)
        before = recognize(record, report)
        if before == "":
            repeated = ReportRepeated(report.client_order_id, report.exec_id)
            news = report.cum_qty > record.venue_cum_qty
            return [repeated, *_compare(record, report, now)] if news else [repeated]
        gone = record.never_received and record.status is REJECTED
        if not gone or report.ord_status not in WORKING:
            return self._apply(record, report, before or "", now)
        events = self.readmit(record, ARRIVED_LATE, now)
        if report.exec_type is ACKNOWLEDGED:
            return events
        return events + self._apply(record, report, before or "", now)

    def infer(self, record: OrderRecord, report: ExecutionReport) -> Event:
        """Apply to an open order what the venue answered, as if it had come as a report itself.

        The report that was missed may still come; it will change nothing.
        """
        record.inferred += (report.exec_type,)
        record.venue_order_id = report.venue_order_id or record.venue_order_id
        return self._advance(record, report)[0]

    def admit(self, order: SubmitOrder, venue_order_id: str, now: int) -> OrderRecord:
        """Enter an order that the venue has and nobody here asked for; it is in doubt at first."""
        record = OrderRecord(order, UNKNOWN, venue_order_id=venue_order_id, since=now)
        self.open[order.client_order_id] = record
        return record

    def readmit(self, record: OrderRecord, text: str, now: int) -> list[Event]:
        """Open an ended order again that works at the venue, and ask for its end.

        Whoever sent it is done with it, so nobody else would ever cancel it.
        """
        order = record.order
        self.open[order.client_order_id] = self.closed.pop(order.client_order_id)
        record.never_received, record.inferred, record.disputed = False, (), ""
        record.accepted, record.status = True, record.working_status
        alarm = ReconciliationFailed(order.client_order_id, order.instrument, text)
        return [alarm, accepted(record), ask_to_cancel(record, now)]

    def confirm(self, record: OrderRecord) -> list[Event]:
        """Book what was held of an order of nobody, which the venue says it has."""
        events: list[Event] = [accepted(record)]
        held, record.held, record.accepted = record.held, (), True
        for report in held:
            events += self._advance(record, report, doubted=True)
        return events

    def infer_fill(self, record: OrderRecord, cum_qty: int, amount: int) -> list[Event]:
        """Book the trades up to `cum_qty` that no report told: their amount, and no price.

        Args:
            record: the order, with less filled than `cum_qty`.
            cum_qty: what is filled at the venue, in quantity units.
            amount: of the missing trades, in settle units.
        """
        inferred = inferred_fill(record.order.client_order_id, record.cum_qty, cum_qty, amount)
        record.inferred_fills += (inferred,)
        late = record.status in TERMINAL
        record.cum_qty = cum_qty
        self.close_if_filled(record)
        return [fill_inferred(record, inferred, late=late)]

    def close_if_filled(self, record: OrderRecord) -> None:
        """End an order of which nothing is left."""
        if record.cum_qty >= record.order.qty:
            self._end(record, FILLED)

    def forget_closed(self, keep: int) -> None:
        """Forget the oldest closed orders once there are twice as many as to `keep`."""
        if len(self.closed) >= 2 * keep:
            newest = len(self.closed) - keep
            self.closed = {
                order_id: record
                for number, (order_id, record) in enumerate(self.closed.items())
                if number >= newest or record.in_doubt
            }

    def _apply(
        self, record: OrderRecord, report: ExecutionReport, contradiction: str, now: int
    ) -> list[Event]:
        problem = contradiction or _problem(record, report)
        if problem:
            failed = failure(report, record.status, problem)
            return [failed, *_compare(record, report, now)]
        record.venue_order_id = report.venue_order_id or record.venue_order_id
        if record.external and not record.accepted:
            return hold(record, report)
        if report.exec_type is TRADE:
            return self._book(record, report, now)
        differs = difference(record, report)
        record.venue_cum_qty = max(record.venue_cum_qty, report.cum_qty)
        return dispute(record, differs, now) if differs else self._advance(record, report)

    def _book(self, record: OrderRecord, report: ExecutionReport, now: int) -> list[Event]:
        fresh = report.last_qty - inferred_qty(record, report)
        before, wrong = record.status, violation(record, report, fresh)
        differs = difference(record, report, fresh)
        record.venue_cum_qty = max(record.venue_cum_qty, report.cum_qty)
        if fresh == report.last_qty:
            events = self._advance(record, report, doubted=bool(differs))
        else:
            record.cum_qty += fresh
            events = correct(record, report, late=before in TERMINAL)
            if not differs:
                self.close_if_filled(record)
        if wrong:
            events += [failure(report, before, wrong), halt(report, wrong)]
        return events + dispute(record, differs, now) if differs else events

    def _advance(
        self, record: OrderRecord, report: ExecutionReport, *, doubted: bool = False
    ) -> list[Event]:
        before, exec_type = record.status, report.exec_type
        ended = before in TERMINAL
        status = NEXT_STATUS[before][exec_type]
        if exec_type is ACKNOWLEDGED:
            record.accepted = True
        elif exec_type is TRADE:
            record.cum_qty += report.last_qty
            status = FILLED if record.cum_qty >= record.order.qty else status
        elif exec_type is ExecType.CANCEL_REJECTED and not ended:
            record.canceling = False
            status = UNKNOWN if before is UNKNOWN else record.working_status
        if before is UNKNOWN and status not in TERMINAL and status is not UNKNOWN:
            status = record.known_status
        if doubted and not ended:
            status = before
        if status in TERMINAL and not doubted:
            self._end(record, status)
        record.status = status
        if ended and exec_type is ACKNOWLEDGED:
            return []
        return [fact_of(record, report, late=ended)]

    def _end(self, record: OrderRecord, status: OrdStatus) -> None:
        record.status, record.disputed = status, ""
        order_id = record.order.client_order_id
        if order_id in self.open:
            self.closed[order_id] = self.open.pop(order_id)

    def _meet_stranger(self, report: ExecutionReport, now: int) -> list[Event]:
        traded = report.exec_type is TRADE
        if not traded and report.exec_type is not ACKNOWLEDGED:
            return [failure(report, NO_STATUS, NOT_KNOWN)]
        if traded and (problem := malformed(report)):
            return [failure(report, NO_STATUS, f"{NOT_KNOWN}: {problem}")]
        qty = report.cum_qty + report.leaves_qty
        order = external_order(report.client_order_id, report.instrument, report.side, qty)
        record = self.admit(order, report.venue_order_id, now)
        record.cum_qty = max(0, report.cum_qty - report.last_qty)
        recognize(record, report)
        return [*hold(record, report), ask_about(record, now)]


def _problem(record: OrderRecord, report: ExecutionReport) -> str:
    allowed = NEXT_STATUS[record.status]
    if report.exec_type not in allowed:
        return f"a {record.status} order allows only {', '.join(allowed)}"
    if report.exec_type is ACKNOWLEDGED and record.accepted:
        return "accepted a second time"
    return malformed(report) if report.exec_type is TRADE else ""


def _compare(record: OrderRecord, report: ExecutionReport, now: int) -> list[Event]:
    differs = difference(record, report)
    record.venue_cum_qty = max(record.venue_cum_qty, report.cum_qty)
    return dispute(record, differs, now) if differs else []
