"""Whether a node does what it is there for, in a sentence that says why not."""

from __future__ import annotations

import time
from collections.abc import Iterator

from actors.events.durations import SECOND
from kaiju.monitor.observer import NodeView
from kaiju.monitor.status import LIVE

SILENCE = 10 * SECOND
"""Nanoseconds of real time without a turn of the loop, or without a venue, after which a node is
unhealthy."""
MAX_AHEAD = 60 * SECOND
"""Nanoseconds that the clock of a node that is ready may be off."""


def unhealthy(view: NodeView | None, shown: int) -> str:
    """Return why a node is not healthy; empty if it is.

    Args:
        view: the newest; None before the first.
        shown: when it was taken, in nanoseconds of the monotonic clock.
    """
    if view is None:
        return "starting"
    now = time.monotonic_ns()
    if now - shown > SILENCE:
        return f"no turn of the loop for {(now - shown) // SECOND} s"
    if view.statistics.halted and not view.statistics.halted_in_part:
        return f"trading halted: {view.statistics.halted}"
    lost = (v.problem for v in view.venues if v.final or now - v.since > SILENCE)
    return "; ".join(filter(None, lost))


def degraded(view: NodeView) -> str:
    """Return what a healthy node does not trade; empty for nothing."""
    statistics = view.statistics
    return f"degraded: trading halted: {statistics.halted}" if statistics.halted_in_part else ""


def unready(view: NodeView) -> str:
    """Return what a healthy node lacks; empty for nothing."""
    return "; ".join(_lacking(view))


def _lacking(view: NodeView) -> Iterator[str]:
    for link in view.statistics.links:
        if link.kind == "input" and link.state != LIVE:
            yield f"{link.stream} of node {link.node} is {link.state}"
    yield from filter(None, (venue.problem for venue in view.venues))
    around = view.statistics.surroundings
    if around is not None and around.disk_is_low:
        free, least = around.disk_free, around.min_free
        yield f"the disk is nearly full: {free:,} bytes, min_free is {least:,}"
    if around is not None and abs(around.clock_ahead) > MAX_AHEAD:
        side = "ahead of" if around.clock_ahead > 0 else "behind"
        yield f"the clock is {abs(around.clock_ahead) // SECOND} s {side} the machine's"
