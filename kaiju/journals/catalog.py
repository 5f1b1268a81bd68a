"""The journals of a run, and how much of a damaged one can be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from actors.runtime import codec
from actors.runtime.errors import ExitCode, KaijuError
from actors.runtime.journal.data_directory import JOURNALS
from actors.runtime.journal.frames import DamagedFileError
from actors.runtime.journal.repair import Cut
from actors.runtime.journal.segments import JournalReader, read_segment, segment_paths
from kaiju.journals.step_text import moment

COLUMNS = ("steps", "segments", "bytes", "snapshots")


class NoJournalError(KaijuError):
    """There is no such journal; the text says which there are."""

    exit_code = ExitCode.MISUSED


class Listed(NamedTuple):
    """One journal, as far as can be told without reading all of it."""

    actor: str
    actor_class: str
    steps: str
    """First and last kept step; empty where none is."""
    segments: int
    size: int
    snapshots: int
    first: str
    """Time of the first kept step."""
    last: str
    condition: str
    damaged: bool


def journals_in(source: Path) -> list[Path]:
    """Return the directories of the journals of a run, or the one that `source` is itself.

    Raises:
        NoJournalError: there is none.
    """
    if not source.is_dir():
        raise NoJournalError(f"{source}: there is no such directory")
    if segment_paths(source):
        return [source]
    parent = source / JOURNALS if (source / JOURNALS).is_dir() else source
    found = sorted(path for path in parent.iterdir() if path.is_dir() and segment_paths(path))
    if not found:
        raise NoJournalError(f"{source}: no journals here; was any actor of the run durable?")
    return found


def journal_of(source: Path, actor: str | None) -> Path:
    """Return the directory of one actor's journal.

    Raises:
        NoJournalError: there is none, or `actor` is None and there are several.
    """
    found = {path.name: path for path in journals_in(source)}
    if actor is None and len(found) == 1:
        [actor] = found
    if actor not in found:
        said = "say whose journal" if actor is None else f"no journal of {actor!r}"
        raise NoJournalError(f"{source}: {said}; there are those of {', '.join(found)}")
    return found[actor]


def listing(source: Path) -> list[Listed]:
    """Describe every journal of a run.

    Raises:
        NoJournalError: there is none.
    """
    return [_listed(path) for path in journals_in(source)]


def as_table(journals: Iterable[Listed]) -> Table:
    """Return what `listing` returns as a table."""
    table = Table(pad_edge=False, box=None)
    for column in ("actor", "class"):
        table.add_column(column, overflow="fold")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for column in ("first", "last", "condition"):
        table.add_column(column, overflow="fold")
    for each in journals:
        numbers = (f"{each.segments:,}", f"{each.size:,}", f"{each.snapshots:,}")
        shown = (each.actor, each.actor_class, each.steps, *numbers, each.first, each.last)
        table.add_row(*shown, each.condition)
    return table


def cut_lines(directory: Path, cut: Cut) -> Iterator[str]:
    """Yield lines that say what a cut keeps and what it removes."""
    yield f"damaged: {cut.reason}"
    kept = f"up to step {cut.last_step:,}" if cut.last_step else "no step at all"
    yield f"can be kept: {kept}; everything from step {cut.last_step + 1:,} on is cut off:"
    if cut.tail is not None:
        path, size = cut.tail
        yield f"    {path.name}: {path.stat().st_size - size:,} bytes from byte {size} on"
    for path in cut.segments:
        yield f"    {path.name}: the whole file, {path.stat().st_size:,} bytes"
    for step in cut.snapshots:
        yield f"    the snapshot of step {step:,}"
    yield f"all of it would stay in {directory}, in files broken-..."


def _listed(path: Path) -> Listed:
    files = segment_paths(path)
    size = sum(file.stat().st_size for file in files)
    snapshots, about, damaged = 0, ("?", "", "", ""), False
    try:
        header = read_segment(files[-1]).header
        actor_class = str(header.get("class", ""))
        about = (actor_class, "", "", "")
        journal = JournalReader(path)
        snapshots = len(journal.snapshot_steps())
        about = (actor_class, *_reach(journal))
        condition = f"{journal.torn:,} bytes torn at the end" if journal.torn else "whole"
    except DamagedFileError as error:
        condition, damaged = f"damaged: {error}", True
    actor_class, steps, first, last = about
    return Listed(
        *(path.name, actor_class, steps, len(files), size, snapshots, first, last),
        *(condition, damaged),
    )


def _reach(journal: JournalReader) -> tuple[str, str, str]:
    """Return which steps there are, and the times of the first and the last."""
    oldest = journal.segments()[0].first_step
    if journal.last_step < oldest:
        return "", "", ""
    first = next(journal.steps(oldest - 1))
    [last] = journal.steps(journal.last_step - 1)
    return f"{oldest:,} to {journal.last_step:,}", _time(first), _time(last)


def _time(body: bytes) -> str:
    return moment(codec.decode(body)[2]).partition(".")[0]
