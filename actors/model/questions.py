"""When the venue is asked about which order: after a while, ever more rarely, few at once."""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.events.orders import OrderUnknown
from actors.model.order_record import PENDING, OrderRecord, ask_about
from actors.model.order_table import OrderTable

QUESTIONS_AT_ONCE: Final = 10
LONGEST_WAIT: Final = 60 * 1_000_000_000
"""Nanoseconds between two questions about one order, however often it was asked about."""


class Sweep(NamedTuple):
    """What a look at the orders in flight found."""

    asked: list[OrderUnknown]
    wait: int
    """Nanoseconds until the next look is due; 0 where nothing is in flight."""


def sweep(table: OrderTable, now: int, ack_timeout: int, query_interval: int) -> Sweep:
    """Ask about orders for whose answer the venue takes too long; all times are nanoseconds.

    Args:
        table: its PENDING_NEW and PENDING_CANCEL orders may become UNKNOWN.
        now: UTC.
        ack_timeout: how long the venue may take to answer a request.
        query_interval: between the first two questions about an order; it doubles with each.
    """
    pending = [r for r in table.open.values() if r.status in PENDING]
    asked: list[OrderUnknown] = []
    waits: list[int] = []
    for record in sorted((*pending, *table.doubtful()), key=lambda r: r.queries):
        wait = record.since + patience(record, ack_timeout, query_interval) - now
        if wait <= 0 and len(asked) < QUESTIONS_AT_ONCE:
            asked.append(ask_about(record, now))
            wait = patience(record, ack_timeout, query_interval)
        waits.append(wait if wait > 0 else query_interval)
    return Sweep(asked, min(waits, default=0))


def patience(record: OrderRecord, ack_timeout: int, query_interval: int) -> int:
    """Return how long the venue may take to answer, in nanoseconds."""
    if not record.in_doubt:
        return ack_timeout
    return min(query_interval << max(0, record.queries - 1), max(LONGEST_WAIT, query_interval))
