"""A small journal of three segments and two snapshots, and how tests look at one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actors.runtime.journal.frames import DamagedFileError
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.writer import Journal

HEADER: dict[str, Any] = {"journal": 1, "actor": "oms"}
SEGMENTS = (3, 2, 4)
"""Steps in each segment of the small journal."""
STEPS = [b"step %d" % number + b"." * number for number in range(1, 1 + sum(SEGMENTS))]
SNAPSHOTS = {3: b"what it was after 3", 5: b"what it was after 5, longer"}


def small_journal(directory: Path) -> Path:
    journal = Journal(directory)
    steps = iter(STEPS)
    for size in SEGMENTS:
        journal.begin(HEADER)
        for _ in range(size):
            journal.append(next(steps))
        if journal.last_step in SNAPSHOTS:
            journal.save_snapshot(journal.last_step, SNAPSHOTS[journal.last_step])
    journal.close()
    return directory


def read(directory: Path, after: int = 0) -> list[bytes]:
    return list(JournalReader(directory).steps(after))


def prefix_or_refusal(directory: Path) -> tuple[list[bytes], DamagedFileError | None]:
    found: list[bytes] = []
    try:
        found.extend(JournalReader(directory).steps())
    except DamagedFileError as error:
        return found, error
    return found, None


def segment(directory: Path, index: int) -> Path:
    return sorted(directory.glob("steps-*.kaiju"))[index]


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {"lock"}


@contextmanager
def opened(directory: Path, **options: Any) -> Iterator[Journal]:
    journal = Journal(directory, **options)
    try:
        yield journal
    finally:
        journal.close()


def retain(journal: Journal) -> None:
    journal.retain(100, keep_bytes=0, keep_age_ns=0, now=0)
