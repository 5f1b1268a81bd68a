"""What a subscriber asks the owner of the sockets and actors to do."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from actors.events.event import Event
from actors.runtime.envelope import Envelope
from topology.links.messages import Message


class Delivered(NamedTuple):
    """The next events of a stream; `sent` is when they were sent, in the publisher's UTC ns."""

    stream: str
    envelopes: list[Envelope]
    sent: int


class WasReset(NamedTuple):
    """Events are lost; the stream goes on at `position` of `epoch`."""

    stream: str
    epoch: int
    position: int
    reason: str
    snapshot: tuple[Event, ...]


class BecameLive(NamedTuple):
    """Nothing is missing any more; new events come live."""

    stream: str


class BecameStale(NamedTuple):
    """Something may be missing."""

    stream: str
    reason: str


class CannotResume(NamedTuple):
    """The publisher refused the stream, or it cannot be decoded; no events come."""

    stream: str
    reason: str


class SnapshotTaken(NamedTuple):
    """The answer to `want_snapshot`: `events` replace all before `position`."""

    stream: str
    epoch: int
    position: int
    events: tuple[Event, ...]


class Send(NamedTuple):
    """A message for the publisher's recovery socket."""

    message: Message


class Reconnect(NamedTuple):
    """Make new sockets to the publisher, then call `begin`."""

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
