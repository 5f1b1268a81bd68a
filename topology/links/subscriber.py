"""The reading side of a link to one other node: the conversation and its streams, no sockets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from topology.links.effects import Effect, Reconnect, Send, SnapshotTaken
from topology.links.frame import MalformedError, read_frame
from topology.links.messages import (
    Handled,
    Hello,
    Ping,
    Pong,
    Positions,
    Refused,
    Replay,
    Reset,
    Resumed,
    Schema,
    Snapshot,
    Stranger,
    TakeSnapshot,
    ToReader,
    Welcome,
    read_of_publisher,
)
from topology.links.subscription import State, StreamSubscription

BETWEEN_PINGS = 500_000_000
"""Nanoseconds between two `Ping` messages."""
NO_ANSWER = 3_000_000_000
"""Nanoseconds without an answer, or a live frame, after which a connection counts as lost."""
BETWEEN_POSITIONS = 250_000_000
PATIENCE = 1_000_000_000
"""Nanoseconds after which an unanswered `Hello` or request for a snapshot is sent again."""
REFUSED_AGAIN = 5_000_000_000
"""Nanoseconds after which a node that was refused sends `Hello` again."""


class NodeSubscriber:
    """Follows the streams of one other node.

    Args:
        me: name of the node that reads.
        topology: name of the topology of both.
        publisher: name of the node that is read.
        subscriptions: by stream.
        wants: schema of the handled classes, by stream.
        observer: whether nothing is to be kept for this node, which only observes.
    """

    def __init__(
        self,
        me: str,
        topology: str,
        publisher: str,
        subscriptions: Mapping[str, StreamSubscription],
        wants: Mapping[str, Schema],
        *,
        observer: bool = False,
    ) -> None:
        self.publisher = publisher
        self.subscriptions = dict(subscriptions)
        self.malformed = self.redials = self.refused = 0
        self.incarnation = 0
        """Of the publisher; 0 before its first answer."""
        self._hello = Hello(me, topology, dict(wants), observer)
        self._connected = False
        self._lost = False
        """Whether new sockets were asked for."""
        self._heard = self._heard_live = self._pinged = self._positions_at = 0
        self._hello_at = 0
        """When to send `Hello` again, unless a `Welcome` comes first."""
        self._positions: dict[str, Handled] = {}
        self._snapshots: dict[str, tuple[int, int]] = {}
        """(request, time of it) by stream whose snapshot was requested."""
        self._request = 0

    @property
    def connected(self) -> bool:
        """Whether the publisher has accepted this node."""
        return self._connected

    def begin(self, now: int) -> list[Effect]:
        """Begin the conversation over new sockets."""
        self._lost, self._heard = False, now
        return self._say_hello(now)

    def note_not_reading(self, now: int, *, answers: bool) -> None:
        """Note that live frames, or answers too, are not received now: silence means nothing."""
        self._heard_live = now
        if answers:
            self._heard = now

    def frame(self, data: bytes, now: int) -> list[Effect]:
        """Take a live frame."""
        try:
            frame = read_frame(data)
        except MalformedError:
            self.malformed += 1
            return []
        subscription = self.subscriptions.get(frame.stream)
        if subscription is None:
            self.malformed += 1
            return []
        self._heard_live = now
        return subscription.frame(frame, now)

    def hear(self, data: bytes, now: int) -> list[Effect]:
        """Take an answer of the publisher."""
        try:
            message = read_of_publisher(data)
            effects = self._hear(message, now)
        except MalformedError:
            self.malformed += 1
            return []
        self._heard = now
        return effects

    def tick(self, now: int) -> list[Effect]:
        """Notice silence and missing answers."""
        if self._lost:
            return []
        if now - self._heard > NO_ANSWER:
            return self._lose(f"no answer for {NO_ANSWER // 10**9} s")
        # ZeroMQ gives up for good on a connection with a protocol error, and on each separately.
        if self._expects_frames() and now - self._heard_live > NO_ANSWER:
            return self._lose(f"no live frame for {NO_ANSWER // 10**9} s")
        effects: list[Effect] = []
        for subscription in self.subscriptions.values():
            effects += subscription.tick(now)
        for stream, (_, asked) in list(self._snapshots.items()):
            if self._connected and now - asked > PATIENCE:
                effects += self.want_snapshot(stream, now)
        if not self._connected and now >= self._hello_at:
            effects += self._say_hello(now)
        elif now - self._pinged > BETWEEN_PINGS:  # positions are not answered
            self._pinged = now
            effects.append(Send(Ping()))
        return effects

    def positions(self, positions: Mapping[str, tuple[int, int, int]], now: int) -> list[Effect]:
        """Send this node's positions, if they have changed.

        Args:
            positions: (epoch, first number not handled, number from which this node would resume
                after a crash) by stream.
            now: in nanoseconds.
        """
        if not self._connected or now - self._positions_at < BETWEEN_POSITIONS:
            return []
        changed = {
            stream: Handled(*place)
            for stream, place in positions.items()
            if self._positions.get(stream) != place
        }
        if not changed:
            return []
        self._positions_at = now
        self._positions.update(changed)
        return [Send(Positions(changed))]

    def want_snapshot(self, stream: str, now: int) -> list[Effect]:
        """Request a snapshot of a stream for a new reader here, until it is answered."""
        self._request += 1
        self._snapshots[stream] = (self._request, now)
        if not self._connected:
            return []
        return [Send(TakeSnapshot(stream, self._request))]

    def _hear(  # noqa: PLR0911 - one answer for each kind of message
        self, message: ToReader, now: int
    ) -> list[Effect]:
        match message:
            case Welcome():
                return self._welcome(message, now)
            case Stranger():
                return [*self._disconnect("the publisher began anew"), *self._say_hello(now)]
            case Refused(stream="", reason=reason):
                self._connected, self._hello_at = False, now + REFUSED_AGAIN
                return self._refuse(self.subscriptions.values(), reason)
            case Refused(stream=stream, reason=reason):
                refused = self.subscriptions.get(stream)
                return self._refuse([] if refused is None else [refused], reason)
            case Pong():
                return []
            case Replay():
                frame = read_frame(message.frame)
                found = self.subscriptions.get(frame.stream)
                return [] if found is None else found.replayed(message.request, frame, now)
            case Resumed():
                found = self.subscriptions.get(message.stream)
                return [] if found is None else found.resumed(message, now)
            case Reset():
                found = self.subscriptions.get(message.stream)
                return [] if found is None else found.reset(message, now)
            case Snapshot():
                return self._take_snapshot(message)

    def _welcome(self, message: Welcome, now: int) -> list[Effect]:
        self._connected, self.incarnation = True, message.incarnation
        self._heard_live = now
        self._positions.clear()  # a restarted publisher knows none
        effects: list[Effect] = []
        for stream, (epoch, next_seq) in message.streams.items():
            if (subscription := self.subscriptions.get(stream)) is not None:
                effects += subscription.connected(epoch, next_seq, now)
        return effects

    def _take_snapshot(self, message: Snapshot) -> list[Effect]:
        subscription = self.subscriptions.get(message.stream)
        asked, _ = self._snapshots.get(message.stream, (0, 0))
        if subscription is None or message.request != asked:
            return []
        del self._snapshots[message.stream]
        events = subscription.decoded(message.events)
        return [SnapshotTaken(message.stream, message.epoch, message.position, events)]

    def _refuse(self, subscriptions: Iterable[StreamSubscription], reason: str) -> list[Effect]:
        effects: list[Effect] = []
        for subscription in subscriptions:
            self.refused += 1
            effects += subscription.refused(reason)
        return effects

    def _expects_frames(self) -> bool:
        states = [subscription.state for subscription in self.subscriptions.values()]
        return self._connected and any(state is not State.REFUSED for state in states)

    def _lose(self, reason: str) -> list[Effect]:
        self._lost = True
        self.redials += 1
        return [*self._disconnect(reason), Reconnect(reason)]

    def _disconnect(self, reason: str) -> list[Effect]:
        self._connected = False
        effects: list[Effect] = []
        for subscription in self.subscriptions.values():
            if subscription.state is not State.CONNECTING:
                effects += subscription.disconnected(reason)
        return effects

    def _say_hello(self, now: int) -> list[Effect]:
        self._hello_at, self._pinged = now + PATIENCE, now
        return [Send(self._hello)]
