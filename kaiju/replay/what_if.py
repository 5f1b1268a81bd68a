"""What if: a run repeated from its outside inputs with other settings, and what that changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from actors.runtime.errors import ExitCode
from kaiju.record.record import Record
from kaiju.replay.console import print_decisions, print_differences, when
from kaiju.replay.decisions import decision_differences
from kaiju.replay.differences import differences
from kaiju.replay.open_loop import (
    OpenLoop,
    ended_at,
    has_journal,
    is_open_loop,
    journals_of_port_actors,
    trades_outside,
)
from kaiju.replay.outside import OrderPairing
from kaiju.run.local import Options, make_directory, run
from kaiju.run.outcome import REPORT, Presentation
from kaiju.run.run_file import RUN_FILE, RunFile
from topology.check.check import CheckedTopology, check_file
from topology.config.findings import TopologyError

OWN_ENDS = ("time is up", "end of data", "nothing left to do")
"""Reasons for which a run stops by itself, and so at the same time again."""
UNFINISHED = "did not come to its end"
ANSWERED = (
    "open loop, decisions only: the venue's answers are those of the recorded run, so no fills or"
    " PnL are compared"
)
ANSWERING = (
    "open loop, decisions only: what came from outside is that of the recorded run, and the venue"
    " inside answers anew, so no fills or PnL are compared"
)
WIDEST = 1_000
"""Columns without a terminal, enough for one line per row."""


@dataclass(frozen=True)
class WhatIf:
    """What `kaiju replay` was asked for.

    Attributes:
        run: directory of the run to repeat.
        overrides: settings that change, as ``actor.setting=value``.
        runs: directory in which new runs get theirs; None for that of the old run.
        everything: print all differences instead of the first ones.
    """

    run: Path
    overrides: tuple[str, ...] = ()
    runs: Path | None = None
    everything: bool = False

    @property
    def directory(self) -> Path:
        """Directory in which new runs get theirs."""
        return self.run.resolve().parent if self.runs is None else self.runs

    @property
    def settings(self) -> str:
        """The changed settings, to follow the name of the new run."""
        return f", with {', '.join(self.overrides)}" if self.overrides else ""


def replay(asked: WhatIf) -> int:
    """Repeat a run, print what differs, and return the exit code of the new run.

    Raises:
        FileNotFoundError: there is no such run, or it has no record.
        RunFileError: its run file cannot be used.
        RefusedError: its outside inputs were not kept, or not all of them.
        TopologyError: the settings are wrong.
        DamagedFileError: its record or a journal is damaged.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDEST
    original = RunFile.load(asked.run)
    with Record(asked.run):
        pass  # one without a record is refused before anything is run
    checked = _check(original, original.overrides)
    if is_open_loop(original, checked):
        return _replay_open(asked, original, checked, console)
    return _replay_closed(asked, original, console)


def _replay_closed(asked: WhatIf, original: RunFile, console: Console) -> int:
    """Repeat the whole run, including its venue, and compare the two."""
    duration, notes = _duration(asked.run, original)
    _print_notes((*_changes_since(original), *notes), console)
    with console.status(f"running {asked.run} again"):
        outcome = run(
            Options(
                file=Path(original.topology),
                text=original.text,
                overrides=(*original.overrides, *asked.overrides),
                runs=asked.directory,
                duration=duration,
                seed=original.seed,
                shown=Presentation(quiet=True),
            )
        )
    console.print(Text(f"before: {asked.run}\nafter:  {outcome.directory}{asked.settings}"))
    with Record(asked.run) as before, Record(outcome.directory) as after:
        print_differences(differences(before, after), console, everything=asked.everything)
    return outcome.code


def _replay_open(
    asked: WhatIf, original: RunFile, checked: CheckedTopology, console: Console
) -> int:
    """Repeat a run from its journals, without and with the settings, and compare the two."""
    changed = _check(original, (*original.overrides, *asked.overrides))
    journals = journals_of_port_actors(asked.run, original, checked)
    until, notes = _end(asked.run, original)
    scope = ANSWERED if trades_outside(checked) else ANSWERING
    _print_notes((*_changes_since(original), *notes, scope), console)
    loop = OpenLoop(asked.run, original, journals, until)
    name = asked.run.resolve().name
    before = make_directory(asked.directory, f"{name}-before")
    after = make_directory(asked.directory, f"{name}-after")
    with Record(asked.run) as record:
        pairing = OrderPairing.in_record(record)
    with console.status(f"running {asked.run} again, twice"):
        failures = [
            *loop.rerun(checked, before, pairing),
            *loop.rerun(changed, after, pairing.again()),
        ]
    console.print(Text(f"before: {before}\nafter:  {after}{asked.settings}"))
    with Record(asked.run) as recorded, Record(before) as first, Record(after) as second:
        found = decision_differences(recorded, first, second)
    print_decisions(found, console, everything=asked.everything)
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    for failure in dict.fromkeys(failures):
        errors.print(f"error: {failure}", markup=False)
    return ExitCode.FAILED if failures else ExitCode.OK


def _check(original: RunFile, overrides: Iterable[str]) -> CheckedTopology:
    checked = check_file(Path(original.topology), text=original.text, overrides=overrides)
    if checked.findings.errors:
        raise TopologyError(checked.findings)
    return checked


def _print_notes(notes: Iterable[str], console: Console) -> None:
    for note in notes:
        console.print(Text(note, "yellow"), soft_wrap=True)


def _end(directory: Path, original: RunFile) -> tuple[int, Sequence[str]]:
    """Return when a run ended, UTC nanoseconds, and notes about that."""
    if not has_journal(directory):
        duration, notes = _duration(directory, original)
        if duration is not None:
            return original.began + duration, notes
    elif (ended := ended_at(directory)) is not None:
        return ended, ()
    return _last_recorded(directory, original, UNFINISHED)


def _duration(directory: Path, original: RunFile) -> tuple[int | None, Sequence[str]]:
    """Return for how long to run, and notes about that."""
    why = _why_interrupted(directory)
    if not why:
        return original.duration, ()
    last, notes = _last_recorded(directory, original, why)
    return last - original.began, notes


def _last_recorded(directory: Path, original: RunFile, why: str) -> tuple[int, Sequence[str]]:
    with Record(directory) as record:
        last = max((recorded.time for recorded in record), default=original.began)
    note = f"{directory} {why}: it is repeated up to its last recorded event, {when(last)}"
    return last, (note,)


def _why_interrupted(directory: Path) -> str:
    try:
        report = (directory / REPORT).read_bytes()
    except FileNotFoundError:
        return UNFINISHED
    stopped = msgspec.json.decode(report)["run"]["stopped"]
    return "" if stopped in OWN_ENDS else f"was stopped ({stopped})"


def _changes_since(original: RunFile) -> Iterable[str]:
    """Yield what has changed since the run was made."""
    present = version("kaiju-trading")
    if original.kaiju != present:
        yield f"made by kaiju {original.kaiju}, this is {present}: it may decide otherwise"
    path = Path(original.topology)
    try:
        changed = "" if path.read_bytes() == original.text.encode() else "has changed since"
    except OSError:
        changed = "cannot be read any more"
    if changed:
        yield f"{path} {changed}: its copy in {RUN_FILE} is used"
