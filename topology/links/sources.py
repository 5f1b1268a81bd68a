"""What a node publishes: streams of its actors, and whether trading is halted here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from actors.events.event import Event
from actors.events.system import HaltTrading, ResumeTrading
from actors.runtime.actor import Actor
from actors.runtime.envelope import Envelope
from actors.runtime.journal.writer import Journal
from actors.runtime.ports import Outlet
from actors.runtime.recovery.recovery import RecoveryError, steps_since
from actors.runtime.schema import schema_table
from actors.runtime.stream import Input, Stream
from actors.runtime.trading_state import lift_of
from topology.links.messages import Schema

HALTS = "_halts"
"""Prefix of the streams on which nodes tell each other about halts."""
CHANGES_KEPT = 100
"""Changes of a node's halts that others may lack; who lacks more takes a snapshot."""
STEPS_AT_ONCE = 500
"""Steps of a journal that are read per turn of the loop."""
MAX_CURSORS = 16
"""Places in a journal that are remembered for readers served from it."""


def schema_of(classes: Iterable[type[Event]]) -> Schema:
    """Return the schema of these classes, as links exchange it."""
    return msgspec.convert(schema_table(classes), Schema)


class LinkOutlet(Outlet):
    """How much of one stream may be sent to other nodes.

    Args:
        actor: the publisher.
        stream: to be sent.
        waits_for_sync: whether it leaves the host, so that its events must be synced before.
    """

    def __init__(self, actor: Actor, stream: Stream, *, waits_for_sync: bool) -> None:
        super().__init__(Input(actor.context, stream, {}, {}))
        self._waits_for_sync = waits_for_sync

    @property
    def limit(self) -> int:
        """See `Outlet.limit`."""
        written = min(self.reader.stream.next_seq, self.written)
        return min(written, self.synced) if self._waits_for_sync else written


class ActorSource:
    """One output of an actor: its retained tail, and behind it the journal."""

    def __init__(
        self, actor: Actor, output: str, outlet: LinkOutlet, journal: Journal | None
    ) -> None:
        self.durable = actor.durable
        self._actor, self._output, self._outlet = actor, output, outlet
        self._journal = journal
        self._stream = actor.context.streams[output]
        self._cursors: dict[int, Iterator[list[Envelope]]] = {}
        """Places in the journal at which readers go on, by position."""

    @property
    def epoch(self) -> int:
        """See `Source.epoch`."""
        return self._stream.epoch

    @property
    def schema(self) -> Schema:
        """See `Source.schema`."""
        return schema_of(self._actor.outputs[self._output])

    @property
    def next_seq(self) -> int:
        """See `Source.next_seq`."""
        return self._outlet.limit

    @property
    def begins_at_one(self) -> bool:
        """See `Source.begins_at_one`."""
        stream = self._stream
        return stream.base == 1 and (not stream.tail or stream.tail[0].id[1] == stream.epoch)

    def read(self, position: int, most: int) -> list[Envelope] | None:
        """See `Source.read`."""
        stream = self._stream
        index = position - stream.base
        if index < 0:
            return self._behind(position, most) if self.durable else None
        found = stream.tail[index : min(index + most, self.next_seq - stream.base)]
        # An actor that began from nothing has a new epoch: its earlier events are gone.
        return None if found and found[0].id[1] != stream.epoch else found

    def snapshot(self) -> Iterable[Event]:
        """See `Source.snapshot`."""
        return self._actor.snapshot(self._output)

    def _behind(self, position: int, most: int) -> list[Envelope] | None:
        """Read from the journal, a few steps at a time: other readers must not wait."""
        cursor = self._cursors.pop(position, None) or self._journaled(position)
        found: list[Envelope] = []
        try:
            for _ in range(STEPS_AT_ONCE):
                found += next(cursor, ())
                if len(found) >= most:
                    break
        except RecoveryError:
            return None
        while len(self._cursors) >= MAX_CURSORS:
            del self._cursors[next(iter(self._cursors))]
        limit = self.next_seq
        if not found or found[-1].id[2] < limit:
            self._cursors[position + len(found)] = cursor
        return [envelope for envelope in found if envelope.id[2] < limit]

    def _journaled(self, position: int) -> Iterator[list[Envelope]]:
        assert self._journal is not None
        for emitted in steps_since(self._journal, self._actor, {self._output: position}):
            yield [envelope for output, _, _, envelope in emitted if output == self._output]


class HaltSource:
    """Tells other nodes what this one owns of the trading state: all of it, at each change."""

    durable = False
    begins_at_one = False
    schema = schema_of((HaltTrading, ResumeTrading))

    def __init__(self, node: str) -> None:
        self.name = f"{HALTS}.{node}"
        self.epoch = int(time.time())
        self.next_seq = 1
        self._entries: tuple[HaltTrading, ...] = ()
        self._said: deque[Envelope] = deque(maxlen=CHANGES_KEPT)

    def say(self, entries: tuple[HaltTrading, ...]) -> None:
        """Publish what this node owns: what is new of it, and what is lifted."""
        before, self._entries = self._entries, entries
        if before and not entries:
            self._append(ResumeTrading("not halted"))
            return
        for entry in before:
            if entry not in entries:
                self._append(lift_of(entry, "lifted"))
        for entry in entries:
            if entry not in before:
                self._append(entry)

    def read(self, position: int, most: int) -> list[Envelope] | None:
        """See `Source.read`."""
        if position >= self.next_seq:
            return []
        found = [envelope for envelope in self._said if envelope.id[2] >= position][:most]
        return found if found and found[0].id[2] == position else None

    def _append(self, event: Event) -> None:
        place, now = (self.name, self.epoch, self.next_seq), time.time_ns()
        self._said.append(Envelope(place, None, (*place, now), now, event))
        self.next_seq += 1

    def snapshot(self) -> tuple[Event, ...]:
        """See `Source.snapshot`."""
        return self._entries or (ResumeTrading("not halted"),)
