"""The one place for what is done to files that must survive a crash."""

from __future__ import annotations

import os
from pathlib import Path

UNFINISHED = ".new"
"""Ends the name of a file that is still being written; a crash may leave one behind."""


class Disk:
    """Files and directories, one operation a method: tests fail, tear or interrupt each of them.

    Every method raises OSError where the system does.
    """

    def make_directory(self, path: Path) -> None:
        """Make `path` and what is missing above it, so that all survive a loss of power."""
        if not path.is_dir():
            self.make_directory(path.parent)
            path.mkdir(exist_ok=True)
            self.sync_directory(path.parent)

    def create(self, path: Path) -> int:
        """Return a new empty file to append to; an old one of that name is emptied."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        return os.open(path, flags, 0o666)

    def open(self, path: Path) -> int:
        """Return an existing file to append to."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def write(self, file: int, data: bytes) -> None:
        """Append all of `data`; on an error a part of it may be in the file."""
        written = os.write(file, data)
        while written < len(data):
            written += os.write(file, data[written:])

    def truncate(self, file: int, size: int) -> None:
        """Cut the file off behind `size` bytes."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """Return when the file's data would survive a loss of power."""
        os.fdatasync(file)

    def close(self, file: int) -> None:
        """Close the file."""
        os.close(file)

    def is_at(self, file: int, path: Path) -> bool:
        """Tell whether an open file is what stands at `path`: not deleted, moved or replaced."""
        try:
            return os.path.samestat(os.fstat(file), path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name; a file that had it is replaced in one piece."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Delete a file; it may be gone already."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in `path` would survive a loss of power."""
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def replace(self, source: Path, target: Path) -> None:
        """Rename a file so that the new name survives a loss of power."""
        self.rename(source, target)
        self.sync_directory(target.parent)

    def write_whole(self, path: Path, data: bytes) -> None:
        """Write a file that is there whole or not at all, even after a loss of power."""
        started = path.with_name(path.name + UNFINISHED)
        try:
            file = self.create(started)
            try:
                self.write(file, data)
                self.sync(file)
            finally:
                self.close(file)
            self.replace(started, path)
        except OSError:
            self.remove(started)
            raise
