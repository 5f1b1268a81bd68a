"""How old an order may be where it leaves: by its intent, and by what began its chain here."""

from __future__ import annotations

import time
from itertools import pairwise

from msgspec.structs import replace

from actors.events.durations import SECOND
from actors.runtime.clock import FOREVER
from actors.runtime.envelope import Root
from gateways.ages import AgeLimits, leave_by
from tests.kit.venue_client import resting_order

LIMITS = AgeLimits(order=SECOND, tick=2 * SECOND)
ORDER = resting_order("A-1")


def root(arrival: int, stream: str = "feed.inbox") -> Root:
    return (stream, 1, 1, arrival)


def is_here(stream: str) -> bool:
    return stream == "feed.inbox"


def test_an_order_may_leave_within_a_second_of_its_intent() -> None:
    early = time.monotonic_ns()
    order = replace(ORDER, decided_at=time.time_ns())
    moment, reason = leave_by(order, root(0), LIMITS, is_here)
    late = time.monotonic_ns()

    moments = (early, moment - SECOND, late)
    assert all(one - SECOND // 100 <= other for one, other in pairwise(moments))
    assert reason == "the order is more than 1 s old"


def test_an_order_may_leave_within_two_seconds_of_what_began_it() -> None:
    arrival = time.monotonic_ns() - 3 * SECOND
    order = replace(ORDER, decided_at=time.time_ns())

    assert leave_by(order, root(arrival), LIMITS, is_here) == (
        arrival + 2 * SECOND,
        "what began it is more than 2 s old",
    )


def test_an_arrival_at_another_node_says_nothing_by_the_clock_of_this_one() -> None:
    assert leave_by(ORDER, root(1, "elsewhere.inbox"), LIMITS, is_here).moment == FOREVER


def test_an_order_of_which_no_age_is_known_may_leave_at_any_time() -> None:
    assert leave_by(ORDER, root(0), LIMITS, is_here).moment == FOREVER
