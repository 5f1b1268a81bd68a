"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.runtime.errors import KaijuError


class ExportError(KaijuError):
    """A record could not be exported."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a name to write to, which becomes `path` at the end, and nothing on an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
