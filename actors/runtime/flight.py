"""The flight recorder: the node's last steps, written out when something fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from actors.runtime.step import Step

log = logging.getLogger("kaiju")


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
    stream, epoch, seq = step.envelope.id
    head = f"{step.number} {step.envelope.time} {step.reader.actor.name} <- {stream}/{epoch}/{seq}"
    lines = [f"{head} {step.envelope.event!r:.400}"]
    lines += [f"    -> {event!r:.400}" for event in step.outputs]
    lines += [f"    timer {name!r} #{timer_id} due {due}" for _, timer_id, name, due in step.timers]
    return lines
