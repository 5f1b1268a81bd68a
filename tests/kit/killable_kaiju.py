"""`kaiju` as a process that begins in an instant, and dies by itself where a test wants it to.

What a process does is what the command line does with the same arguments. It is a child of a server
that has imported everything before; a kill then costs what recovery does, and no start of Python.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple, NoReturn

import pytest

from actors.runtime.journal.disk import Disk
from actors.runtime.journal.frames import MAGIC
from gateways.sockets import ClientSocket, ServerSocket
from kaiju.cli.app import app
from tests.kit.kill_points import Mortal
from tests.kit.waiting import PATIENCE

SERVER = get_context("forkserver")
SERVER.set_forkserver_preload([__name__])

ON_DISK = ("create", "write", "truncate", "sync", "rename", "remove", "sync_directory")
ON_ITS_WAY = 0.02
"""Seconds in which what was sent has left the process: ZeroMQ's own thread writes it."""


class Failpoint(NamedTuple):
    """Where a process dies: around the `number`-th `operation` that has `about` in it.

    An operation is ``send``, of one frame on a socket, or a method of `Disk`; what it has in it are
    the bytes that are sent or written, or the path.
    """

    operation: str
    when: str = "before"
    about: bytes = b""
    number: int = 1


class MortalProcess:
    """One `kaiju` after the other with the same arguments.

    Args:
        arguments: of the command line.
        log: what all of them print.
        prelude: is called in each of them first.
    """

    def __init__(
        self,
        arguments: Sequence[object],
        log: Path,
        prelude: Callable[[], object] | None = None,
    ) -> None:
        self.log = log
        self._prelude = prelude
        self._arguments = [str(argument) for argument in arguments]
        self._process: Any = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def resident(self) -> int:
        """Bytes of memory that it has now."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def start(self, failpoint: Failpoint | None = None) -> None:
        """Start one; it dies at `failpoint`, if there is one."""
        self._process = SERVER.Process(
            target=_live, args=(self._arguments, self.log, failpoint, self._prelude), daemon=True
        )
        self._process.start()

    def kill(self) -> None:
        """Kill it at once, whatever it does."""
        self._process.kill()
        self.await_death("a kill")

    def await_death(self, cause: object) -> None:
        """Wait until it was killed, by itself or by somebody."""
        self._process.join(PATIENCE)
        code = self._process.exitcode
        assert code == -signal.SIGKILL, f"{cause}: exit code {code}"

    def wait(self) -> int:
        """Wait until it has ended by itself, and return its exit code."""
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, "it does not end"
        return int(self._process.exitcode)

    def pause(self, seconds: float) -> None:
        """Let it do nothing at all for a while."""
        os.kill(self._process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self._process.pid, signal.SIGCONT)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self._process.pid, number)

    def stop(self) -> int:
        """Ask it to stop in order, and return its exit code."""
        os.kill(self._process.pid, signal.SIGTERM)
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, "it does not stop"
        return int(self._process.exitcode)

    def end(self) -> None:
        """Leave nothing behind; if it is alive, its log says what it was doing."""
        if self.alive:
            os.kill(self._process.pid, signal.SIGABRT)
            self._process.join(PATIENCE)


def _live(
    arguments: list[str],
    log: Path,
    failpoint: Failpoint | None,
    prelude: Callable[[], object] | None,
) -> NoReturn:
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable()
    Thread(target=_die_with_the_test, daemon=True).start()
    if failpoint is not None:
        _make_mortal(_Fate(failpoint))
    if prelude is not None:
        prelude()
    app(arguments, prog_name="kaiju")
    raise AssertionError("the command line always exits")


def _die_with_the_test() -> None:
    test = parent_process()
    assert test is not None
    connection.wait([test.sentinel])
    os._exit(1)


class _Fate(Mortal):
    def __init__(self, failpoint: Failpoint) -> None:
        operation, when, about, number = failpoint
        super().__init__(number, when, operation, about)

    def die(self) -> NoReturn:
        if (self.operation, self.when) == ("send", "after"):
            time.sleep(ON_ITS_WAY)
        super().die()


def _make_mortal(fate: Mortal) -> None:
    """Let whatever this process does on a disk or a socket lead to its fate."""
    patch = pytest.MonkeyPatch()
    for name in ON_DISK:
        patch.setattr(Disk, name, _mortal(fate, name, getattr(Disk, name)))
    for socket in (ClientSocket, ServerSocket):
        patch.setattr(socket, "send", _mortal(fate, "send", socket.send))


def _mortal(fate: Mortal, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    def mortal(owner: object, *arguments: Any) -> Any:
        subject = arguments[-1]
        about = subject if isinstance(subject, bytes) else os.fsencode(str(subject))
        if about.startswith(MAGIC):
            about = b""  # a header names every class there is
        half = None
        if name == "write":
            half = partial(act, owner, *arguments[:-1], subject[: len(subject) // 2])
        return fate.do(name, partial(act, owner, *arguments), half, about)

    return mortal
