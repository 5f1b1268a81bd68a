"""Disks that fail, stop or forget, for the tests of whatever must survive that."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from actors.runtime.journal.disk import Disk

SECTOR = 512


class KilledError(BaseException):
    """The process was killed: nothing that catches errors may go on."""


class CountingDisk(Disk):
    """Counts the operations that change something, and calls `after` behind each."""

    def __init__(self) -> None:
        self.operations = 0

    def before(self) -> None:
        self.operations += 1

    def after(self) -> None:
        pass

    def create(self, path: Path) -> int:
        self.before()
        file = super().create(path)
        self.after()
        return file

    def write(self, file: int, data: bytes) -> None:
        self.before()
        super().write(file, data)
        self.after()

    def truncate(self, file: int, size: int) -> None:
        self.before()
        super().truncate(file, size)
        self.after()

    def sync(self, file: int) -> None:
        self.before()
        super().sync(file)
        self.after()

    def rename(self, source: Path, target: Path) -> None:
        self.before()
        super().rename(source, target)
        self.after()

    def remove(self, path: Path) -> None:
        self.before()
        super().remove(path)
        self.after()

    def sync_directory(self, path: Path) -> None:
        self.before()
        super().sync_directory(path)
        self.after()


class KillingDisk(CountingDisk):
    """Kills the process before or after one operation; nothing happens on disk from then on."""

    def __init__(self, operation: int, *, afterwards: bool) -> None:
        super().__init__()
        self._operation = operation
        self._afterwards = afterwards
        self.killed = False

    def before(self) -> None:
        if self.killed:
            raise KilledError
        super().before()
        if self.operations == self._operation and not self._afterwards:
            self._kill()

    def after(self) -> None:
        if self.operations == self._operation:
            self._kill()

    def _kill(self) -> None:
        self.killed = True
        raise KilledError


class FailingDisk(CountingDisk):
    """Fails `times` operations from one on, each before it does anything."""

    def __init__(self, operation: int, number: int, times: int = 1) -> None:
        super().__init__()
        self._failing = range(operation, operation + times)
        self._number = number
        self.failures = 0

    def before(self) -> None:
        super().before()
        if self.operations in self._failing:
            self.failures += 1
            raise OSError(self._number, os.strerror(self._number))


class FullDisk(Disk):
    """Has room for so many bytes, then takes a part of what is written and fails."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.read_only = False

    def write(self, file: int, data: bytes) -> None:
        taken = data[: self.room]
        super().write(file, taken)
        self.room -= len(taken)
        if len(taken) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def truncate(self, file: int, size: int) -> None:
        if self.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        super().truncate(file, size)


class ForgetfulDisk(Disk):
    """Knows what a loss of power may take: bytes and names that were not synced."""

    def __init__(self) -> None:
        self._synced: dict[Path, int] = {}
        self._unsynced: list[tuple[Path, Callable[[], object]]] = []

    def sync(self, file: int) -> None:
        super().sync(file)
        self._synced[_path_of(file)] = os.fstat(file).st_size

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self._synced[target] = self._synced.pop(source, 0)
        self._unsynced.append((target.parent, lambda: target.rename(source)))

    def remove(self, path: Path) -> None:
        if path.exists():
            data = path.read_bytes()
            self._unsynced.append((path.parent, lambda: path.write_bytes(data)))
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self._unsynced = [change for change in self._unsynced if change[0] != path]

    def lose_power(self, directory: Path, random: Random) -> None:
        """Leave of each file what was synced and any part of the rest, in whole sectors."""
        for _, undo in reversed(self._unsynced):
            if random.random() < 0.5:
                undo()
        for path in sorted(directory.glob("*.kaiju")):
            data = path.read_bytes()
            synced = self._synced.get(path, 0)
            kept = bytearray(data[: random.randint(synced, len(data))])
            for start in range(0, len(kept), SECTOR):
                first, end = max(start, synced), min(start + SECTOR, len(kept))
                if first < end and random.random() < 0.3:
                    kept[first:end] = bytes(end - first)
            path.write_bytes(kept)


def _path_of(file: int) -> Path:
    return Path(f"/proc/self/fd/{file}").readlink()
