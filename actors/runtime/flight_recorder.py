"""The flight recorder: the node's last steps, written out when something fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from actors.events.event import Event
from actors.runtime.envelope import Envelope
from actors.runtime.stream import Input
from actors.runtime.timers import SetTimer

log = logging.getLogger("kaiju")

Step = tuple[int, Input, Envelope, tuple[Event, ...], tuple[SetTimer, ...], Any]
"""(node step, reader, input, outputs in order of emission, timers, the handler's return value).

A plain tuple, because one is made for each event: an object with names costs 6 % of a hop.
"""


def write_flight(
    steps: Iterable[Step], what: str, trace: Sequence[str], directory: Path | None
) -> None:
    """Write the last steps before a failure, oldest first, as readable text.

    A disk that refuses is logged and otherwise ignored: the failure itself matters more.
    """
    if directory is None:
        return
    lines = [what, "", *"".join(trace).splitlines(), "", "The last steps, oldest first:"]
    lines += [line for step in steps for line in describe_step(step)]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"flight-{len(list(directory.glob('flight-*.txt'))) + 1}.txt"
        path.write_text("\n".join(lines) + "\n")
    except OSError as error:
        log.error("the flight recorder could not be written to %s: %s", directory, error)  # noqa: TRY400


def describe_step(step: Step) -> list[str]:
    """Return one line for the input of a step and one for each of its outputs."""
    number, reader, envelope, outputs, timers, _ = step
    stream, epoch, seq = envelope.id
    head = f"{number} {envelope.time} {reader.owner.name} <- {stream}/{epoch}/{seq}"
    lines = [f"{head} {envelope.event!r:.400}"]
    lines += [f"    -> {event!r:.400}" for event in outputs]
    lines += [f"    timer {name!r} #{timer_id} due {due}" for _, timer_id, name, due in timers]
    return lines
