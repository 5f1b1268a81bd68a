"""The one idea: a stream, and resuming it from a position.

A `Stream` is the numbered log of what an actor emitted on one output; its tail is kept in memory.
An `Input` is an actor's position in a stream that it reads. Delivering an event means advancing
that position. The node's queue holds one token for each delivery: an input that may have something
to read. A token that finds nothing is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Literal, Protocol

from actors.events.event import Event, tag_of
from actors.runtime import codec
from actors.runtime.envelope import Envelope, Position, Root
from actors.runtime.statistics import ActorStatistics, Histogram
from actors.runtime.timers import SetTimer

Delivery = Literal["stream", "latest"]
Handler = Callable[[Any], Any]
Effects = tuple[tuple[Event, ...], tuple[SetTimer, ...]]
"""(outputs in order of emission, timers) of a step."""
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


class Owner(Protocol):
    """What an input and the loop know of the actor that reads."""

    name: str
    class_name: str
    statistics: ActorStatistics


class StepWriter(Protocol):
    """Writes the steps of one actor, each before anything of it is released."""

    def write(
        self, node_step: int, now: int, reader: Input, envelope: Envelope, effects: Effects
    ) -> None:
        """Write one finished step; its input was just taken from `reader`.

        Raises:
            OverflowError: an event holds a number of more than 32 bytes; nothing was written.
            TypeError: an event holds what MessagePack cannot; nothing was written.
        """

    def skip(self, node_step: int, now: int, reader: Input, envelope: Envelope) -> None:
        """Write that an input was taken and nothing came of it: its handler raised twice."""


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
        "watcher",
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
        """Readers that fetch their events themselves: ports and links."""
        self.plain = not urgent
        """True while one token at the queue's end for each reader is all that an event needs."""
        self.watcher: Callable[[Event], None] | None = None
        """Called with each event when it is emitted, ahead of all readers."""
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

    def renumber(self, epoch: int, next_seq: int) -> None:
        """Continue after what was emitted before a crash; the tail is empty."""
        self.epoch = epoch
        self.next_seq = self.base = next_seq
        self.tail = []
        self.trim_at = next_seq + TAIL_SLACK

    def attach(self, reader: Input) -> None:
        """Add a reader behind the present ones, at its own position."""
        self.read_by((*self.readers, reader))

    def read_by(self, readers: tuple[Input, ...]) -> None:
        """Have these readers, served in this order, and no others."""
        self.readers = readers
        one_token_each = not self.urgent and all(r.conflation is None for r in self.readers)
        self.plain = one_token_each and self.watcher is None
        self.only = readers[0] if self.plain and len(readers) == 1 else None

    def watch(self, watcher: Callable[[Event], None]) -> None:
        """Tell `watcher` of each event that an actor of this node emits here."""
        self.watcher = watcher
        self.read_by(self.readers)

    def listen(self, reader: Input) -> None:
        """Add a reader that fetches events itself and gets no tokens."""
        self.listeners = (*self.listeners, reader)

    def append(
        self, event: Event, cause: Position | None, root: Root | None, time: int, arrival: int
    ) -> Envelope:
        """Add an event from outside; without a `root` it is the root of its own chain."""
        position = (self.name, self.epoch, self.next_seq)
        envelope = Envelope(position, cause, root or (*position, arrival), time, event)
        self.keep(envelope)
        return envelope

    def keep(self, envelope: Envelope) -> None:
        """Add an event that has its place already; nobody is told of it."""
        self.tail.append(envelope)
        self.next_seq += 1

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
                    reader.conflation.offer(envelope)
            if self.watcher is not None:
                self.watcher(envelope.event)

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
        return ENVELOPE_BYTES + 4 * len(codec.encode(event))
    except (OverflowError, RecursionError, TypeError, ValueError):
        return ENVELOPE_BYTES  # only a guess is needed; whoever must encode it will complain


class Input:
    """One actor's position in one stream, and what became of the events before it.

    ``sent = handled + unhandled + conflated + dropped + queued`` holds at every moment; each of
    the five is counted where it happens, none is derived from the others.
    """

    __slots__ = (
        "began",
        "closed",
        "conflated",
        "conflation",
        "dropped",
        "handled",
        "handlers",
        "journal",
        "owner",
        "position",
        "resetting",
        "routes",
        "since_arrival",
        "source",
        "stream",
        "timed",
        "unhandled",
    )

    def __init__(
        self,
        owner: Owner,
        stream: Stream,
        handlers: Mapping[type[Event], Handler],
        routes: Mapping[type[Event], Stream],
        latest: TokenQueue | None = None,
    ) -> None:
        self.owner = owner
        self.source = stream
        """The publisher's stream; differs from `stream` where the delivery is `latest`."""
        self.stream = stream if latest is None else Stream(stream.name)
        self.conflation = None if latest is None else Conflation(self, latest)
        """What keeps only the newest values, which then wait in the lane `latest`."""
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
        self.journal: StepWriter | None = None
        """Writes each step on this input; None where the actor is not durable."""
        self.closed = ""
        """Why the actor was closed; empty while it takes events."""
        self.resetting = False
        """Whether a reset from another node, and its snapshot, still wait in the actor's inbox."""

    @property
    def delivery(self) -> Delivery:
        """What the reader chose."""
        return "stream" if self.conflation is None else "latest"

    @property
    def sent(self) -> int:
        """Events that the publisher emitted for this reader."""
        return self.source.next_seq - self.began

    @property
    def accounted(self) -> int:
        """Events of which is known what became of them."""
        done = self.handled + self.unhandled + self.conflated
        return done + sum(self.dropped.values())

    @property
    def queued(self) -> int:
        """Events that wait to be read; negative where a reader after a crash knows more already."""
        return self.stream.next_seq - self.position

    @property
    def needs_from(self) -> int:
        """Sequence number of the oldest event of `source` that the reader may still need."""
        return self.position if self.conflation is None else self.conflation.oldest_unread()

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

    Unread keys are read in the order of the first event of each that was not read: the journal
    notes that event's sequence number, so that the order can be told again after a crash.
    """

    __slots__ = ("_places", "_reader", "firsts", "lane")

    def __init__(self, reader: Input, lane: TokenQueue) -> None:
        self._reader = reader
        self.lane = lane
        """Deliveries of newest values wait here, behind those of the streams."""
        self.firsts: list[int] = []
        """For each entry of the private tail, sequence number of the first event it stands for."""
        self._places: dict[type[Event], tuple[Callable[[Event], Any], dict[Any, list[int]]]] = {}
        """By event class: how to read its key, and by key `[place, newest, newest that was read]`,
        the first in the private stream, the others in the publisher's."""

    def offer(self, envelope: Envelope) -> None:
        """Replace the unread value of the same key, or append a new one."""
        event, reader, seq = envelope.event, self._reader, envelope.id[2]
        view, position = reader.stream, reader.position
        found = self._places.get(event.__class__)
        if found is None:
            found = self._keys_of(event.__class__)
        key_of, places = found
        key = key_of(event)
        place = places.get(key)
        if place is None:
            places[key] = [view.next_seq, seq, 0]
        elif place[0] >= position:
            view.tail[place[0] - view.base] = envelope
            place[1] = seq
            reader.conflated += 1
            return
        else:
            place[0], place[2] = view.next_seq, place[1]
            place[1] = seq
        view.next_seq += 1  # as `Stream.keep` does; a call more is felt on every quote
        view.tail.append(envelope)
        self.firsts.append(seq)
        if len(view.tail) > VIEW_SLACK:
            del view.tail[: position - view.base]
            del self.firsts[: position - view.base]
            view.base = position
        self.lane.append(reader)

    def first_of(self, position: int) -> int:
        """Return the sequence number of the first event that an entry stands for."""
        return self.firsts[position - self._reader.stream.base]

    def oldest_unread(self) -> int:
        """Return the sequence number from which on the publisher's events may be needed again."""
        view, position = self._reader.stream, self._reader.position
        if position < view.next_seq:
            return self.first_of(position)
        return self._reader.source.next_seq

    def read_by_key(self) -> list[tuple[str, Any, int]]:
        """Return (tag, key, sequence number of the newest value that was read)."""
        position = self._reader.position
        return [
            (tag_of(event_class), key, newest if place < position else before)
            for event_class, (_, places) in self._places.items()
            for key, (place, newest, before) in places.items()
        ]

    def note_read(self, event_class: type[Event], key: Any, seq: int) -> None:
        """Remember after a crash that the value at `seq` was read."""
        _, places = self._places.get(event_class) or self._keys_of(event_class)
        places[key] = [0, seq, seq]

    def note_read_event(self, event: Event, seq: int) -> None:
        """Remember after a crash that `event` was read, at `seq`."""
        key_of, places = self._places.get(event.__class__) or self._keys_of(event.__class__)
        places[key_of(event)] = [0, seq, seq]

    def was_read(self, envelope: Envelope) -> bool:
        """Tell after a crash whether the reader had this value of its key, or a newer one."""
        event = envelope.event
        key_of, places = self._places.get(event.__class__) or self._keys_of(event.__class__)
        place = places.get(key_of(event))
        return place is not None and place[0] < self._reader.position and place[1] >= envelope.id[2]

    def _keys_of(
        self, event_class: type[Event]
    ) -> tuple[Callable[[Event], Any], dict[Any, list[int]]]:
        found = self._places[event_class] = (attrgetter(*event_class.key), {})
        return found
