"""How old an order and its tick may be where the order leaves for a venue.

An order's age counts from the step of its intent, on the wall clock. The age of the tick that began
its chain counts from our feed's receipt, on the monotonic clock, and so on one node alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from actors.events.durations import SECOND
from actors.events.venue import NewOrderSingle
from actors.runtime.clock import FOREVER
from actors.runtime.envelope import Root


class AgeLimits(NamedTuple):
    """The largest ages, in nanoseconds."""

    order: int
    tick: int


class LeaveBy(NamedTuple):
    """Until when an order may leave."""

    moment: int
    """Nanoseconds of the monotonic clock; `FOREVER` where no age is known."""
    reason: str
    """What it is afterwards."""


def leave_by(
    order: NewOrderSingle, root: Root, limits: AgeLimits, is_local: Callable[[str], bool]
) -> LeaveBy:
    """Return until when an order may leave this process.

    Args:
        order: as the gateway emitted it.
        root: of its envelope.
        limits: of its gateway.
        is_local: tells of a stream whether it was taken in on this node.
    """
    stream, _, _, arrival = root
    of_order = of_tick = FOREVER
    if order.decided_at:
        of_order = time.monotonic_ns() + order.decided_at + limits.order - time.time_ns()
    if arrival and is_local(stream):
        of_tick = arrival + limits.tick
    if of_tick < of_order:
        return LeaveBy(of_tick, f"what began it is more than {limits.tick / SECOND:g} s old")
    return LeaveBy(of_order, too_old(limits.order))


def too_old(limit: int) -> str:
    """Return what is said of an order of more than `limit` nanoseconds."""
    return f"the order is more than {limit / SECOND:g} s old"
