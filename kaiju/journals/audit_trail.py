"""Who halted, resumed and commanded what, under which limits: from the journals of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import msgspec

from actors.events.orders import CancelAll
from actors.events.system import ActorFailed, HaltTrading, OperatorCommand, ResumeTrading
from actors.runtime.journal.data_directory import CONTROL, JOURNALS
from actors.runtime.journal.segments import JournalReader, segment_paths
from actors.runtime.journal.steps import read_step, step_decoder
from actors.runtime.node.control_log import ANNOUNCED
from actors.runtime.trading_state import scope_of
from kaiju.journals.catalog import NoJournalError
from kaiju.journals.step_text import moment

DEPTHS = ("", "*/", "*/*/")
"""Where journals are below the directory of a run: its own, those of hosts and of nodes."""
APPROVES = "OrderApproved"
"""What an actor emits whose settings are limits."""


class TrailEntry(msgspec.Struct, frozen=True):
    """One thing that was decided."""

    time: int
    """UTC nanoseconds of the node's clock."""
    node: str
    kind: str
    """``halt``, ``resume``, ``command``, ``cancel-all``, ``failure`` or ``limit``."""
    who: str
    """A person, or the actor or node whose decision it was."""
    what: str
    why: str = ""

    @property
    def moment(self) -> str:
        """The time as people read it."""
        return moment(self.time)


def audit_trail(run: Path) -> list[TrailEntry]:
    """Return all halts, lifts, commands and limits of a run, oldest first.

    Raises:
        NoJournalError: nothing of the run was kept.
        DamagedFileError: a journal is damaged.
    """
    journals = [
        path
        for depth in DEPTHS
        for path in sorted(run.glob(f"{depth}{JOURNALS}/*"))
        if path.is_dir() and segment_paths(path)
    ]
    if not journals:
        raise NoJournalError(f"{run}: no journals here; was any actor of the run durable?")
    found = list[TrailEntry]()
    for path in journals:
        reader = JournalReader(path)
        found += _announced(reader) if path.name == CONTROL else _limits(reader)
    return sorted(found, key=lambda entry: entry.time)


def _announced(reader: JournalReader) -> Iterator[TrailEntry]:
    read, node = step_decoder(reduce(or_, ANNOUNCED)), reader.segments()[0].header["node"]
    for body in reader.steps():
        _, _, now, _, _, _, time, _, event, _ = read(body)
        entry = _entry(time or now, node, event)
        if entry is not None:
            yield entry


def _entry(time: int, node: str, event: Any) -> TrailEntry | None:
    match event:
        case HaltTrading():
            what = f"{event.level}{_scope(event)}"
            return TrailEntry(
                time, node, "halt", event.by or event.owner or node, what, event.reason
            )
        case ResumeTrading():
            what = f"{event.level}{_scope(event)} lifted: {event.halt_id or 'all'}"
            why = event.why or event.reason
            return TrailEntry(time, node, "resume", event.by or event.owner or node, what, why)
        case OperatorCommand():
            given = "".join(f" {name}={value}" for name, value in event.arguments)
            return TrailEntry(time, node, "command", event.who, event.command + given, event.why)
        case CancelAll():
            return TrailEntry(time, node, "cancel-all", node, event.instrument, event.reason)
        case ActorFailed():
            return TrailEntry(time, node, "failure", event.actor, "failed", event.error)
    return None


def _scope(event: HaltTrading | ResumeTrading) -> str:
    scope = ", ".join(f"{name} {value}" for name, value in scope_of(event).items())
    return f" of {scope}" if scope else ""


def _limits(reader: JournalReader) -> Iterator[TrailEntry]:
    """Yield each limit of an approver when it was new or changed."""
    before = dict[str, str]()
    for segment in reader.segments():
        header = segment.header
        if not any(APPROVES in tags for tags in header.get("outputs", {}).values()):
            return
        limits = dict(_flat("", header["settings"]))
        changed = {name: text for name, text in limits.items() if before.get(name) != text}
        gone = dict.fromkeys(before.keys() - limits.keys(), "not set any more")
        first = next(reader.steps(segment.first_step - 1), None)
        if first is None:
            continue  # nothing was decided under it yet
        time = read_step(first)[2]
        for name, text in {**changed, **gone}.items():
            yield TrailEntry(time, header["node"], "limit", header["actor"], f"{name} = {text}")
        before = limits


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    else:
        yield prefix, str(value)
