"""The messages between two nodes on the publisher's recovery socket, besides live frames.

Each message is one frame: a version byte, then the MessagePack array ``[tag, field, ...]``. Fields
are appended with defaults, so an older reader can read the beginning of a newer message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec

from actors.runtime import codec
from topology.links.frame import LARGEST_FRAME, MalformedError

VERSION = 2
"""Of these messages; an odd number could be mistaken for that of a live frame."""
LARGEST_REQUEST = 2**20
"""Largest message of a reader, in bytes; its `Hello` is the largest."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Schema(msgspec.Struct, frozen=True):
    """The schema table of some classes, as made by `actors.runtime.schema`: a MessagePack map."""

    events: dict[str, list[list[Any]]] = {}
    """Fields by tag: ``[name, type]`` or ``[name, type, default]``."""
    enums: dict[str, dict[str, Any]] = {}


class Handled(NamedTuple):
    """A reader's position in a stream."""

    epoch: int
    """In which `read` counts."""
    read: Number
    """Everything before was handled: the publisher may drop it from memory."""
    kept: Number
    """Where the reader would resume after a crash: journals may drop everything before."""


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all messages; each repeats its options, which mypy does not inherit."""


class Hello(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The first message of every connection: a node wants to read."""

    node: str
    topology: str
    wants: dict[str, Schema]
    """Schema of the handled classes, by stream."""
    observer: bool = False
    """The reader only observes: nobody waits for it, and nothing is kept for it."""


class Welcome(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The publisher accepts the reader."""

    node: str
    incarnation: int
    """Changes with every start of the publisher."""
    streams: dict[str, tuple[Number, Number]]
    """(epoch, next sequence number) of each requested stream that the reader may read."""


class Stranger(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The publisher does not know the sender, which must send `Hello` first."""


class Refused(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The publisher refuses this node, or one stream to it."""

    stream: str
    """Empty for all."""
    reason: str


class Resume(Message, frozen=True, array_like=True, tag=True, gc=False):
    """A request for `stream` from `position` on; with epoch 0, for a snapshot or everything."""

    stream: str
    epoch: Number
    position: Number
    request: Number
    """Number of the request, which tells its answers from those to older requests."""
    begun: bool = False
    """With epoch 0: the reader has begun before and handled nothing, so it gets everything."""


class Replay(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The bytes of a link frame, on request; `More` asks for the next."""

    request: int
    frame: bytes


class More(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The reader has received one more frame of a request."""

    stream: str
    request: int


class Resumed(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The reader has everything before `position`; what follows comes live."""

    stream: str
    epoch: Number
    position: Number
    request: int


class Reset(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The requested events are no longer kept; a snapshot stands in for them."""

    stream: str
    epoch: Number
    position: Number
    reason: str
    snapshot: tuple[msgspec.Raw, ...]
    """Events."""
    request: int


class TakeSnapshot(Message, frozen=True, array_like=True, tag=True, gc=False):
    """A request for a snapshot of `stream`, which itself goes on as before."""

    stream: str
    request: Number


class Snapshot(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The snapshot that replaces all events before `position`."""

    stream: str
    epoch: Number
    position: Number
    events: tuple[msgspec.Raw, ...]
    request: int


class Positions(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The reader's positions, by stream."""

    positions: dict[str, Handled]


class Ping(Message, frozen=True, array_like=True, tag=True, gc=False):
    """A sign of life; the answer is a `Pong`."""


class Pong(Message, frozen=True, array_like=True, tag=True, gc=False):
    """I am."""


ToPublisher: TypeAlias = Hello | Resume | More | TakeSnapshot | Positions | Ping
ToReader: TypeAlias = Welcome | Stranger | Refused | Replay | Resumed | Reset | Snapshot | Pong

_of_reader = codec.decoder(ToPublisher)
_of_publisher = codec.decoder(ToReader)


def encode_message(message: Message) -> bytes:
    """Encode a message."""
    return bytes([VERSION]) + codec.encode(message)


def read_of_reader(data: bytes) -> ToPublisher:
    """Decode a message of a reader.

    Raises:
        MalformedError: it is no message of a reader in this version.
    """
    message: ToPublisher = _read(data, _of_reader, LARGEST_REQUEST)
    return message


def read_of_publisher(data: bytes) -> ToReader:
    """Decode a message of a publisher.

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
