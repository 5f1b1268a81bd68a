"""A reader of one remote stream, without any socket: frames and time in, events and messages out.

It has every event once and in order, or an explicit reset. Live frames may come late, twice, in any
order or not at all: what is not the next event is parked, and the publisher is asked to go on from
the position that is missing. Everything that could hide a loss (the first connection, another one,
another epoch, a gap, a heartbeat that is ahead) leads to the same question.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from actors.events.event import Event
from actors.runtime.envelope import Envelope
from topology.links.frame import EventReader, Frame, MalformedError
from topology.links.messages import Message, More, Reset, Resume, Resumed

MOST_PARKED = 4 * 2**20
"""Bytes of frames that wait for what is missing before them; beyond it they are asked for again."""
PATIENCE = 1_000_000_000
"""Nanoseconds without progress after which a question is asked again."""
SILENCE = 1_000_000_000
"""Nanoseconds without any frame after which a stream is stale: four heartbeats."""


class State(StrEnum):
    """What a reader is doing."""

    CONNECTING = "CONNECTING"
    RESUMING = "RESUMING"
    LIVE = "LIVE"


class Delivered(NamedTuple):
    """The next events."""

    envelopes: list[Envelope]


class WasReset(NamedTuple):
    """Events are missing and will not come; the stream goes on at `position` of `epoch`."""

    epoch: int
    position: int
    reason: str
    snapshot: tuple[Event, ...]


class BecameLive(NamedTuple):
    """Nothing is missing any more."""


class BecameStale(NamedTuple):
    """Something may be missing."""

    reason: str


class Say(NamedTuple):
    """A message for the publisher."""

    message: Message


Effect = Delivered | WasReset | BecameLive | BecameStale | Say


class StreamReader:
    """Follows one stream of another node.

    Args:
        stream: its name.
        events: decodes what this node handles of it.
        epoch: that was read before; 0 where nothing was.
        position: sequence number of the next event that is wanted.
    """

    def __init__(
        self, stream: str, events: EventReader, *, epoch: int = 0, position: int = 1
    ) -> None:
        self.stream = stream
        self.epoch, self.position = epoch, position
        self.state = State.CONNECTING
        self.repeated = self.gaps = self.malformed = 0
        self._events = events
        self._request = 0
        self._parked: dict[int, Frame] = {}
        self._parked_bytes = 0
        self._asked = self._heard = 0
        self._stale = True

    def connected(self, epoch: int, now: int) -> list[Effect]:
        """Ask for what is missing: there is a connection, the first or another.

        A reader that has nothing yet begins with the first event of the present `epoch`.
        """
        self.epoch = self.epoch or epoch
        return self._ask(now)

    def disconnected(self, reason: str) -> list[Effect]:
        """Note that nothing can come any more."""
        self.state = State.CONNECTING
        return self._become_stale(reason)

    def frame(self, frame: Frame, now: int) -> list[Effect]:
        """Take a live frame or a heartbeat."""
        self._heard = now
        if self.state is State.CONNECTING:
            return []
        if frame.epoch != self.epoch:
            # A late frame of an epoch before, or the first of a new one: only the publisher knows.
            newer = frame.epoch > self.epoch and self.state is State.LIVE
            return self._ask(now) if newer else []
        if frame.end <= self.position:
            self.repeated += frame.size
            return []
        if frame.first <= self.position and self.state is State.LIVE:
            return self._deliver(frame)
        self._park(frame)
        if self.state is not State.LIVE:
            return []
        self.gaps += 1
        return [*self._become_stale("a gap"), *self._ask(now)]

    def replayed(self, request: int, frame: Frame, now: int) -> list[Effect]:
        """Take a frame that was asked for."""
        if request != self._request or frame.epoch != self.epoch or frame.first > self.position:
            return []
        self._heard = self._asked = now
        if frame.end <= self.position:
            return []
        return [*self._deliver(frame), Say(More(self.stream, request))]

    def resumed(self, answer: Resumed, now: int) -> list[Effect]:
        """Go on live: everything before `answer.position` was sent."""
        if answer.request != self._request or self.state is not State.RESUMING:
            return []
        if (answer.epoch, answer.position) != (self.epoch, self.position):
            return self._ask(now)
        return self._go_live(now)

    def reset(self, answer: Reset, now: int) -> list[Effect]:
        """Forget what is missing, and go on behind a snapshot."""
        if answer.request != self._request or self.state is not State.RESUMING:
            return []
        self.epoch, self.position = answer.epoch, answer.position
        snapshot = tuple(self._events.event(raw) for raw in answer.snapshot)
        reset = WasReset(answer.epoch, answer.position, answer.reason, snapshot)
        return [reset, *self._go_live(now)]

    def tick(self, now: int) -> list[Effect]:
        """Notice silence, and answers that do not come."""
        if self.state is State.RESUMING and now - self._asked > PATIENCE:
            return self._ask(now)
        if self.state is State.LIVE and now - self._heard > SILENCE:
            return [*self._become_stale("silence"), *self._ask(now)]
        return []

    def _go_live(self, now: int) -> list[Effect]:
        self.state, self._heard = State.LIVE, now
        effects: list[Effect] = []
        for first in sorted(self._parked):
            frame = self._parked[first]
            if frame.epoch == self.epoch and first <= self.position < frame.end:
                effects += self._deliver(frame)
        ahead = any(f.epoch == self.epoch and f.end > self.position for f in self._parked.values())
        self._parked.clear()
        self._parked_bytes = 0
        if ahead:
            return effects + self._ask(now)
        self._stale = False
        return [*effects, BecameLive()]

    def _deliver(self, frame: Frame) -> list[Effect]:
        try:
            envelopes = self._events.read(frame)
        except MalformedError:
            self.malformed += 1
            return []
        new = envelopes[self.position - frame.first :]
        self.repeated += len(envelopes) - len(new)
        self.position = frame.end
        return [Delivered(new)] if new else []

    def _park(self, frame: Frame) -> None:
        size = len(frame.events)
        if self._parked_bytes + size <= MOST_PARKED:
            self._parked[frame.first] = frame
            self._parked_bytes += size

    def _ask(self, now: int) -> list[Effect]:
        self.state, self._asked = State.RESUMING, now
        self._request += 1
        return [Say(Resume(self.stream, self.epoch, self.position, self._request))]

    def _become_stale(self, reason: str) -> list[Effect]:
        was, self._stale = self._stale, True
        return [] if was else [BecameStale(reason)]
