"""A journal's files as they can be read by anyone, also while its node writes them.

A journal is a directory of segments, ``steps-<first step>.kaiju``: files of frames
(`actors.runtime.journal.frames`), one frame a step. Steps count from 1 without gaps, so a step's
number is its segment's `first_step` and its place in it. A segment's header says how the
one before it ended, so that none can be missing, exchanged or an older copy::

    {"first_step": int, "previous": [first step, bytes, CRC of the last frame] | nil, ...}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from actors.runtime.journal.disk import Disk
from actors.runtime.journal.frames import STEP, DamagedFileError, Extent, FrameFile
from actors.runtime.journal.snapshots import Snapshots

Previous = tuple[int, int, int]
"""First step of the segment before, its bytes, and the CRC of its last frame."""


class JournalDamagedError(DamagedFileError):
    """A journal is not what was written; the text says what can be done."""

    def __init__(self, path: Path, offset: int, found: str) -> None:
        super().__init__(
            path, offset, f"{found}; `kaiju journal repair {path.parent}` says what can be kept"
        )


class Segment(NamedTuple):
    """One file of a journal."""

    path: Path
    first_step: int
    header: Mapping[str, Any]
    """What its writer gave, and `first_step` and `previous`."""

    @property
    def previous(self) -> Previous | None:
        """How the segment before ended; None for a journal's first."""
        return self.header["previous"] and tuple(self.header["previous"])


class JournalFiles(ABC):
    """What a journal's files say, whoever asks.

    Args:
        directory: of the journal.
        disk: what snapshots are written with.
    """

    torn = 0
    """Bytes that an interrupted append had left at the end when the journal was opened."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self.directory = directory
        self._segments: tuple[Segment, ...] = ()
        self._snapshots = Snapshots(directory, disk)

    @property
    @abstractmethod
    def last_step(self) -> int:
        """Number of the last whole step; 0 for none."""

    @property
    def header(self) -> Mapping[str, Any] | None:
        """Header of the newest segment; None before the first."""
        return self._segments[-1].header if self._segments else None

    @property
    def damaged_snapshots(self) -> Mapping[Path, str]:
        """Snapshots that could not be used, as far as they were looked at, and why."""
        return self._snapshots.damaged

    def segments(self) -> tuple[Segment, ...]:
        """Return all segments, oldest first."""
        return self._segments

    def steps(self, after: int = 0) -> Iterator[bytes]:
        """Yield the bodies of the steps behind `after`, in order.

        Raises:
            DamagedFileError: what follows is damaged, or no longer kept.
        """
        return read_steps(self._segments, after)

    def damaged_step(self, step: int, error: Exception) -> DamagedFileError:
        """Return the error of a step whose frame is whole, and what it holds is not ours."""
        segment = self._segment_of(step)
        with FrameFile(segment.path) as file:
            offset = file.end_of(STEP, step - segment.first_step)
        return DamagedFileError(segment.path, offset, f"step {step}: {error}")

    def snapshot_steps(self) -> tuple[int, ...]:
        """Return the steps after which there is a snapshot, damaged or not, oldest first."""
        return self._snapshots.steps()

    def newest_snapshot(self, at_most: int | None = None) -> tuple[int, bytes] | None:
        """Return step and body of the newest whole snapshot from which the steps go on.

        Args:
            at_most: a later one is not wanted.

        Returns:
            None where there is none; what was passed over is in `damaged_snapshots`.
        """
        newest = self.last_step if at_most is None else min(at_most, self.last_step)
        return self._snapshots.newest(at_least=self._oldest_start(), at_most=newest)

    def header_of(self, step: int) -> Mapping[str, Any]:
        """Return the header of the segment that a step is in."""
        return self._segment_of(step).header

    def _segment_of(self, step: int) -> Segment:
        return max(s for s in self._segments if s.first_step <= step)

    def _oldest_start(self) -> int:
        """Return the earliest step behind which every step is still there."""
        return self._segments[0].first_step - 1 if self._segments else 0


class JournalReader(JournalFiles):
    """A journal that is looked at: nothing is locked, and nothing on disk changes.

    Args:
        directory: of the journal.

    Raises:
        JournalDamagedError: the segments do not follow each other, or the last one is damaged.
        FileNotFoundError: there is no such directory.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        # Looked at first: its node may go on meanwhile, and what it does later is no missing end.
        newest = max(self.snapshot_steps(), default=0)
        self._segments = find_segments(directory)
        self._last_frames = 0
        if self._segments:
            with naming_the_remedy(), FrameFile(self._segments[-1].path) as file:
                extent = file.extent()
            self._last_frames, self.torn = extent.frames, extent.torn
        refuse_missing_end(self, newest)

    @property
    def last_step(self) -> int:
        """Number of the last whole step; 0 for none."""
        return self._segments[-1].first_step + self._last_frames - 1 if self._segments else 0


def refuse_missing_end(journal: JournalFiles, newest: int) -> None:
    """Refuse a journal that ends before its `newest` snapshot: all steps before it were synced.

    Raises:
        JournalDamagedError: it does.
    """
    last_step = journal.last_step
    if newest > last_step:
        path = journal.segments()[-1].path if journal.segments() else journal.directory
        found = missing_end(last_step, newest)
        raise JournalDamagedError(path, path.stat().st_size, found)


def missing_end(last_step: int, snapshot: int) -> str:
    """Say what is wrong with a journal that ends before one of its snapshots."""
    return (
        f"ends with step {last_step}, but there is a snapshot of step {snapshot}: steps that were"
        " on disk are missing"
    )


def segment_path(directory: Path, first_step: int) -> Path:
    """Return where the segment that begins with `first_step` is."""
    return directory / f"steps-{first_step:016}.kaiju"


def segment_paths(directory: Path) -> tuple[Path, ...]:
    """Return the files that are segments by their names, oldest first.

    Raises:
        FileNotFoundError: there is no such directory.
    """
    return tuple(sorted(path for path in directory.iterdir() if path.match("steps-*.kaiju")))


def read_segment(path: Path) -> Segment:
    """Return a segment by its header alone.

    Raises:
        JournalDamagedError: the header is damaged, or of another segment than the name says.
    """
    with naming_the_remedy(), FrameFile(path) as file:
        header = file.header
    first_step = header.get("first_step")
    if first_step is None or segment_path(path.parent, first_step) != path:
        found = f"its header says that it begins with step {first_step}: files were exchanged"
        raise JournalDamagedError(path, 0, found)
    return Segment(path, first_step, header)


def find_segments(directory: Path) -> tuple[Segment, ...]:
    """Return the segments of a journal by their headers alone, oldest first.

    Raises:
        JournalDamagedError: a header is damaged, or one is not of the segment that its file's
            name says, or does not follow the segment before.
        FileNotFoundError: there is no such directory.
    """
    segments = tuple(read_segment(path) for path in segment_paths(directory))
    for before, segment in pairwise(segments):
        _refuse_mismatch(before, segment)
    return segments


def read_steps(segments: tuple[Segment, ...], after: int) -> Iterator[bytes]:
    """Yield the bodies of the steps behind `after`, without reading segments that end before.

    Raises:
        DamagedFileError: what follows is damaged, or no longer kept.
    """
    kept = [index for index, segment in enumerate(segments) if segment.first_step <= after + 1]
    if segments and not kept:
        first = segments[0]
        found = f"begins with step {first.first_step}, but step {after + 1} is needed"
        raise DamagedFileError(first.path, 0, found)
    for index in range(kept[-1] if kept else 0, len(segments)):
        segment = segments[index]
        with naming_the_remedy(), FrameFile(segment.path) as file:
            yield from file.bodies(STEP, skip=max(0, after + 1 - segment.first_step))
            if index + 1 < len(segments):
                _refuse_other_end(segment, file.extent(), segments[index + 1])


def _refuse_mismatch(before: Segment, segment: Segment) -> None:
    if segment.previous is None:
        found = f"it is the first of a journal, but {before.path.name} is there as well"
        raise JournalDamagedError(segment.path, 0, found)
    first_step, size, _ = segment.previous
    if first_step != before.first_step:
        found = (
            f"follows {segment_path(before.path.parent, first_step).name}, but the segment before"
            f" it is {before.path.name}: segments are missing or do not belong here"
        )
        raise JournalDamagedError(segment.path, 0, found)
    found_size = before.path.stat().st_size
    if found_size != size:
        found = f"the file has {found_size} bytes, but had {size} when {segment.path.name} began"
        raise JournalDamagedError(before.path, min(size, found_size), found)


def _refuse_other_end(segment: Segment, extent: Extent, following: Segment) -> None:
    assert following.previous is not None
    if extent.crc != following.previous[2]:
        found = (
            f"the last whole frame has CRC {extent.crc:08x}, but the last had"
            f" {following.previous[2]:08x} when {following.path.name} began: the end is missing,"
            " or this is another file"
        )
        raise JournalDamagedError(segment.path, extent.end, found)


@contextmanager
def naming_the_remedy() -> Iterator[None]:
    """Turn an error of one file into one that says what can be done about the journal."""
    try:
        yield
    except JournalDamagedError:
        raise
    except DamagedFileError as error:
        raise JournalDamagedError(error.path, error.offset, error.found) from None
