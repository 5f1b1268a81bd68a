"""All nodes of a topology as processes of this host: what `kaiju up` does."""

from __future__ import annotations

import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Literal

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from topology.check import Checked, examine
from topology.endpoints import ENDPOINTS_FILE, LOOPBACK, Endpoints, NodeEndpoints
from topology.links.key_pairs import make_keys
from topology.links.keys import SECRET, read_public_key
from topology.nodes import NodeProcess, ask, is_quiet
from topology.outcome import FAILED, MISUSED, OK, RefusedError, consoles
from topology.run import make_directory

FILE_NAME = "topology.path"
"""Says where the topology of a run is, which goes on with what that says now."""
LOOK = 0.5
"""Seconds between two looks at what nodes say of themselves."""
REST_TIME, STOP_TIME = 10.0, 30.0
"""Seconds that nodes have to come to rest once the run is to end, and then to stop."""

Link = Literal["ipc", "tcp"]
Exited = tuple[str, int]
"""(node, exit code)."""


@dataclass(frozen=True)
class UpOptions:
    """What `kaiju up` was asked for.

    Attributes:
        file: the topology; None where a run goes on.
        resume: directory of a run that goes on.
        link: how nodes speak with each other.
        runs: directory under which the run gets its own.
        duration: real nanoseconds after which the run ends; None for no end.
        fast: take recorded inputs as fast as their readers do.
        quiet: print nothing but errors.
    """

    file: Path | None
    resume: Path | None = None
    link: Link = "ipc"
    runs: Path = Path("runs")
    duration: int | None = None
    fast: bool = False
    quiet: bool = False


def up(options: UpOptions) -> int:
    """Start every node as a process, watch them until the run ends, and return the exit code.

    Raises:
        TopologyError: the file has mistakes; the text lists all of them.
        RefusedError: there is no run to go on with.
        KeysError: a key of an earlier start cannot be used.
        OSError: the run's directory cannot be written.
    """
    console, errors = consoles(quiet=options.quiet)
    file, directory = _places(options)
    checked = examine(file)
    for warning in checked.findings.warnings:
        errors.print(str(warning), markup=False)
    name = checked.topology.name
    if directory is None:
        directory = make_directory(options.runs, f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        (directory / FILE_NAME).write_text(f"{file.resolve()}\n", encoding="utf-8")
    with _sockets_directory() as sockets:
        endpoints = _lay_out(checked, options.link, directory, sockets)
        run = _Running(checked, endpoints, directory, options, (console, errors))
        with _obeying_signals(run.events):
            run.start()
            run.watch()
            run.stop()
    return run.conclude()


def _places(options: UpOptions) -> tuple[Path, Path | None]:
    if options.resume is None:
        assert options.file is not None
        return options.file, None
    try:
        text = (options.resume / FILE_NAME).read_text("utf-8")
    except OSError as error:
        raise RefusedError(
            f"{options.resume}: nothing to go on with: {error.strerror}; allowed is the directory"
            " of a run that `kaiju up` began"
        ) from error
    return Path(text.strip()), options.resume


class _Running:
    """The nodes of one run while they run."""

    def __init__(
        self,
        checked: Checked,
        endpoints: Endpoints,
        directory: Path,
        options: UpOptions,
        consoles: tuple[Console, Console],
    ) -> None:
        self.events: SimpleQueue[Exited | int] = SimpleQueue()
        """Exits of processes, and numbers of signals that came."""
        self._topology = checked.topology.name
        self._endpoints, self._directory = endpoints, directory
        self._console, self._errors = consoles
        self._ends_at = time.monotonic() + options.duration / 1e9 if options.duration else None
        self._reason = ""
        self._failed = False
        self._nodes = {}
        for node in checked.topology.nodes:
            arguments = ["run", str(checked.document.path), "--node", node]
            arguments += ["--data", str(directory), "--endpoints", str(directory / ENDPOINTS_FILE)]
            if options.quiet:
                arguments += ["--quiet"]
            if options.link == "tcp":
                arguments += ["--secret", str(directory / "keys" / f"{node}{SECRET}")]
            if options.fast:
                arguments += ["--fast"]
            log = directory / f"{node}.log"
            self._nodes[node] = NodeProcess(
                node, arguments, log, lambda n, code: self.events.put((n, code)), self._say
            )

    def start(self) -> None:
        """Start all nodes; there is no order in it."""
        for process in self._nodes.values():
            process.start()
        self._note_pids()
        self._console.print(
            f"{self._topology}: {len(self._nodes)} nodes, in {self._directory}; Ctrl-C stops",
            markup=False,
        )

    def watch(self) -> None:
        """Start nodes again that died, until the run is to end."""
        while not self._reason:
            self._take(LOOK)
            for process in self._nodes.values():
                if process.start_at is not None and time.monotonic() >= process.start_at:
                    process.start()
                    self._note_pids()
            if self._ends_at is not None and time.monotonic() >= self._ends_at:
                self._reason = "time is up"
            for node in self._nodes:
                if not self._reason and (ending := self._status(node).get("ending")):
                    self._reason = f"{node}: {ending}"

    def stop(self) -> None:
        """Bring everybody to rest, then stop everybody, then kill who does not stop."""
        self._console.print(f"stopping: {self._reason}", markup=False)
        hurried = self._failed
        for process in self._nodes.values():
            process.signal(signal.SIGINT)
        rests, deadline = 0, time.monotonic() + REST_TIME
        while not hurried and rests < 2 and time.monotonic() < deadline and self._anyone_alive():  # noqa: PLR2004 - one look may fall between two nodes' turns
            hurried = self._take(LOOK)
            alive = [node for node, process in self._nodes.items() if process.alive]
            rests = rests + 1 if all(is_quiet(self._status(node)) for node in alive) else 0
        for process in self._nodes.values():
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIME
        while self._anyone_alive() and time.monotonic() < deadline:
            if self._take(LOOK):
                break
        for node, process in self._nodes.items():
            if process.alive:
                self._errors.print(f"error: {node} did not stop and was killed", markup=False)
                self._failed = True
                process.kill()
        while any(process.code is None or process.alive for process in self._nodes.values()):
            self._take(LOOK)

    def conclude(self) -> int:
        """Print what came of each node, and return the exit code of all."""
        table = Table("node", "exit code", "starts", box=None, header_style="bold")
        for node, process in self._nodes.items():
            table.add_row(node, str(process.code), str(process.starts))
        self._console.print(table)
        codes = [process.code or 0 for process in self._nodes.values()]
        worst = max((code if code > 0 else FAILED for code in codes if code), default=OK)
        return worst or (FAILED if self._failed else OK)

    def _take(self, seconds: float) -> bool:
        """Take what happens within `seconds`; return whether a signal was among it."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self.events.get(timeout=left)
            except Empty:
                return False
            if isinstance(event, int):
                self._reason = self._reason or signal.Signals(event).name
                return True
            self._ended(*event)
            if self._reason:
                return False
        return False

    def _ended(self, node: str, code: int) -> None:
        process = self._nodes[node]
        goes_on = process.ended(code)
        if self._reason:
            return
        if code == MISUSED or not goes_on:
            self._failed = True
            self._reason = f"{node} ended with code {code} and is not started again"
            lines = "\n".join(f"{node}| {line}" for line in process.last_lines)
            self._errors.print(f"error: {self._reason}\n{lines}", markup=False)
        else:
            self._errors.print(f"{node} ended with code {code}: started again", markup=False)

    def _anyone_alive(self) -> bool:
        return any(process.alive for process in self._nodes.values())

    def _status(self, node: str) -> dict[str, object]:
        return ask(self._endpoints.nodes[node].http) if self._nodes[node].alive else {}

    def _note_pids(self) -> None:
        nodes = {
            node: replace(found, pid=self._nodes[node].pid)
            for node, found in self._endpoints.nodes.items()
        }
        Endpoints(nodes=nodes).save(self._directory / ENDPOINTS_FILE)

    def _say(self, node: str, line: str) -> None:
        self._console.print(f"{node}| {line}", markup=False)


def _lay_out(checked: Checked, link: Link, directory: Path, sockets: Path) -> Endpoints:
    """Return where the nodes of this run are to be."""
    nodes = list(checked.topology.nodes)
    ports = _free_ports(3 * len(nodes))
    found = {}
    for number, node in enumerate(nodes):
        http, *others = ports[3 * number : 3 * number + 3]
        key = ""
        if link == "ipc":
            live, recovery = (f"ipc://{sockets}/{node}.{what}" for what in ("live", "recovery"))
        else:
            live, recovery = (f"tcp://{LOOPBACK}:{port}" for port in others)
            public, _ = make_keys(directory / "keys", node)
            key = read_public_key(public)
        found[node] = NodeEndpoints(
            live=live, recovery=recovery, http=f"{LOOPBACK}:{http}", key=key
        )
    return Endpoints(nodes=found)


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@contextmanager
def _sockets_directory() -> Iterator[Path]:
    """Give a private directory whose name is short enough for sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="kaiju-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _obeying_signals(events: SimpleQueue[Exited | int]) -> Iterator[None]:
    def note(number: int, _frame: FrameType | None) -> None:
        events.put(number)

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
