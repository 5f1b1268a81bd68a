"""What the venue's answer about an order in doubt makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import ExecType, OrdRejReason
from actors.events.reference import Instrument
from actors.events.venue import ExecutionReport
from actors.model.money import notional
from actors.model.order_record import (
    FILLED,
    TERMINAL,
    TRADE,
    UNKNOWN,
    WORKING,
    OrderRecord,
    ask_to_cancel,
    dispute,
)
from actors.model.order_table import OrderTable
from actors.model.order_totals import ENDS

NEVER_RECEIVED = "never received by the venue, or never accepted: it knows no such order"
FORGOTTEN = "the venue had this order, and now knows no such"
NOT_FOUND: Final = frozenset({OrdRejReason.UNKNOWN_ORDER, OrdRejReason.NEVER_RECEIVED})

ANSWERS_NEEDED: Final = 3
TIME_NEEDED: Final = 5 * 1_000_000_000
"""How often, and for how many nanoseconds, a venue must not know an order before it is rejected:
what was sent may still arrive."""

END_TYPES: Final = {status: exec_type for exec_type, status in ENDS.items()}


def take_answer(
    table: OrderTable,
    answer: ExecutionReport,
    now: int,
    instruments: Mapping[str, Instrument],
) -> list[Event]:
    """Apply what the venue says of an order about which it was asked, and return what follows.

    Only an order in doubt is changed: any other was explained by a report meanwhile. An answer that
    knows of less than was filled here is older than the fill.

    Args:
        table: all orders.
        answer: an ORDER_STATUS report.
        now: UTC nanoseconds.
        instruments: by id; a fill is inferred only in one of them.
    """
    record = table.find(answer.client_order_id)
    if record is None or not record.in_doubt:
        return []
    if answer.ord_rej_reason in NOT_FOUND:
        return _not_found(table, record, answer, now)
    record.not_found = 0
    differs = _terms_differ(record, answer)
    if differs:
        return dispute(record, differs, now)
    events = table.confirm(record) if record.held and _covers_held(record, answer) else []
    if answer.cum_qty < record.cum_qty or record.held:
        return events
    missing = answer.cum_qty > record.cum_qty
    if missing or (answer.ord_status is FILLED and record.cum_qty < record.order.qty):
        text = f"asked, the venue says {answer.ord_status} with {answer.cum_qty} filled"
        text = f"{text}, {record.cum_qty} here"
        amount = _missing_amount(record, answer, instruments)
        if not missing or record.disputed != text or amount <= 0:
            return [*events, *dispute(record, text, now)]
        events += table.infer_fill(record, answer.cum_qty, amount)
    return [*events, *agree(table, record, answer, now)]


def agree(table: OrderTable, record: OrderRecord, answer: ExecutionReport, now: int) -> list[Event]:
    """Make an order what the venue says that it is, where the totals are the same."""
    record.venue_cum_qty = max(record.venue_cum_qty, answer.cum_qty)
    if record.status in TERMINAL and answer.ord_status in WORKING:
        return _works_again(table, record, answer, now)
    record.disputed, record.not_found = "", 0
    if record.status in TERMINAL:
        return []
    if answer.ord_status in WORKING:
        return _works(table, record, answer, now)
    if answer.ord_status is FILLED:
        table.close_if_filled(record)
    end = END_TYPES.get(answer.ord_status)
    return [] if end is None else [table.infer(record, replace(answer, exec_type=end))]


def terms(side: Side, qty: int, instrument: str, cum_qty: int) -> str:
    """Return an order and what of it is filled, in words."""
    return f"{side.name} {qty} {instrument} with {cum_qty} filled"


def _not_found(
    table: OrderTable, record: OrderRecord, answer: ExecutionReport, now: int
) -> list[Event]:
    if record.accepted or record.cum_qty or record.held or record.status in TERMINAL:
        return dispute(record, FORGOTTEN, now)
    if not record.not_found:
        record.not_found_since = now
    record.not_found += 1
    final = answer.ord_rej_reason is OrdRejReason.NEVER_RECEIVED
    often = record.not_found >= ANSWERS_NEEDED and now - record.not_found_since >= TIME_NEEDED
    if not final and not often:
        return []
    record.never_received = True
    rejected = replace(answer, exec_type=ExecType.REJECTED, text=NEVER_RECEIVED)
    return [table.infer(record, rejected)]


def _works(
    table: OrderTable, record: OrderRecord, answer: ExecutionReport, now: int
) -> list[Event]:
    events: list[Event] = []
    if not record.accepted:
        events.append(table.infer(record, replace(answer, exec_type=ExecType.NEW)))
    elif record.status is UNKNOWN:
        record.status = record.known_status
    if record.canceling:
        events.append(ask_to_cancel(record, now))
    return events


def _works_again(
    table: OrderTable, record: OrderRecord, answer: ExecutionReport, now: int
) -> list[Event]:
    """Open an ended order again that the venue twice says works: one answer may be an old one."""
    text = f"{answer.ord_status} at the venue, {record.status} here"
    if record.disputed != text:
        return dispute(record, text, now)
    return table.readmit(record, f"{text}; it is canceled", now)


def _covers_held(record: OrderRecord, answer: ExecutionReport) -> bool:
    return answer.cum_qty >= record.cum_qty + sum(fill.last_qty for fill in record.held)


def _missing_amount(
    record: OrderRecord, answer: ExecutionReport, instruments: Mapping[str, Instrument]
) -> int:
    instrument = instruments.get(record.order.instrument)
    if instrument is None or not answer.cum_amount:
        return 0
    real = [(qty, px) for what, qty, px in record.executions.values() if what is TRADE]
    inferred = record.inferred_fills
    booked = sum(q for q, _ in real) + sum(f.qty for f in inferred)
    if booked != record.cum_qty:  # what an EXTERNAL order filled before we knew it
        return 0
    amounts = sum(notional(instrument, *fill) for fill in real) + sum(f.amount for f in inferred)
    return answer.cum_amount - amounts


def _terms_differ(record: OrderRecord, answer: ExecutionReport) -> str:
    order = record.order
    if (answer.side, answer.instrument) == (order.side, order.instrument):
        return ""
    here = f"{order.side.name} {order.instrument} here"
    return f"{answer.side.name} {answer.instrument} at the venue, {here}"
