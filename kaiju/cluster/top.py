"""A running system at a glance: nodes, actors, streams between nodes; what is in trouble first."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from actors.events.durations import MICROSECOND
from actors.runtime.statistics import LinkCounts
from kaiju.cluster.attach import Running
from kaiju.monitor.status import NodeStatus, fetch_status

Statuses = Mapping[str, NodeStatus | None]
"""Of all nodes by name; None for one that does not answer."""
NO_ANSWER = "does not answer"


def look(run: Running) -> dict[str, NodeStatus | None]:
    """Ask every node for its status."""
    return {name: fetch_status(*run.endpoints.http(name)) for name in run.endpoints.nodes}


def draw(now: Statuses, before: Statuses, seconds: float) -> Group:
    """Return what to show.

    Args:
        now: what nodes say now.
        before: what they said `seconds` ago; rates count from then.
        seconds: between the two; 0 for no rates.
    """
    return Group(_nodes(now, before, seconds), _links(now), _actors(now, before, seconds))


def _nodes(now: Statuses, before: Statuses, seconds: float) -> Table:
    table = _table("node", "steps/s", "steps", "queued", "state", "links")
    for name in sorted(now, key=lambda n: not _trouble(now[n])):
        status, earlier = now[name], before.get(name)
        if status is None:
            table.add_row(name, "", "", "", Text(NO_ANSWER, "bold red"), "")
            continue
        rate = _rate(status.steps, None if earlier is None else earlier.steps, seconds)
        problem = _trouble(status)
        state = Text(problem, "bold red") if problem else Text(status.ending or "ok", "green")
        counts = (f"{status.steps:,}", f"{status.queued:,}")
        table.add_row(name, rate, *counts, state, _link_trouble(status.link_counts))
    return table


def _trouble(status: NodeStatus | None) -> str:
    if status is None:
        return NO_ANSWER
    if status.halted:
        return f"halted: {status.halted}"
    stale = [link.stream for link in status.inputs if not link.live]
    return f"not live: {', '.join(stale)}" if stale else ""


def _link_trouble(counts: LinkCounts | None) -> str:
    """Return what went wrong on links since the node's start; empty for nothing."""
    if counts is None:
        return ""
    sums = {
        "refused": sum(counts.refused.values()),
        "malformed": sum(counts.malformed.values()),
        "redials": sum(counts.redials.values()),
        "unsent": counts.unsent,
    }
    return ", ".join(f"{count:,} {name}" for name, count in sums.items() if count)


def _links(now: Statuses) -> Table:
    table = _table(
        *("stream", "from", "to", "state", "at", "behind"),
        *("gaps", "resumes", "resets", "delay p50"),
    )
    links = [
        (status.node, link)
        for status in now.values()
        if status is not None
        for link in status.inputs
    ]
    for node, link in sorted(links, key=lambda found: (found[1].live, -found[1].behind)):
        table.add_row(
            link.stream,
            link.node,
            node,
            Text(link.state, "green" if link.live else "bold red"),
            f"{link.epoch}/{link.position:,}",
            *(f"{count:,}" for count in (link.behind, link.gaps, link.resumes, link.resets)),
            _microseconds(link.delay_p50),
        )
    return table


def _actors(now: Statuses, before: Statuses, seconds: float) -> Table:
    table = _table("actor", "node", "events/s", "handled", "queued", "wait p50", "handler p50", "")
    found = [(s.node, actor) for s in now.values() if s is not None for actor in s.actors]
    earlier = {a.name: a.handled for s in before.values() if s is not None for a in s.actors}
    for node, actor in sorted(found, key=lambda x: (x[1].alive, -x[1].queued)):
        problem = "" if actor.alive else "stopped"
        if actor.failed:
            problem += f" {actor.failed} failures"
        table.add_row(
            actor.name,
            node,
            _rate(actor.handled, earlier.get(actor.name), seconds),
            f"{actor.handled:,}",
            f"{actor.queued:,}",
            _microseconds(actor.wait_p50),
            _microseconds(actor.handle_p50),
            Text(problem, "bold red"),
        )
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in _WORDS else "right")
    return table


_WORDS = ("node", "stream", "from", "to", "state", "links", "actor", "")


def _rate(now: int, before: int | None, seconds: float) -> str:
    return f"{(now - before) / seconds:,.0f}" if before is not None and seconds else ""


def _microseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / MICROSECOND:,.0f} us" if nanoseconds else ""
