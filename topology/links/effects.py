"""What a reader of another node's streams wants done by whoever owns sockets and actors."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from actors.events.event import Event
from actors.runtime.envelope import Envelope
from topology.links.messages import Message


class Delivered(NamedTuple):
    """The next events of a stream; `sent` is when they left, UTC nanoseconds there."""

    stream: str
    envelopes: list[Envelope]
    sent: int


class WasReset(NamedTuple):
    """Events are missing and will not come; the stream goes on at `position` of `epoch`."""

    stream: str
    epoch: int
    position: int
    reason: str
    snapshot: tuple[Event, ...]


class BecameLive(NamedTuple):
    """Nothing is missing any more, and what is emitted next comes by itself."""

    stream: str


class BecameStale(NamedTuple):
    """Something may be missing."""

    stream: str
    reason: str


class CannotResume(NamedTuple):
    """The publisher refused the stream, or what it sends cannot be read; nothing comes of it."""

    stream: str
    reason: str


class SnapshotTaken(NamedTuple):
    """What was asked for by `want_snapshot`: `events` stand for all before `position`."""

    stream: str
    epoch: int
    position: int
    events: tuple[Event, ...]


class Send(NamedTuple):
    """A message for the publisher's recovery socket."""

    message: Message


class Reconnect(NamedTuple):
    """Make both sockets to the publisher anew, then call `begin`."""

    reason: str


Effect: TypeAlias = (
    Delivered
    | WasReset
    | BecameLive
    | BecameStale
    | CannotResume
    | SnapshotTaken
    | Send
    | Reconnect
)
