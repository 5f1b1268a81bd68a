"""The state of an actor after one of its steps, found by repeating the steps up to there."""

from __future__ import annotations

from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import msgspec

from actors.runtime import codec
from actors.runtime.envelope import Position
from actors.runtime.errors import KaijuError
from actors.runtime.journal.segments import JournalReader
from kaiju.journals.catalog import journal_of
from kaiju.journals.isolated_actor import CannotRepeatError, IsolatedActor
from kaiju.journals.step_text import moment
from kaiju.journals.values import named

SKIPPED = "none: the handler raised twice, and the input was skipped"


class StateError(KaijuError):
    """A journal's snapshot is not of its actor's class, or the actor's state cannot be kept."""


def state_of(source: Path, actor: str | None, step: int | None) -> dict[str, Any]:
    """Return the state of an actor after `step`, as plain data with the names of all fields.

    Prices, quantities and amounts are whole numbers, as the actor has them.

    Args:
        source: a run's directory, or that of one journal.
        actor: whose state; None where there is one journal only.
        step: None for the last one.

    Raises:
        NoJournalError: there is no such journal.
        CannotRepeatError: there is no such step, or the steps before it are no longer kept.
        DivergedError: a step had another outcome than its journal says.
        DamagedFileError: the journal is damaged.
        StateError: a snapshot does not fit the actor's class, or its state cannot be kept.
    """
    journal = JournalReader(journal_of(source, actor))
    isolated, wanted = IsolatedActor(journal), journal.last_step if step is None else step
    if not 0 < wanted <= isolated.last_step:
        raise CannotRepeatError(
            f"{journal.directory}: there is no step {wanted:,}, the last is {isolated.last_step:,}"
        )
    try:
        isolated.start_near(wanted)
        isolated.advance(wanted)
        memory = isolated.replay.snapshot()
    except msgspec.MsgspecError as error:
        raise StateError(
            f"{journal.directory}: its state cannot be read or kept: {error}"
        ) from error
    return {
        "actor": isolated.actor.name,
        "step": memory.step,
        "steps": isolated.last_step,
        "node_step": memory.node_step,
        "now": memory.now,
        "time": moment(memory.now),
        **_last_step(journal, isolated, wanted),
        "state": named(isolated.actor.state),
        "timers": [
            {"id": number, "name": name, "due": due, "time": moment(due), "cause": _text(cause)}
            for number, name, due, cause in memory.timers
        ],
        "stale": memory.stale,
        "positions": {
            stream: {"epoch": epoch, "next": seq}
            for stream, (epoch, seq) in sorted(memory.positions.items())
        },
        "next_seq": memory.next_seq,
        "random_numbers_drawn": memory.rng is not None,
    }


def _last_step(journal: JournalReader, isolated: IsolatedActor, step: int) -> dict[str, Any]:
    """Return the input of `step` and its outputs; nothing where only the snapshot is kept."""
    if step < journal.segments()[0].first_step:
        return {}
    body = next(journal.steps(step - 1))
    _, _, _, place, cause, _, _, _, event, raw = isolated.replay.read_step(body)
    emits: Any = reduce(
        or_, (c for classes in isolated.actor.outputs.values() for c in classes), None
    )
    effects = codec.decoder(tuple[tuple[emits, ...], Any] | None)(raw)
    return {
        "input": {"place": _text(place), "cause": cause and _text(cause), "event": named(event)},
        "outputs": [named(output) for output in effects[0]] if effects else SKIPPED,
    }


def _text(place: Position) -> str:
    return "/".join(map(str, place))
