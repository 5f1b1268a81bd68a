"""One node of a run as a child of `kaiju up`: its process, its log and its status."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from actors.runtime.errors import ExitCode
from actors.runtime.node.node import END_OF_DATA
from actors.runtime.trading_state import is_halted, scope_of
from kaiju.cluster.backoff import Restarts
from kaiju.monitor.status import LinkStatus, NodeStatus, fetch_status
from kaiju.run.signals import HALT

KAIJU = (sys.executable, "-m", "kaiju")
"""The command line, whatever the path of programs is."""


class Child:
    """One node, in one process after the other.

    A child is in a process group of its own, so that Ctrl-C on a terminal reaches its parent alone.
    It writes its log itself: it neither waits for a reader nor dies of one that went away. The
    signals that halt and resume it are blocked when it begins, as in its parent, so none is lost.

    Args:
        node: its name.
        arguments: after ``kaiju``.
        log: gets what it prints; what is in there already stays.
        http: host and port of its status.
        restarts: how often it has died.
    """

    def __init__(
        self,
        node: str,
        arguments: list[str],
        log: Path,
        http: tuple[str, int],
        restarts: Restarts,
    ) -> None:
        self.node, self.restarts = node, restarts
        self.log = Log(log)
        self.code: int | None = None
        """Exit code of the process that died last; negative: the signal that killed it."""
        self.interrupted = False
        """Whether the process was told that the run is to end."""
        self.pending_work = ""
        """What it had left to do when it was last asked after that."""
        self._owed: signal.Signals | None = None
        """A halt that it has not reported yet, or a resume that it was not sent yet."""
        self.before: NodeStatus | None = None
        """Its status before it changed last."""
        self._newest: NodeStatus | None = None
        self._arguments, self._http = arguments, http
        self._process: Process | None = None
        self._starting = False
        self._began = 0.0

    @property
    def alive(self) -> bool:
        """Whether there is a process now, or in a moment."""
        return self._starting or (self._process is not None and self._process.returncode is None)

    @property
    def lived(self) -> float:
        """Return the seconds since the latest process was started."""
        return time.monotonic() - self._began

    @property
    def exit_code(self) -> int:
        """Return the node's exit code as `kaiju run` has them."""
        return ExitCode.FAILED if self.code is None or self.code < 0 else self.code

    async def start(self) -> int:
        """Start a process and return its number.

        Raises:
            OSError: there are too many processes or files.
        """
        self.interrupted, self._starting = False, True
        self._began = time.monotonic()
        with self.log.path.open("ab") as log, self._until_started():
            self._process = await asyncio.create_subprocess_exec(
                *KAIJU,
                *self._arguments,
                stdin=PIPE,  # its end tells the child that we are gone
                stdout=log,
                stderr=STDOUT,
                process_group=0,
            )
        if self._owed is not None:
            self.pass_on(self._owed)
        return self._process.pid

    @contextmanager
    def _until_started(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._starting = False

    async def wait(self) -> int:
        """Wait until the process has died, and return its exit code."""
        assert self._process is not None
        self.code = await self._process.wait()
        return self.code

    def pass_on(self, number: signal.Signals) -> None:
        """Halt or resume the node, also where its process only begins, or has yet to."""
        self._owed = number
        if self.alive and not self._starting:
            self.signal(number)
            self._owed = HALT if number is HALT else None

    def note(self, status: NodeStatus | None) -> None:
        """Halt the node once more if it was told to and does not report that it is halted."""
        if status is None or self._owed is not HALT:
            return
        if any(is_halted(entry.level) and not scope_of(entry) for entry in status.halts):
            self._owed = None
        else:
            self.signal(HALT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self._process is not None and not self._starting:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def interrupt(self) -> None:
        """Tell the process, once, that the run is to end."""
        if not self.interrupted:
            self.interrupted = True
            self.signal(signal.SIGINT)

    async def status(self) -> NodeStatus | None:
        """Return the node's status; None while it does not answer."""
        found = await asyncio.to_thread(fetch_status, *self._http) if self.alive else None
        if found is not None and (self._newest is None or found.clock != self._newest.clock):
            self.before, self._newest = self._newest, found
        return found


class Log:
    """What a node prints, as it grows.

    Args:
        path: of the file; what is in it already is of earlier runs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = path.stat().st_size if path.exists() else 0

    def new_lines(self, *, all_of_it: bool = False) -> list[str]:
        """Return the lines that came since the last call.

        Args:
            all_of_it: also a last one that is not whole.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                found = file.read()
        except FileNotFoundError:
            return []
        whole = found if all_of_it else found[: found.rfind(b"\n") + 1]
        self._position += len(whole)
        return whole.decode("utf-8", "replace").splitlines()

    def tail(self, count: int) -> list[str]:
        """Return the last `count` lines."""
        try:
            return self.path.read_text("utf-8", "replace").splitlines()[-count:]
        except FileNotFoundError:
            return []


def end_reason(statuses: Iterable[NodeStatus | None]) -> str:
    """Return why a run ends by itself, as its nodes say; empty while it does not.

    A node whose data is at its end waits for those that have more, or do not answer.
    """
    found = list(statuses)
    ending = {s.node: s.ending for s in found if s is not None and s.ending}
    if all(s is not None and not s.has_data for s in found):
        return next((f"{node}: {why}" for node, why in ending.items()), "")
    return next((f"{node}: {why}" for node, why in ending.items() if why != END_OF_DATA), "")


def pending_work(
    status: NodeStatus | None, alive: Collection[str], before: NodeStatus | None = None
) -> str:
    """Return the work a stopping node still reports; empty if none.

    An actor with a timer may emit for ever, so that something always waits. What waited at the look
    before and was handled since is none of it.

    Args:
        status: of the node; None where it does not answer.
        alive: nodes that have a process; nothing more comes from the others.
        before: at the look before; None where there was none.
    """
    if status is None:
        return "it does not answer"
    if not status.ending:
        return "it has not heard of the end"
    found = ["orders or other business open"] if status.busy else []
    waited = status.queued if before is None else before.queued
    if status.queued and (before is None or status.steps - before.steps < waited):
        found.append(f"{status.queued} events to handle")
    # What others have not handled yet says nothing: an actor with a timer may emit for ever, and
    # what matters of it, an order on its way, is open business of whoever placed it.
    found += [
        f"{link.behind} events of {link.stream} on their way from {link.node}"
        for link in status.inputs
        if link.behind and link.node in alive and not _has_come(link, before)
    ]
    return ", ".join(found)


def _has_come(link: LinkStatus, before: NodeStatus | None) -> bool:
    """Tell whether what was on its way at the look before has arrived since."""
    earlier = () if before is None else before.inputs
    return any(
        link.position - other.position >= other.behind and link.epoch == other.epoch
        for other in earlier
        if other.stream == link.stream
    )
