"""What the runtime knows of an event, apart from what the event says."""

from __future__ import annotations

import msgspec

from actors.events.event import Event

Position = tuple[str, int, int]
"""(stream, epoch, seq): one event's place, unique for ever."""

Root = tuple[str, int, int, int]
"""(stream, epoch, seq, arrival): the outside event that began a chain, and when it came.

`arrival` is the monotonic clock in nanoseconds on a live node, virtual time otherwise.
"""


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """One emitted event with its place, its cause and its root.

    `cause` is the position of the input that was being handled (None for what came from
    outside): a value, never a reference, so that an envelope keeps nothing else alive.
    """

    id: Position
    cause: Position | None
    root: Root
    time: int
    """The node's clock when the causing input was taken, UTC nanoseconds."""
    event: Event
