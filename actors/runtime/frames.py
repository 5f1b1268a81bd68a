"""Files of frames: what the recorder writes, and the journal too.

A file is a header and then frames, all integers little-endian::

    header  magic 8 bytes | version u16 | length u32 | crc u32 | body: MessagePack map
    frame   length u32 | crc u32 | previous crc u32 | kind u8 | body: `length` bytes

A CRC is the CRC-32C of everything in its header or frame but itself. A frame also stores the CRC
of the frame before it (of the header, for the first), so each frame can be checked alone and its
place in the file as well. That is what tells a torn tail from damage: what an interrupted
append leaves is the beginning of one frame with nothing whole behind it; anything else that does
not check is damage, and is refused rather than guessed at. Nothing but a MessagePack library is
needed to read a file: its header holds the schema table (`actors.runtime.schema`).
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import google_crc32c
import msgpack

MAGIC = b"kaiju\r\n\x1a"
"""Starts every file; the line end shows a transfer that took it for text."""
VERSION = 1
LARGEST_BODY = 64 * 2**20
"""Bytes; a greater length can only be damage."""
SECTOR = 512
"""Bytes that a disk writes whole; a power failure leaves whole sectors of zeros."""

EVENT = 1
"""Frame kind: one event with its envelope, ``[stream, epoch, seq, cause, root, time, event]``."""
STEP = 2
"""Frame kind: one step of an actor."""

HEADER = struct.Struct("<8sHII")
FRAME = struct.Struct("<IIIB")
FRAME_WITHOUT_CRC = struct.Struct("<IIB")


class DamagedFileError(Exception):
    """A file is not what was written; `offset` is the first byte that cannot be trusted."""

    def __init__(self, path: Path, offset: int, found: str) -> None:
        super().__init__(f"{path}: byte {offset}: {found}")
        self.path = path
        self.offset = offset


class Frame(NamedTuple):
    """One whole frame."""

    offset: int
    """Its first byte in the file."""
    kind: int
    body: bytes
    crc: int
    previous_crc: int

    @property
    def end(self) -> int:
        """The byte behind its last."""
        return self.offset + FRAME.size + len(self.body)


class Extent(NamedTuple):
    """How far a file is whole."""

    frames: int
    end: int
    """The byte behind the last whole frame: where the next one belongs."""
    crc: int
    """What the next frame stores as its predecessor's CRC."""
    torn: int
    """Bytes behind `end` that an interrupted append left."""


def encode_header(header: Mapping[str, Any]) -> tuple[bytes, int]:
    """Return the bytes of a file's header and their CRC."""
    body = msgpack.packb(header)
    crc = _header_crc(body)
    return HEADER.pack(MAGIC, VERSION, len(body), crc) + body, crc


def encode_frame(kind: int, body: bytes, previous_crc: int) -> tuple[bytes, int]:
    """Return the bytes of one frame and its CRC.

    Raises:
        ValueError: `body` is empty or larger than `LARGEST_BODY`.
    """
    if not 0 < len(body) <= LARGEST_BODY:
        raise ValueError(f"a frame's body was {len(body)} bytes, allowed are 1 to {LARGEST_BODY}")
    crc = _frame_crc(kind, body, previous_crc)
    return FRAME.pack(len(body), crc, previous_crc, kind) + body, crc


class FrameWriter:
    """Appends frames to one file; the file on disk is whole again when `append` raises.

    Args:
        path: a new file, which gets `header`, or one that this class wrote; a torn tail is cut
            off then, and `header` is not used.

    Raises:
        DamagedFileError: the file exists and is not a whole file of frames.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        if not path.exists():
            _create(path, header)
        with FrameFile(path) as file:
            extent = file.extent()
        self.path = path
        self.frames = extent.frames
        self._end, self._crc = extent.end, extent.crc
        self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.ftruncate(self._file, self._end)
        os.lseek(self._file, self._end, os.SEEK_SET)

    def append(self, kind: int, bodies: Iterable[bytes]) -> None:
        """Write one frame a body, all in one piece; bytes are with the system on return.

        Raises:
            OSError: they could not all be written, such as on a full disk; none of them is
                in the file then.
        """
        frames, crc = [], self._crc
        for body in bodies:
            frame, crc = encode_frame(kind, body, crc)
            frames.append(frame)
        piece = b"".join(frames)
        try:
            _write_all(self._file, piece)
        except OSError:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, self._end, os.SEEK_SET)
            raise
        self.frames += len(frames)
        self._end += len(piece)
        self._crc = crc

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class FrameFile:
    """Reads a file of frames: exactly what was written, or an error that says where it is not.

    Raises:
        DamagedFileError: the header is not whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        """Bytes."""
        if self.size < HEADER.size:
            found = f"the file has {self.size} bytes, its header alone takes {HEADER.size}"
            raise DamagedFileError(path, 0, found)
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ)
        self.header, self._start, self._crc = self._read_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._data.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames up to the end or a torn tail.

        Raises:
            DamagedFileError: what follows the frames yielded so far is damaged.
        """
        offset, previous = self._start, self._crc
        while (frame := _whole_frame(self._data, offset)) is not None:
            if frame.previous_crc != previous:
                found = (
                    f"this frame follows one with CRC {frame.previous_crc:08x}, but the one before"
                    f" it has {previous:08x}: frames were lost or exchanged"
                )
                raise DamagedFileError(self.path, offset, found)
            yield frame
            offset, previous = frame.end, frame.crc
        self._refuse_damage(offset, previous)

    def extent(self) -> Extent:
        """Read the whole file and return how far it is whole.

        Raises:
            DamagedFileError: it is damaged.
        """
        count, end, crc = 0, self._start, self._crc
        for frame in self:
            count, end, crc = count + 1, frame.end, frame.crc
        return Extent(count, end, crc, self.size - end)

    def _read_header(self) -> tuple[dict[str, Any], int, int]:
        magic, version, length, crc = HEADER.unpack_from(self._data)
        if magic != MAGIC:
            raise DamagedFileError(self.path, 0, f"starts with {magic!r}, allowed is {MAGIC!r}")
        if version != VERSION:
            found = f"format version is {version}, this program reads {VERSION}"
            raise DamagedFileError(self.path, len(MAGIC), found)
        body = self._data[HEADER.size : HEADER.size + length]
        if len(body) < length or crc != _header_crc(body):
            raise DamagedFileError(self.path, 0, "the header does not match its CRC")
        return msgpack.unpackb(body), HEADER.size + length, crc

    def _refuse_damage(self, offset: int, previous_crc: int) -> None:
        """Return if what begins at `offset` is an interrupted append, and raise otherwise."""
        rest = self._data[offset:]
        if not rest.strip(b"\0"):
            return
        whole_later = _find_whole_frame(self._data, offset + 1)
        if whole_later is not None:
            found = f"no whole frame here, but one at byte {whole_later}: the file is damaged"
            raise DamagedFileError(self.path, offset, found)
        if not (_is_beginning(rest, previous_crc) or _has_zero_sector(rest, offset)):
            found = "the last frame does not match its CRC, and is no interrupted append either"
            raise DamagedFileError(self.path, offset, found)


def _create(path: Path, header: Mapping[str, Any]) -> None:
    # A name with half a header behind it must never exist: it could be neither read nor resumed.
    started = path.with_name(path.name + ".new")
    started.write_bytes(encode_header(header)[0])
    started.rename(path)


def _write_all(file: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(file, rest) :]


def _header_crc(body: bytes) -> int:
    return int(google_crc32c.value(HEADER.pack(MAGIC, VERSION, len(body), 0) + body))


def _frame_crc(kind: int, body: bytes, previous_crc: int) -> int:
    head = FRAME_WITHOUT_CRC.pack(len(body), previous_crc, kind)
    return int(google_crc32c.value(head + body))


def _whole_frame(data: mmap.mmap, offset: int) -> Frame | None:
    start = offset + FRAME.size
    if start >= len(data):
        return None
    length, crc, previous_crc, kind = FRAME.unpack_from(data, offset)
    if not 0 < length <= min(LARGEST_BODY, len(data) - start):
        return None
    body = data[start : start + length]
    if crc != _frame_crc(kind, body, previous_crc):
        return None
    return Frame(offset, kind, body, crc, previous_crc)


def _find_whole_frame(data: mmap.mmap, start: int) -> int | None:
    for offset in range(start, len(data) - FRAME.size):
        if _whole_frame(data, offset) is not None:
            return offset
    return None


def _is_beginning(rest: bytes, previous_crc: int) -> bool:
    """Tell whether `rest` can be the first bytes of the next frame, but not all of them."""
    if len(rest) <= FRAME.size:
        return True
    length, crc, stored_previous_crc, kind = FRAME.unpack_from(rest)
    body = rest[FRAME.size :]
    # All bytes may be there and only the length be wrong: then the CRC fits the true length.
    complete = crc == _frame_crc(kind, body, stored_previous_crc)
    return length > len(body) and stored_previous_crc == previous_crc and not complete


def _has_zero_sector(rest: bytes, offset: int) -> bool:
    """Tell whether a power failure left a whole sector of `rest` unwritten."""
    first = -offset % SECTOR
    starts = range(first, len(rest) - SECTOR + 1, SECTOR)
    return any(not rest[start : start + SECTOR].strip(b"\0") for start in starts)
