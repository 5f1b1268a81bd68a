"""What a durable actor did, on disk: each step is written before anything of it is released.

The body of a STEP frame is the MessagePack array::

    [step, node step, now, id, cause, root, time, first, event, [outputs, timers] | nil]

`step` counts the actor's steps from 1, `node step` the node's; `now` is the clock when the input
was taken; `id`, `cause`, `root` and `time` are the input's envelope and `event` the input itself.
`first` is 0, but on a `latest` input the sequence number of the first unread event that the value
stands for. Outputs are events in order of emission, timers ``[actor, id, name, due]`` (due 0
cancels); nil says that the handler raised twice and the input was skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime import codec
from actors.runtime.envelope import Envelope, Position, Root

if TYPE_CHECKING:
    from actors.runtime.journal.commits import Commits
    from actors.runtime.journal.writer import Journal
    from actors.runtime.stream import Effects, Input

log = logging.getLogger("kaiju")

StepBody = tuple[int, int, int, Position, Position | None, Root, int, int, msgspec.Raw, msgspec.Raw]
"""A step as it stands in a frame, with its events still encoded."""
read_step = codec.decoder(StepBody)
SKIPPED = msgspec.Raw(codec.encode(None))
"""Effects of a step whose input was skipped."""
STEPS_BETWEEN_TRIES = 1_000
"""After a disk had no room for a new segment, while it still takes steps into the old one."""


def step_decoder(events: Any) -> Callable[[bytes], tuple[Any, ...]]:
    """Return what reads a step whose input is one of `events`, a class or a union of classes."""
    kind: Any = events
    read_whole: Callable[[bytes], tuple[Any, ...]] = codec.narrow_decoder(
        tuple[int, int, int, Position, Position | None, Root, int, int, kind, msgspec.Raw]
    )
    read_event = codec.decoder(kind)

    def read(body: bytes) -> tuple[Any, ...]:
        try:
            return read_whole(body)
        except msgspec.ValidationError:  # a wide number, or no event of these
            *place, event, effects = read_step(body)
            return (*place, read_event(event), effects)

    return read


class StepJournal:
    """Writes the steps of one actor."""

    __slots__ = (
        "_begins_after",
        "_commits",
        "_header",
        "files",
        "node_step",
        "now",
        "number",
        "snapshot_due",
    )

    def __init__(
        self, files: Journal, commits: Commits, header: Callable[[], Mapping[str, Any]]
    ) -> None:
        self.files = files
        self.number = files.last_step
        """Of the last step written, or waiting for the disk."""
        self.node_step = self.now = 0
        """Of that step as well."""
        self.snapshot_due = False
        """Whether a segment was filled since the last snapshot."""
        self._commits = commits
        self._header = header
        self._begins_after = 0

    def write(
        self, node_step: int, now: int, reader: Input, envelope: Envelope, effects: Effects | None
    ) -> None:
        """See `actors.runtime.stream.StepWriter.write`; no effects mean that it was skipped."""
        latest = reader.conflation
        first = 0 if latest is None else latest.first_of(reader.position - 1)
        number = self.number + 1
        place, cause, root, time = envelope.id, envelope.cause, envelope.root, envelope.time
        step = (number, node_step, now, place, cause, root, time, first, envelope.event, effects)
        try:
            body = codec.encode_narrow(step)
        except OverflowError:
            body = codec.encode_wide(step)
        if self.files.full and not self._commits.held:
            self._begin_segment()
        self._commits.append(self.files, body)
        self.number, self.node_step, self.now = number, node_step, now

    def skip(self, node_step: int, now: int, reader: Input, envelope: Envelope) -> None:
        """See `actors.runtime.stream.StepWriter.skip`."""
        self.write(node_step, now, reader, envelope, None)

    def _begin_segment(self) -> None:
        """Begin the next segment here: where a segment ends depends on its steps alone."""
        if self.number < self._begins_after:
            return
        try:
            self.files.begin(self._header())
        except OSError as error:
            self._commits.check(self.files)
            self._begins_after = self.number + STEPS_BETWEEN_TRIES
            log.warning("%s: no new segment yet: %s", self.files.directory, error)
        else:
            self.snapshot_due = True
