"""Whatever kills its process at a chosen act, such as a disk, and topologies that run on it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from actors.recorder import Recorder
from actors.runtime.clock import VirtualClock
from actors.runtime.journal.disk import Disk
from kaiju.run.build import compose
from topology.check.check import CheckedTopology

SMALL_SEGMENTS = 40_000
"""Bytes of a journal's files where a short run is to have many."""

T = TypeVar("T")


class Mortal:
    """Counts what is done and kills the process before, in the middle of or after a chosen act.

    Args:
        dies_at: number of the act, from 1; 0 never dies.
        when: "before", "after", or "within" (a write leaves half of its bytes).
        operation: only acts of this name are counted; empty counts all.
        about: only acts with these bytes in what they write or send are counted.
    """

    def __init__(
        self, dies_at: int = 0, when: str = "before", operation: str = "", about: bytes = b""
    ) -> None:
        self.dies_at, self.when, self.operation, self.about = dies_at, when, operation, about
        self.count = 0
        self.counts: dict[str, int] = {}

    def do(
        self,
        name: str,
        act: Callable[[], T],
        half: Callable[[], None] | None = None,
        data: bytes = b"",
    ) -> T:
        """Act and return what came of it, or die."""
        self.counts[name] = self.counts.get(name, 0) + 1
        dies = False
        if self.operation in ("", name) and self.about in data:
            self.count += 1
            dies = self.count == self.dies_at
        if dies and self.when == "before":
            self.die()
        if dies and self.when == "within" and half is not None:
            half()
            self.die()
        done = act()
        if dies:
            self.die()
        return done

    def die(self) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


class MortalDisk(Mortal, Disk):
    """A disk on which the process dies; what the system has survives, so nothing is synced."""

    def create(self, path: Path) -> int:
        return self.do("create", lambda: super(MortalDisk, self).create(path))

    def write(self, file: int, data: bytes) -> None:
        half = lambda: super(MortalDisk, self).write(file, data[: len(data) // 2])  # noqa: E731
        self.do("write", lambda: super(MortalDisk, self).write(file, data), half, data)

    def truncate(self, file: int, size: int) -> None:
        self.do("truncate", lambda: super(MortalDisk, self).truncate(file, size))

    def sync(self, file: int) -> None:  # noqa: ARG002
        self.do("sync", lambda: None)

    def rename(self, source: Path, target: Path) -> None:
        self.do("rename", lambda: super(MortalDisk, self).rename(source, target))

    def remove(self, path: Path) -> None:
        self.do("remove", lambda: super(MortalDisk, self).remove(path))

    def sync_directory(self, path: Path) -> None:  # noqa: ARG002
        self.do("sync_directory", lambda: None)


def live(
    checked: CheckedTopology, directory: Path, disk: Disk, *, start: int, until: int, **options: Any
) -> None:
    """Run a topology in `directory`, from where it is, to its end."""
    directory.mkdir(exist_ok=True)
    node = compose(checked, clock=VirtualClock(start), data=directory, disk=disk, **options)
    for actor in node.actors.values():
        if isinstance(actor, Recorder):
            actor.directory, actor.disk = directory, disk
    node.run(until=until)
    assert not node.supervisor.failures, node.supervisor.failures


def lived(act: Callable[[], None]) -> bool:
    """Let a child of this process act; return whether it came to its end or was killed.

    Raises:
        AssertionError: it failed otherwise; it said how on its standard error.
    """
    code = _end_of(_begun(act))
    assert code in (0, -signal.SIGKILL), code
    return code == 0


def lived_side_by_side(acts: Sequence[Callable[[], None]]) -> bool:
    """Let children of this process act at the same time; return whether all came to their ends.

    What went wrong is on their standard error.
    """
    children = [_begun(act) for act in acts]
    return [_end_of(child) for child in children] == [0] * len(acts)


def _begun(act: Callable[[], None]) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        act()
        code = 0
    except BaseException:  # noqa: BLE001 - the parent must never go on twice
        traceback.print_exc()
    finally:
        os._exit(code)


def _end_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def files_of(directory: Path) -> dict[str, bytes]:
    """Return the files that must not show whether a run was killed.

    Of the snapshots only the last ones count, which are taken at the end: those before are taken
    between two slices, wherever that is. Locks and what was put aside say something of the process.
    """
    found = {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*.kaiju"))
        if not path.name.startswith(("torn-", "snapshot-"))
    }
    for journal in sorted((directory / "journal").iterdir()):
        for path in sorted(journal.glob("snapshot-*.kaiju"))[-1:]:
            found[str(path.relative_to(directory))] = path.read_bytes()
    return found
