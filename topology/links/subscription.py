"""The subscription to one remote stream, without sockets: frames in, events and requests out.

It delivers every event once and in order, or an explicit reset. Live frames may come late, twice,
in any order or not at all: a frame that is not the next is parked, and the publisher is asked to
resume from the missing position. Everything that could hide a loss (a first or new connection, a
new epoch, a gap, a heartbeat that is ahead) leads to the same request.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from actors.events.event import Event
from actors.runtime.statistics import Histogram
from topology.links.effects import (
    BecameLive,
    BecameStale,
    CannotResume,
    Delivered,
    Effect,
    Send,
    WasReset,
)
from topology.links.frame import EventDecoder, LinkFrame, MalformedError
from topology.links.messages import More, Reset, Resume, Resumed

MAX_PARKED = 4 * 2**20
"""Bytes of parked frames; beyond that, frames are dropped and requested again."""
FRAME_BYTES = 256
"""Bytes that a parked frame costs besides its events."""
PATIENCE = 1_000_000_000
"""Nanoseconds without progress after which a request is repeated; doubled each time."""
MAX_PATIENCE = 8 * PATIENCE
SILENCE = 1_000_000_000
"""Nanoseconds without any frame after which a stream is stale: four heartbeats."""


class State(StrEnum):
    """The state of a subscription."""

    CONNECTING = "CONNECTING"
    """There is no connection."""
    RESUMING = "RESUMING"
    """Missing events were requested."""
    CATCHING_UP = "CATCHING_UP"
    """Nothing is missing, but no live frames come."""
    LIVE = "LIVE"
    REFUSED = "REFUSED"
    """The publisher refused the stream; it is requested again after the next `Welcome`."""


class StreamSubscription:
    """Follows one stream of another node.

    Args:
        stream: its name.
        events: decodes the classes that this node handles.
        epoch: epoch read so far; 0 if nothing was read.
        position: sequence number of the next event wanted. With epoch 0, a position other than 1
            is one of the publisher's current epoch, and 0 is its current position.
        begun: whether with epoch 0 everything is wanted, however much that is, because the reader
            has begun before and handled nothing.
    """

    def __init__(
        self,
        stream: str,
        events: EventDecoder,
        *,
        epoch: int = 0,
        position: int = 1,
        begun: bool = False,
    ) -> None:
        self.stream = stream
        self.epoch, self.position = epoch, position
        self.state = State.CONNECTING
        self.why_stale = "not connected yet"
        """Empty while the stream is live."""
        self.newest = 0
        """Next sequence number of the publisher, as far as known."""
        self.repeated = self.gaps = self.malformed = self.resumes = self.resets = 0
        self.delay = Histogram()
        """Time from sending to receipt of live frames, by the clocks of both nodes."""
        self._events = events
        self._begun = begun
        self._request = 0
        self._parked: dict[int, LinkFrame] = {}
        self._parked_bytes = 0
        self._asked = 0
        self._patience = PATIENCE
        self._heard: int | None = None
        """When the last live frame came over this connection."""

    @property
    def lag(self) -> int:
        """Events known to be emitted that have not come yet."""
        return max(0, self.newest - self.position)

    def connected(self, epoch: int, next_seq: int, now: int) -> list[Effect]:
        """Request what is missing over a first or new connection.

        Args:
            epoch: the publisher's.
            next_seq: the publisher's.
            now: in nanoseconds.
        """
        if self.epoch == 0 and self.position != 1:
            self.epoch, self.position = epoch, self.position or next_seq
        self.newest = next_seq
        self._patience = PATIENCE
        return self._ask(now)

    def disconnected(self, reason: str) -> list[Effect]:
        """Note that the connection was lost."""
        self.state, self._heard = State.CONNECTING, None
        self._unpark()
        return self._become_stale(reason)

    def refused(self, reason: str) -> list[Effect]:
        """Note that the publisher refused the stream."""
        self.state = State.REFUSED
        self._unpark()
        return [*self._become_stale(reason), CannotResume(self.stream, reason)]

    def frame(self, frame: LinkFrame, now: int) -> list[Effect]:
        """Take a live frame or a heartbeat."""
        self._heard = now
        if self.state in (State.CONNECTING, State.REFUSED):
            return []
        if self.epoch and frame.epoch != self.epoch:
            # A late frame of an old epoch, or the first of a new one: only the publisher knows.
            newer = frame.epoch > self.epoch and self.state is not State.RESUMING
            return [*self._become_stale("a new epoch"), *self._ask(now)] if newer else []
        if self.epoch:  # without a known epoch, this frame may be of an older one
            self.newest = max(self.newest, frame.end)
        if self.state is State.RESUMING:
            self._park(frame)
            return []
        if frame.first > self.position:
            self._park(frame)
            self.gaps += 1
            return [*self._become_stale("a gap"), *self._ask(now)]
        return [*self._deliver(frame, now), *self._go_live(now)]

    def replayed(self, request: int, frame: LinkFrame, now: int) -> list[Effect]:
        """Take a requested frame."""
        if self.state is not State.RESUMING or frame.first > self.position:
            return []
        if self.epoch == 0:
            self.epoch = frame.epoch
        if frame.epoch != self.epoch or frame.end <= self.position:
            return []
        malformed = self.malformed
        effects = self._deliver(frame, now)
        if self.malformed > malformed:
            return self.refused(f"events at {self.position} cannot be read")
        self._asked, self._patience = now, PATIENCE
        return [*effects, Send(More(self.stream, request))]

    def resumed(self, answer: Resumed, now: int) -> list[Effect]:
        """Go live: everything before `answer.position` was sent."""
        if self.state is not State.RESUMING:
            return []
        if answer.position != self.position or self.epoch not in (0, answer.epoch):
            return []  # an answer to an older request
        self.epoch = answer.epoch
        return self._join(now)

    def reset(self, answer: Reset, now: int) -> list[Effect]:
        """Give up what is missing, and go on after a snapshot."""
        if answer.request != self._request or self.state is not State.RESUMING:
            return []
        self.epoch, self.position = answer.epoch, answer.position
        self.newest = answer.position
        self.resets += 1
        snapshot = self._events.snapshot(answer.snapshot)
        reset = WasReset(self.stream, answer.epoch, answer.position, answer.reason, snapshot)
        return [reset, *self._join(now)]

    def decoded(self, snapshot: Iterable[msgspec.Raw]) -> tuple[Event, ...]:
        """Decode a snapshot that was requested besides the stream."""
        return self._events.snapshot(snapshot)

    def tick(self, now: int) -> list[Effect]:
        """Notice silence and missing answers."""
        waits = self.state in (State.RESUMING, State.CATCHING_UP)
        if waits and now - self._asked > self._patience:
            self._patience = min(2 * self._patience, MAX_PATIENCE)
            return self._ask(now)
        if self.state is State.LIVE and not self._hears(now):
            return [*self._become_stale("silence"), *self._ask(now)]
        return []

    def _hears(self, now: int) -> bool:
        return self._heard is not None and now - self._heard <= SILENCE

    def _join(self, now: int) -> list[Effect]:
        """Deliver parked frames before which nothing is missing."""
        self.state, self._asked = State.CATCHING_UP, now
        effects: list[Effect] = []
        for first in sorted(self._parked):
            frame = self._parked[first]
            if frame.epoch == self.epoch:
                self.newest = max(self.newest, frame.end)
                if first <= self.position:
                    effects += self._deliver(frame, now)
        self._unpark()
        if self.newest > self.position:
            return effects + self._ask(now)
        return effects + self._go_live(now) if self._hears(now) else effects

    def _go_live(self, now: int) -> list[Effect]:
        if self.newest > self.position:
            return [*self._become_stale("a gap"), *self._ask(now)]
        self.state, self._patience = State.LIVE, PATIENCE
        if not self.why_stale:
            return []
        self.why_stale = ""
        return [BecameLive(self.stream)]

    def _deliver(self, frame: LinkFrame, now: int) -> list[Effect]:
        if frame.end <= self.position:
            self.repeated += frame.size
            return []
        try:
            envelopes = self._events.read(frame)
        except MalformedError:
            self.malformed += 1
            return []
        if frame.first < self.position:
            self.repeated += self.position - frame.first
            envelopes = envelopes[self.position - frame.first :]
        self.position = frame.end
        if frame.sent:  # a requested frame bears no time, and its delay means nothing
            self.delay.observe(max(0, now - frame.sent))
        return [Delivered(self.stream, envelopes, frame.sent)]

    def _park(self, frame: LinkFrame) -> None:
        if frame.end <= self.position:
            self.repeated += frame.size
            return
        if not frame.size or frame.first in self._parked:
            return
        self._parked[frame.first] = frame
        self._parked_bytes += len(frame.events) + FRAME_BYTES
        while self._parked_bytes > MAX_PARKED:  # an answer brings the oldest first
            oldest = self._parked.pop(next(iter(self._parked)))
            self._parked_bytes -= len(oldest.events) + FRAME_BYTES

    def _unpark(self) -> None:
        self._parked.clear()
        self._parked_bytes = 0

    def _ask(self, now: int) -> list[Effect]:
        self.state, self._asked = State.RESUMING, now
        self._request += 1
        self.resumes += 1
        return [Send(Resume(self.stream, self.epoch, self.position, self._request, self._begun))]

    def _become_stale(self, reason: str) -> list[Effect]:
        was, self.why_stale = self.why_stale, reason
        return [] if was else [BecameStale(self.stream, reason)]
