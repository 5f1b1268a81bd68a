"""Streams of other nodes: what their readers here have of them, and how they go on.

A `Mirror` is another node's stream as it came over a link: local readers have their positions in it
as in any other. A `RemoteCursor` is the other direction: how far another node is in a stream of
ours. Between them stands whatever implements `Links`; the runtime knows no sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Event as Flag
from typing import TYPE_CHECKING, NamedTuple

from actors.events.event import Event
from actors.events.system import StreamLive, StreamReset, StreamStale
from actors.runtime.envelope import Envelope
from actors.runtime.stream import Input, Stream

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.loop import Loop
    from actors.runtime.recovery.recovery import Recovery


class RemotePublisher:
    """Stands for an actor of another node, wherever a stream's publisher is asked about.

    Args:
        name: of the actor.
        node: where it is.
        actor_class: what it is.
        durable: whether its streams are never reset by themselves.
    """

    def __init__(self, name: str, node: str, actor_class: type[Actor], *, durable: bool) -> None:
        self.name, self.node, self.durable = name, node, durable
        self.outputs = actor_class.outputs
        self.order_path, self.role = actor_class.order_path, actor_class.role
        self.actor_stopped = Flag()
        """Never set: that an actor of another node stopped is told by its stream being stale."""


class PendingReader(NamedTuple):
    """A reader that waits for a snapshot."""

    reader: Input
    reason: str
    holder: Input
    """Keeps in the tail what comes meanwhile."""


class Mirror:
    """A stream of another node, as its readers here have it.

    Args:
        stream: with the publisher's name and numbers; its readers are those of this node.
        publisher: whose it is.
        loop: delivers it.
        inbox_of: returns an actor's inbox by the actor's name.
    """

    def __init__(
        self,
        stream: Stream,
        publisher: RemotePublisher,
        loop: Loop,
        inbox_of: Callable[[str], Input],
    ) -> None:
        self.stream, self.publisher = stream, publisher
        self.live = False
        """Whether nothing is missing."""
        self.begun = False
        """Whether some reader had begun to read before this start of the node."""
        self.ask_snapshot: Callable[[str], None] = _ask_nobody
        """Asks the publisher for a snapshot of the stream that is named."""
        self._loop, self._inbox_of = loop, inbox_of
        self._readers: tuple[Input, ...] = ()
        self._pending: list[PendingReader] = []
        self._snapshot: tuple[int, Sequence[Event]] | None = None
        self._recalled: frozenset[Input] = frozenset()
        stream.epoch = 0

    def place(self, recovery: Recovery | None) -> None:
        """Give readers the positions that their journals hold, before anything is read."""
        stream = self.stream
        self._readers = stream.readers
        read = {r: recovery.read_of(r) if recovery else None for r in self._readers}
        known = {reader: place for reader, place in read.items() if place and place[0]}
        self.begun = any(place is not None for place in read.values())
        epoch = max((place[0] for place in known.values()), default=0)
        known = {reader: place for reader, place in known.items() if place[0] == epoch}
        stream.renumber(epoch, min((place[1] for place in known.values()), default=1))
        for reader in self._readers:
            if reader.conflation is None:
                reader.position = known.get(reader, (0, stream.next_seq))[1]
            reader.began = known.get(reader, (0, stream.next_seq))[1]
        self._recalled = frozenset(reader for reader in known if reader.conflation is not None)
        if recovery is not None:
            for reader in self._recalled:
                recovery.restore_newest(reader)
        if epoch:
            for reader in self._readers:
                if reader not in known:
                    self.bring_up_to_date(reader, "new reader")

    def deliver(self, envelopes: Sequence[Envelope]) -> None:
        """Take in the next events."""
        self.stream.epoch = envelopes[0].id[1]
        if self._recalled:
            for envelope in envelopes:
                self._offer_recalled(envelope)
        else:
            self._loop.take_in(self.stream, envelopes)
        self._admit_pending()

    def reset(self, epoch: int, position: int, reason: str, snapshot: Sequence[Event]) -> None:
        """Go on at `position` of `epoch` behind a snapshot: what is missing will not come."""
        stream = self.stream
        missed = position - stream.next_seq if epoch == stream.epoch else 0
        self._recalled = frozenset()
        self._drop_pending(self._pending)
        for reader in self._readers:
            self._skip_unread(reader)
        stream.renumber(epoch, position)
        for reader in self._readers:
            if missed > 0:
                reader.drop("reset", missed)
            if reader.conflation is None:
                reader.position = position
            reader.began = position - reader.accounted
            self._announce(reader, reason, snapshot)

    def became_live(self) -> None:
        """Tell the readers that nothing is missing now."""
        self.live, self._recalled = True, frozenset()
        waiting = {pending.reader for pending in self._pending}
        for reader in self._readers:
            if reader not in waiting:
                self._post(reader, StreamLive(self.stream.name))
        if waiting:
            self.ask_snapshot(self.stream.name)

    def became_stale(self, reason: str) -> None:
        """Tell the readers that something may be missing."""
        self.live = False
        for reader in self._readers:
            self._post(reader, StreamStale(self.stream.name, reason))

    def bring_up_to_date(self, reader: Input, reason: str) -> None:
        """Give one reader a reset and a snapshot, once the publisher has sent one."""
        self._skip_unread(reader)
        if not self.stream.epoch:
            return  # nobody has anything yet: it begins with the others
        self._drop_pending([pending for pending in self._pending if pending.reader is reader])
        holder = Input(reader.owner, self.stream, {}, {})
        self.stream.listen(holder)
        self._pending.append(PendingReader(reader, reason, holder))
        self._read_by_others()
        self._post(reader, StreamStale(self.stream.name, reason))
        self._snapshot = None
        if self.live:
            self.ask_snapshot(self.stream.name)

    def take_snapshot(self, epoch: int, position: int, events: Sequence[Event]) -> None:
        """Take a snapshot for the readers that wait; it replaces all events before `position`."""
        if self._pending and epoch == self.stream.epoch:
            self._snapshot = (position, events)
            self._admit_pending()

    @property
    def readers(self) -> tuple[Input, ...]:
        """All readers here, also those that wait for a snapshot."""
        return tuple(self._readers)

    @property
    def read(self) -> int:
        """Number of the first event that some reader has not handled."""
        waiting = [pending.holder.position for pending in self._pending]
        return min((*waiting, *(r.needs_from for r in self.stream.readers)), default=self._end)

    def kept(self, on_disk: Callable[[Input], int]) -> int:
        """Return the number from which on events may be asked for after a crash.

        Args:
            on_disk: returns that of one reader.
        """
        return min((on_disk(reader) for reader in self._readers), default=self._end)

    def lags(self, bound: int) -> bool:
        """Tell whether a reader here lacks more than `bound` events that have come."""
        return any(r.conflation is None and r.queued > bound for r in self.stream.readers)

    @property
    def _end(self) -> int:
        return self.stream.next_seq

    def _admit_pending(self) -> None:
        """Give the snapshot to the readers that wait for it, once the stream has reached it."""
        if self._snapshot is None or self.stream.next_seq < self._snapshot[0]:
            return
        position, events = self._snapshot
        self._snapshot = None
        early = [pending for pending in self._pending if pending.holder.position <= position]
        self._drop_pending(early)
        for pending in early:
            reader = pending.reader
            if reader.conflation is None:
                reader.skip_to(position, "reset")
            else:
                reader.drop("reset", position - pending.holder.position)
            self._announce(reader, pending.reason, events, position)
            if self.live:
                self._post(reader, StreamLive(self.stream.name))
            self._offer_from(reader, position)
        if self._pending and self.live:
            self.ask_snapshot(self.stream.name)

    def _offer_from(self, reader: Input, position: int) -> None:
        stream = self.stream
        for envelope in stream.tail[position - stream.base :]:
            if reader.conflation is None:
                self._loop.queue.append(reader)
            else:
                reader.conflation.offer(envelope)

    def _offer_recalled(self, envelope: Envelope) -> None:
        """Deliver one event while readers of newest values may have had it before the crash."""
        stream, seq = self.stream, envelope.id[2]
        stream.keep(envelope)
        for reader in stream.readers:
            latest = reader.conflation
            if latest is None:
                self._loop.queue.append(reader)
            elif reader not in self._recalled:
                latest.offer(envelope)
            elif seq >= reader.began and latest.was_read(envelope):
                reader.began += 1
            elif seq >= reader.began:
                latest.offer(envelope)

    def _skip_unread(self, reader: Input) -> None:
        reader.skip_to(reader.stream.next_seq, "reset")
        self._loop.withdraw(reader)

    def _drop_pending(self, gone: Sequence[PendingReader]) -> None:
        """Stop these readers from waiting."""
        holders = {pending.holder for pending in gone}
        self._pending = [pending for pending in self._pending if pending.holder not in holders]
        stream = self.stream
        stream.listeners = tuple(other for other in stream.listeners if other not in holders)
        self._read_by_others()

    def _read_by_others(self) -> None:
        waiting = {pending.reader for pending in self._pending}
        self.stream.read_by(tuple(r for r in self._readers if r not in waiting))

    def _announce(
        self, reader: Input, reason: str, snapshot: Iterable[Event], position: int | None = None
    ) -> None:
        stream = self.stream
        reader.resetting = True
        resume_seq = stream.next_seq if position is None else position
        self._post(reader, StreamReset(stream.name, stream.epoch, resume_seq, reason))
        for event in snapshot:
            self._post(reader, event)

    def _post(self, reader: Input, event: Event) -> None:
        inbox = self._inbox_of(reader.owner.name)
        if not inbox.closed:
            self._loop.post(inbox, event)


class RemoteCursor(Input):
    """How far another node is in a stream of ours; keeps in the tail what it lacks.

    Args:
        publisher: the actor whose stream it is.
        stream: that is read.
        node: that reads.
    """

    __slots__ = ("kept", "node", "read")

    def __init__(self, publisher: Actor, stream: Stream, node: str) -> None:
        super().__init__(publisher.context, stream, {}, {})
        self.node = node
        self.read = self.position
        """Everything before was handled there."""
        self.kept = self.position
        """Where the node would go on after a crash."""

    @property
    def needs_from(self) -> int:
        """See `Input.needs_from`."""
        return self.kept

    def note(self, read: int, kept: int) -> None:
        """Note how far the reader says it is."""
        self.read, self.kept = max(self.read, read), max(self.kept, kept)
        self.position = max(self.position, self.read)

    def hold_at_most(self, bound: int) -> None:
        """Keep no more than `bound` events in memory for a reader that does not fetch them."""
        self.position = max(self.position, self.stream.next_seq - bound)


def _ask_nobody(_stream: str) -> None:
    """There is no link yet; whoever waits asks once it is live."""
