"""A checked topology as a node: its actors, built with their settings and connected.

All actors of the file come into one node, whatever their `node:`, in file order; so moving an
actor changes nothing about what happens.
"""

from __future__ import annotations

from typing import Any

from actors.runtime.archive import Retention
from actors.runtime.node import Node
from topology.check import Checked
from topology.check_classes import settings_context


def compose(checked: Checked, **options: Any) -> Node:
    """Return a node with all actors of a topology, ready to run.

    Args:
        checked: what `topology.check.examine` returned for the file.
        options: of `Node`, such as `clock`, `seed`, `session` or `metrics`.

    Raises:
        TopologyError: the file has mistakes; the text lists every one of them.
    """
    topology = checked.topology
    journal = topology.journal
    options.setdefault("segment_bytes", journal.segment_bytes)
    node = Node(
        topology.name,
        retention=Retention(journal.keep_bytes, journal.keep_for),
        instruments=[
            spec.build(name, topology.currencies) for name, spec in topology.instruments.items()
        ],
        currencies=[spec.build(name) for name, spec in topology.currencies.items()],
        **options,
    )
    context = settings_context(checked.document.path, topology.instruments, topology.currencies)
    for name, entry in topology.actors.items():
        actor_class = checked.classes[name]
        settings = actor_class.Settings.model_validate(entry.settings, context=context)
        share = entry.accepts.share(topology.instruments)
        accepts = share if len(share) < len(topology.instruments) else None
        node.add(name, actor_class, settings, durable=entry.durable, accepts=accepts)
    for edge in checked.graph.edges:
        node.connect(edge.reader, edge.stream, edge.delivery)
    return node
