"""A publisher and readers of its stream under a network that does whatever a seed says.

Live frames are lost, doubled, late, out of order and damaged; connections break and lose what is on
its way; both sides crash and start again. Everything is in one process, in virtual time, so a seed
is the whole story of a failure.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from random import Random
from typing import Any

from actors.events.event import Event
from actors.runtime.envelope import Envelope
from tests.relays import Tick
from topology.links.frame import EventReader, MalformedError, read_frame
from topology.links.messages import (
    Hello,
    Message,
    Refused,
    Replay,
    Reset,
    Resumed,
    Welcome,
    encode_message,
    read_of_publisher,
    read_of_reader,
)
from topology.links.publisher import LinkPublisher
from topology.links.reader import (
    BecameLive,
    BecameStale,
    Delivered,
    Effect,
    Say,
    StreamReader,
    WasReset,
)

MILLISECOND = 1_000_000
STREAM = "feed.ticks"
READER = "core"
TAIL = 40
"""Events that a publisher which is not durable keeps."""


class Log:
    """The stream itself: what was emitted, and how much of it is kept."""

    def __init__(self, *, durable: bool) -> None:
        self.durable = durable
        self.epoch = 1
        self.events: list[Envelope] = []
        self.first = 1

    @property
    def next_seq(self) -> int:
        return self.first + len(self.events)

    def emit(self, count: int, now: int) -> None:
        for _ in range(count):
            place = (STREAM, self.epoch, self.next_seq)
            self.events.append(Envelope(place, None, (*place, now), now, Tick(place[2])))
        if not self.durable and len(self.events) > TAIL:
            gone = len(self.events) - TAIL
            del self.events[:gone]
            self.first += gone

    def read(self, position: int, most: int) -> list[Envelope] | None:
        start = position - self.first
        return None if start < 0 else self.events[start : start + most]

    def snapshot(self) -> Iterable[Event]:
        return (Tick(-self.next_seq),)

    def crash(self) -> None:
        """Begin anew: with everything, or in a new epoch without anything."""
        if not self.durable:
            self.epoch, self.events, self.first = self.epoch + 1, [], 1


class Seen:
    """What a reader's actors were given."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int]] = []
        """(epoch, sequence number)."""
        self.resets: list[tuple[int, int, str]] = []
        self.live = False


class World:
    """One schedule."""

    def __init__(self, seed: int, *, durable: bool, faults: float = 1.0) -> None:
        self.chance = Random(seed)  # noqa: S311 - the seed is the schedule
        self.faults = faults
        self.now = 0
        self.log = Log(durable=durable)
        self.seen = Seen()
        self.malformed = 0
        self._queue: list[tuple[int, int, str, int, bytes]] = []
        self._numbers = 0
        self._incarnation = 0
        self._connection = 0
        self._connected = False
        self._busy_until = {"to reader": 0, "to publisher": 0}
        self._epoch = 0
        self._position = 1
        self._start_publisher()
        self._start_reader()

    def run(self, turns: int) -> None:
        """Let things happen, then let the network be kind until everything has come."""
        for _ in range(turns):
            self._turn()
        self.faults = 0.0
        for _ in range(200):
            self._turn(quiet=True)

    def _turn(self, *, quiet: bool = False) -> None:
        self.now += self.chance.randint(1, 120) * MILLISECOND
        if not quiet:
            self.log.emit(self.chance.choice((0, 1, 1, 2, 5, 30)), self.now)
            self._maybe(0.04, self._disconnect)
            self._maybe(0.01, self._crash_publisher)
            self._maybe(0.01, self._crash_reader)
        if not self._connected and (quiet or self.chance.random() < 0.5):
            self._connect()
        for frame in self.publisher.live(self.now):
            self._publish(frame)
        while self._queue and self._queue[0][0] <= self.now:
            _, _, kind, connection, data = heappop(self._queue)
            self._arrive(kind, connection, data)
        self._act(self.reader.tick(self.now))

    def _maybe(self, likelihood: float, act: Any) -> None:
        if self.chance.random() < likelihood * self.faults:
            act()

    def _start_publisher(self) -> None:
        self._incarnation += 1
        self.publisher = LinkPublisher(
            "md",
            "test",
            self._incarnation,
            sources={STREAM: self.log},
            readers={STREAM: frozenset({READER})},
            on_position=lambda *_: None,
        )

    def _start_reader(self) -> None:
        events = EventReader([Tick])
        self.reader = StreamReader(STREAM, events, epoch=self._epoch, position=self._position)

    def _crash_publisher(self) -> None:
        self._disconnect()
        self.log.crash()
        self._start_publisher()

    def _crash_reader(self) -> None:
        self._disconnect()
        self._start_reader()

    def _disconnect(self) -> None:
        if self._connected:
            self._connected = False
            self._act(self.reader.disconnected("the connection broke"))

    def _connect(self) -> None:
        self._connected = True
        self._connection += 1
        self._send("to publisher", encode_message(Hello(READER, "test", {STREAM: {}})))

    def _publish(self, frame: bytes) -> None:
        if not self._connected:
            return
        copies = 1
        if self.chance.random() < 0.1 * self.faults:
            copies = self.chance.choice((0, 0, 2))
        for _ in range(copies):
            data = frame
            if self.chance.random() < 0.02 * self.faults:
                place = self.chance.randrange(len(frame))
                data = frame[:place] + bytes([frame[place] ^ 1]) + frame[place + 1 :]
            late = self.chance.choice((0, 0, 0, 1, 50, 400)) if self.faults else 0
            self._put(self.now + late * MILLISECOND, "live", data)

    def _send(self, way: str, data: bytes) -> None:
        """Queue on the connection: in order, or lost with it."""
        late = self.chance.choice((0, 1, 1, 20)) if self.faults else 0
        due = max(self._busy_until[way], self.now + late * MILLISECOND)
        self._busy_until[way] = due
        self._put(due, way, data)

    def _put(self, due: int, kind: str, data: bytes) -> None:
        self._numbers += 1
        heappush(self._queue, (due, self._numbers, kind, self._connection, data))

    def _arrive(self, kind: str, connection: int, data: bytes) -> None:
        if not self._connected or connection != self._connection:
            return
        if kind == "to publisher":
            peer = str(connection).encode()
            for answer in self.publisher.hear(peer, read_of_reader(data)):
                self._send("to reader", encode_message(answer))
        elif kind == "to reader":
            self._hear(read_of_publisher(data))
        else:
            try:
                frame = read_frame(data)
            except MalformedError:
                self.malformed += 1
                return
            if frame.stream == STREAM:
                self._act(self.reader.frame(frame, self.now))

    def _hear(self, message: Message) -> None:
        match message:
            case Welcome():
                self._act(self.reader.connected(message.streams[STREAM][0], self.now))
            case Replay():
                frame = read_frame(message.frame)
                self._act(self.reader.replayed(message.request, frame, self.now))
            case Resumed():
                self._act(self.reader.resumed(message, self.now))
            case Reset():
                self._act(self.reader.reset(message, self.now))
            case Refused():
                raise AssertionError(message)

    def _act(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Delivered():
                    self.seen.events += [envelope.id[1:] for envelope in effect.envelopes]
                    assert all(isinstance(e.event, Tick) for e in effect.envelopes)
                case WasReset():
                    self.seen.resets.append((effect.epoch, effect.position, effect.reason))
                    assert effect.snapshot == (Tick(-effect.position),)
                case BecameLive():
                    self.seen.live = True
                case BecameStale():
                    self.seen.live = False
                case Say() if self._connected:
                    self._send("to publisher", encode_message(effect.message))
            # A durable reader journals what it handled: this is where it goes on after a crash.
            self._epoch, self._position = self.reader.epoch, self.reader.position
