"""One turn of one actor: an input taken, and what came of it."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.events.event import Event
from actors.runtime.envelope import Envelope
from actors.runtime.stream import Input


class Step(msgspec.Struct, gc=False):
    """What a journal keeps and a flight recorder remembers of one handled input.

    `number` counts the node's steps; the step's time is that of its outputs' envelopes. `outputs`
    are in order of emission, `timers` as (actor name, timer id, name, due); a due time of 0
    cancels.
    """

    number: int
    reader: Input
    envelope: Envelope
    outputs: tuple[Event, ...]
    timers: tuple[tuple[str, int, str, int], ...]
    reply: Any
