"""A disk that kills its process at a chosen operation, and whole topologies that run on it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from actors.recorder import Recorder
from actors.runtime.clock import VirtualClock
from actors.runtime.disk import Disk
from topology.check import Checked
from topology.compose import compose


class MortalDisk(Disk):
    """Counts its operations and kills the process before, in the middle of or after a chosen one.

    Args:
        dies_at: number of the operation, from 1; 0 never dies.
        when: "before", "after", or "within" (a write leaves half of its bytes).
        operation: only operations of this name are counted; empty counts all.
    """

    def __init__(self, dies_at: int = 0, when: str = "before", operation: str = "") -> None:
        self.dies_at, self.when, self.operation = dies_at, when, operation
        self.count = 0
        self.counts: dict[str, int] = {}

    def create(self, path: Path) -> int:
        return self._do("create", lambda: super(MortalDisk, self).create(path))

    def write(self, file: int, data: bytes) -> None:
        half = lambda: super(MortalDisk, self).write(file, data[: len(data) // 2])  # noqa: E731
        self._do("write", lambda: super(MortalDisk, self).write(file, data), half)

    def truncate(self, file: int, size: int) -> None:
        self._do("truncate", lambda: super(MortalDisk, self).truncate(file, size))

    def sync(self, file: int) -> None:  # noqa: ARG002 - what the system has, survives a kill
        self._do("sync", lambda: None)

    def rename(self, source: Path, target: Path) -> None:
        self._do("rename", lambda: super(MortalDisk, self).rename(source, target))

    def remove(self, path: Path) -> None:
        self._do("remove", lambda: super(MortalDisk, self).remove(path))

    def sync_directory(self, path: Path) -> None:  # noqa: ARG002 - as above
        self._do("sync_directory", lambda: None)

    def _do(self, name: str, act: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        self.counts[name] = self.counts.get(name, 0) + 1
        if self.operation in ("", name):
            self.count += 1
        dies = self.count == self.dies_at and self.operation in ("", name)
        if dies and self.when == "before":
            self._die()
        if dies and self.when == "within" and half is not None:
            half()
            self._die()
        done = act()
        if dies:
            self._die()
        return done

    def _die(self) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


def live(
    checked: Checked, directory: Path, disk: Disk, *, start: int, until: int, **options: Any
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
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            act()
            code = 0
        except BaseException:  # noqa: BLE001 - the parent must never go on twice
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    assert os.waitstatus_to_exitcode(status) == 0
    return True


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
