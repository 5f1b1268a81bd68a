"""The one idea: a stream, and resuming it from a position.

A `Stream` is the sequence-numbered log of what an actor emitted on one output; its tail is kept
in memory. An `Input` is one reader's position in it. Delivery is nothing but advancing that
position: the node's queue holds a token a delivery, and a token only says that the input has
something to read; one that finds nothing is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Literal, Protocol

import msgspec

from actors.events.event import Event
from actors.runtime.envelope import Envelope, Position, Root
from actors.runtime.statistics import ActorStatistics, Histogram

Delivery = Literal["stream", "latest"]
Handler = Callable[[Any], Any]
FEWEST_KEPT = 4
TAIL_SLACK = 8
VIEW_SLACK = 64
ENVELOPE_BYTES = 400


class EvictedError(LookupError):
    """A position is older than what the stream still keeps."""


class TokenQueue(Protocol):
    """The node's queue of deliveries: a deque."""

    def append(self, token: Input, /) -> None:
        """Add one delivery at the end."""

    def appendleft(self, token: Input, /) -> None:
        """Add one delivery before all others."""

    def __len__(self) -> int:
        """Return how many deliveries there are."""


class Reader(Protocol):
    """What a stream and the loop know of an actor that reads."""

    name: str
    statistics: ActorStatistics
    inputs: tuple[Input, ...]


class Stream:
    """The numbered log of one output, its retained tail and its readers in file order."""

    __slots__ = (
        "base",
        "budget",
        "epoch",
        "lag_bound",
        "listeners",
        "name",
        "next_seq",
        "only",
        "plain",
        "readers",
        "tail",
        "trim_at",
        "urgent",
    )

    def __init__(self, name: str, *, budget: int = 1 << 20, urgent: bool = False) -> None:
        self.name = name
        self.epoch = 1
        self.next_seq = 1
        self.tail: list[Envelope] = []
        self.base = 1
        """Sequence number of ``tail[0]``."""
        self.readers: tuple[Input, ...] = ()
        self.listeners: tuple[Input, ...] = ()
        """Readers that come for their events themselves: ports."""
        self.plain = not urgent
        """True while one token at the queue's end for each reader is all that an event needs."""
        self.only: Input | None = None
        """The reader, where `plain` holds and there is just one."""
        self.urgent = urgent
        self.budget = budget
        """Bytes that the tail may keep beyond what readers still lack."""
        self.lag_bound = 0
        """Events that a reader may lack before it is reset; 0 for no bound (virtual time)."""
        self.trim_at = TAIL_SLACK
        """Sequence number beyond which the tail is due to be shortened."""

    def read(self, position: int) -> Envelope | None:
        """Return the event at `position`, or None where it was not emitted yet.

        Raises:
            EvictedError: the position is older than the retained tail.
        """
        index = position - self.base
        if index < 0:
            raise EvictedError(f"{self.name} keeps from {self.base} on, position was {position}")
        return self.tail[index] if index < len(self.tail) else None

    def attach(self, reader: Input) -> None:
        """Add a reader behind the present ones, at its own position."""
        self.readers = (*self.readers, reader)
        self.plain = not self.urgent and all(r.conflation is None for r in self.readers)
        self.only = reader if self.plain and len(self.readers) == 1 else None

    def listen(self, reader: Input) -> None:
        """Add a reader that is not told of events but comes for them itself."""
        self.listeners = (*self.listeners, reader)

    def append(
        self, event: Event, cause: Position | None, root: Root | None, time: int, arrival: int
    ) -> Envelope:
        """Add an event from outside; without a `root` it is the root of its own chain."""
        position = (self.name, self.epoch, self.next_seq)
        envelope = Envelope(position, cause, root or (*position, arrival), time, event)
        self.tail.append(envelope)
        self.next_seq += 1
        return envelope

    def offer(self, envelope: Envelope, queue: TokenQueue) -> None:
        """Tell each reader of an event just appended, where `plain` does not hold."""
        if self.urgent:
            for reader in reversed(self.readers):
                queue.appendleft(reader)
        else:
            for reader in self.readers:
                if reader.conflation is None:
                    queue.append(reader)
                else:
                    reader.conflation.offer(envelope, queue)

    def trim(self) -> None:
        """Shorten the tail to its budget; what a reader still lacks is always kept."""
        keep = max(FEWEST_KEPT, self.budget // _size_of(self.tail[-1].event))
        needed = min(
            (r.position for r in (*self.readers, *self.listeners) if r.conflation is None),
            default=self.next_seq,
        )
        cut = min(needed, self.next_seq - keep) - self.base
        if cut > 0:
            del self.tail[:cut]
            self.base += cut
        self.trim_at = self.next_seq + max(TAIL_SLACK, keep // 2)

    def lagging(self) -> list[Input]:
        """Return the readers that lack more events than the bound allows."""
        if not self.lag_bound:
            return []
        return [
            reader
            for reader in self.readers
            if reader.conflation is None and reader.queued > self.lag_bound
        ]


def _size_of(event: Event) -> int:
    try:
        return ENVELOPE_BYTES + 4 * len(msgspec.msgpack.encode(event))
    except (OverflowError, RecursionError, TypeError, ValueError):
        return ENVELOPE_BYTES  # only a guess is needed; whoever must encode it will complain


class Input:
    """One actor's position in one stream, and what became of the events before it.

    ``sent = handled + unhandled + conflated + dropped + queued`` holds at every moment; each of
    the five is counted where it happens, none is derived from the others.
    """

    __slots__ = (
        "actor",
        "began",
        "closed",
        "conflated",
        "conflation",
        "dropped",
        "handled",
        "handlers",
        "position",
        "routes",
        "since_arrival",
        "source",
        "stream",
        "timed",
        "unhandled",
    )

    def __init__(
        self,
        actor: Reader,
        stream: Stream,
        handlers: Mapping[type[Event], Handler],
        routes: Mapping[type[Event], Stream],
        delivery: Delivery = "stream",
    ) -> None:
        self.actor = actor
        self.source = stream
        """The publisher's stream; differs from `stream` where the delivery is `latest`."""
        self.stream = stream if delivery == "stream" else Stream(stream.name)
        self.conflation = None if delivery == "stream" else Conflation(self)
        self.handlers = handlers
        self.routes = routes
        self.position = self.stream.next_seq
        self.began = stream.next_seq
        self.timed = False
        """Whether every event is timed, as on an edge of the order path, not one in sixteen."""
        self.since_arrival = Histogram()
        self.handled = 0
        self.unhandled = 0
        self.conflated = 0
        self.dropped: dict[str, int] = {}
        self.closed = ""
        """Why the actor takes nothing any more; empty while it does."""

    @property
    def delivery(self) -> Delivery:
        """What the reader chose."""
        return "stream" if self.conflation is None else "latest"

    @property
    def sent(self) -> int:
        """Events that the publisher emitted for this reader."""
        return self.source.next_seq - self.began

    @property
    def queued(self) -> int:
        """Events that wait to be read."""
        return self.stream.next_seq - self.position

    def drop(self, reason: str, count: int = 1) -> None:
        """Count events that were read by nobody, by reason."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def skip_to(self, position: int, reason: str) -> None:
        """Advance without handling, and count what was passed over."""
        if position > self.position:
            self.drop(reason, position - self.position)
            self.position = position


class Conflation:
    """What makes an input a `latest` one: what was not read yet is replaced in place, by key.

    The input then reads a private stream, in which the publisher's events are conflated, so the
    loop handles both kinds alike. They are one class, because the interpreter reads attributes
    much more slowly where the objects of a loop are of two.
    """

    __slots__ = ("_places", "_reader")

    def __init__(self, reader: Input) -> None:
        self._reader = reader
        self._places: dict[type[Event], tuple[Callable[[Event], Any], dict[Any, int]]] = {}
        """By event class: how to read its key, and the place of each key's newest value."""

    def offer(self, envelope: Envelope, queue: TokenQueue) -> None:
        """Replace the unread value of the same key, or append a new one."""
        event, reader = envelope.event, self._reader
        view, position = reader.stream, reader.position
        found = self._places.get(event.__class__)
        if found is None:
            found = self._places[event.__class__] = (attrgetter(*event.key), {})
        key_of, places = found
        key = key_of(event)
        place = places.get(key, 0)
        if place >= position:
            view.tail[place - view.base] = envelope
            reader.conflated += 1
            return
        places[key] = seq = view.next_seq
        view.next_seq = seq + 1
        view.tail.append(envelope)
        if len(view.tail) > VIEW_SLACK:
            del view.tail[: position - view.base]
            view.base = position
        queue.append(reader)

    def defers(self, queue: TokenQueue) -> bool:
        """Let the actor's streams go first, and return whether there was something to read."""
        if not queue:  # then no stream has anything unread, of this actor or another
            return False
        for reader in self._reader.actor.inputs:
            if reader.stream.next_seq > reader.position and reader.conflation is None:
                queue.append(self._reader)
                return True
        return False
