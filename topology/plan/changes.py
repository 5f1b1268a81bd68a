"""How two topologies differ: what is added, removed, changed or moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from topology.check.check import CheckedTopology
from topology.config.spec import ActorSpec

Kind = Literal["added", "removed", "changed", "moved"]
What = Literal["actor", "node", "instrument", "currency", "journal", "order"]
CHANGEABLE = ("class_", "settings", "accepts", "durable")
"""Fields of an actor that may differ, besides its inputs."""


class Change(NamedTuple):
    """One difference of the new topology."""

    kind: Kind
    what: What
    name: str
    """Name of the actor, node, instrument or currency, or of the node whose order changed."""
    detail: str
    """What changed, from and to; empty if all of it was added or removed."""


def changes_between(old: CheckedTopology, new: CheckedTopology) -> Iterator[Change]:
    """Yield every difference of `new` from `old`, in the order of the files."""
    one, other = old.topology, new.topology
    yield from _of_entries("node", one.nodes, other.nodes)
    yield from _of_entries("currency", one.currencies, other.currencies)
    yield from _of_entries("instrument", one.instruments, other.instruments)
    if one.journal != other.journal:
        yield Change(
            "changed", "journal", "", "; ".join(differences(one.journal, other.journal).values())
        )
    yield from _of_actors(old, new)
    yield from _of_order(old, new)


def differences(before: Any, after: Any) -> dict[str, str]:
    """Return each field in which two models differ, as text from and to."""
    one, other = before.model_dump(mode="json"), after.model_dump(mode="json")
    return {key: f"{key}: {one[key]} -> {other[key]}" for key in one if one[key] != other[key]}


def _of_entries(
    what: What, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield Change("removed", what, name, "")
        elif name not in before:
            yield Change("added", what, name, "")
        elif found := differences(before[name], after[name]):
            yield Change("changed", what, name, "; ".join(found.values()))


def _of_actors(old: CheckedTopology, new: CheckedTopology) -> Iterator[Change]:
    before, after = old.topology.actors, new.topology.actors
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield Change("removed", "actor", name, f"was on {before[name].node}")
        elif name not in before:
            yield Change("added", "actor", name, f"on {after[name].node}")
        else:
            if before[name].node != after[name].node:
                yield Change("moved", "actor", name, f"{before[name].node} -> {after[name].node}")
            if details := _details(old, new, name):
                yield Change("changed", "actor", name, details)


def _details(old: CheckedTopology, new: CheckedTopology, name: str) -> str:
    before, after = old.topology.actors[name], new.topology.actors[name]
    details = [
        f"{field.rstrip('_')}: {_shown(before, field)} -> {_shown(after, field)}"
        for field in CHANGEABLE
        if getattr(before, field) != getattr(after, field)
    ]
    # Streams, not the text of the file: a pattern may match a new actor.
    read = [{(e.stream, e.delivery) for e in c.graph.inputs(name)} for c in (old, new)]
    details += [f"no longer reads {text}" for text in _streams(read[0] - read[1])]
    details += [f"reads {text}" for text in _streams(read[1] - read[0])]
    return "; ".join(details)


def _streams(found: set[tuple[str, Any]]) -> list[str]:
    return [f"{stream} ({delivery})" for stream, delivery in sorted(found)]


def _shown(actor: ActorSpec, field: str) -> str:
    value = getattr(actor, field)
    return str(value.model_dump(mode="json") if hasattr(value, "model_dump") else value)


def _of_order(old: CheckedTopology, new: CheckedTopology) -> Iterator[Change]:
    """Yield the nodes on which the readers of an event are served in another order."""
    before, after = old.topology.actors, new.topology.actors
    for node in new.topology.nodes:
        orders = [
            [name for name in actors if _is_on(node, before, name) and _is_on(node, after, name)]
            for actors in (before, after)
        ]
        if orders[0] != orders[1]:
            yield Change("changed", "order", node, " -> ".join(", ".join(o) for o in orders))


def _is_on(node: str, actors: Mapping[str, ActorSpec], name: str) -> bool:
    return name in actors and actors[name].node == node
