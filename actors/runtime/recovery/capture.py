"""What a durable actor knows between two steps, and what a segment of its journal says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from actors.events.event import Event, tag_of
from actors.events.system import (
    ActorRecovered,
    ActorStarted,
    StopActor,
    StreamLive,
    StreamReset,
    StreamStale,
    TimerFired,
)
from actors.runtime import codec
from actors.runtime.moved import present_path
from actors.runtime.recovery.configuration import ABSENT, CONFIGURATION, configuration_of
from actors.runtime.schema import schema_table
from actors.runtime.snapshot import ActorSnapshot

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.stream import Input

FROM_THE_RUNTIME = (
    *(ActorStarted, ActorRecovered, StopActor),
    *(StreamReset, StreamLive, StreamStale, TimerFired),
)
"""Classes that any actor may find in its inbox."""
UNKNOWN = (0, 1)
"""Position, (epoch, sequence number), of a reader that must be brought up to date."""
NOT_YET = "not connected yet"
"""Why an input is stale before anything was heard of it."""


def capture(actor: Actor, *, step: int, node_step: int, now: int) -> ActorSnapshot:
    """Return what the actor knows, the three numbers being those of its last step.

    Raises:
        OverflowError: the state holds a number of more than 32 bytes.
        TypeError: the state holds what MessagePack cannot.
    """
    context = actor.context
    latest = [reader for reader in context.inputs if reader.conflation is not None]
    return ActorSnapshot(
        step=step,
        node_step=node_step,
        now=now,
        state=msgspec.Raw(codec.encode(actor.state)),
        rng=context.rng_state,
        timers=context.pending_timers(),
        timer_id=context.last_timer,
        next_seq={output: stream.next_seq for output, stream in context.streams.items()},
        epoch=context.inbox.stream.epoch,
        started=context.started,
        stale=dict(actor.stale),
        positions={r.source.name: _position_of(r) for r in context.readers},
        read={r.source.name: r.conflation.read_by_key() for r in latest if r.conflation},
    )


def forget(actor: Actor) -> None:
    """Make an actor as new: what a restart without a journal does."""
    actor.state = actor.State()
    actor.context.rng_state = None
    actor.context.loop.timers.forget(actor.name)


def restore(actor: Actor, snapshot: ActorSnapshot) -> None:
    """Let an actor know again what `snapshot` holds.

    Raises:
        msgspec.ValidationError: it is not one of this actor's class.
    """
    forget(actor)
    context, loop = actor.context, actor.context.loop
    actor.state = codec.decoder(actor.State)(snapshot.state)
    context.rng_state = snapshot.rng
    actor.stale = dict(snapshot.stale)
    context.started = snapshot.started
    loop.timer_ids[actor.name] = snapshot.timer_id
    loop.timers.restore(actor.name, snapshot.timers)


def _position_of(reader: Input) -> tuple[int, int]:
    # A snapshot that waits in the inbox would be lost in a crash: then another one must be given.
    return UNKNOWN if reader.resetting else (reader.source.epoch, reader.needs_from)


def classes_read(actor: Actor) -> set[type[Event]]:
    """Return the classes that may stand as an input in the actor's journal."""
    read = {event_class for event_class in actor.handlers if event_class is not Event}
    for classes in actor.heard.values():
        read.update(classes)
    return read.union(FROM_THE_RUNTIME)


def segment_header(actor: Actor, *, node: str, seed: int) -> dict[str, Any]:
    """Return what a segment says of the actor whose steps follow, enough to do them again."""
    cls, context = type(actor), actor.context
    emitted = {c for classes in actor.outputs.values() for c in classes}
    read = classes_read(actor)
    return {
        "journal": 1,
        "node": node,
        "actor": actor.name,
        "class": f"{cls.__module__}:{cls.__qualname__}",
        **configuration_of(actor),
        "inputs": [reader.source.name for reader in context.inputs],
        "session": actor.session,
        "seed": seed,
        "epoch": context.inbox.stream.epoch,
        "next_seq": {output: stream.next_seq for output, stream in context.streams.items()},
        "outputs": {
            output: [tag_of(event_class) for event_class in classes]
            for output, classes in actor.outputs.items()
        },
        "classes": _import_names(read | emitted),
        "schema": schema_table(read | emitted),
    }


def configuration_changed(header: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether a segment's steps were made by other code or settings than the actor has now."""
    about = (*CONFIGURATION, "inputs", "seed", "outputs", "schema")
    if present_path(header["class"]) != now["class"]:
        return True
    header = {**ABSENT, **header}
    return any(header[name] != _as_read(now[name]) for name in about)


def _as_read(value: Any) -> Any:
    return codec.decode(codec.encode(value))


def _import_names(classes: Iterable[type[Event]]) -> dict[str, str]:
    return {tag_of(c): f"{c.__module__}:{c.__qualname__}" for c in sorted(classes, key=tag_of)}
