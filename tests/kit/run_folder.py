"""A folder for what processes leave behind: it stays only where something went wrong."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def run_folder() -> Iterator[Path]:
    """Give an empty folder with a short name, as sockets need; errors name it and tell its logs."""
    folder = Path(tempfile.mkdtemp(prefix="kaiju-"))
    try:
        yield folder
    except Exception as error:
        logs = (log.read_text() for log in folder.glob("*.log"))
        error.add_note("\n".join((str(folder), *logs)))
        raise
    except BaseException:  # people lost patience
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
