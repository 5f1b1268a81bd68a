"""A publisher and a reader of two of its streams under a network that does what a seed says.

Live frames are lost, doubled, late, out of order and damaged; connections break and lose what is on
its way, or deliver one way only; both sides crash and start again. Everything is in one process, in
virtual time, so a seed is the whole story of a failure: it is told again, and made shorter.

    python -m tests.kit.simulated_network --schedules 10000
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from random import Random
from typing import Any, Protocol

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.runtime.envelope import Envelope
from tests.kit.runtime_actors import Tick
from topology.links.effects import (
    BecameLive,
    BecameStale,
    CannotResume,
    Delivered,
    Effect,
    Reconnect,
    Send,
    SnapshotTaken,
    WasReset,
)
from topology.links.frame import EventDecoder
from topology.links.messages import encode_message
from topology.links.publisher import LinkPublisher
from topology.links.sources import schema_of
from topology.links.subscriber import NodeSubscriber
from topology.links.subscription import StreamSubscription

READER = "core"
TAIL = 40
"""Events that memory keeps."""
STREAMS = {"feed.ticks": True, "noise.ticks": False}
"""Name, and whether its publisher is durable."""
FAULTS = (
    "loss",
    "double",
    "damage",
    "late",
    "cut",
    "one way",
    "live breaks",
    "publisher dies",
    "reader dies",
)
LIKELY = {
    "loss": 0.07,
    "double": 0.03,
    "damage": 0.02,
    "late": 0.4,
    "cut": 0.04,
    "one way": 0.02,
    "live breaks": 0.01,
    "publisher dies": 0.01,
    "reader dies": 0.01,
}


@dataclass(frozen=True)
class Schedule:
    """What happens; the same schedule does the same again."""

    seed: int
    turns: int = 120
    faults: frozenset[str] = frozenset(FAULTS)


class Log:
    """A stream itself: what was emitted, and how much of it is kept."""

    schema = schema_of([Tick])

    def __init__(self, name: str, *, durable: bool) -> None:
        self.name, self.durable = name, durable
        self.epoch = 1
        self.events: list[Envelope] = []
        self.base = 1
        """Of what memory keeps; what is before is in the journal of a durable stream alone."""
        self._journal_is_slow = False

    @property
    def next_seq(self) -> int:
        return len(self.events) + 1

    @property
    def begins_at_one(self) -> bool:
        return self.base == 1

    def emit(self, count: int, now: int) -> None:
        for _ in range(count):
            place = (self.name, self.epoch, self.next_seq)
            self.events.append(Envelope(place, None, (*place, now), now, Tick(place[2])))
        self.base = max(self.base, self.next_seq - TAIL)

    def read(self, position: int, most: int) -> list[Envelope] | None:
        if position < self.base:
            if not self.durable:
                return None
            self._journal_is_slow = not self._journal_is_slow
            if self._journal_is_slow:
                return []
        return self.events[position - 1 : position - 1 + most]

    def snapshot(self) -> Iterable[Event]:
        return (Tick(-self.next_seq),)

    def crash(self) -> None:
        """Begin anew: with everything, or in a new epoch without anything."""
        if self.durable:
            self.base = self.next_seq
        else:
            self.epoch, self.events, self.base = self.epoch + 1, [], 1


@dataclass
class Seen:
    """What a reader's actors were given of one stream, and how far they are after a crash."""

    epoch: int = 0
    position: int = 1
    told: list[tuple[str, int, int]] = field(default_factory=list)
    """("event" or "reset", epoch, sequence number)."""
    live: bool = False


class World:
    """One schedule as it happens."""

    def __init__(self, schedule: Schedule) -> None:
        self.chance = Random(schedule.seed)  # noqa: S311 - the seed is the schedule
        # Each kind of fault has its own: without one kind, the others happen as before.
        self._chances = {fault: Random(f"{schedule.seed} {fault}") for fault in FAULTS}  # noqa: S311
        self.turns, self.faults = schedule.turns, schedule.faults
        self.now = 0
        self.logs = {name: Log(name, durable=durable) for name, durable in STREAMS.items()}
        self.seen = {name: Seen() for name in STREAMS}
        self.refusals: list[str] = []
        self._queue: list[tuple[int, int, str, int, bytes]] = []
        self._numbers = self._incarnation = self._connection = 0
        self._deaf: set[str] = set()
        """Ways on which nothing arrives at the moment."""
        self._live_broke = False
        """Whether no live frame comes before the reader makes its sockets anew."""
        self._busy_until = {"to reader": 0, "to publisher": 0}
        self._start_publisher()
        self._start_reader()

    def run(self) -> None:
        """Let things happen, then let the network be kind until everything has come."""
        for _ in range(self.turns):
            self._turn()
        self.faults = frozenset()
        self._deaf.clear()
        for _ in range(200):
            self._turn(quiet=True)

    def _turn(self, *, quiet: bool = False) -> None:
        self.now += self.chance.randint(1, 120) * MILLISECOND
        if not quiet:
            for log in self.logs.values():
                log.emit(self.chance.choice((0, 1, 1, 2, 5, 30)), self.now)
            self._trouble()
        for frame in self.publisher.live(self.now):
            self._publish(frame)
        for _, answer in self.publisher.tick(self.now):
            self._send("to reader", answer)
        while self._queue and self._queue[0][0] <= self.now:
            _, _, way, connection, data = heappop(self._queue)
            self._arrive(way, connection, data)
        self._act(self.reader.tick(self.now))
        positions = {n: (s.epoch, s.position, s.position) for n, s in self.seen.items() if s.epoch}
        self._act(self.reader.positions(positions, self.now))

    def _trouble(self) -> None:
        if self._happens("cut"):
            self._connection += 1  # what is on its way is lost; both sides connect by themselves
        if self._happens("one way"):
            self._deaf ^= {self._chances["one way"].choice(("to reader", "to publisher", "live"))}
        self._live_broke |= self._happens("live breaks")
        if self._happens("publisher dies"):
            self._connection += 1
            for log in self.logs.values():
                log.crash()
            self._start_publisher()
        if self._happens("reader dies"):
            self._connection += 1
            self._start_reader()

    def _happens(self, fault: str) -> bool:
        return fault in self.faults and self._chances[fault].random() < LIKELY[fault]

    def _start_publisher(self) -> None:
        self._incarnation += 1
        self.publisher = LinkPublisher(
            "md",
            "test",
            self._incarnation,
            sources=self.logs,
            readers={name: frozenset({READER}) for name in STREAMS},
            on_position=self._note,
        )

    def _note(self, node: str, stream: str, read: int, _kept: int) -> None:
        assert node == READER
        assert read <= self.logs[stream].next_seq, "nobody has read what was not emitted"

    def _start_reader(self) -> None:
        readers = {
            name: StreamSubscription(
                name, EventDecoder([Tick]), epoch=seen.epoch, position=seen.position
            )
            for name, seen in self.seen.items()
        }
        for seen in self.seen.values():
            seen.live = False
        wants = {name: schema_of([Tick]) for name in STREAMS}
        self.reader = NodeSubscriber(READER, "test", "md", readers, wants)
        self._dial()

    def _dial(self) -> None:
        self._live_broke = False
        self._act(self.reader.begin(self.now))

    def _publish(self, frame: bytes) -> None:
        copies = 1 - self._happens("loss") + self._happens("double")
        for _ in range(copies):
            data = frame
            if self._happens("damage"):
                place = self._chances["damage"].randrange(len(frame))
                data = frame[:place] + bytes([frame[place] ^ 1]) + frame[place + 1 :]
            late = self._chances["late"].choice((1, 50, 400)) if self._happens("late") else 0
            self._put(self.now + late * MILLISECOND, "live", data)

    def _send(self, way: str, data: bytes) -> None:
        """Queue on the connection: in order, or lost with it."""
        late = self._chances["late"].choice((2, 3, 20)) if self._happens("late") else 1
        due = max(self._busy_until[way], self.now + late * MILLISECOND)
        self._busy_until[way] = due
        self._put(due, way, data)

    def _put(self, due: int, way: str, data: bytes) -> None:
        self._numbers += 1
        heappush(self._queue, (due, self._numbers, way, self._connection, data))

    def _arrive(self, way: str, connection: int, data: bytes) -> None:
        # A live frame may be older than the connection, even than the publisher's last crash.
        if way == "live" and self._live_broke:
            return
        if way in self._deaf or (connection != self._connection and way != "live"):
            return
        if way == "to publisher":
            peer = str(connection).encode()
            for answer in self.publisher.hear(peer, data, None, self.now):
                self._send("to reader", answer)
        elif way == "to reader":
            self._act(self.reader.hear(data, self.now))
        else:
            self._act(self.reader.frame(data, self.now))

    def _act(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send("to publisher", encode_message(effect.message))
            elif isinstance(effect, Reconnect):
                self._connection += 1
                self._dial()
            elif isinstance(effect, CannotResume):
                self.refusals.append(f"{effect.stream}: {effect.reason}")
            else:
                self._tell(self.seen[effect.stream], effect)

    def _tell(self, seen: Seen, effect: Any) -> None:
        match effect:
            case Delivered(envelopes=envelopes):
                seen.told += [("event", *envelope.id[1:]) for envelope in envelopes]
                # A reader journals what it handled: there it goes on after a crash.
                seen.epoch, seen.position = envelopes[-1].id[1], envelopes[-1].id[2] + 1
            case WasReset(epoch=epoch, position=position, snapshot=snapshot):
                seen.told.append(("reset", epoch, position))
                assert snapshot == (Tick(-position),)
                seen.epoch, seen.position = epoch, position
            case BecameLive():
                seen.live = True
            case BecameStale():
                seen.live = False
            case SnapshotTaken():
                raise AssertionError("nobody asked for a snapshot")


class FinishedRun(Protocol):
    """Where a stream ended."""

    @property
    def durable(self) -> bool: ...

    @property
    def epoch(self) -> int: ...

    @property
    def next_seq(self) -> int: ...


def defects(log: FinishedRun, seen: Seen) -> list[str]:
    """Return what is wrong with what a reader was told of a stream that has come to rest."""
    found: list[str] = []
    epoch, position = 0, 1
    for kind, its_epoch, seq in seen.told:
        if kind == "reset":
            if (log.durable and epoch) or (its_epoch, seq) < (epoch, position):
                found.append(f"reset from {epoch}/{position} to {its_epoch}/{seq}")
            epoch, position = its_epoch, seq
            continue
        epoch = epoch or its_epoch
        if its_epoch != epoch:
            found.append(f"{its_epoch}/{seq} came in epoch {epoch}")
        elif seq < position:
            found.append(f"{epoch}/{seq} came twice or out of order")
        elif seq > position:
            found.append(f"lost: {epoch}/{position} to {epoch}/{seq - 1}")
        position = max(position, seq + 1)
    if epoch and (epoch, position) != (log.epoch, log.next_seq):
        found.append(f"ends at {epoch}/{position}, the stream at {log.epoch}/{log.next_seq}")
    if not seen.live:
        found.append("it is not live in the end")
    return found


def wrong_with(schedule: Schedule) -> list[str]:
    """Return all defects of a schedule, each with its stream; empty where it ended well."""
    world = World(schedule)
    world.run()
    found = [
        f"{name}: {d}" for name, log in world.logs.items() for d in defects(log, world.seen[name])
    ]
    return found + [f"refused: {refusal}" for refusal in world.refusals]


def shrunk(schedule: Schedule) -> Schedule:
    """Return a schedule that is as bad with fewer kinds of faults and fewer turns."""
    for fault in FAULTS:
        less = replace(schedule, faults=schedule.faults - {fault})
        if fault in schedule.faults and wrong_with(less):
            schedule = less
    while schedule.turns > 1:
        for turns in (schedule.turns // 2, schedule.turns * 3 // 4, schedule.turns - 1):
            if wrong_with(less := replace(schedule, turns=turns)):
                schedule = less
                break
        else:
            return schedule
    return schedule


def main() -> None:
    """Go through schedules until one ends badly, and tell that one as short as it gets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    asked = parser.parse_args()
    began = time.monotonic()
    for seed in range(asked.first, asked.first + asked.schedules):
        if wrong_with(Schedule(seed)):
            short = shrunk(Schedule(seed))
            sys.exit("\n".join([f"{short} ends badly:", *wrong_with(short)]))
    seconds = time.monotonic() - began
    print(f"{asked.schedules:,} schedules in {seconds:.1f} s: nothing lost, doubled or reordered")  # noqa: T201


if __name__ == "__main__":
    main()
