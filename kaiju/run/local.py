"""One run of a topology in this process: from its file to its report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from actors.runtime.clock import Clock, LiveClock, VirtualClock
from actors.runtime.node.emergency import operated
from actors.runtime.node.node import Node
from kaiju.monitor.http_server import NodeServer
from kaiju.monitor.observer import NodeObserver
from kaiju.monitor.operator_views import views_of
from kaiju.run.build import compose
from kaiju.run.outcome import FinishedRun, Outcome, Presentation, finish, observed
from kaiju.run.run_file import RUN_FILE, RunFile, new_session
from kaiju.run.signals import signal_handlers
from topology.check.check import CheckedTopology, check_file
from topology.errors import RefusedError

VIRTUAL_START = 1_704_067_200_000_000_000
"""Where virtual time starts without recorded data: 2024-01-01 00:00:00 UTC."""
ENOUGH = 600_000_000_000
"""Virtual nanoseconds of a synthetic market, which has no end of its own, where no duration is
asked for."""


@dataclass(frozen=True)
class Options:
    """What `kaiju run FILE` was asked for.

    Attributes:
        file: the topology.
        data: directory in which the run has one of its topology's name; what an earlier run left
            there is continued, with `file` as it is now.
        runs: directory under which the run gets its own, where there is no `data`.
        duration: nanoseconds of the node's clock; None runs to the end of data, or for ten
            virtual minutes where there is none.
        live: the machine's clock instead of a virtual one.
        speed: virtual seconds per real second; 0 for as fast as possible.
        seed: of every actor's random numbers.
        shown: how the run is shown.
        text: what the topology says; None to read the file.
        overrides: settings that replace those of the file, as ``actor.setting=value``.
    """

    file: Path
    data: Path | None = None
    runs: Path = Path("runs")
    duration: int | None = None
    live: bool = False
    speed: float = 0.0
    seed: int = 0
    shown: Presentation = field(default_factory=Presentation)
    text: str | None = None
    overrides: tuple[str, ...] = ()


class Start(NamedTuple):
    """A run that is about to begin or to continue."""

    checked: CheckedTopology
    run_file: RunFile
    clock: Clock
    directory: Path
    duration: int | None
    continued: bool


def run(options: Options) -> Outcome:
    """Run a topology to its end and leave its report behind.

    Raises:
        TopologyError: the file has mistakes; the text lists all of them.
        RefusedError: the port for metrics is taken, or there is no folder for the report.
        RunFileError: the run file of the earlier run in `data` cannot be used.
        DataDirectoryError: its data cannot be read.
        RecoveryError: its journals do not fit together.
        DivergedError: an actor does not do again what its journal holds.
        DamagedFileError: a journal is damaged.
        JournalLockedError: the run is still going on, in another process.
        OSError: the run's directory cannot be made or written.
        KeyboardInterrupt: a second signal came while the run was stopping.
    """
    checked = check_file(options.file, text=options.text, overrides=options.overrides)
    directory = options.data and options.data / checked.topology.name
    if directory is not None and (directory / RUN_FILE).exists():
        earlier = RunFile.load(directory)
        return _continue(checked, earlier, directory, options.duration, options.shown)
    with _prepared(checked, options.shown) as (planned, server):
        started = datetime.now(UTC)
        if directory is None:
            name = f"{checked.topology.name}-{started:%Y%m%d-%H%M%S}"
            directory = make_directory(options.runs, name)
        directory.mkdir(parents=True, exist_ok=True)
        run_file, clock = _begin(checked, options, started, first_input(planned))
        start = Start(checked, run_file, clock, directory, options.duration, continued=False)
        finished = _run(start, server, options.shown)
    return finish(finished, options.shown)


def resume_run(directory: Path, duration: int | None, shown: Presentation) -> Outcome:
    """Continue a run from where it was killed; all that says how comes from its directory.

    Args:
        directory: the run's.
        duration: nanoseconds from now on, where the run is by the machine's clock; None for no end.
        shown: how the run is shown.

    Raises:
        RefusedError: as `run`, or nothing of the run was kept.
        Exception: all others that `run` raises.
    """
    run_file = RunFile.load(directory)
    checked = check_file(Path(run_file.topology), text=run_file.text, overrides=run_file.overrides)
    if not _keeps(checked):
        raise RefusedError(
            f"{directory}: there is nothing to continue: no actor of {run_file.topology} is"
            " durable; `durable: os` keeps what an actor does"
        )
    return _continue(checked, run_file, directory, duration, shown)


def _continue(
    checked: CheckedTopology,
    earlier: RunFile,
    directory: Path,
    duration: int | None,
    shown: Presentation,
) -> Outcome:
    with _prepared(checked, shown) as (planned, server):
        started = datetime.now(UTC).isoformat(timespec="seconds")
        run_file = earlier.started_again(started, checked.document.text)
        clock = _clock_of(run_file, planned)
        if run_file.clock == "live":  # time passed meanwhile: what was asked for counts anew
            run_file = replace(run_file, until=clock.read() + duration if duration else 0)
        start = Start(checked, run_file, clock, directory, duration, continued=True)
        finished = _run(start, server, shown)
    return finish(finished, shown)


@contextmanager
def _prepared(checked: CheckedTopology, shown: Presentation) -> Iterator[tuple[Node, NodeServer]]:
    """Yield a node to plan with, and the server of metrics: a run that cannot be shown is none."""
    _refuse_missing_folder(shown.report)
    for warning in checked.findings.warnings:
        shown.errors().print(str(warning), markup=False)
    planned = compose(checked, clock=VirtualClock())
    host, port = shown.metrics_host, shown.metrics_port
    try:
        server = NodeServer(planned, host, port)
    except OSError as error:
        raise RefusedError(f"metrics cannot listen on {host}:{port}: {error.strerror}") from error
    with server:
        yield planned, server


def _run(start: Start, server: NodeServer, shown: Presentation) -> FinishedRun:
    run_file, directory = start.run_file, start.directory
    node = compose(
        start.checked,
        clock=start.clock,
        seed=run_file.seed,
        session=run_file.session,
        directory=directory,
        data=directory if _keeps(start.checked) else None,
    )
    if start.continued and node.data is not None:
        # another process may be running here: its file stays until the lock is ours
        node.data.on_opened = partial(run_file.save, directory)
    else:
        run_file.save(directory)
    watch = NodeObserver(node, start.checked.topology.name, start.duration)
    began = time.monotonic()
    with (
        signal_handlers(node),
        observed(watch, server, shown.console()),
        operated(
            node, directory, views_of(watch), loop_timeout=start.checked.topology.loop_timeout
        ),
    ):
        node.run(until=run_file.until or None)
    return FinishedRun(watch, run_file, directory, time.monotonic() - began)


def _keeps(checked: CheckedTopology) -> bool:
    return any(actor.durable != "none" for actor in checked.topology.actors.values())


def _refuse_missing_folder(report: Path | None) -> None:
    if report is not None and not report.parent.is_dir():
        raise RefusedError(f"--report {report}: there is no folder {report.parent}")


def _begin(
    checked: CheckedTopology, options: Options, started: datetime, first: int | None
) -> tuple[RunFile, Clock]:
    """Return the run file and clock of a new run, whose first outside input is at `first`."""
    clock: Clock
    if options.live:
        clock = live_clock(first)
    else:
        clock = VirtualClock(VIRTUAL_START if first is None else first, options.speed)
    began, duration = clock.read(), options.duration
    if duration is None and first is None and not options.live and not options.speed:
        duration = ENOUGH
    run_file = RunFile(
        kaiju=version("kaiju-trading"),
        topology=str(options.file.resolve()),
        text=checked.document.text,
        clock="live" if options.live else "virtual",
        speed=options.speed,
        seed=options.seed,
        session=new_session() if options.live else "0",
        began=began,
        until=0 if duration is None else began + duration,
        overrides=options.overrides,
        starts=(started.isoformat(timespec="seconds"),),
    )
    return run_file, clock


def live_clock(first: int | None) -> LiveClock:
    """Return the machine's clock, shifted so that recorded inputs of another day begin now."""
    return LiveClock(0 if first is None else first - time.time_ns())


def _clock_of(run_file: RunFile, planned: Node) -> Clock:
    if run_file.clock == "live":
        return live_clock(first_input(planned))
    return VirtualClock(run_file.began, run_file.speed)


def first_input(node: Node) -> int | None:
    """Return the time of the earliest outside input; None where no actor has a source."""
    sources = [actor.source() for actor in node.actors.values()]
    heads = [next(source, None) for source in sources if source is not None]
    return min((head[0] for head in heads if head is not None), default=None)


def make_directory(runs: Path, name: str) -> Path:
    """Make a new directory and return it; a name that is taken gets a number.

    Raises:
        OSError: it cannot be made.
    """
    runs.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        directory = runs / (name if number == 1 else f"{name}-{number}")
        try:
            directory.mkdir()
        except FileExistsError:
            number += 1
        else:
            return directory
