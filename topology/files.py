"""Files that are complete or not there at all, whatever happens while they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.runtime.errors import KaijuError


class ExportError(KaijuError):
    """A record could not be exported."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes `path` at the end, and is removed on an error.

    What has to survive a loss of power is written by `actors.runtime.journal.disk.Disk` instead.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.unlink(missing_ok=True)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
