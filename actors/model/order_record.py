"""One order: what was asked for, what became of it, and what of it is in doubt."""

from __future__ import annotations

from typing import Final

import msgspec

from actors.events.event import Event
from actors.events.order_words import ExecType, OrdStatus
from actors.events.orders import (
    EXTERNAL,
    OrderPendingCancel,
    OrderUnknown,
    ReconciliationFailed,
    SubmitOrder,
)
from actors.events.venue import ExecutionReport

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
WORKING: Final = frozenset({NEW, PARTIALLY_FILLED, PENDING_CANCEL})
"""What a venue calls an order that may still trade."""


class InferredFill(msgspec.Struct):
    """A fill that was concluded from the venue's totals; the real one may still come."""

    exec_id: str
    cum_before: int
    cum_qty: int
    amount: int
    """Settle units."""

    @property
    def qty(self) -> int:
        """Quantity that was missing."""
        return self.cum_qty - self.cum_before


class OrderRecord(msgspec.Struct):
    """One order: what was asked for, and what became of it."""

    order: SubmitOrder
    status: OrdStatus = PENDING_NEW
    cum_qty: int = 0
    accepted: bool = False
    """True once the venue acknowledged the order as such."""
    venue_order_id: str = ""
    executions: dict[str, tuple[ExecType, int, int]] = {}
    """(exec_type, last_qty, last_px) of every report applied, by what names it."""
    canceling: bool = False
    """True once a cancel was asked for and not refused."""
    since: int = 0
    """UTC nanoseconds of the last request or question to which the venue owes an answer."""
    queries: int = 0
    """How often the venue was asked since the order came in doubt."""
    disputed: str = ""
    """Why the venue's word and ours cannot both be true; empty where they can."""
    inferred: tuple[ExecType, ...] = ()
    """What was learned by asking; the report that says so itself may still come."""
    venue_cum_qty: int = 0
    """The largest filled quantity that the venue named."""
    inferred_fills: tuple[InferredFill, ...] = ()
    not_found: int = 0
    """Times in a row that the venue did not know the order."""
    not_found_since: int = 0
    never_received: bool = False
    """Rejected because the venue did not know it: if it arrives all the same, it works."""
    held: tuple[ExecutionReport, ...] = ()
    """Fills of an order that nobody knows, until the venue confirms it."""

    @property
    def leaves_qty(self) -> int:
        """Quantity that may still trade; 0 once the order has ended."""
        return 0 if self.status in TERMINAL else max(0, self.order.qty - self.cum_qty)

    @property
    def working_status(self) -> OrdStatus:
        """Status of the live order if no cancel were pending."""
        if self.cum_qty:
            return PARTIALLY_FILLED
        return NEW if self.accepted else PENDING_NEW

    @property
    def known_status(self) -> OrdStatus:
        """Status of an UNKNOWN order once the venue said that it works."""
        if self.disputed or self.held:
            return UNKNOWN
        return PENDING_CANCEL if self.canceling else self.working_status

    @property
    def external(self) -> bool:
        """Whether none of our strategies asked for it."""
        return self.order.strategy == EXTERNAL

    @property
    def in_doubt(self) -> bool:
        """Whether the venue is to be asked, until it says what we say."""
        return self.status is UNKNOWN or bool(self.disputed)


def ask_to_cancel(record: OrderRecord, now: int) -> OrderPendingCancel:
    """Note that an open order is to be canceled, and return the request."""
    order = record.order
    record.canceling = True
    if record.status is not UNKNOWN:
        record.status, record.since = PENDING_CANCEL, now
    return OrderPendingCancel(
        order.client_order_id, order.strategy, order.instrument, record.venue_order_id
    )


def doubt(record: OrderRecord, now: int) -> None:
    """Note that the outcome of an open order is not known; what has ended stays ended."""
    if not record.in_doubt:
        record.queries = 0
    record.since = now
    if record.status not in TERMINAL:
        record.status = UNKNOWN


def ask_about(record: OrderRecord, now: int) -> OrderUnknown:
    """Note that the outcome of an order is not known, and return the question."""
    order = record.order
    doubt(record, now)
    record.queries += 1
    return OrderUnknown(order.client_order_id, order.strategy, order.instrument, record.queries)


def dispute(record: OrderRecord, text: str, now: int) -> list[Event]:
    """Doubt an order of which the venue says otherwise; the same difference is told once."""
    events: list[Event] = []
    order, asked = record.order, record.in_doubt
    if not asked:
        question = ask_about(record, now)
    if record.disputed != text:
        record.disputed = text
        events.append(ReconciliationFailed(order.client_order_id, order.instrument, text))
    return events if asked else [*events, question]
