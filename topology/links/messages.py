"""What two nodes say to each other beside the events: on the publisher's recovery socket.

Each message is one frame: a version byte, then the MessagePack array ``[tag, field, ...]``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from topology.links.frame import LARGEST_FRAME, MalformedError

VERSION = 2
"""Of this conversation; odd numbers would be taken for a live frame's."""


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all messages; each repeats its options, which mypy does not inherit."""


class Hello(Message, frozen=True, array_like=True, tag=True, gc=False):
    """A node wants to read; the first message after every connection, and its answer to silence."""

    node: str
    topology: str
    wants: dict[str, dict[str, list[list[object]]]]
    """By stream, what is handled: fields by tag, as `actors.runtime.schema` has them."""


class Welcome(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The publisher knows the reader."""

    node: str
    incarnation: int
    """Changes when the publisher starts anew."""
    streams: dict[str, tuple[int, int]]
    """(epoch, next sequence number) of each stream that was asked for."""


class Refused(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The publisher will not speak with this node, or not about this stream."""

    stream: str
    """Empty for all."""
    reason: str


class Resume(Message, frozen=True, array_like=True, tag=True, gc=False):
    """Give me `stream` from `position` on; epoch 0 has nothing yet and wants a snapshot or all."""

    stream: str
    epoch: int
    position: int
    request: int
    """Of the reader, so that answers to an older request are known as such."""


class Replay(Message, frozen=True, array_like=True, tag=True, gc=False):
    """A live frame's bytes, on request; the next come when `More` was said."""

    request: int
    frame: bytes


class More(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The reader has handled the frames of a request so far."""

    stream: str
    request: int


class Resumed(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The reader now has all before `position`; what follows comes live."""

    stream: str
    epoch: int
    position: int
    request: int


class Reset(Message, frozen=True, array_like=True, tag=True, gc=False):
    """The events that were asked for are not there any more: this is what they came to."""

    stream: str
    epoch: int
    position: int
    reason: str
    snapshot: tuple[msgspec.Raw, ...]
    """Events, each encoded by itself."""
    request: int


class Positions(Message, frozen=True, array_like=True, tag=True, gc=False):
    """How far the reader is: what comes before, the publisher may forget."""

    positions: dict[str, int]


class Ping(Message, frozen=True, array_like=True, tag=True, gc=False):
    """Are you there? Answered with a `Pong`."""


class Pong(Message, frozen=True, array_like=True, tag=True, gc=False):
    """I am."""


ToPublisher = Hello | Resume | More | Positions | Ping
ToReader = Welcome | Refused | Replay | Resumed | Reset | Pong

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
    message: ToPublisher = _read(data, _of_reader)
    return message


def read_of_publisher(data: bytes) -> ToReader:
    """Return what a publisher said.

    Raises:
        MalformedError: it is no message of a publisher in this version.
    """
    message: ToReader = _read(data, _of_publisher)
    return message


def _read(data: bytes, decode: Callable[[bytes], Any]) -> Any:
    if len(data) > LARGEST_FRAME:
        raise MalformedError(f"{len(data)} bytes, allowed are {LARGEST_FRAME}")
    if data[:1] != bytes([VERSION]):
        raise MalformedError(f"version {data[:1].hex() or 'none'}, allowed is {VERSION:02x}")
    try:
        return decode(data[1:])
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise MalformedError(f"no message: {error}") from error
