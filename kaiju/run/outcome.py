"""How a run is shown while it lasts, and what is left of it: report, summary and exit code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from actors.runtime.errors import ExitCode
from actors.runtime.journal.frames import DamagedFileError
from actors.runtime.node.halts import Halts
from actors.runtime.node.node import Node
from kaiju.monitor.discarded import SINGLE
from kaiju.monitor.http_server import NodeServer
from kaiju.monitor.live_table import LiveTable
from kaiju.monitor.observer import NodeObserver, NodeView
from kaiju.report.console import print_summary
from kaiju.report.html import write_html
from kaiju.report.report import Report, RunFacts, RunHistory, build_report, load_history, write_json
from kaiju.run.run_file import RunFile

WIDTH = 140
"""Columns of output where there is no terminal to measure."""
REPORT = "report.json"
"""Name of the report for programs in the run's directory."""
MAX_DISCARDED = 0.01
"""Share of its messages that an actor may discard in a run that went well."""
LOOK_NS = 500_000_000
"""Real time between two looks at the running node; drawing one takes the loop 20 ms."""


class Outcome(NamedTuple):
    """How a run ended."""

    code: int
    """Exit code."""
    directory: Path


class FinishedRun(NamedTuple):
    """A run that is over."""

    watch: NodeObserver
    run_file: RunFile
    directory: Path
    seconds: float
    """Real time that it took."""


class Presentation(NamedTuple):
    """How a run is shown while it lasts and at its end."""

    quiet: bool = False
    """Whether nothing but errors is printed."""
    report: Path | None = None
    """Where the report goes as well; a page if it ends in ``.html``, else JSON."""
    metrics_host: str = "127.0.0.1"
    """Address of ``/metrics``."""
    metrics_port: int = 0
    """Its port; 0 for any free one."""

    def console(self) -> Console:
        """Return the console for progress and the summary."""
        console = Console(quiet=self.quiet, highlight=False)
        if not console.is_terminal:
            console.width = WIDTH
        return console

    def errors(self) -> Console:
        """Return the console for errors."""
        return Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def observed(watch: NodeObserver, server: NodeServer, console: Console) -> Iterator[None]:
    """Show the node to people and monitors while it runs."""
    with ExitStack() as stack:
        shows: list[Callable[[NodeView], None]] = [server.show]
        console.print(
            f"{watch.topology}: metrics on http://{server.address}/metrics; Ctrl-C stops",
            markup=False,
        )
        if console.is_terminal and not console.quiet:
            shows.append(stack.enter_context(LiveTable(console)).show)
        watch.node.on_turn = _looking(watch, shows)
        yield


def _looking(
    watch: NodeObserver, shows: list[Callable[[NodeView], None]]
) -> Callable[[Node], None]:
    next_look = 0

    def look(_node: Node) -> None:
        nonlocal next_look
        if time.monotonic_ns() >= next_look:
            view = watch.observe()
            for show in shows:
                show(view)
            next_look = time.monotonic_ns() + LOOK_NS

    return look


def finish(finished: FinishedRun, shown: Presentation) -> Outcome:
    """Write the report of a run, print its summary and return how it ended."""
    watch, run_file, directory, seconds = finished
    node = watch.node
    facts = RunFacts(
        topology=watch.topology,
        file=run_file.topology,
        started=run_file.starts[0],
        clock=run_file.clock,
        seed=run_file.seed,
        recorder=next((name for name, actor in node.actors.items() if actor.writes_record), ""),
        seconds=seconds,
        stopped=node.stop_reason,
        failures=tuple(node.supervisor.failures),
        unfired_timers=node.unfired or 0,
        version=version("kaiju-trading"),
    )
    report, problems = _report(watch, facts, directory, shown.report)
    files = sorted(path.name for path in directory.glob("*"))
    print_summary(report, directory, files, shown.console())
    for problem in dict.fromkeys(problems):
        shown.errors().print(f"error: {problem}", markup=False)
    if node.halts.in_part:
        shown.errors().print(f"warning: {_halt_text(node.halts)}", markup=False)
    kept = sorted(name for actor in node.actors.values() for name in actor.open_orders())
    if node.config.leaves_orders and kept:
        text = f"left open at the venue, as `on_stop: leave` says: {', '.join(kept)}"
        shown.console().print(text, markup=False, soft_wrap=True)
    left_open = [f"{a.name}: {left}" for a in node.actors.values() if (left := a.left_open())]
    for left in left_open:
        shown.errors().print(f"error: {left}", markup=False)
    if node.halts.killed:
        return Outcome(ExitCode.KILLED, directory)
    if (report.halted and not node.halts.in_part) or left_open:
        return Outcome(ExitCode.HALTED, directory)
    fine = report.conserved and not problems
    return Outcome(ExitCode.OK if fine else ExitCode.FAILED, directory)


def _report(
    watch: NodeObserver, facts: RunFacts, directory: Path, copy: Path | None
) -> tuple[Report, list[str]]:
    """Write the report, as far as that is possible, and return it with all problems."""
    view = watch.observe()
    statistics = view.statistics
    problems = [failure for failure in facts.failures if failure != statistics.halted]
    if statistics.halted and not statistics.halted_in_part:
        problems.insert(0, _halt_text(watch.node.halts))
    problems += [
        f"{venue.actor}: the venue at {venue.endpoint} was never reached"
        for venue in view.venues
        if not venue.reached
    ]
    problems += [
        f"{lost.actor}: {lost.source}: {lost.reason}: {lost.first_detail}"
        for lost in view.discarded
        if lost.reason in SINGLE
    ]
    problems += _discarded_beyond_share(view)
    history = None
    try:
        history = load_history(directory)
    except DamagedFileError as error:
        problems.append(str(error))
    report = build_report(facts, statistics, history, view.discarded)
    if report.cut:
        problems.append(f"the record is not whole: {report.cut}")
    try:
        _write(report, history, directory, copy)
    except OSError as error:
        problems.append(f"the report was not written: {error}")
    return report, problems


def _halt_text(halts: Halts) -> str:
    return f"trading was halted: {halts.reason}; lifted by: {halts.lifted_by}"


def _discarded_beyond_share(view: NodeView) -> Iterator[str]:
    for actor in view.statistics.actors:
        count = sum(found.count for found in view.discarded if found.actor == actor.name)
        if count > MAX_DISCARDED * actor.handled:
            yield (
                f"{actor.name}: {count:,} of {actor.handled:,} messages were discarded,"
                f" allowed is {MAX_DISCARDED:.0%}"
            )


def _write(report: Report, history: RunHistory | None, directory: Path, copy: Path | None) -> None:
    write_json(report, directory / REPORT)
    write_html(report, history, directory / "report.html")
    if copy is not None and copy.suffix == ".html":
        write_html(report, history, copy)
    elif copy is not None:
        write_json(report, copy)
