"""What two nodes say to each other beside the events: on the publisher's recovery socket.

Each message is one frame: a version byte, then the MessagePack array ``[tag, field, ...]``. Fields
are appended with defaults, so a reader of an older version reads a newer message's beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec

from topology.links.frame import LARGEST_FRAME, MalformedError

VERSION = 2
"""Of this conversation; odd numbers would be taken for a live frame's."""
LARGEST_REQUEST = 2**20
"""Bytes of what a reader says; the largest is its `Hello`."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Schema(msgspec.Struct, frozen=True):
    """The schema table of some classes, as `actors.runtime.schema` makes it: a MessagePack map."""

    events: dict[str, list[list[Any]]] = {}
    """By tag, the fields: ``[name, type]`` or ``[name, type, default]``."""
    enums: dict[str, dict[str, Any]] = {}


class Handled(NamedTuple):
    """How far a reader is in a stream."""

    epoch: int
    """In which `read` counts."""
    read: Number
    """All before it was handled: the publisher's memory may forget it."""
    kept: Number
    """Where the reader would go on after a crash: journals may forget what is before it."""


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all messages; each repeats its options, which mypy does not inherit."""


class Hello(Message, frozen=True, array_like=True, tag=True, gc=False):
    """A node wants to read: the first message of every connection."""

    node: str
    topology: str
    wants: dict[str, Schema]
    """By stream, the classes that are handled."""
    observer: bool = False
    """It only looks: nobody waits for it, and nothing is kept for it."""


class Welcome(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The publisher knows the reader."""

    node: str
    incarnation: int
    """Changes when the publisher starts anew."""
    streams: dict[str, tuple[Number, Number]]
    """(epoch, next sequence number) of each stream that was asked for and is given."""


class Stranger(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The publisher does not know who speaks: say hello first."""


class Refused(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The publisher will not speak with this node, or not about this stream."""

    stream: str
    """Empty for all."""
    reason: str


class Resume(Message, frozen=True, array_like=True, tag=True, gc=False):
    """Give me `stream` from `position` on; epoch 0 has nothing yet and wants a snapshot or all."""

    stream: str
    epoch: Number
    position: Number
    request: Number
    """Of the reader, so that answers to an older request are known as such."""
    begun: bool = False
    """With epoch 0: the reader had begun before, and has handled nothing: give it everything."""


class Replay(Message, frozen=True, array_like=True, tag=True, gc=False):
    """A live frame's bytes, on request; the next come when `More` was said."""

    request: int
    frame: bytes


class More(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The reader has taken one more frame of a request."""

    stream: str
    request: int


class Resumed(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The reader now has all before `position`; what follows comes live."""

    stream: str
    epoch: Number
    position: Number
    request: int


class Reset(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The events that were asked for are not there any more: this is what they came to."""

    stream: str
    epoch: Number
    position: Number
    reason: str
    snapshot: tuple[msgspec.Raw, ...]
    """Events."""
    request: int


class TakeSnapshot(Message, frozen=True, array_like=True, tag=True, gc=False):
    """What do all events of `stream` so far come to? The stream itself goes on as it was."""

    stream: str
    request: Number


class Snapshot(Message, frozen=True, array_like=True, tag=True, gc=False):
    """All events before `position` come to this."""

    stream: str
    epoch: Number
    position: Number
    events: tuple[msgspec.Raw, ...]
    request: int


class Positions(Message, frozen=True, array_like=True, tag=True, gc=False):
    """How far the reader is, by stream."""

    positions: dict[str, Handled]


class Ping(Message, frozen=True, array_like=True, tag=True, gc=False):
    """Are you there? Answered with a `Pong`."""


class Pong(Message, frozen=True, array_like=True, tag=True, gc=False):
    """I am."""


ToPublisher: TypeAlias = Hello | Resume | More | TakeSnapshot | Positions | Ping
ToReader: TypeAlias = Welcome | Stranger | Refused | Replay | Resumed | Reset | Snapshot | Pong

_encode = msgspec.msgpack.Encoder().encode
_of_reader = msgspec.msgpack.Decoder(ToPublisher).decode
_of_publisher = msgspec.msgpack.Decoder(ToReader).decode


def encode_message(message: Message) -> bytes:
    """Return a message as it goes over the wire."""
    return bytes([VERSION]) + _encode(message)


def read_of_reader(data: bytes) -> ToPublisher:
    """Return what a reader said.

    Raises:
        MalformedError: it is no message of a reader in this version.
    """
    message: ToPublisher = _read(data, _of_reader, LARGEST_REQUEST)
    return message


def read_of_publisher(data: bytes) -> ToReader:
    """Return what a publisher said.

    Raises:
        MalformedError: it is no message of a publisher in this version.
    """
    message: ToReader = _read(data, _of_publisher, LARGEST_FRAME)
    return message


def _read(data: bytes, decode: Callable[[bytes], Any], largest: int) -> Any:
    if len(data) > largest:
        raise MalformedError("oversized", f"{len(data)} bytes, allowed are {largest}")
    if data[:1] != bytes([VERSION]):
        raise MalformedError(
            "version", f"version {data[:1].hex() or 'none'}, allowed is {VERSION:02x}"
        )
    try:
        return decode(data[1:])
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise MalformedError("content", f"no message: {error}") from error
