"""What an edit of a topology would lose, with the place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from topology.check.check import CheckedTopology
from topology.config.findings import Finding, Level
from topology.plan.changes import Change, differences

FOR_LIFE = {
    "currency": ("scale",),
    "instrument": ("price_scale", "qty_scale", "base", "quote", "contract", "contract_size"),
}
"""Fields by which amounts, prices and quantities in journals are read."""


def losses(
    old: CheckedTopology, new: CheckedTopology, changes: Iterable[Change]
) -> Iterator[Finding]:
    """Yield what would be lost, placed in the new file, or in the old one for removed actors."""
    if old.topology.name != new.topology.name:
        message = f"the topology was '{old.topology.name}': what it did is kept under that name"
        yield _at(new, ("name",), message)
    for change in changes:
        if change.what in FOR_LIFE and change.kind == "changed":
            yield from _misread(old, new, change)
        elif change.what == "actor" and change.kind == "removed":
            yield from _left_alone(old, change.name)
    for name in new.topology.actors:
        if name in old.topology.actors and old.topology.actors[name].durable != "none":
            yield from _forgotten(old, new, name)


def _misread(old: CheckedTopology, new: CheckedTopology, change: Change) -> Iterator[Finding]:
    key = "currencies" if change.what == "currency" else "instruments"
    before, after = (getattr(c.topology, key)[change.name] for c in (old, new))
    for field, detail in differences(before, after).items():
        if field in FOR_LIFE[change.what]:
            yield _at(
                new,
                (key, change.name, field),
                f"{change.name}: {detail}: this can never change, because earlier values would"
                " be misread; give it another name",
            )


def _left_alone(old: CheckedTopology, name: str) -> Iterator[Finding]:
    if old.topology.actors[name].durable != "none":
        message = f"'{name}' is durable: its journal is put aside, and nobody resumes from it"
        yield _at(old, ("actors", name), message, level="warning", at_key=True)


def _forgotten(old: CheckedTopology, new: CheckedTopology, name: str) -> Iterator[Finding]:
    """Yield why a durable actor could not resume from its journal."""
    before, after = old.topology.actors[name], new.topology.actors[name]
    new_node = new.topology.nodes[after.node]
    was, is_ = old.topology.nodes[before.node].keeps_data_at, new_node.keeps_data_at
    if was != is_:
        stayed = ("nodes", after.node, "machine" if new_node.machine else "host")
        yield _at(
            new,
            stayed if before.node == after.node else ("actors", name, "node"),
            f"'{name}' is durable, and its journal is on machine '{was}': node '{after.node}' is"
            f" on '{is_}' and cannot resume from it; nodes that share a data directory under"
            " several hosts have the same `machine:`",
        )
    if after.durable == "none":
        message = f"'{name}' would begin from nothing: it was durable, '{before.durable}'"
        yield _at(new, ("actors", name, "durable"), message)
    if before.class_ != after.class_:
        yield _at(
            new,
            ("actors", name, "class"),
            f"'{name}' was {before.class_}: another class cannot resume from its journal; give the"
            " actor another name",
        )


def _at(
    checked: CheckedTopology,
    place: tuple[str, ...],
    message: str,
    *,
    level: Level = "error",
    at_key: bool = False,
) -> Finding:
    line, column = checked.document.position(place, at_key=at_key)
    return Finding(checked.document.file, line, column, message, level)
