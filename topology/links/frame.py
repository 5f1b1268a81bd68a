"""A link frame: consecutive events of a stream, or none, as a heartbeat that tells its position.

All integers are little-endian::

    topic     the stream's name and a zero byte
    head      version u8 | 0 u8 | epoch u32 | first u64 | count u16 | sent u64
    events    MessagePack array of `count` events ``[cause, root, time, event]``
    crc       u32

`first` is the sequence number of the first event; of an empty frame, a heartbeat, that of the next
event to come. `sent` is UTC nanoseconds. The CRC is the CRC-32C of all bytes before it. `cause`
is ``[stream, epoch, seq]`` or nil, `root` ``[stream, epoch, seq, arrival]``, `time` UTC nanoseconds
and `event` ``[tag, field, ...]``; `docs/wire.md` describes it for other languages.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

import msgspec

from actors.events.event import Event
from actors.runtime import codec
from actors.runtime.envelope import Envelope, Position, Root
from actors.runtime.journal.frames import crc32c

VERSION = 1
MAX_EVENTS = 256
"""Events of one frame."""
ENOUGH_BYTES = 64 * 1024
"""Encoded bytes after which a frame takes no further event."""
LARGEST_FRAME = 16 * 2**20
"""Bytes; a larger frame is not read."""

HEAD = struct.Struct("<BBIQHQ")
CRC = struct.Struct("<I")
DELIMITER = b"\0"
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for malformed bytes."""
MAX_TOPIC_LENGTH = 256
"""Bytes, with the delimiter."""


class MalformedError(ValueError):
    """A frame or message is malformed; the text says what was found and what is allowed.

    Args:
        kind: `oversized`, `cut`, `version`, `crc` or `content`.
        text: the reason, for people.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class LinkFrame(NamedTuple):
    """A received frame, its events still encoded."""

    stream: str
    epoch: int
    first: int
    size: int
    sent: int
    events: bytes

    @property
    def end(self) -> int:
        """Sequence number after its last event."""
        return self.first + self.size


class Unknown(Event):
    """An event of a class that this node does not handle."""

    tag: str
    body: bytes
    """The encoded event: MessagePack ``[tag, field, ...]``."""


def topic_of(stream: str) -> bytes:
    """Return the topic to which subscribers of exactly this stream subscribe."""
    return stream.encode() + DELIMITER


def encode_frame(
    stream: str, epoch: int, first: int, sent: int, events: Sequence[Envelope]
) -> bytes:
    """Return a frame of `events`, which begin at `first`; without events, a heartbeat."""
    head = topic_of(stream) + HEAD.pack(VERSION, 0, epoch, first, len(events), sent)
    placed = [(e.cause, e.root, e.time, e.event) for e in events]
    try:
        body = codec.encode_narrow(placed)
    except OverflowError:
        body = codec.encode_wide(placed)
    checked = head + body
    return checked + CRC.pack(crc32c(checked))


def read_frame(data: bytes) -> LinkFrame:
    """Decode a frame, but not its events.

    Raises:
        MalformedError: it is cut, damaged, of another version or too long.
    """
    if len(data) > LARGEST_FRAME:
        raise MalformedError("oversized", f"{len(data)} bytes, allowed are {LARGEST_FRAME}")
    start = data.find(DELIMITER, 0, MAX_TOPIC_LENGTH) + 1
    events = start + HEAD.size
    if not start or len(data) <= events + CRC.size:
        raise MalformedError("cut", f"{len(data)} bytes without a whole head")
    version, _, epoch, first, count, sent = HEAD.unpack_from(data, start)
    if version != VERSION:
        raise MalformedError("version", f"version {version}, allowed is {VERSION}")
    checked = data[: -CRC.size]
    if CRC.unpack_from(data, len(checked)) != (crc32c(checked),):
        raise MalformedError("crc", "the CRC does not fit")
    try:
        stream = data[: start - 1].decode("ascii")
    except UnicodeDecodeError:
        raise MalformedError(
            "content", f"a topic of {data[: start - 1]!r}, allowed is ASCII"
        ) from None
    return LinkFrame(stream, epoch, first, count, sent, checked[events:])


class EventDecoder:
    """Decodes the events of one stream's frames.

    Args:
        classes: handled by this node; all others become `Unknown`.
    """

    def __init__(self, classes: Iterable[type[Event]]) -> None:
        known: Any = reduce(or_, set(classes), Unknown)
        self._all = codec.decoder(list[tuple[Position | None, Root, int, known]])
        self._each = codec.decoder(list[tuple[Position | None, Root, int, msgspec.Raw]])
        self._one = codec.decoder(known)

    def snapshot(self, raws: Iterable[msgspec.Raw]) -> tuple[Event, ...]:
        """Decode events that were encoded one by one, leaving out those not handled here."""
        events = map(self._known, raws)
        return tuple(event for event in events if not isinstance(event, Unknown))

    def read(self, frame: LinkFrame) -> list[Envelope]:
        """Decode the events of a frame.

        Raises:
            MalformedError: they are malformed, or not as many as the frame says.
        """
        try:
            found = self._all(frame.events)
        except UNREADABLE:
            found = self._one_by_one(frame)
        if len(found) != frame.size:
            raise MalformedError(
                "content", f"{len(found)} events where the frame says {frame.size}"
            )
        stream, epoch = frame.stream, frame.epoch
        return [
            Envelope((stream, epoch, seq), cause, root, time, event)
            for seq, (cause, root, time, event) in enumerate(found, frame.first)
        ]

    def _one_by_one(self, frame: LinkFrame) -> list[tuple[Position | None, Root, int, Event]]:
        try:
            raws = self._each(frame.events)
        except UNREADABLE as error:
            raise MalformedError("content", f"not a list of events: {error}") from error
        return [(cause, root, time, self._known(raw)) for cause, root, time, raw in raws]

    def _known(self, raw: msgspec.Raw) -> Event:
        try:
            event: Event = self._one(raw)
        except codec.WideIntegerError as error:
            raise MalformedError("content", str(error)) from error
        except UNREADABLE:
            return Unknown(_tag_of(raw), bytes(raw))
        return event


def _tag_of(raw: msgspec.Raw) -> str:
    try:
        decoded = codec.decode(raw)
    except UNREADABLE:
        return ""
    return str(decoded[0]) if isinstance(decoded, list) and decoded else ""
