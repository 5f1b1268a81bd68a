"""What can be kept of a damaged journal: the steps before the first place that is not whole.

Nothing is deleted: what is cut off stays in the journal's directory, in files ``broken-...``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from actors.runtime.journal.disk import Disk
from actors.runtime.journal.frames import STEP, DamagedFileError, Extent, FrameFile, unused
from actors.runtime.journal.segments import Previous, missing_end, read_segment, segment_paths
from actors.runtime.journal.snapshots import Snapshots
from actors.runtime.journal.writer import lock_directory


class Cut(NamedTuple):
    """Where a journal has to end so that it is whole."""

    reason: str
    """What is damaged, and where."""
    last_step: int
    """The last step that is kept; 0 for none."""
    tail: tuple[Path, int] | None
    """The segment that is shortened, and its size then."""
    segments: tuple[Path, ...]
    """Segments that go as a whole, oldest first."""
    snapshots: tuple[int, ...]
    """Steps of the snapshots that go: the journal no longer reaches them."""


def find_cut(directory: Path) -> Cut | None:
    """Read a whole journal and return where it has to be cut; None if it is whole.

    A torn tail at its very end is no damage: the next start of the actor puts it aside.

    Raises:
        FileNotFoundError: there is no such directory.
    """
    paths = segment_paths(directory)
    last_step, before = 0, None
    for index, path in enumerate(paths):
        try:
            first_step = _first_step(path, before)
        except DamagedFileError as error:
            return _cut(directory, str(error), last_step, None, paths[index:])
        steps, extent, damage = _read(path)
        last_step = first_step + steps - 1
        if damage is None and extent.torn and index + 1 < len(paths):
            damage = (
                f"{path}: byte {extent.end}: ends within a frame, but {paths[index + 1]} follows"
            )
        if damage is not None:
            return _cut(directory, damage, last_step, (path, extent.end), paths[index + 1 :])
        before = first_step, extent.end, extent.crc
    newest = max(Snapshots(directory).steps(), default=0)
    if newest > last_step:
        return _cut(
            directory, f"{directory}: {missing_end(last_step, newest)}", last_step, None, ()
        )
    return None


def cut_behind(directory: Path, last_step: int, reason: str) -> Cut:
    """Return how a whole journal is cut so that it ends with `last_step`.

    Raises:
        DamagedFileError: the journal is damaged before that.
    """
    paths = segment_paths(directory)
    tail: tuple[Path, int] | None = None
    later: list[Path] = []
    for path in paths:
        first_step = read_segment(path).first_step
        if first_step > last_step:
            later.append(path)
            continue
        with FrameFile(path) as file:
            kept = last_step - first_step + 1
            tail = (path, file.end_of(STEP, kept))
    return _cut(directory, reason, last_step, tail, later)


def apply_cut(directory: Path, cut: Cut, disk: Disk | None = None) -> list[Path]:
    """Cut a journal and return the files in which everything cut off is kept.

    An interruption leaves a journal that is still damaged, and can be cut again.

    Raises:
        JournalLockedError: a node is using the journal.
        OSError: something could not be moved, copied or shortened.
    """
    disk, kept = disk or Disk(), list[Path]()
    lock = lock_directory(directory)
    try:
        for path in reversed(cut.segments):
            kept.append(unused(path.with_name(f"broken-{path.name}")))
            disk.replace(path, kept[-1])
        snapshots = Snapshots(directory, disk)
        kept += [snapshots.put_aside(step, cut.reason) for step in cut.snapshots]
        if cut.tail is not None:
            kept.append(shorten(*cut.tail, disk))
    finally:
        disk.close(lock)
    return kept


def _first_step(path: Path, before: Previous | None) -> int:
    segment = read_segment(path)
    if before is not None and segment.previous != before:
        found = "does not follow what is there of the segment before it"
        raise DamagedFileError(path, 0, found)
    return segment.first_step


def _read(path: Path) -> tuple[int, Extent, str | None]:
    """Return the number of whole steps, how far they reach, and what is wrong behind them."""
    steps = 0
    with FrameFile(path) as file:
        try:
            for _ in file.bodies(STEP):
                steps += 1
        except DamagedFileError as error:
            return steps, Extent(steps, error.offset, 0, file.size - error.offset), str(error)
        return steps, file.extent(), None


def _cut(
    directory: Path,
    reason: str,
    last_step: int,
    tail: tuple[Path, int] | None,
    segments: Sequence[Path],
) -> Cut:
    beyond = (step for step in Snapshots(directory).steps() if step > last_step)
    return Cut(reason, last_step, tail, tuple(segments), tuple(beyond))


def shorten(path: Path, size: int, disk: Disk) -> Path:
    """Cut a file off behind `size` bytes, and return the file that keeps the rest."""
    with path.open("rb") as file:
        file.seek(size)
        rest = file.read()
    kept = unused(path.with_name(f"broken-{path.stem}-{size}"))
    disk.write_whole(kept, rest)
    file_number = disk.open(path)
    try:
        disk.truncate(file_number, size)
        disk.sync(file_number)
    finally:
        disk.close(file_number)
    return kept
