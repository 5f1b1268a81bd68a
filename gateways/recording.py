"""Files of raw messages, a line ``<UTC ns at the recorder> <message>``, plain or gzip."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import IO, NamedTuple

from actors.events.system import RawMessage

LATEST_STAMP = 1 << 62
LONGEST_STAMP = 19


class Line(NamedTuple):
    """One line of a recording."""

    source: str
    number: int
    stamp: int | None
    """When the recorder received it, UTC nanoseconds; None where that is damaged."""
    payload: bytes


class Recording:
    """What was recorded of one instrument: files that follow each other in time.

    Args:
        instrument: first part of the sources' names.
        files: in time order.
    """

    def __init__(self, instrument: str, files: Sequence[Path]) -> None:
        self.sources = _source_names(instrument, files)
        self.size = sum(path.stat().st_size for path in files)
        """Bytes of all files as they are on disk."""
        self._done = 0
        self._open: IO[bytes] | None = None

    @property
    def done(self) -> int:
        """Bytes read so far, as they are on disk."""
        return self._done + (self._open.tell() if self._open is not None else 0)

    def messages(self, handled: Mapping[str, int]) -> Iterator[tuple[int, RawMessage]]:
        """Read on from a position, in time order.

        Args:
            handled: last line that was handled, by source; empty reads from the beginning.
        """
        return in_time_order(self._lines(handled))

    def _lines(self, handled: Mapping[str, int]) -> Iterator[Line]:
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
            number = 0
            try:
                for number, line in enumerate(lines, 1):
                    if number > handled:
                        yield parse_line(source, number, line)
            except (OSError, EOFError, zlib.error):
                # The rest cannot be had: one damaged line says so to whoever counts them.
                yield Line(source, number + 1, None, b"")
            finally:
                self._done += file.tell()
                self._open = None


def parse_line(source: str, number: int, line: bytes) -> Line:
    """Split a line; one without a sound time keeps all of it as its message."""
    line = line.rstrip(b"\r\n")
    stamp, _, payload = line.partition(b" ")
    if stamp.isdigit() and len(stamp) <= LONGEST_STAMP and (time := int(stamp)) < LATEST_STAMP:
        return Line(source, number, time, payload)
    return Line(source, number, None, line)


def in_time_order(lines: Iterator[Line]) -> Iterator[tuple[int, RawMessage]]:
    """Give each line a time that is never before the last one's.

    A time that is damaged, or later than the next line's, would send the clock ahead of all that
    follows; such a line takes the next line's time.
    """
    now = 0
    for line, following in pairwise(chain(lines, (None,))):
        assert line is not None
        stamp = line.stamp
        if following is not None and following.stamp is not None:
            stamp = following.stamp if stamp is None else min(stamp, following.stamp)
        if stamp is not None and stamp > now:
            now = stamp
        yield now, RawMessage(line.source, line.number, line.payload, now)


def _source_names(instrument: str, files: Sequence[Path]) -> dict[str, Path]:
    """Name files as short as tells them apart, alike on every machine."""
    common = Path(os.path.commonpath([path.absolute().parent for path in files]))
    return {f"{instrument}/{_posix(path, common)}": path for path in files}


def _posix(path: Path, folder: Path) -> str:
    return path.absolute().relative_to(folder).as_posix()
