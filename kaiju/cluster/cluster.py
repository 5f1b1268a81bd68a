"""All nodes of a topology as processes of this host: what `kaiju up FILE` does.

Nodes that die are restarted and continue from their journals. The run ends in order: every node is
told of the end (SIGINT), cancels its open orders and stays up for the others until all of them
report that nothing is left to do; then each one is told to stop (SIGTERM).
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

from actors.events.durations import SECOND
from actors.runtime.errors import ExitCode
from kaiju.cluster.backoff import MAX_DEATHS, STEADY, Restarts
from kaiju.cluster.child import Child, end_reason, pending_work
from kaiju.cluster.layout import ClusterPlan, Layout, prepare_run
from kaiju.run.outcome import Presentation
from kaiju.run.signals import HALT, HALTS, RESUME

LOOK = 0.25
"""Seconds between two status requests to the nodes."""
HEAR = 0.05
"""Seconds between two looks for a halt that is to be passed on."""
QUIET_WITHIN = 10.0
"""Seconds after the end of a run within which all work should be done."""
STOP_WITHIN = 30.0
"""Seconds within which a node must stop; then it is killed."""
LAST_LINES = 20
"""Lines of its log that are printed of a node that ended the run."""


@dataclass(frozen=True)
class UpOptions:
    """What `kaiju up` was asked for.

    Attributes:
        plan: of a new run; None to continue `resume`.
        resume: the directory of a run to continue.
        runs: where a new run gets a directory of its own.
        duration: nanoseconds of real time after which the run ends; None for no end.
        quiet: print nothing but errors.
    """

    plan: ClusterPlan | None
    resume: Path | None = None
    runs: Path = Path("runs")
    duration: int | None = None
    quiet: bool = False


def up(options: UpOptions) -> int:
    """Run all nodes of a topology until the end of the run, and return the worst exit code.

    Raises:
        TopologyError: the file has mistakes; the text lists all of them.
        RefusedError: there is no run to continue, or it is still running.
        KeysError: a key of the run is damaged.
        OSError: the directory of the run cannot be written.
    """
    shown = Presentation(options.quiet)
    with prepare_run(options.plan, options.runs, options.resume) as layout:
        for warning in layout.checked.findings.warnings:
            shown.errors().print(str(warning), markup=False)
        run = Cluster(layout, shown.console(), shown.errors())
        signal.pthread_sigmask(signal.SIG_BLOCK, HALTS)
        return asyncio.run(run.go(options.duration))


class Cluster:
    """A run of several processes, from the first start to the last exit code.

    Args:
        layout: its files, endpoints and command lines.
        console: for progress.
        errors: for what went wrong.
    """

    def __init__(self, layout: Layout, console: Console, errors: Console) -> None:
        self.code: int = ExitCode.OK
        """Exit code of the run as a whole, beyond those of its nodes."""
        self._layout, self._console, self._errors = layout, console, errors
        self._ending, self._hurried, self._killed = (asyncio.Event() for _ in range(3))
        self._children = [
            Child(
                node,
                layout.arguments(node),
                layout.log(node),
                layout.endpoints.http(node),
                Restarts(Random()),  # noqa: S311 - only jitter
            )
            for node in layout.checked.topology.nodes
        ]
        self._width = max(len(child.node) for child in self._children)

    async def go(self, duration: int | None) -> int:
        """Run until the end, and return the exit code.

        Args:
            duration: nanoseconds after which the run ends by itself; None for no end.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signaled, number)
        for number in HALTS:  # a thread that began before they were blocked may be given one
            loop.add_signal_handler(number, self._pass_on, number)
        if duration is not None:
            loop.call_later(duration / SECOND, self._end, "time is up")
        self._info(f"{self._layout.run}: {len(self._children)} nodes; Ctrl-C stops")
        keepers = [asyncio.create_task(self._supervise(child)) for child in self._children]
        listeners = [asyncio.create_task(work) for work in (self._listen(), self._hear_halts())]
        for task in (*keepers, *listeners):
            task.add_done_callback(self._look_for_trouble)
        await self._ending.wait()
        await self._stop(keepers)
        await asyncio.gather(*keepers)
        for listener in listeners:
            listener.cancel()
        self._echo(all_of_it=True)
        self._console.print(_table(self._children))
        return max(self.code, *(child.exit_code for child in self._children))

    def _signaled(self, number: signal.Signals) -> None:
        if self._hurried.is_set():
            self._killed.set()
        elif self._ending.is_set():
            self._hurried.set()
        self._end(number.name)

    def _look_for_trouble(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error(f"error: {error}")
            self._end(str(error), ExitCode.FAILED)

    def _end(self, reason: str, code: int = ExitCode.OK) -> None:
        self.code = max(self.code, code)
        if not self._ending.is_set():
            self._info(f"the run ends: {reason}")
            self._ending.set()

    async def _supervise(self, child: Child) -> None:
        """Start a node, and restart it when it dies, until the run ends."""
        while not self._ending.is_set():
            self._layout.started(child.node, await child.start())
            code = await child.wait()
            delay = None if self._ending.is_set() else self._died(child, code)
            if delay is not None:
                await _until(self._ending, delay)

    def _died(self, child: Child, code: int) -> float | None:
        """Return the seconds until a node that died is restarted; None where the run ends."""
        if code == ExitCode.MISUSED:
            self._report_failure(child, "cannot run", ExitCode.MISUSED)
            return None
        delay = child.restarts.died(time.monotonic(), child.lived)
        if delay is None:
            often = f"died {MAX_DEATHS} times within {STEADY:.0f} s"
            self._report_failure(child, often, ExitCode.FAILED)
        else:
            self._error(f"{child.node} {_death(code)}; it is restarted in {delay:.1f} s")
        return delay

    def _report_failure(self, child: Child, what: str, code: int) -> None:
        self._error(f"{child.node} {what}; the end of {child.log.path}:")
        for line in child.log.tail(LAST_LINES):
            self._error(f"  {line}")
        self._end(f"{child.node} {what}", code)

    async def _listen(self) -> None:
        """Print what nodes print, and end the run when one of them reports the end."""
        while True:
            self._echo()
            statuses = await asyncio.gather(*(child.status() for child in self._children))
            for child, status in zip(self._children, statuses, strict=True):
                child.note(status)
            if not self._ending.is_set() and (reason := end_reason(statuses)):
                self._end(reason)
            await asyncio.sleep(LOOK)

    async def _hear_halts(self) -> None:
        """Look for halts and resumes: they stay blocked here, so that nodes inherit that.

        Where both wait, the halt is last.
        """
        while True:
            for number in (RESUME, HALT):
                if number in signal.sigpending():
                    signal.sigwait({number})
                    self._pass_on(number)
            await asyncio.sleep(HEAR)

    def _pass_on(self, number: signal.Signals) -> None:
        self._info(f"{number.name} is passed on to every node")
        for child in self._children:
            child.pass_on(number)

    async def _stop(self, keepers: Iterable[asyncio.Task[None]]) -> None:
        """Stop all nodes in order; each further signal speeds that up."""
        if not await _within(QUIET_WITHIN, self._rest(), self._hurried):
            for child in self._children:
                if child.alive and child.pending_work:
                    self._error(
                        f"{child.node}, {QUIET_WITHIN:.0f} s after the end: {child.pending_work}"
                    )
        self._info("every node is stopped")
        for child in self._children:
            child.signal(signal.SIGTERM)
        if not await _within(STOP_WITHIN, asyncio.wait(tuple(keepers)), self._killed):
            self._error(f"not all nodes stopped within {STOP_WITHIN:.0f} s")
        for child in self._children:
            if child.alive:
                self._error(f"{child.node} is killed")
                child.signal(signal.SIGKILL)

    async def _rest(self) -> None:
        """Tell every node of the end, and return when all of them have been quiet twice in a row.

        An event may be on its way from one node to another while both have nothing to do, so each
        node must report so twice.
        """
        quiet: dict[str, int] = {}
        while alive := [child for child in self._children if child.alive]:
            statuses = await asyncio.gather(*(child.status() for child in alive))
            names = {child.node for child in alive}
            clocks = {}
            for child, status in zip(alive, statuses, strict=True):
                child.pending_work = pending_work(status, names, child.before)
                if status is None:
                    continue  # it does not handle signals yet
                if not child.pending_work:
                    clocks[child.node] = status.clock
                child.interrupt()
            if len(clocks) < len(alive):
                quiet = {}
            elif not quiet:
                quiet = clocks
            elif all(clock != quiet.get(node) for node, clock in clocks.items()):
                return
            await asyncio.sleep(LOOK)

    def _echo(self, *, all_of_it: bool = False) -> None:
        for child in self._children:
            for line in child.log.new_lines(all_of_it=all_of_it):
                self._info(f"{child.node:>{self._width}} | {line}")

    def _info(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _error(self, text: str) -> None:
        self._errors.print(text, markup=False)


async def _within(seconds: float, work: Coroutine[Any, Any, object], unless: asyncio.Event) -> bool:
    """Await `work`; return False if it took too long, True if it was done or cut short.

    Args:
        seconds: limit for the work.
        work: to be awaited.
        unless: cuts the work short when it is set.
    """
    tasks = [asyncio.create_task(work), asyncio.create_task(unless.wait())]
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for task in done:
        task.result()  # raises what went wrong
    return bool(done)


async def _until(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _death(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def _table(children: Iterable[Child]) -> Table:
    table = Table(pad_edge=False, box=None)
    table.add_column("node")
    for column in ("exit code", "restarts"):
        table.add_column(column, justify="right")
    for child in children:
        code = "killed" if child.code is not None and child.code < 0 else str(child.code)
        table.add_row(child.node, code, str(child.restarts.count))
    return table
