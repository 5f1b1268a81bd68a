"""Files of raw messages, a line ``<UTC ns at the recorder> <message>``, plain or gzip."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

from actors.events.event import Event
from actors.events.system import RawMessage

LATEST_STAMP = 1 << 62
MAX_STAMP_LENGTH = 19
MAX_LINE = 8 * 2**20
"""Bytes; a snapshot of a deep book has a tenth of that."""

Messages: TypeAlias = "Generator[tuple[int, RawMessage | FileEnded], None, None]"
"""(UTC nanoseconds, event), in time order."""


class FileEnded(Event):
    """A file of a recording has ended."""

    source: str
    line: int
    """One more than the lines read."""
    damage: str = ""
    """Why the rest could not be read; empty if the file was read whole."""
    received: int = 0
    """Time of the last line, UTC nanoseconds."""


class Line(NamedTuple):
    """One line of a recording, or the end of one of its files."""

    source: str
    number: int
    stamp: int | None
    """When the recorder received it, UTC nanoseconds; None if damaged."""
    payload: bytes
    damage: str | None = None
    """None for a line; `FileEnded.damage` for the end of a file."""


class Recording:
    """The recorded files of one instrument, which follow each other in time.

    Args:
        instrument: first part of the sources' names.
        files: in time order.
    """

    def __init__(self, instrument: str, files: Sequence[Path]) -> None:
        self.instrument = instrument
        self.sources = _source_names(instrument, files)
        self.size = sum(path.stat().st_size for path in files)
        """Bytes of all files as they are on disk."""
        self._done = 0
        self._open: IO[bytes] | None = None

    @property
    def done(self) -> int:
        """Bytes read so far, as they are on disk."""
        return self._done + (self._open.tell() if self._open is not None else 0)

    def began(self) -> int:
        """Return the first valid time, UTC nanoseconds; 0 if there is none."""
        again = Recording(self.instrument, list(self.sources.values()))
        with closing(again.messages({})) as messages:
            return next((time for time, _ in messages if time), 0)

    def messages(self, handled: Mapping[str, int], start: int = 0) -> Messages:
        """Read on from a position, in time order; after each file comes its `FileEnded`.

        Args:
            handled: last line handled, by source; the end of a file counts as one. Empty reads
                from the beginning.
            start: earliest time to return, UTC nanoseconds. To continue exactly as if reading had
                never been interrupted, the time of the last line handled.
        """
        return in_time_order(self._lines(handled), start)

    def _lines(self, handled: Mapping[str, int]) -> Generator[Line, None, None]:
        position = max((n for n, s in enumerate(self.sources) if s in handled), default=0)
        for n, (source, path) in enumerate(self.sources.items()):
            if n < position:
                self._done += path.stat().st_size
            else:
                yield from self._lines_of(source, path, handled.get(source, 0))

    def _lines_of(self, source: str, path: Path, handled: int) -> Iterator[Line]:
        with path.open("rb") as file:
            self._open = file
            lines = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            number, line, damage = 0, b"", ""
            try:
                while following := lines.readline(MAX_LINE + 1):
                    if len(following) > MAX_LINE:
                        damage = f"line {number + 1} has more than {MAX_LINE:,} bytes"
                        break
                    number, line = number + 1, following
                    if number > handled:
                        yield parse_line(source, number, line)
            except (OSError, EOFError, zlib.error) as error:
                damage = str(error)
            finally:
                self._done += file.tell()
                self._open = None
        if number + 1 > handled:
            stamp = parse_line(source, number, line).stamp
            yield Line(source, number + 1, stamp, b"", damage)


def parse_line(source: str, number: int, line: bytes) -> Line:
    """Split a line; without a valid time, the whole line is the message."""
    line = line.rstrip(b"\r\n")
    stamp, _, payload = line.partition(b" ")
    if stamp.isdigit() and len(stamp) <= MAX_STAMP_LENGTH and (time := int(stamp)) < LATEST_STAMP:
        return Line(source, number, time, payload)
    return Line(source, number, None, line)


def in_time_order(lines: Iterator[Line], start: int = 0) -> Messages:
    """Give each line a time that is never before the last one's.

    A time that is damaged, or later than the next line's, would send the clock ahead of everything
    after it; such a line takes the next line's time. The end of a file takes the last line's.
    """
    now = start
    held: Line | None = None
    ends: list[Line] = []
    for line in chain(lines, (None,)):
        if line is not None and line.damage is not None:
            ends.append(line)
            continue
        following = None if line is None else line.stamp
        if held is not None:
            now = _earliest(now, held.stamp, following)
            yield now, RawMessage(held.source, held.number, held.payload, now)
        for end in ends:
            now = _earliest(now, end.stamp, following)
            yield now, FileEnded(end.source, end.number, end.damage or "", now)
        ends.clear()
        held = line


def _earliest(now: int, stamp: int | None, following: int | None) -> int:
    if following is not None and (stamp is None or stamp > following):
        stamp = following
    return now if stamp is None or stamp < now else stamp


def instrument_of(source: str) -> str:
    """Return the instrument of a source, from its name."""
    return source.partition("/")[0]


def _source_names(instrument: str, files: Sequence[Path]) -> dict[str, Path]:
    """Return the shortest names that tell files apart, the same on every machine."""
    common = Path(os.path.commonpath([path.absolute().parent for path in files]))
    return {f"{instrument}/{_posix(path, common)}": path for path in files}


def _posix(path: Path, folder: Path) -> str:
    return path.absolute().relative_to(folder).as_posix()
