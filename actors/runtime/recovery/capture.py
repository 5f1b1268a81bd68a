"""What a durable actor did, on disk: each step is written before anything of it is released.

The body of a STEP frame is the MessagePack array::

    [step, node step, now, id, cause, root, time, first, event, [outputs, timers] | nil]

`step` counts the actor's steps from 1, `node step` the node's; `now` is the clock when the input
was taken; `id`, `cause`, `root` and `time` are the input's envelope and `event` the input itself.
`first` is 0, but on a `latest` input the sequence number of the first unread event that the value
stands for. Outputs are events in order of emission, timers ``[actor, id, name, due]`` (due 0
cancels); nil says that the handler raised twice and the input was skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
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
from actors.runtime.envelope import Envelope, Position, Root
from actors.runtime.recovery.configuration import MAKINGS, makings_of
from actors.runtime.schema import schema_table
from actors.runtime.timers import SetTimer

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.journal.commits import Commits
    from actors.runtime.journal.writer import Journal
    from actors.runtime.stream import Input

log = logging.getLogger("kaiju")

FROM_THE_RUNTIME = (
    *(ActorStarted, ActorRecovered, StopActor),
    *(StreamReset, StreamLive, StreamStale, TimerFired),
)
"""Classes that any actor may find in its inbox."""

encode = msgspec.msgpack.Encoder().encode

StepBody = tuple[int, int, int, Position, Position | None, Root, int, int, msgspec.Raw, msgspec.Raw]
"""A step as it stands in a frame, with its events still encoded."""
read_step = msgspec.msgpack.Decoder(StepBody).decode
Effects = tuple[tuple[Event, ...], tuple[SetTimer, ...]]
"""(outputs in order of emission, timers) of a step."""
SKIPPED = msgspec.Raw(encode(None))
STEPS_BETWEEN_TRIES = 1_000
"""After a disk had no room for a new segment, while it still takes steps into the old one."""
UNKNOWN = (0, 1)
"""Position, (epoch, sequence number), of a reader that must be brought up to date."""
NOT_YET = "not connected yet"
"""Why an input is stale before anything was heard of it."""


def step_decoder(events: Any) -> Callable[[bytes], tuple[Any, ...]]:
    """Return what reads a step whose input is one of `events`, a class or a union of classes."""
    read: Any = events
    return msgspec.msgpack.Decoder(
        tuple[int, int, int, Position, Position | None, Root, int, int, read, msgspec.Raw]
    ).decode


class StepJournal:
    """Writes the steps of one actor."""

    __slots__ = (
        "_begins_after",
        "_commits",
        "_header",
        "files",
        "node_step",
        "now",
        "number",
        "snapshot_due",
    )

    def __init__(
        self, files: Journal, commits: Commits, header: Callable[[], Mapping[str, Any]]
    ) -> None:
        self.files = files
        self.number = files.last_step
        """Of the last step written, or waiting for the disk."""
        self.node_step = self.now = 0
        """Of that step as well."""
        self.snapshot_due = False
        """Whether a segment was filled since the last snapshot."""
        self._commits = commits
        self._header = header
        self._begins_after = 0

    def write(
        self, node_step: int, now: int, reader: Input, envelope: Envelope, effects: Effects | None
    ) -> None:
        """Write one finished step; its input was just taken from `reader`.

        Raises:
            OverflowError: an event holds a number beyond 64 bits; nothing was written.
            TypeError: an event holds what MessagePack cannot; nothing was written.
        """
        latest = reader.conflation
        first = 0 if latest is None else latest.first_of(reader.position - 1)
        number = self.number + 1
        place, cause, root, time = envelope.id, envelope.cause, envelope.root, envelope.time
        step = (number, node_step, now, place, cause, root, time, first, envelope.event, effects)
        body = encode(step)
        if self.files.full and not self._commits.held:
            self._begin_segment()
        self._commits.append(self.files, body)
        self.number, self.node_step, self.now = number, node_step, now

    def skip(self, node_step: int, now: int, reader: Input, envelope: Envelope) -> None:
        """Write that an input was taken and nothing came of it: its handler raised twice."""
        self.write(node_step, now, reader, envelope, None)

    def _begin_segment(self) -> None:
        """Begin the next segment here: where a segment ends depends on its steps alone."""
        if self.number < self._begins_after:
            return
        try:
            self.files.begin(self._header())
        except OSError as error:
            self._commits.check(self.files)
            self._begins_after = self.number + STEPS_BETWEEN_TRIES
            log.warning("%s: no new segment yet: %s", self.files.directory, error)
        else:
            self.snapshot_due = True


class Memory(msgspec.Struct):
    """All that an actor knows between two steps: what a snapshot holds."""

    step: int
    node_step: int
    now: int
    state: msgspec.Raw
    rng: Any
    """State of the random numbers; None while none was drawn."""
    timers: list[tuple[int, str, int, Position]]
    """(id, name, due, cause) of each that is pending."""
    timer_id: int
    """Of the last timer set."""
    next_seq: dict[str, int]
    """By output."""
    epoch: int
    started: bool
    """Whether `ActorStarted` was handled."""
    stale: dict[str, str]
    positions: dict[str, tuple[int, int]]
    """(epoch, sequence number of the next event) by stream read; of a `latest` input, the oldest
    event that may be needed again. Epoch 0 is none: the reader must be brought up to date."""
    read: dict[str, list[tuple[str, Any, int]]]
    """(tag, key, sequence number) of the newest values read, by stream of a `latest` input."""

    def digest(self) -> str:
        """Return the SHA-256 of what follows from the steps alone, in hexadecimal.

        Positions are left out: they also count events that nobody handles, which are no steps.
        """
        rest = (self.state, self.rng, self.timers, self.timer_id, self.next_seq, self.started)
        return sha256(encode(rest)).hexdigest()


def memory_of(actor: Actor, *, step: int, node_step: int, now: int) -> Memory:
    """Return what the actor knows, the three numbers being those of its last step.

    Raises:
        OverflowError: the state holds a number beyond 64 bits.
        TypeError: the state holds what MessagePack cannot.
    """
    latest = [reader for reader in actor.inputs if reader.conflation is not None]
    return Memory(
        step=step,
        node_step=node_step,
        now=now,
        state=msgspec.Raw(encode(actor.state)),
        rng=actor.rng_state,
        timers=actor.pending_timers(),
        timer_id=actor.last_timer,
        next_seq={output: stream.next_seq for output, stream in actor.streams.items()},
        epoch=actor.inbox.stream.epoch,
        started=actor.started,
        stale=dict(actor.stale),
        positions={r.source.name: _position_of(r) for r in actor.readers},
        read={r.source.name: r.conflation.read_by_key() for r in latest if r.conflation},
    )


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
    cls = type(actor)
    emitted = {c for classes in actor.outputs.values() for c in classes}
    read = classes_read(actor)
    return {
        "journal": 1,
        "node": node,
        "actor": actor.name,
        "class": f"{cls.__module__}:{cls.__qualname__}",
        **makings_of(actor),
        "inputs": [reader.source.name for reader in actor.inputs],
        "session": actor.session,
        "seed": seed,
        "epoch": actor.inbox.stream.epoch,
        "next_seq": {output: stream.next_seq for output, stream in actor.streams.items()},
        "outputs": {
            output: [tag_of(event_class) for event_class in classes]
            for output, classes in actor.outputs.items()
        },
        "classes": _import_names(read | emitted),
        "schema": schema_table(read | emitted),
    }


def made_otherwise(header: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether a segment's steps were made by other code or settings than the actor has now."""
    about = ("class", *MAKINGS, "inputs", "seed", "outputs", "schema")
    return any(header[name] != _as_read(now[name]) for name in about)


def _as_read(value: Any) -> Any:
    return msgspec.msgpack.decode(encode(value))


def _import_names(classes: Iterable[type[Event]]) -> dict[str, str]:
    return {tag_of(c): f"{c.__module__}:{c.__qualname__}" for c in sorted(classes, key=tag_of)}
