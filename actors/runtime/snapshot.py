"""The body of a snapshot."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from actors.runtime import codec
from actors.runtime.envelope import Position


class ActorSnapshot(msgspec.Struct):
    """All that an actor knows between two steps: what a snapshot holds."""

    step: int
    node_step: int
    now: int
    state: msgspec.Raw
    rng: Any
    """State of the random numbers; None while none was drawn."""
    timers: list[tuple[int, str, int, Position]]
    """(id, name, due, cause) of each that is pending."""
    timer_id: int
    """Of the last timer set."""
    next_seq: dict[str, int]
    """By output."""
    epoch: int
    started: bool
    """Whether `ActorStarted` was handled."""
    stale: dict[str, str]
    positions: dict[str, tuple[int, int]]
    """(epoch, sequence number of the next event) by stream read; of a `latest` input, the oldest
    event that may be needed again. Epoch 0 is none: the reader must be brought up to date."""
    read: dict[str, list[tuple[str, Any, int]]]
    """(tag, key, sequence number) of the newest values read, by stream of a `latest` input."""

    def digest(self) -> str:
        """Return the SHA-256 of what follows from the steps alone, in hexadecimal.

        Positions are left out: they also count events that nobody handles, which are no steps.
        """
        rest = (self.state, self.rng, self.timers, self.timer_id, self.next_seq, self.started)
        return sha256(codec.encode(rest)).hexdigest()


decode_snapshot: Callable[[bytes], ActorSnapshot] = codec.decoder(ActorSnapshot)
