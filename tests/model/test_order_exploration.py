from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from actors.events.order_words import ExecType, OrdStatus
from actors.events.venue import ExecutionReport
from actors.model import answers, order_reports, order_table
from actors.model.order_record import OrderRecord
from actors.model.order_table import NEXT_STATUS, OrderTable
from tests.kit.order_exploration import GIVEN_UP, explore

DEPTH = 5
"""`make faults` goes to 8."""

Patch = pytest.MonkeyPatch


@pytest.mark.parametrize(("before", "states"), [((), 2_000), (GIVEN_UP, 1_000)])
@pytest.mark.parametrize("qty", [1, 2])
def test_whatever_the_venue_says_in_whatever_order_nothing_is_lost_or_doubled(
    qty: int, before: tuple[str, ...], states: int
) -> None:
    found = explore(qty, DEPTH, before)

    assert found.finding is None
    assert found.states > states


def drop_late_fills(patch: Patch) -> None:
    """A fill behind a cancel is not booked."""
    patch.delitem(NEXT_STATUS[OrdStatus.CANCELED], ExecType.TRADE)


def compare_no_totals(patch: Patch) -> None:
    """A cancel ends the order, whatever it says of what was filled."""

    def nothing(_record: OrderRecord, _report: ExecutionReport, _booked: int = 0) -> str:
        return ""

    patch.setattr(order_table, "difference", nothing)


def give_up_at_once(patch: Patch) -> None:
    """One answer that there is no such order is believed."""
    patch.setattr(answers, "ANSWERS_NEEDED", 1)
    patch.setattr(answers, "TIME_NEEDED", 0)


def book_twice(patch: Patch) -> None:
    """A report that comes again is another one."""
    numbers = count()
    patch.setattr(order_reports, "execution_id", lambda _report: str(next(numbers)))


def count_inferred_fills_too(patch: Patch) -> None:
    """The real fill counts besides the one that was inferred for it."""
    patch.setattr(order_table, "inferred_qty", lambda _record, _report: 0)


def leave_arrivals_alone(patch: Patch) -> None:
    """An order that arrives after it was given up stays closed."""
    patch.setattr(OrderTable, "readmit", lambda *_: [])


@pytest.mark.parametrize(
    ("bug", "before", "shortest", "broken"),
    [
        (drop_late_fills, (), ("ack", "canceled", "fill 1"), "E3 traded and is not booked"),
        (
            compare_no_totals,
            (),
            ("ack", "fill 1 late", "canceled"),
            "OrderCanceled with 0 booked, which nobody said",
        ),
        (give_up_at_once, (), ("cancel",), "given up although it may still arrive"),
        (book_twice, (), ("ack", "repeat"), "a report that came again changed something"),
        (
            count_inferred_fills_too,
            (),
            ("ack", "fill 1 late", "fill 1", "answer", "timeout", "answer"),
            "asked for ever",
        ),
        (
            leave_arrivals_alone,
            GIVEN_UP,
            ("ack",),
            "in the end REJECTED here, NEW at the venue",
        ),
    ],
)
def test_a_mistake_in_the_table_is_found_on_the_shortest_way(
    monkeypatch: Patch,
    bug: Callable[[Patch], None],
    before: tuple[str, ...],
    shortest: tuple[str, ...],
    broken: str,
) -> None:
    bug(monkeypatch)
    finding = explore(2, DEPTH + 1, before).finding

    assert finding is not None
    assert (finding.path, finding.broken) == (shortest, broken)
