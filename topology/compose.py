"""A checked topology as a node: its actors, built with their settings and connected.

All actors of the file come into one node, whatever their `node:`, in file order; so moving an
actor changes nothing about what happens.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from actors.events.event import Event
from actors.runtime.node import Node
from actors.runtime.stream import Handler, Input
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
    node = Node(
        topology.name,
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
        node.add(name, actor_class, settings, durable=entry.durable)
    for edge in checked.graph.edges:
        reader = node.connect(edge.reader, edge.stream, edge.delivery)
        share = topology.actors[edge.reader].accepts.share(topology.instruments)
        if len(share) < len(topology.instruments):
            reader.handlers = _only(share, reader)
    for name, entry in topology.actors.items():
        share = entry.accepts.share(topology.instruments)
        if len(share) < len(topology.instruments):  # snapshots come through the inbox
            inbox = node.actors[name].inbox
            inbox.handlers = _only(share, inbox)
    return node


def _only(share: frozenset[str], reader: Input) -> dict[type[Event], Handler]:
    """Return handlers that leave events of other instruments than `share` to other actors."""
    return {
        event_class: _accepting(share, reader, instrument_of, handler)
        if (instrument_of := _instrument_of(event_class))
        else handler
        for event_class, handler in reader.handlers.items()
    }


def _instrument_of(event_class: type[Event]) -> Callable[[Event], str] | None:
    fields = event_class.__struct_fields__
    if "instrument" in fields:
        return attrgetter("instrument")
    return attrgetter("order.instrument") if "order" in fields else None


def _accepting(
    share: frozenset[str], reader: Input, instrument_of: Callable[[Event], str], handler: Handler
) -> Handler:
    def accept(event: Event) -> Any:
        instrument = instrument_of(event)
        if not instrument or instrument in share:
            return handler(event)
        # The loop will count this call as handled; what is left to others is not.
        reader.handled -= 1
        reader.unhandled += 1
        return None

    return accept
