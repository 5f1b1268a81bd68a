"""What an edit of a topology means: who comes, goes, changes or moves, and who must restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from topology.check import Checked
from topology.findings import Finding
from topology.spec import ActorSpec

Kind = Literal["added", "removed", "changed", "moved"]
SIGNS: dict[Kind, str] = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}
CHANGEABLE = ("class_", "settings", "inputs", "accepts", "durable")
"""What an actor may have otherwise in place, as the model names it."""


class Change(NamedTuple):
    """One thing that the new topology has otherwise."""

    kind: Kind
    what: Literal["actor", "node", "instrument", "currency"]
    name: str
    detail: str
    """What of it, from and to; empty where all of it comes or goes."""


class Reading(NamedTuple):
    """A stream of which other nodes read it than before."""

    stream: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]


class Plan(NamedTuple):
    """All that follows from an edit."""

    changes: tuple[Change, ...]
    readings: tuple[Reading, ...]
    """Streams whose publisher must learn of other reading nodes."""
    restarts: dict[str, tuple[str, ...]]
    """Why, by node that must start again, or for the first time."""
    begins_anew: tuple[str, ...]
    """Actors that lose what they know: their readers get one reset, and a snapshot."""
    refused: tuple[Finding, ...]
    """Why the edit would lose something."""
    warnings: tuple[Finding, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.changes or self.readings or self.refused)


def plan(old: Checked, new: Checked) -> Plan:
    """Return what it takes to get from one topology to another.

    Raises:
        TopologyError: one of the files has mistakes; the text lists every one of them.
    """
    changes = (*_nodes(old, new), *_reference(old, new), *_actors(old, new))
    readings = tuple(_readings(old, new))
    anew = tuple(
        c.name
        for c in changes
        if c.what == "actor"
        and c.kind in ("changed", "moved")
        and new.topology.actors[c.name].durable == "none"
    )
    findings = tuple(_losses(old, new, changes))
    return Plan(
        changes,
        readings,
        _restarts(old, new, changes, readings),
        tuple(dict.fromkeys(anew)),
        tuple(finding for finding in findings if finding.level == "error"),
        tuple(finding for finding in findings if finding.level == "warning"),
    )


def _nodes(old: Checked, new: Checked) -> Iterator[Change]:
    before, after = old.topology.nodes, new.topology.nodes
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield Change("removed", "node", name, "")
        elif name not in before:
            yield Change("added", "node", name, "")
        elif before[name] != after[name]:
            yield Change("changed", "node", name, _difference(before[name], after[name]))


def _reference(old: Checked, new: Checked) -> Iterator[Change]:
    kinds: tuple[tuple[Literal["instrument", "currency"], Any, Any], ...] = (
        ("currency", old.topology.currencies, new.topology.currencies),
        ("instrument", old.topology.instruments, new.topology.instruments),
    )
    for what, before, after in kinds:
        for name in dict.fromkeys([*before, *after]):
            if name not in after:
                yield Change("removed", what, name, "")
            elif name not in before:
                yield Change("added", what, name, "")
            elif before[name] != after[name]:
                yield Change("changed", what, name, _difference(before[name], after[name]))


def _actors(old: Checked, new: Checked) -> Iterator[Change]:
    before, after = old.topology.actors, new.topology.actors
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield Change("removed", "actor", name, f"was on {before[name].node}")
        elif name not in before:
            yield Change("added", "actor", name, f"on {after[name].node}")
        else:
            if before[name].node != after[name].node:
                yield Change("moved", "actor", name, f"{before[name].node} -> {after[name].node}")
            if details := _changed(old, new, name):
                yield Change("changed", "actor", name, details)


def _changed(old: Checked, new: Checked, name: str) -> str:
    before, after = old.topology.actors[name], new.topology.actors[name]
    details = [
        f"{field.rstrip('_')}: {_shown(before, field)} -> {_shown(after, field)}"
        for field in CHANGEABLE
        if field != "inputs" and getattr(before, field) != getattr(after, field)
    ]
    read = [{(e.stream, e.delivery) for e in c.graph.inputs(name)} for c in (old, new)]
    details += [f"no longer reads {stream}" for stream, _ in sorted(read[0] - read[1])]
    details += [f"reads {stream} ({delivery})" for stream, delivery in sorted(read[1] - read[0])]
    return "; ".join(details)


def _shown(actor: ActorSpec, field: str) -> str:
    value = getattr(actor, field)
    return str(value.model_dump(mode="json") if hasattr(value, "model_dump") else value)


def _difference(before: Any, after: Any) -> str:
    one, other = before.model_dump(mode="json"), after.model_dump(mode="json")
    return "; ".join(f"{key}: {one[key]} -> {other[key]}" for key in one if one[key] != other[key])


def _readings(old: Checked, new: Checked) -> Iterator[Reading]:
    before, after = reading_nodes(old), reading_nodes(new)
    for stream in dict.fromkeys([*before, *after]):
        earlier, later = before.get(stream, set()), after.get(stream, set())
        known = stream in old.graph.streams and stream in new.graph.streams
        if known and earlier != later:
            yield Reading(stream, tuple(sorted(later - earlier)), tuple(sorted(earlier - later)))


def reading_nodes(checked: Checked) -> dict[str, set[str]]:
    """Return the nodes on which each stream is read, other than its own."""
    found: dict[str, set[str]] = {}
    for edge in checked.graph.edges:
        there = checked.graph.actors[edge.reader].node
        if there != checked.graph.actors[edge.source].node:
            found.setdefault(edge.stream, set()).add(there)
    return found


def _restarts(
    old: Checked, new: Checked, changes: tuple[Change, ...], readings: tuple[Reading, ...]
) -> dict[str, tuple[str, ...]]:
    """Return why each node of the new topology must start again."""
    reasons: dict[str, list[str]] = {}
    told = [reason for change in changes for reason in _because_of(change, old, new)]
    for stream, gained, lost in readings:
        publisher = new.topology.actors[stream.partition(".")[0]].node
        told.append((publisher, f"{stream}: {_readers(gained, lost)}"))
    for node, reason in told:
        if node in new.topology.nodes:
            reasons.setdefault(node, []).append(reason)
    return {node: tuple(dict.fromkeys(why)) for node, why in reasons.items()}


def _because_of(change: Change, old: Checked, new: Checked) -> Iterator[tuple[str, str]]:
    """Yield (node, why) of each node that a change makes restart."""
    nodes = new.topology.nodes
    if change.what == "actor":
        found = [c.topology.actors.get(change.name) for c in (old, new)]
        for node in sorted({actor.node for actor in found if actor is not None}):
            yield node, f"{change.name} {change.kind}"
    elif change.what != "node":
        for node in nodes:
            yield node, f"{change.what} {change.name} {change.kind}"
    elif change.kind == "changed":
        for node in nodes:
            yield node, f"node {change.name} is elsewhere"
    elif change.kind == "added":
        yield change.name, "new node"
        for node in nodes:
            if node != change.name:
                yield node, f"hears of halts of node {change.name}"


def _readers(gained: tuple[str, ...], lost: tuple[str, ...]) -> str:
    said = [f"read by {', '.join(gained)}"] if gained else []
    said += [f"no longer read by {', '.join(lost)}"] if lost else []
    return ", ".join(said)


def _losses(old: Checked, new: Checked, changes: tuple[Change, ...]) -> Iterator[Finding]:
    """Yield what would be lost, each with its place in the new file, or the old one."""
    if old.topology.name != new.topology.name:
        yield _at(new, ("name",), f"the topology was {old.topology.name!r}: data is kept by name")
    for change in changes:
        if change.what == "actor":
            yield from _losses_of_actor(old, new, change)
        elif change.kind == "changed" and "scale" in change.detail:
            yield _at(
                new,
                (f"{change.what}s" if change.what == "instrument" else "currencies", change.name),
                f"{change.name}: {change.detail}: scales are for life, what was counted in the old"
                " one would be misread; give it another name",
            )


def _losses_of_actor(old: Checked, new: Checked, change: Change) -> Iterator[Finding]:
    name = change.name
    before = old.topology.actors.get(name)
    if before is None or before.durable == "none":
        return
    if change.kind == "removed":
        message = f"'{name}' is durable: its journal stays, put aside, and nobody goes on from it"
        yield _at(old, ("actors", name), message, warning=True)
        return
    after = new.topology.actors[name]
    if change.kind == "moved":
        hosts = old.topology.nodes[before.node].host, new.topology.nodes[after.node].host
        if hosts[0] != hosts[1]:
            yield _at(
                new,
                ("actors", name, "node"),
                f"'{name}' is durable, and its journal is on host '{hosts[0]}': nodes of that host"
                f" can take it over, '{hosts[1]}' cannot",
            )
        return
    if after.durable == "none":
        yield _at(new, ("actors", name), f"'{name}' would begin anew: it is not durable any more")
    if before.class_ != after.class_:
        yield _at(
            new,
            ("actors", name, "class"),
            f"'{name}' was {before.class_}: another class cannot go on from its journal; give the"
            " actor another name",
        )


def _at(
    checked: Checked, place: tuple[str, ...], message: str, *, warning: bool = False
) -> Finding:
    line, column = checked.document.position(place)
    level: Literal["error", "warning"] = "warning" if warning else "error"
    return Finding(checked.document.file, line, column, message, level)
