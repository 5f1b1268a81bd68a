"""The life of every order, as a table of allowed transitions.

The venue's reports come doubled, late and out of order. What a report may do depends on the
order's status alone; anything else is kept as a `TransitionFailed` and changes nothing. An order
whose outcome is not known is UNKNOWN until the venue says something about it, and stays open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from actors.events.event import Event
from actors.events.orders import (
    CancelOrder,
    CancelRejected,
    ExecType,
    ExecutionReport,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    OrdStatus,
    ReportRepeated,
    SubmitOrder,
    TransitionFailed,
)

PENDING_NEW, NEW = OrdStatus.PENDING_NEW, OrdStatus.NEW
PARTIALLY_FILLED, FILLED = OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED
PENDING_CANCEL, CANCELED = OrdStatus.PENDING_CANCEL, OrdStatus.CANCELED
REJECTED, EXPIRED = OrdStatus.REJECTED, OrdStatus.EXPIRED
UNKNOWN = OrdStatus.UNKNOWN
ACKNOWLEDGED, TRADE = ExecType.NEW, ExecType.TRADE
"""Looked up in its enumeration, a member costs five times as much, several times a report."""

TERMINAL: Final = frozenset({FILLED, CANCELED, REJECTED, EXPIRED, OrdStatus.DENIED})
PENDING: Final = frozenset({PENDING_NEW, PENDING_CANCEL})
"""What an order is while the venue owes an answer to a request."""
NO_STATUS: Final = "NONE"
"""Status that a failure names where there is no such order."""

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
    FILLED: {ExecType.NEW: FILLED, ExecType.CANCEL_REJECTED: FILLED},
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
    REJECTED: {ExecType.CANCEL_REJECTED: REJECTED},
}
"""Status after a report, by status before it and the report's type.

Some entries are refined by what else is known: a trade that completes the order makes it FILLED, a
rejected cancel puts a PENDING_CANCEL order back to what it was, and an UNKNOWN order for which a
cancel was asked becomes PENDING_CANCEL; a rejected cancel does not tell what the order is, so it
stays UNKNOWN, and so does one of which fills are missing. An acknowledgment behind a fill or
an end, a trade behind an end (it crossed the cancel on its way) and a refused cancel of an order
that ended meanwhile are races that happen, not mistakes.
"""


class OrderRecord(msgspec.Struct):
    """One order: what was asked for, and what became of it."""

    order: SubmitOrder
    status: OrdStatus = PENDING_NEW
    cum_qty: int = 0
    accepted: bool = False
    """True once the venue acknowledged the order as such."""
    venue_order_id: str = ""
    executions: dict[str, tuple[ExecType, int, int]] = {}
    """(exec_type, last_qty, last_px) of every report applied, by exec_id."""
    canceling: bool = False
    """True once a cancel was asked for and not refused."""
    since: int = 0
    """UTC nanoseconds of the last request or question to which the venue owes an answer."""
    queries: int = 0
    """How often the venue was asked since the order became UNKNOWN."""
    disputed: str = ""
    """Why the venue's word and ours cannot both be true; empty where they can."""
    inferred: tuple[ExecType, ...] = ()
    """What was learned by asking; the report that says so itself may still come."""

    @property
    def leaves_qty(self) -> int:
        """Quantity that may still trade; 0 once the order has ended."""
        return 0 if self.status in TERMINAL else self.order.qty - self.cum_qty

    @property
    def working_status(self) -> OrdStatus:
        """Status of the live order if no cancel were pending."""
        if self.cum_qty:
            return PARTIALLY_FILLED
        return NEW if self.accepted else PENDING_NEW

    @property
    def known_status(self) -> OrdStatus:
        """Status of an UNKNOWN order once the venue said that it works."""
        if self.disputed:
            return UNKNOWN
        return PENDING_CANCEL if self.canceling else self.working_status


class OrderTable(msgspec.Struct):
    """All open orders, and the closed ones that reports may still be late for."""

    open: dict[str, OrderRecord] = {}
    closed: dict[str, OrderRecord] = {}
    """Ended orders, oldest first."""

    def find(self, client_order_id: str) -> OrderRecord | None:
        """Return the order, open or closed; None if it is unknown or was forgotten."""
        return self.open.get(client_order_id) or self.closed.get(client_order_id)

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
        return OrderDenied(
            order_id,
            order.strategy,
            order.instrument,
            order.side,
            order.qty,
            DUPLICATE_ORDER_ID,
            f"client_order_id {order_id!r} was used before, its order is {known.status}",
        )

    def request_cancel(self, cancel: CancelOrder, now: int) -> OrderPendingCancel | CancelRejected:
        """Make an open order PENDING_CANCEL at `now` (UTC ns), unless it is UNKNOWN.

        Asking again is allowed, a request may be lost.
        """
        record = self.open.get(cancel.client_order_id)
        if record is None:
            ended = self.closed.get(cancel.client_order_id)
            text = "the OMS does not know this order" if ended is None else f"was {ended.status}"
            return CancelRejected(
                cancel.client_order_id, cancel.strategy, cancel.instrument, f"no open order: {text}"
            )
        return ask_to_cancel(record, now)

    def apply(self, report: ExecutionReport) -> Event | None:
        """Apply one report of the venue.

        Returns:
            The fact that follows for everyone else, a `TransitionFailed` for a report that the
            order does not allow, a `ReportRepeated` for one that came before with the same
            content, or None for an acknowledgment behind the end.
        """
        record = self.find(report.client_order_id)
        if record is None:
            return _failure(report, NO_STATUS, "the OMS does not know this order")
        execution = (report.exec_type, report.last_qty, report.last_px)
        if record.executions.get(report.exec_id) == execution:
            return ReportRepeated(report.client_order_id, report.exec_id)
        if report.exec_type in record.inferred:
            record.inferred = tuple(t for t in record.inferred if t is not report.exec_type)
            record.executions[report.exec_id] = execution
            return ReportRepeated(report.client_order_id, report.exec_id)
        problem = _problem(record, report)
        if problem:
            return _failure(report, record.status, problem)
        if report.exec_id:
            record.executions[report.exec_id] = execution
        record.venue_order_id = report.venue_order_id or record.venue_order_id
        return self._advance(record, report)

    def infer(self, record: OrderRecord, report: ExecutionReport) -> Event | None:
        """Apply to an open order what the venue answered, as if it had come as a report itself.

        The report that was missed may still come; it will change nothing.
        """
        record.inferred += (report.exec_type,)
        record.venue_order_id = report.venue_order_id or record.venue_order_id
        return self._advance(record, report)

    def forget_closed(self, keep: int) -> None:
        """Forget the oldest closed orders once there are twice as many as to `keep`."""
        if len(self.closed) >= 2 * keep:
            self.closed = dict(list(self.closed.items())[len(self.closed) - keep :])

    def _advance(self, record: OrderRecord, report: ExecutionReport) -> Event | None:
        before, exec_type = record.status, report.exec_type
        ended = before in TERMINAL
        status = NEXT_STATUS[before][exec_type]
        if exec_type is ACKNOWLEDGED:
            record.accepted = True
        elif exec_type is TRADE:
            record.cum_qty += report.last_qty
            status = FILLED if record.cum_qty == record.order.qty else status
        elif exec_type is ExecType.CANCEL_REJECTED and not ended:
            record.canceling = False
            status = UNKNOWN if before is UNKNOWN else record.working_status
        if before is UNKNOWN and status not in TERMINAL and status is not UNKNOWN:
            status = record.known_status
        record.status = status
        if not ended and status in TERMINAL:
            self.closed[report.client_order_id] = self.open.pop(report.client_order_id)
        if ended and exec_type is ACKNOWLEDGED:
            return None
        return _fact(record, report)


def ask_to_cancel(record: OrderRecord, now: int) -> OrderPendingCancel:
    """Note that an open order is to be canceled, and return the request."""
    order = record.order
    record.canceling = True
    if record.status is not UNKNOWN:
        record.status, record.since = PENDING_CANCEL, now
    return OrderPendingCancel(
        order.client_order_id, order.strategy, order.instrument, record.venue_order_id
    )


def ask_about(record: OrderRecord, now: int) -> OrderUnknown:
    """Note that the outcome of an open order is not known, and return the question."""
    order = record.order
    record.queries = record.queries + 1 if record.status is UNKNOWN else 1
    record.status, record.since = UNKNOWN, now
    return OrderUnknown(order.client_order_id, order.strategy, order.instrument, record.queries)


def _problem(record: OrderRecord, report: ExecutionReport) -> str:
    allowed = NEXT_STATUS[record.status]
    if report.exec_type not in allowed:
        return f"a {record.status} order allows only {', '.join(allowed)}"
    if report.exec_type is ACKNOWLEDGED and record.accepted:
        return "accepted a second time"
    if report.exec_id in record.executions:
        exec_type, qty, px = record.executions[report.exec_id]
        return (
            f"exec_id came before as {exec_type} of {qty} at {px}, "
            f"now as {report.exec_type} of {report.last_qty} at {report.last_px}"
        )
    if report.exec_type is TRADE:
        return _problem_of_fill(record, report)
    return ""


def _problem_of_fill(record: OrderRecord, report: ExecutionReport) -> str:
    order = record.order
    if report.side != order.side or report.instrument != order.instrument:
        return (
            f"filled as {report.side.name} {report.instrument}, "
            f"the order is {order.side.name} {order.instrument}"
        )
    if report.last_qty <= 0 or report.last_px <= 0 or not report.exec_id:
        return (
            f"a fill of {report.last_qty} at {report.last_px} with exec_id {report.exec_id!r}; "
            "quantity and price must be positive and the exec_id given"
        )
    if record.cum_qty + report.last_qty > order.qty:
        return f"overfill: {record.cum_qty} + {report.last_qty} of {order.qty}"
    return ""


def _failure(report: ExecutionReport, status: str, text: str) -> TransitionFailed:
    return TransitionFailed(report.client_order_id, status, report.exec_type, report.exec_id, text)


def _fact(record: OrderRecord, report: ExecutionReport) -> Event:
    order, exec_type = record.order, report.exec_type
    if exec_type is TRADE:
        return OrderFilled(
            order.client_order_id,
            order.strategy,
            order.instrument,
            order.side,
            report.last_qty,
            report.last_px,
            record.cum_qty,
            record.leaves_qty,
            report.exec_id,
            report.fee,
            report.fee_currency,
            report.liquidity,
            report.account,
            report.trade_id,
            report.cum_amount,
            report.inferred,
            report.orig_client_order_id,
        )
    if exec_type is ACKNOWLEDGED:
        return OrderAccepted(
            order.client_order_id,
            order.strategy,
            order.instrument,
            order.side,
            order.qty,
            order.limit_px,
            record.venue_order_id,
        )
    about = (order.client_order_id, order.strategy, order.instrument)
    unfilled = order.qty - record.cum_qty
    match exec_type:
        case ExecType.CANCELED:
            return OrderCanceled(*about, order.side, record.cum_qty, unfilled, report.text)
        case ExecType.EXPIRED:
            return OrderExpired(*about, order.side, record.cum_qty, unfilled, report.text)
        case ExecType.REJECTED:
            return OrderRejected(*about, order.side, order.qty, report.text)
    return CancelRejected(*about, report.text)
