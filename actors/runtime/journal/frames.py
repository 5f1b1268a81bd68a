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
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import google_crc32c

from actors.runtime import codec
from actors.runtime.errors import KaijuError
from actors.runtime.journal.disk import Disk

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
SNAPSHOT = 3
"""Frame kind: what an actor was after a step."""
KINDS = bytes((EVENT, STEP, SNAPSHOT))

HEADER = struct.Struct("<8sHII")
FRAME = struct.Struct("<IIIB")
_pack_frame = FRAME.pack
_pack_checked = struct.Struct("<IIB").pack
crc32c: Callable[[bytes], int] = google_crc32c.value

SOMETHING = re.compile(rb"[^\0]")
FRAME_START = re.compile(rb"(?=.{3}[\0-\4].{8}[%s])" % KINDS, re.DOTALL)
"""Where a frame might begin: its length is allowed and its kind is known."""
CHECKED_ANYWAY = 2**12
"""Bytes of a body up to which it costs little to look for whole frames at every place."""
READ_AHEAD = 2**17
"""Bytes that are read from a file at once."""


class DamagedFileError(KaijuError):
    """A file is not what was written; `offset` is the first byte that cannot be trusted."""

    def __init__(self, path: Path, offset: int, found: str) -> None:
        super().__init__(f"{path}: byte {offset}: {found}")
        self.path = path
        self.offset = offset
        self.found = found


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
    body = codec.encode(header)
    crc = _header_crc(body)
    return HEADER.pack(MAGIC, VERSION, len(body), crc) + body, crc


def encode_frame(kind: int, body: bytes, previous_crc: int) -> tuple[bytes, int]:
    """Return the bytes of one frame and its CRC.

    Raises:
        ValueError: `body` is empty or larger than `LARGEST_BODY`.
    """
    length = len(body)
    if not 0 < length <= LARGEST_BODY:
        raise _wrong_length(length)
    crc = crc32c(_pack_checked(length, previous_crc, kind) + body)
    return _pack_frame(length, crc, previous_crc, kind) + body, crc


class FrameWriter:
    """Appends frames to one file; the file on disk is whole again when a method raises.

    Args:
        path: a new file, which gets `header`, or one that this class wrote; a torn tail is copied
            to a file ``torn-...`` beside it then and cut off, and `header` is not used.
        disk: what it is written with.

    Raises:
        DamagedFileError: the file exists and is not a whole file of frames.
        OSError: it cannot be created, or cut.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], disk: Disk | None = None) -> None:
        self._disk = disk or Disk()
        if not path.exists():
            self._disk.write_whole(path, encode_header(header)[0])
        with FrameFile(path) as file:
            extent = file.extent()
            self.header = file.header
            """What stands in the file."""
        self.path = path
        self.frames = extent.frames
        self.end = extent.end
        """Bytes of the file."""
        self.crc = extent.crc
        """Of the last frame; of the header where there is none."""
        self.torn = extent.torn
        """Bytes that an interrupted append had left; they are in the file ``torn-...``."""
        self._synced = -1
        self._overlong = False
        if extent.torn:
            _keep_aside(path, extent, self._disk)
        self._file = self._disk.open(path)
        self._disk_write = self._disk.write
        if extent.torn:
            self._disk.truncate(self._file, extent.end)
            self._disk.sync(self._file)

    def append(self, kind: int, body: bytes) -> int:
        """Write one frame; its bytes are with the system on return.

        Returns:
            Bytes of the file now.

        Raises:
            OSError: they could not all be written, such as on a full disk; nothing of the frame
                counts then, and a later call may go on.
            ValueError: `body` is empty or larger than `LARGEST_BODY`.
        """
        length, previous = len(body), self.crc
        if not 0 < length <= LARGEST_BODY:
            raise _wrong_length(length)
        crc = crc32c(_pack_checked(length, previous, kind) + body)
        self._write(_pack_frame(length, crc, previous, kind) + body, 1, crc)
        return self.end

    def append_all(self, kind: int, bodies: Iterable[bytes]) -> None:
        """Write one frame a body, all in one piece.

        Raises:
            OSError: as for `append`; none of the frames counts then.
            ValueError: as for `append`, and nothing was written.
        """
        frames, crc = [], self.crc
        for body in bodies:
            frame, crc = encode_frame(kind, body, crc)
            frames.append(frame)
        self._write(b"".join(frames), len(frames), crc)

    def trim(self) -> None:
        """Cut off what a failed append left where it could not do so itself.

        Raises:
            OSError: it cannot be done now either.
        """
        if self._overlong:
            self._disk.truncate(self._file, self.end)
            self._overlong = False

    def sync(self) -> None:
        """Return when everything appended would survive a loss of power.

        Raises:
            OSError: it might not, and trying again would not tell: the system may have dropped
                what it could not write.
        """
        end = self.end
        if end != self._synced:
            self._disk.sync(self._file)
            self._synced = end

    def is_in_place(self) -> bool:
        """Tell whether what is written goes to the file of that name: it may have been deleted.

        Raises:
            OSError: the disk does not say.
        """
        return self._disk.is_at(self._file, self.path)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._file >= 0:
            self._disk.close(self._file)
            self._file = -1

    def _write(self, piece: bytes, frames: int, crc: int) -> None:
        if self._overlong:
            self.trim()
        try:
            self._disk_write(self._file, piece)
        except BaseException:  # an interrupt as well: nothing may ever stand behind half a frame
            self._overlong = True
            with suppress(OSError):
                self.trim()
            raise
        self.crc = crc
        self.frames += frames
        self.end += len(piece)


class FrameFile:
    """Reads a file of frames: exactly what was written, or an error that says where it is not.

    What is appended after it was opened is not read.

    Raises:
        DamagedFileError: the header is not whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb", buffering=READ_AHEAD)
        self._extent: Extent | None = None
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            """Bytes."""
            self.header, self._start, self._crc = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def bodies(self, kind: int, skip: int = 0) -> Iterator[bytes]:
        """Yield the bodies of the frames of `kind`, up to the end or a torn tail.

        All frames are checked, other kinds and the first `skip` of this kind too. One reading
        of a file ends before another begins.

        Raises:
            DamagedFileError: what follows the frames yielded so far is damaged.
        """
        read, unpack, pack = self._file.read, FRAME.unpack, _pack_checked
        head, size = FRAME.size, self.size
        frames, end, previous = 0, self._start, self._crc
        self._file.seek(end)
        while size - end > head:
            length, crc, stored_previous, found_kind = unpack(read(head))
            behind = end + head + length
            if not 0 < length <= LARGEST_BODY or behind > size:
                break
            body = read(length)
            if crc != crc32c(pack(length, stored_previous, found_kind) + body):
                break
            if stored_previous != previous:
                raise self._misplaced(end, stored_previous, previous)
            frames, end, previous = frames + 1, behind, crc
            if found_kind != kind:
                continue
            if skip:
                skip -= 1
            else:
                yield body
        self._refuse_damage(end, previous)
        self._extent = Extent(frames, end, previous, size - end)

    def end_of(self, kind: int, frames: int) -> int:
        """Return the byte behind the first `frames` frames of a file that has one kind of them.

        Raises:
            DamagedFileError: they are damaged.
        """
        bodies = islice(self.bodies(kind), frames)
        return self._start + sum(FRAME.size + len(body) for body in bodies)

    def extent(self) -> Extent:
        """Return how far the file is whole; it is read once for that.

        Raises:
            DamagedFileError: it is damaged.
        """
        while self._extent is None:
            for _ in self.bodies(0):
                pass
        return self._extent

    def _read_header(self) -> tuple[dict[str, Any], int, int]:
        if self.size < HEADER.size:
            found = f"the file has {self.size} bytes, its header alone takes {HEADER.size}"
            raise DamagedFileError(self.path, 0, found)
        magic, version, length, crc = HEADER.unpack(self._file.read(HEADER.size))
        if magic != MAGIC:
            raise DamagedFileError(self.path, 0, f"starts with {magic!r}, allowed is {MAGIC!r}")
        if version != VERSION:
            found = f"format version is {version}, this program reads {VERSION}"
            raise DamagedFileError(self.path, len(MAGIC), found)
        body = self._file.read(min(length, self.size))
        if len(body) < length or crc != _header_crc(body):
            raise DamagedFileError(self.path, 0, "the header does not match its CRC")
        try:
            return codec.decode_header(body), HEADER.size + length, crc
        except codec.WideIntegerError as error:
            raise DamagedFileError(self.path, 0, f"its header has {error}") from error

    def _misplaced(self, offset: int, stored: int, previous: int) -> DamagedFileError:
        found = (
            f"this frame follows one with CRC {stored:08x}, but the one before it has"
            f" {previous:08x}: frames were lost or exchanged"
        )
        return DamagedFileError(self.path, offset, found)

    def _refuse_damage(self, offset: int, previous_crc: int) -> None:
        """Return if what begins at `offset` is an interrupted append, and raise otherwise."""
        # Its node may be appending, or cutting off the torn tail of the process before.
        size = min(self.size, os.fstat(self._file.fileno()).st_size)
        if offset >= size:
            return
        with mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ) as data:
            if SOMETHING.search(data, offset) is None:
                return
            whole_later = _find_whole_frame(data, offset + 1)
            if whole_later is not None:
                found = f"no whole frame here, but one at byte {whole_later}: the file is damaged"
                raise DamagedFileError(self.path, offset, found)
            rest = data[offset:]
        if not (_is_beginning(rest, previous_crc) or _has_zero_sector(rest, offset)):
            found = "the last frame does not match its CRC, and is no interrupted append either"
            raise DamagedFileError(self.path, offset, found)


def _keep_aside(path: Path, extent: Extent, disk: Disk) -> None:
    with path.open("rb") as file:
        file.seek(extent.end)
        torn = file.read(extent.torn)
    disk.write_whole(unused(path.with_name(f"torn-{path.stem}-{extent.end}")), torn)


def unused(path: Path) -> Path:
    """Return `path`, or the first of ``path-2``, ``path-3`` and so on that does not exist."""
    names = chain([path], (path.with_name(f"{path.name}-{n}") for n in count(2)))
    return next(name for name in names if not name.exists())


def _header_crc(body: bytes) -> int:
    return crc32c(HEADER.pack(MAGIC, VERSION, len(body), 0) + body)


def _wrong_length(length: int) -> ValueError:
    return ValueError(f"a frame's body was {length} bytes, allowed are 1 to {LARGEST_BODY}")


def _is_whole_frame(data: mmap.mmap, offset: int) -> bool:
    start = offset + FRAME.size
    if start >= len(data):
        return False
    length, crc, previous_crc, kind = FRAME.unpack_from(data, offset)
    end = start + length
    if not 0 < length <= LARGEST_BODY or end > len(data):
        return False
    if length > CHECKED_ANYWAY and not _is_followed(data, end, crc):
        return False
    return bool(crc == crc32c(_pack_checked(length, previous_crc, kind) + data[start:end]))


def _is_followed(data: mmap.mmap, end: int, crc: int) -> bool:
    """Tell whether what stands at `end` can be behind a frame with `crc`."""
    following = data[end : end + FRAME.size]
    if len(following) < FRAME.size or not any(following):
        return True
    return bool(FRAME.unpack(following)[2] == crc)


def _find_whole_frame(data: mmap.mmap, start: int) -> int | None:
    candidates = (found.start() for found in FRAME_START.finditer(data, start))
    return next((offset for offset in candidates if _is_whole_frame(data, offset)), None)


def _is_beginning(rest: bytes, previous_crc: int) -> bool:
    """Tell whether `rest` can be the first bytes of the next frame, but not all of them."""
    if len(rest) <= FRAME.size:
        return True
    length, crc, stored_previous_crc, kind = FRAME.unpack_from(rest)
    body = rest[FRAME.size :]
    # All bytes may be there and only the length be wrong: then the CRC fits the true length.
    complete = crc == crc32c(_pack_checked(len(body), stored_previous_crc, kind) + body)
    return length > len(body) and stored_previous_crc == previous_crc and not complete


def _has_zero_sector(rest: bytes, offset: int) -> bool:
    """Tell whether a power failure left a whole sector of `rest` unwritten."""
    first = -offset % SECTOR
    starts = range(first, len(rest) - SECTOR + 1, SECTOR)
    return any(not rest[start : start + SECTOR].strip(b"\0") for start in starts)
