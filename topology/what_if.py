"""What if: a run done again from its outside inputs with other settings, and what that changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from topology.differences import differences
from topology.differences_table import print_differences, when
from topology.record import Record
from topology.run import REPORT, Options, RefusedError, run
from topology.run_file import RUN_FILE, RunFile

OWN_ENDS = ("time is up", "end of data", "nothing left to do")
"""Why a run stops by itself: then it stops at the same moment again."""
WIDEST = 1_000
"""Columns where there is no terminal to measure: one line for each row."""


@dataclass(frozen=True)
class WhatIf:
    """What `kaiju replay` was asked for.

    Attributes:
        run: directory of the run that is done again.
        overrides: settings that change, as ``actor.setting=value``.
        runs: directory under which the new run gets its own; None for beside the old one.
        everything: print all differences instead of the first ones.
    """

    run: Path
    overrides: tuple[str, ...] = ()
    runs: Path | None = None
    everything: bool = False


def replay(asked: WhatIf) -> int:
    """Do a run again, print what differs, and return the exit code of the new run.

    Raises:
        FileNotFoundError: there is no such run, or it has no record.
        RunFileError: its run file cannot be used.
        RefusedError: it was live.
        TopologyError: the settings are wrong.
        DamagedFileError: its record is damaged.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDEST
    original = RunFile.load(asked.run)
    if original.clock == "live":
        raise RefusedError(
            f"{asked.run} was live: what came from outside is not in its record, and a market that"
            " went on by itself cannot be run again"
        )
    with Record(asked.run):
        pass  # one without a record is refused before anything is run
    duration, notes = _duration(asked.run, original)
    for note in (*_strange(original), *notes):
        console.print(Text(note, "yellow"))
    with console.status(f"running {asked.run} again"):
        outcome = run(
            Options(
                file=Path(original.topology),
                text=original.text,
                overrides=(*original.overrides, *asked.overrides),
                runs=asked.run.resolve().parent if asked.runs is None else asked.runs,
                duration=duration,
                seed=original.seed,
                quiet=True,
            )
        )
    settings = f", with {', '.join(asked.overrides)}" if asked.overrides else ""
    console.print(Text(f"before: {asked.run}\nafter:  {outcome.directory}{settings}"))
    with Record(asked.run) as before, Record(outcome.directory) as after:
        print_differences(differences(before, after), console, everything=asked.everything)
    return outcome.code


def _duration(directory: Path, original: RunFile) -> tuple[int | None, Sequence[str]]:
    """Return for how long to run, and what is to be said about it."""
    why = _why_interrupted(directory)
    if not why:
        return original.duration, ()
    with Record(directory) as record:
        last = max((recorded.time for recorded in record), default=original.began)
    note = f"{directory} {why}: it is done again up to its last recorded event, {when(last)}"
    return last - original.began, (note,)


def _why_interrupted(directory: Path) -> str:
    try:
        report = (directory / REPORT).read_bytes()
    except FileNotFoundError:
        return "did not come to its end"
    stopped = msgspec.json.decode(report)["run"]["stopped"]
    return "" if stopped in OWN_ENDS else f"was stopped ({stopped})"


def _strange(original: RunFile) -> Iterable[str]:
    """Yield what is not as it was when the run was made."""
    if original.kaiju != version("kaiju"):
        yield f"made by kaiju {original.kaiju}, this is {version('kaiju')}: it may decide otherwise"
    path = Path(original.topology)
    try:
        changed = "" if path.read_bytes() == original.text.encode() else "has changed since"
    except OSError:
        changed = "cannot be read any more"
    if changed:
        yield f"{path} {changed}: its copy in {RUN_FILE} is used"
