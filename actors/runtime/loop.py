"""The loop of a node: one queue of deliveries, one thread, one step at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Any

from actors.events.event import Event
from actors.events.system import TimerFired
from actors.runtime.accepts import NotAcceptedError
from actors.runtime.clock import FOREVER, NO_LIMIT, Clock
from actors.runtime.envelope import Envelope, Position
from actors.runtime.flight_recorder import Step
from actors.runtime.ref import ActorDeadError
from actors.runtime.stream import Input, Stream
from actors.runtime.timers import SetTimer, Timers

if TYPE_CHECKING:
    from actors.runtime.ref import Reply

FLIGHT_STEPS = 256
SAMPLED = 15
"""Low bits of a reader's count that is timed off the order path: one event in sixteen."""
NOTHING: tuple[Any, ...] = ()

Head = tuple[int, str, Event, Iterator[tuple[int, Event]], Input]
"""Next event of a source: (time, actor's name, event, the rest, the actor's inbox)."""


class Loop:
    """Runs deliveries in the order in which they were made.

    A delivery is a token in `queue`: an `Input` that has something to read. Taking it makes a
    step: the actor's handler runs, and when it returns, everything that it emitted is released
    at one point. A handler that raises releases nothing.
    """

    __slots__ = (
        "_arrival",
        "_clocked",
        "_inboxes",
        "_virtual",
        "_waits",
        "clock",
        "eager",
        "envelope",
        "flight",
        "grown",
        "heads",
        "latest",
        "now",
        "on_dead_letter",
        "on_failure",
        "on_lag",
        "on_reply",
        "on_source_failure",
        "outbox",
        "queue",
        "replies",
        "requested",
        "sources_paused",
        "steps",
        "timer_ids",
        "timers",
        "until",
    )

    on_failure: Callable[[Input, Envelope, BaseException], None]
    """Called with input, envelope and error when a handler raised; may raise itself. This and the
    next three are set by the supervisor."""
    on_lag: Callable[[Input], None]
    """Called with an input that is further behind than its stream allows."""
    on_source_failure: Callable[[str, Exception], None]
    """Called with the actor's name when a source raised, which ends it."""
    on_dead_letter: Callable[[Input, Envelope, str], None]
    """Called with an event for an actor that is closed, and why it is."""

    def __init__(self, clock: Clock, *, clocked: bool) -> None:
        self.clock = clock
        self._virtual = clock.virtual
        self._waits = clock.waits
        self.now = clock.read()
        self.queue: deque[Input] = deque()
        self.latest: deque[Input] = deque()
        """Deliveries of newest values: taken, one by one, when no other delivery waits. A live
        node moves them to the queue once a turn, so that a busy loop does not starve them."""
        self.outbox: list[Event] = []
        self.timers = Timers()
        self.heads: list[Head] = []
        self.steps = 0
        self.sources_paused = False
        self.eager = False
        """Whether sources are read as fast as their events are handled, whenever they are due."""
        self.until = NO_LIMIT
        """Latest moment whose inputs are taken."""
        self.envelope = Envelope(("", 0, 0), None, ("", 0, 0, 0), self.now, Event())
        self.flight: deque[Step] = deque(maxlen=FLIGHT_STEPS)
        self.on_reply: Callable[[Reply, Any], None] = _answer
        """Called with an `ask` and the value that its handler returned."""
        self.grown: list[Stream] = []
        """Streams whose tails are due to be shortened."""
        self.replies: dict[tuple[Input, int], Reply] = {}
        self.requested: list[SetTimer] = []
        """Timers that the present step set and canceled."""
        self.timer_ids: dict[str, int] = {}
        """Last timer set, by actor."""
        self._inboxes: dict[str, Input] = {}
        self._clocked = clocked
        self._arrival = 0

    def add(self, actor: str, inbox: Input) -> None:
        """Let timers of `actor` find it."""
        self._inboxes[actor] = inbox

    def open_source(self, actor: str, source: Iterator[tuple[int, Event]]) -> None:
        """Begin to take the outside inputs of `actor`."""
        first = self._next_of(actor, source)
        if first is not None:
            self.heads.append((first[0], actor, first[1], source, self._inboxes[actor]))
            heapify(self.heads)

    def has(self, actor: str) -> bool:
        """Return whether an actor is one of this node."""
        return actor in self._inboxes

    def set_timer(self, actor: str, name: str, delay_ns: int) -> int:
        """Buffer a timer of the present step and return its id."""
        timer_id = self.timer_ids.get(actor, 0) + 1
        self.timer_ids[actor] = timer_id
        self.requested.append((actor, timer_id, name, self.now + max(1, delay_ns)))
        return timer_id

    def cancel_timer(self, actor: str, timer_id: int) -> None:
        """Buffer the end of a timer."""
        self.requested.append((actor, timer_id, "", 0))

    def post(self, inbox: Input, event: Event, cause: Position | None = None) -> int:
        """Append an event from outside to an actor's inbox and return its sequence number."""
        # As `Stream.append` does: this is part of every outside input, where calls are felt.
        stream, now = inbox.stream, self.now
        seq = stream.next_seq
        place = (stream.name, stream.epoch, seq)
        root = (*place, now if self._virtual else time.monotonic_ns())
        stream.tail.append(Envelope(place, cause, root, now, event))
        stream.next_seq = seq + 1
        self.queue.append(inbox)
        if seq > stream.trim_at:
            self._note_grown(stream)
        return seq

    def announce(
        self, stream: Stream, event: Event, keep: Callable[[Envelope], None] | None = None
    ) -> None:
        """Append to an urgent stream: its readers take the event before all else.

        Args:
            stream: the urgent one.
            event: what is announced.
            keep: is given the event before anyone hears of it.
        """
        arrival = self.now if self._virtual else time.monotonic_ns()
        envelope = stream.append(event, None, None, self.now, arrival)
        if keep is not None:
            keep(envelope)
        stream.offer(envelope, self.queue)
        if stream.next_seq > stream.trim_at:
            self._note_grown(stream)

    def take_in(self, stream: Stream, envelopes: Sequence[Envelope]) -> None:
        """Append what another node emitted, and queue its deliveries event by event."""
        queue = self.queue
        if stream.plain:
            stream.tail.extend(envelopes)
            stream.next_seq += len(envelopes)
            queue.extend(stream.readers * len(envelopes))
        else:
            for envelope in envelopes:
                stream.tail.append(envelope)  # `keep` without the call
                stream.next_seq += 1
                stream.offer(envelope, queue)
        if stream.next_seq > stream.trim_at:
            self._note_grown(stream)

    def close_sources(self, actor: str | None = None) -> None:
        """Take nothing more from the source of `actor`, or from any."""
        self.heads[:] = [head for head in self.heads if actor is not None and head[1] != actor]
        heapify(self.heads)

    def withdraw(self, reader: Input) -> None:
        """Take back all tokens of a reader: what they stood for is skipped."""
        for lane in (self.queue, self.latest):
            kept = [token for token in lane if token is not reader]
            lane.clear()
            lane.extend(kept)

    def discard(self) -> None:
        """Drop what a handler emitted before it raised."""
        self.outbox.clear()
        self.requested.clear()

    def run(self, budget: int) -> int:  # noqa: C901, PLR0912, PLR0915
        """Run up to `budget` deliveries and return how many there were.

        In between, whenever the queue is empty, time goes on to the next outside input.
        """
        # The hot path, in one piece: each call that it would be split into costs a tenth of a hop.
        queue, latest, outbox = self.queue, self.latest, self.outbox
        requested = self.requested
        append, extend = queue.append, queue.extend
        record, replies = self.flight.append, self.replies
        clock = None if self.clock.virtual else self.clock
        popleft, perf = queue.popleft, time.perf_counter_ns
        clocked = self._clocked
        if clock is not None:
            extend(latest)
            latest.clear()
        steps = self.steps
        last = steps + budget
        while steps < last:
            if not queue:
                if latest:
                    append(latest.popleft())
                elif not self.advance():
                    break
            reader = popleft()
            stream, position = reader.stream, reader.position
            try:
                envelope = stream.tail[position - stream.base]  # Stream.read, inlined
            except IndexError:
                last -= 1  # what is not a step is work all the same
                continue  # a token too many: what it stood for was skipped
            reader.position = position + 1
            event = envelope.event
            try:
                handler = reader.handlers[event.__class__]
            except KeyError:
                self._unhandled(reader, envelope)
                last -= 1
                continue
            steps += 1
            self.envelope = envelope
            if clock is not None:
                self.now = clock.read()
            timed = clocked and (reader.timed or not reader.handled & SAMPLED)
            if timed:
                began = perf()
            try:
                reply = handler(event)
                outputs = timers = NOTHING
                journal = reader.journal
                if requested:
                    timers = tuple(requested)
                if outbox:
                    outputs, routes, now = tuple(outbox), reader.routes, self.now
                    cause, root = envelope.id, envelope.root
                    if journal is not None or len(outputs) > 1:
                        for event in outputs:  # a class of no output must drop the whole step
                            routes[event.__class__]
                if journal is not None:
                    journal.write(steps, self.now, reader, envelope, (outputs, timers))
                if outputs:
                    for event in outputs:  # the one release point
                        stream = routes[event.__class__]
                        seq = stream.next_seq
                        place = (stream.name, stream.epoch, seq)
                        emitted = Envelope(place, cause, root, now, event)
                        tail = stream.tail
                        tail.append(emitted)
                        stream.next_seq = seq + 1
                        if stream.only is not None:
                            append(stream.only)
                        elif stream.plain:
                            extend(stream.readers)
                        else:
                            stream.offer(emitted, queue)
                        if seq > stream.trim_at:
                            self._note_grown(stream)
                    outbox.clear()
                if timers:
                    self.timers.apply(timers, envelope.id)
                    requested.clear()
                reader.handled += 1
                record((steps, reader, envelope, outputs, timers, reply))
            except NotAcceptedError:
                self._unhandled(reader, envelope)
                steps -= 1
                last -= 1
                continue
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, supervised
                self.steps = steps
                self.on_failure(reader, envelope, error)
                continue
            if timed:
                self._observe(reader, envelope, began, perf())
            if replies and (waiting := replies.pop((reader, position), None)):
                self.on_reply(waiting, reply)
        self.steps = steps
        self.clock.move_to(self.now)
        if self.grown:
            self._shorten_tails()
        return steps - last + budget

    def advance(self) -> bool:  # noqa: C901 - in one piece: it is part of every outside input
        """Take the next outside input that is due: the earliest of sources and timers."""
        heads, timers = self.heads, self.timers
        moment = FOREVER
        if heads and not self.sources_paused:
            moment = self.now if self.eager else heads[0][0]
        is_timer = timers.next_due < moment
        if is_timer:
            moment = timers.next_due
        if moment > self.until or (self._waits and moment > self.clock.horizon()):
            return False
        if not self._virtual:
            self.now = self.clock.read()
        elif moment > self.now:
            self.now = moment
        if self._clocked:
            self._arrival = time.perf_counter_ns()
        if is_timer:
            actor, timer_id, name, due, cause = timers.pop()
            self.post(self._inboxes[actor], TimerFired(name, timer_id, due), cause)
            return True
        _, name, event, source, inbox = heads[0]
        try:  # `_next_of` without the call
            following = next(source, None)
        except Exception as error:  # noqa: BLE001 - as there
            self.on_source_failure(name, error)
            following = None
        if following is None:
            heappop(heads)
            if not heads:
                self.until = moment  # the data ends here: no later timer may fire
        elif len(heads) == 1:
            heads[0] = (following[0], name, following[1], source, inbox)
        else:
            heapreplace(heads, (following[0], name, following[1], source, inbox))
        self.post(inbox, event)
        return True

    def next_moment(self) -> int:
        """Return when the next outside input is due; `FOREVER` where there is none."""
        if self.heads and not self.sources_paused:
            return min(self.now if self.eager else self.heads[0][0], self.timers.next_due)
        return self.timers.next_due

    def _next_of(self, actor: str, source: Iterator[tuple[int, Event]]) -> tuple[int, Event] | None:
        try:
            return next(source, None)
        except Exception as error:  # noqa: BLE001 - a source that raises ends there, and it is said
            self.on_source_failure(actor, error)
            return None

    def _note_grown(self, stream: Stream) -> None:
        stream.trim_at = FOREVER  # once is enough
        self.grown.append(stream)

    def _shorten_tails(self) -> None:
        for stream in self.grown:
            stream.trim()
            for reader in stream.lagging():
                self.on_lag(reader)
        self.grown.clear()

    def _unhandled(self, reader: Input, envelope: Envelope) -> None:
        waiting = self.replies.pop((reader, reader.position - 1), None)
        if reader.closed:
            reader.drop(reader.closed)
            self.on_dead_letter(reader, envelope, reader.closed)
            error: Exception = ActorDeadError(f"{reader.owner.name} {reader.closed}")
        else:
            reader.unhandled += 1
            error = TypeError(
                f"{reader.owner.name} ({reader.owner.class_name}) has no handler for "
                f"{type(envelope.event).__name__}"
            )
        if waiting is not None:
            waiting.fail(error)

    def _observe(self, reader: Input, envelope: Envelope, began: int, ended: int) -> None:
        reader.owner.statistics.handle.observe(ended - began)
        arrival = self._arrival if self._virtual else envelope.root[3]
        if arrival:
            reader.since_arrival.observe(max(0, began - arrival))


def _answer(waiting: Reply, value: Any) -> None:
    waiting.answer(value)
