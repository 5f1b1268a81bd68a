"""Which nodes must be restarted after an edit, and which actors lose their state by that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from actors.events.system import RecordFrame
from actors.runtime.stream_name import owner_of
from topology.check.check import CheckedTopology
from topology.config.graph import Edge
from topology.plan.changes import Change


class Reading(NamedTuple):
    """A stream that is read by other nodes than before."""

    stream: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]


def readings_between(old: CheckedTopology, new: CheckedTopology) -> Iterator[Reading]:
    """Yield the streams that are read by other nodes than before."""
    before, after = reading_nodes(old), reading_nodes(new)
    for stream in dict.fromkeys([*before, *after]):
        earlier, later = before.get(stream, set()), after.get(stream, set())
        known = stream in old.graph.streams and stream in new.graph.streams
        if known and earlier != later:
            yield Reading(stream, tuple(sorted(later - earlier)), tuple(sorted(earlier - later)))


def links_between(checked: CheckedTopology) -> Iterator[Edge]:
    """Return the edges between different nodes."""
    actors = checked.graph.actors
    return (e for e in checked.graph.edges if actors[e.reader].node != actors[e.source].node)


def reading_nodes(checked: CheckedTopology) -> dict[str, set[str]]:
    """Return the other nodes that read each stream."""
    found: dict[str, set[str]] = {}
    for edge in links_between(checked):
        found.setdefault(edge.stream, set()).add(checked.graph.actors[edge.reader].node)
    return found


def restarts(
    old: CheckedTopology,
    new: CheckedTopology,
    changes: Iterable[Change],
    readings: Iterable[Reading],
) -> dict[str, tuple[str, ...]]:
    """Return the reasons why nodes of the new topology must be started or restarted."""
    told = [reason for change in changes for reason in _because_of(change, old, new)]
    if old.topology.name != new.topology.name:
        told += [(node, "the topology has another name") for node in new.topology.nodes]
    for stream, gained, lost in readings:
        publisher = new.topology.actors[owner_of(stream)].node
        told.append((publisher, f"{stream}: {_readers(gained, lost)}"))
    told += _of_other_publishers(old, new)
    reasons: dict[str, list[str]] = {}
    for node, reason in told:
        if node in new.topology.nodes:
            reasons.setdefault(node, []).append(reason)
    return {node: tuple(dict.fromkeys(why)) for node, why in reasons.items()}


def forgetful(
    old: CheckedTopology, new: CheckedTopology, restarting: Iterable[str]
) -> Iterator[str]:
    """Yield the actors without a journal on nodes that are restarted."""
    nodes = set(restarting)
    for name, before in old.topology.actors.items():
        after = new.topology.actors.get(name)
        # A recorder goes on from its file.
        records = new.graph.actors[name].emits(RecordFrame) if after else False
        if after and after.node in nodes and before.durable == "none" and not records:
            yield name


def _because_of(
    change: Change, old: CheckedTopology, new: CheckedTopology
) -> Iterator[tuple[str, str]]:
    """Yield (node, why) of each node that a change restarts."""
    nodes = new.topology.nodes
    if change.what == "actor":
        found = [c.topology.actors.get(change.name) for c in (old, new)]
        for node in dict.fromkeys(actor.node for actor in found if actor is not None):
            yield node, f"{change.name} {change.kind}"
    elif change.what == "order":
        yield change.name, "readers are served in another order"
    elif change.what == "node":
        for node in nodes:
            yield node, f"node {change.name} {change.kind}"
    else:
        for node in nodes:
            yield node, f"{change.what} {change.name} {change.kind}".replace("  ", " ")


def _of_other_publishers(old: CheckedTopology, new: CheckedTopology) -> Iterator[tuple[str, str]]:
    """Yield the nodes that read over a link what was moved or has another class or durability.

    They know where its publisher is, whether it is durable and what it emits; one that asked the
    old node would be refused, and halt trading.
    """
    for edge in links_between(new):
        before = old.topology.actors.get(edge.source)
        after = new.topology.actors[edge.source]
        reader = new.graph.actors[edge.reader].node
        if before is None:
            continue
        if before.node != after.node:
            yield reader, f"{edge.stream}: {edge.source} moved"
        if (before.class_, before.durable) != (after.class_, after.durable):
            yield reader, f"{edge.stream}: {edge.source} changed"


def _readers(gained: tuple[str, ...], lost: tuple[str, ...]) -> str:
    said = [f"read by {', '.join(gained)}"] if gained else []
    said += [f"no longer read by {', '.join(lost)}"] if lost else []
    return ", ".join(said)
