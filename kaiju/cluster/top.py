"""A running system at a glance: nodes, actors, streams between nodes; what is in trouble first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kaiju.cluster.attach import Running, status_of_node
from kaiju.monitor.http_server import LIVE

Statuses = Mapping[str, dict[str, Any]]
"""What nodes say of themselves, by name; nothing where they are silent."""
MICROSECOND = 1_000


def look(run: Running) -> dict[str, dict[str, Any]]:
    """Ask every node how it is."""
    return {name: status_of_node(node.http) for name, node in run.endpoints.nodes.items()}


def draw(now: Statuses, before: Statuses, seconds: float) -> Group:
    """Return what to show.

    Args:
        now: what nodes say.
        before: what they said `seconds` ago; rates count from then.
        seconds: between the two; 0 for no rates.
    """
    return Group(_nodes(now, before, seconds), _links(now), _actors(now, before, seconds))


def _nodes(now: Statuses, before: Statuses, seconds: float) -> Table:
    table = _table("node", "steps/s", "steps", "queued", "state", "links")
    for name in sorted(now, key=lambda n: not _trouble(now[n])):
        status = now[name]
        if not status:
            table.add_row(name, "", "", "", Text("does not answer", "bold red"), "")
            continue
        rate = _rate(status["steps"], before.get(name, {}).get("steps"), seconds)
        problem = _trouble(status)
        state = Text(problem, "bold red") if problem else Text(status["ending"] or "ok", "green")
        counts = (f"{status['steps']:,}", f"{status['queued']:,}")
        table.add_row(name, rate, *counts, state, _told_of_links(status["link_counts"]))
    return table


def _trouble(status: dict[str, Any]) -> str:
    if not status:
        return "does not answer"
    if status["halted"]:
        return f"halted: {status['halted']}"
    stale = [x["stream"] for x in status["links"] if x["kind"] == "input" and x["state"] != LIVE]
    return f"not live: {', '.join(stale)}" if stale else ""


def _told_of_links(counts: dict[str, Any] | None) -> str:
    """Return what went wrong on links since the node's start; empty for nothing."""
    if counts is None:
        return ""
    sums = {name: sum(counts[name].values()) for name in ("refused", "malformed", "redials")}
    sums["unsent"] = counts["unsent"]
    return ", ".join(f"{count:,} {name}" for name, count in sums.items() if count)


def _links(now: Statuses) -> Table:
    counted = ("gaps", "resumes", "resets")
    table = _table("stream", "from", "to", "state", "at", "behind", *counted, "delay p50")
    links = [
        (status["node"], link)
        for status in now.values()
        if status
        for link in status["links"]
        if link["kind"] == "input"
    ]
    for node, link in sorted(links, key=lambda x: (x[1]["state"] == LIVE, -x[1]["behind"])):
        live = link["state"] == LIVE
        table.add_row(
            link["stream"],
            link["node"],
            node,
            Text(link["state"], "green" if live else "bold red"),
            f"{link['epoch']}/{link['position']:,}",
            f"{link['behind']:,}",
            *(f"{link[name]:,}" for name in counted),
            _microseconds(link["delay_p50"]),
        )
    return table


def _actors(now: Statuses, before: Statuses, seconds: float) -> Table:
    table = _table("actor", "node", "events/s", "handled", "queued", "wait p50", "handler p50", "")
    found = [(s["node"], actor) for s in now.values() if s for actor in s["actors"]]
    earlier = {a["name"]: a["handled"] for s in before.values() if s for a in s["actors"]}
    for node, actor in sorted(found, key=lambda x: (x[1]["alive"], -x[1]["queued"])):
        problem = "" if actor["alive"] else "stopped"
        if actor["failed"]:
            problem += f" {actor['failed']} failures"
        table.add_row(
            actor["name"],
            node,
            _rate(actor["handled"], earlier.get(actor["name"]), seconds),
            f"{actor['handled']:,}",
            f"{actor['queued']:,}",
            _microseconds(actor["wait_p50"]),
            _microseconds(actor["handle_p50"]),
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
