"""Counters of actors and edges, put together as records."""

from __future__ import annotations

from actors.runtime.actor import Actor
from actors.runtime.statistics import ActorRecord, EdgeRecord, Histogram
from actors.runtime.stream import Input


def actor_record(actor: Actor) -> ActorRecord:
    """Return an actor's counters as they are now."""
    readers = actor.context.readers
    since_arrival = Histogram()
    for reader in actor.context.inputs:
        since_arrival.add(reader.since_arrival)
    return ActorRecord(
        actor.name,
        type(actor).__name__,
        sum(reader.handled for reader in readers),
        actor.context.statistics.failed,
        sum(reader.queued for reader in readers),
        actor.context.statistics.handle,
        since_arrival,
        actor.order_path,
        not actor.actor_stopped.is_set(),
    )


def edge_record(reader: Input) -> EdgeRecord:
    """Return what became of the events that one reader was sent."""
    return EdgeRecord(
        reader.owner.name,
        reader.source.name,
        reader.delivery,
        reader.sent,
        reader.handled,
        reader.unhandled,
        reader.conflated,
        dict(reader.dropped),
        reader.queued,
        reader.since_arrival,
    )
