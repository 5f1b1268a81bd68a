"""One run of a topology in this process: from its file to its report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from actors.runtime.clock import Clock, LiveClock, VirtualClock
from actors.runtime.node.node import Node
from kaiju.monitor.http_server import NodeServer
from kaiju.monitor.observer import NodeObserver
from kaiju.run.build import compose
from kaiju.run.outcome import FinishedRun, Outcome, consoles, finish, observed
from kaiju.run.run_file import RUN_FILE, RunFile
from kaiju.run.signals import signal_handlers
from topology.check.check import CheckedTopology, check_file
from topology.errors import RefusedError

VIRTUAL_START = 1_704_067_200_000_000_000
"""Where virtual time begins without recorded data: 2024-01-01 00:00:00 UTC."""
ENOUGH = 600_000_000_000
"""Virtual nanoseconds of a synthetic market that are run where no duration is asked for: it has
no end of its own."""


@dataclass(frozen=True)
class Options:
    """What `kaiju run` was asked for.

    Attributes:
        file: the topology; None where a run goes on.
        resume: directory of a run that goes on from where it was; all else that says how it is
            done comes from there.
        data: directory in which the run has one of its topology's name; where an earlier run left
            something there, it goes on from that, with `file` as it is now.
        text: what the topology says; None to read the file.
        overrides: settings that replace those of the file, as ``actor.setting=value``.
        runs: directory under which the run gets its own.
        duration: nanoseconds of the node's clock; None runs to the end of data, or for ten
            virtual minutes where there is none.
        live: the machine's clock instead of a virtual one.
        speed: virtual seconds in a real second; 0 for as fast as possible.
        seed: of every actor's random numbers.
        quiet: print nothing but errors.
        report: where the report goes as well; a page if it ends in ``.html``, else JSON.
        metrics_host: address of ``/metrics``.
        metrics_port: its port; 0 for any free one.
    """

    file: Path | None
    resume: Path | None = None
    data: Path | None = None
    text: str | None = None
    overrides: tuple[str, ...] = ()
    runs: Path = Path("runs")
    duration: int | None = None
    live: bool = False
    speed: float = 0.0
    seed: int = 0
    quiet: bool = False
    report: Path | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0


class Start(NamedTuple):
    """A run that is about to begin, or to go on."""

    checked: CheckedTopology
    run_file: RunFile
    clock: Clock
    directory: Path


def run(options: Options) -> Outcome:
    """Run a topology to its end and leave its report behind.

    Raises:
        TopologyError: the file has mistakes; the text lists all of them.
        RefusedError: the port for metrics is taken, there is no folder for the report, or the run
            kept nothing to go on from.
        RunFileError: the run file of a run that is to go on cannot be used.
        DataDirectoryError: its data cannot be read.
        RecoveryError: its journals do not fit together, or an actor does not repeat its.
        DamagedFileError: a journal is damaged.
        JournalLockedError: the run is still going on, in another process.
        OSError: the run's directory cannot be made or written.
        KeyboardInterrupt: a second signal came while the run was stopping.
    """
    console, errors = consoles(quiet=options.quiet)
    _refuse_missing_folder(options.report)
    started = datetime.now(UTC)
    checked, earlier = _checked(options)
    for warning in checked.findings.warnings:
        errors.print(str(warning), markup=False)
    name = checked.topology.name
    planned = compose(checked, clock=VirtualClock())
    with _metrics_server(planned, options) as server:
        directory = options.resume or (options.data and options.data / name)
        if directory is None:
            directory = make_directory(options.runs, f"{name}-{started:%Y%m%d-%H%M%S}")
        if earlier is None:
            directory.mkdir(parents=True, exist_ok=True)
            run_file, clock = _begin(checked, options, started, first_input(planned))
        else:
            run_file = earlier.started_again(
                started.isoformat(timespec="seconds"), checked.document.text
            )
            clock = _clock_of(run_file, planned)
            if run_file.clock == "live":  # time passed meanwhile: what was asked for counts anew
                until = clock.read() + options.duration if options.duration else 0
                run_file = replace(run_file, until=until)
        node = _compose(Start(checked, run_file, clock, directory))
        if node.data is None or earlier is None:
            run_file.save(directory)
        else:  # another process may be running here: its file stays until the lock is ours
            node.data.on_opened = partial(run_file.save, directory)
        watch = NodeObserver(node, name, options.duration)
        began = time.monotonic()
        with signal_handlers(node), observed(watch, server, console):
            node.run(until=run_file.until or None)
    return finish(
        FinishedRun(watch, run_file, directory, time.monotonic() - began),
        console,
        errors,
        copy=options.report,
    )


def _checked(options: Options) -> tuple[CheckedTopology, RunFile | None]:
    """Return the topology, and the run file where a run goes on."""
    if options.resume is None:
        assert options.file is not None
        checked = check_file(options.file, text=options.text, overrides=options.overrides)
        directory = options.data and options.data / checked.topology.name
        if directory is None or not (directory / RUN_FILE).exists():
            return checked, None
        return checked, RunFile.load(directory)
    run_file = RunFile.load(options.resume)
    checked = check_file(Path(run_file.topology), text=run_file.text, overrides=run_file.overrides)
    if not _keeps(checked):
        raise RefusedError(
            f"{options.resume}: nothing to go on from: no actor of {run_file.topology} is durable;"
            " `durable: os` keeps what an actor does"
        )
    return checked, run_file


def _keeps(checked: CheckedTopology) -> bool:
    return any(actor.durable != "none" for actor in checked.topology.actors.values())


def _refuse_missing_folder(report: Path | None) -> None:
    if report is not None and not report.parent.is_dir():
        raise RefusedError(f"--report {report}: there is no folder {report.parent}")


def _metrics_server(node: Node, options: Options) -> NodeServer:
    host, port = options.metrics_host, options.metrics_port
    try:
        return NodeServer(node, host, port)
    except OSError as error:
        raise RefusedError(f"metrics cannot listen on {host}:{port}: {error.strerror}") from error


def _begin(
    checked: CheckedTopology, options: Options, started: datetime, first: int | None
) -> tuple[RunFile, Clock]:
    """Return how this run begins, and its clock; `first` is the time of the first outside input."""
    assert options.file is not None
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
        session=f"{int(time.time()):x}" if options.live else "0",
        began=began,
        until=0 if duration is None else began + duration,
        overrides=options.overrides,
        starts=(started.isoformat(timespec="seconds"),),
    )
    return run_file, clock


def live_clock(first: int | None) -> LiveClock:
    """Return the machine's clock; recorded inputs of another day are due now, not all at once."""
    return LiveClock(0 if first is None else first - time.time_ns())


def _clock_of(run_file: RunFile, planned: Node) -> Clock:
    if run_file.clock == "live":
        return live_clock(first_input(planned))
    return VirtualClock(run_file.began, run_file.speed)


def _compose(start: Start) -> Node:
    return compose(
        start.checked,
        clock=start.clock,
        seed=start.run_file.seed,
        session=start.run_file.session,
        directory=start.directory,
        data=start.directory if _keeps(start.checked) else None,
    )


def first_input(node: Node) -> int | None:
    """Return the time of the earliest outside input; None where no actor has a source."""
    sources = [actor.source() for actor in node.actors.values()]
    heads = [next(source, None) for source in sources if source is not None]
    return min((head[0] for head in heads if head is not None), default=None)


def make_directory(runs: Path, name: str) -> Path:
    """Make a directory that nothing has been in, and return it; a name that is taken is numbered.

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
