"""A checked topology as a node: its actors, built with their settings and connected.

Without a node's name, all actors of the file are in one node, whatever their `node:`, in file
order; so moving an actor changes nothing about what happens.
"""

from __future__ import annotations

from typing import Any

from actors.runtime.clock import Clock
from actors.runtime.journal.disk import Disk
from actors.runtime.node.config import NodeConfig, Retention
from actors.runtime.node.links import Links
from actors.runtime.node.node import Node
from actors.runtime.node.outside import Outside
from actors.runtime.poller import Poller
from gateways.gateway import Gateway
from topology.check.check import CheckedTopology
from topology.config.class_loader import settings_context
from topology.config.spec import Topology


def compose(
    checked: CheckedTopology,
    name: str = "",
    *,
    clock: Clock | None = None,
    poller: Poller | None = None,
    disk: Disk | None = None,
    links: Links | None = None,
    outside: Outside | None = None,
    **config: Any,
) -> Node:
    """Return a node with all actors of a topology, or with those of one of its nodes.

    Args:
        checked: what `topology.check.check.check_file` returned for the file.
        name: of the node whose actors are wanted; empty for all of the file.
        clock: as `Node` takes it, like the next four.
        poller: how the loop waits.
        disk: how journals are written.
        links: to other nodes.
        outside: where inputs come from and outputs go.
        config: fields of `NodeConfig`, such as `seed`; they go before what the file says.

    Raises:
        TopologyError: the file has mistakes; the text lists every one of them.
    """
    node = Node(
        NodeConfig(**{**_config(checked, name), **config}),
        clock=clock,
        poller=poller,
        disk=disk,
        links=links,
        outside=outside,
    )
    topology = checked.topology
    context = settings_context(checked.document.path, topology.instruments, topology.currencies)
    read_here = {edge.source for edge in checked.graph.edges if is_on(checked, edge.reader, name)}
    for actor, entry in topology.actors.items():
        actor_class = checked.classes[actor]
        if not is_on(checked, actor, name):
            if actor in read_here:
                node.add_remote(actor, actor_class, entry.node, durable=entry.durable)
            continue
        settings = actor_class.Settings.model_validate(entry.settings, context=context)
        share = entry.accepts.share(topology.instruments)
        accepts = share if len(share) < len(topology.instruments) else None
        node.add(actor, actor_class, settings, durable=entry.durable, accepts=accepts)
    for edge in checked.graph.edges:
        if is_on(checked, edge.reader, name):
            node.connect(edge.reader, edge.stream, edge.delivery)
    return node


def _config(checked: CheckedTopology, name: str) -> dict[str, Any]:
    topology = checked.topology
    journal = topology.journal
    gateways = [actor for actor, found in checked.classes.items() if issubclass(found, Gateway)]
    on_stop = {topology.actors[actor].settings.get("on_stop") for actor in gateways}
    return {
        "name": name or topology.name,
        "leaves_orders": on_stop == {"leave"},
        "memory_limit": _memory_limit(topology, name),
        "min_free": journal.min_free,
        "segment_bytes": journal.segment_bytes,
        "retention": Retention(journal.keep_bytes, journal.keep_for),
        "instruments": [
            spec.build(name, topology.currencies) for name, spec in topology.instruments.items()
        ],
        "currencies": [spec.build(name) for name, spec in topology.currencies.items()],
    }


def _memory_limit(topology: Topology, name: str) -> int:
    """Return the limit of a node, or of all of them in one process where each of them has one."""
    limits = [spec.memory_limit for node, spec in topology.nodes.items() if name in ("", node)]
    return sum(limits) if all(limits) else 0


def is_on(checked: CheckedTopology, actor: str, node: str) -> bool:
    """Return whether an actor belongs to a node; all belong to the one without a name."""
    return node in ("", checked.graph.actors[actor].node)
