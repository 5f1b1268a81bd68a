"""A node after a crash: its durable actors where their journals end, and what they still lack.

Every durable actor restores its newest snapshot and does the steps behind it again. What it emitted
and a reader has not handled is read from the publisher's journal, and is delivered in the order in
which it had been: by the publisher's step, the output's place in it and the reader's place in the
file. So the node resumes as if nothing had happened, in the same epoch, with the next number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import reduce
from itertools import chain
from operator import itemgetter, or_
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime import codec
from actors.runtime.envelope import Envelope
from actors.runtime.errors import KaijuError
from actors.runtime.journal.steps import StepJournal, read_step
from actors.runtime.journal.writer import Journal
from actors.runtime.recovery.capture import UNKNOWN
from actors.runtime.recovery.configuration import configured_as
from actors.runtime.recovery.replay import DivergedError, JournalReplay, replay_all
from actors.runtime.stream import Input, Stream
from actors.runtime.stream_name import owner_of

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.loop import Loop

Emitted = tuple[int, int, Stream, Envelope]
"""(node step, place in the step, stream, event): the order in which events were delivered."""


WRITTEN_BY_ANOTHER = (
    "If other code wrote this journal: run the old version once and stop it in order, then nothing"
    " has to be done again. Or begin with an empty directory"
)
"""What helps: an orderly stop leaves a snapshot at the last step."""


class RecoveryError(KaijuError):
    """Journals do not fit together; nothing was started."""


class Recovery:
    """Brings durable actors back, all at once.

    Args:
        actors: those with a journal that was begun before, in file order.
        journals: of these actors, by name.
        read_before: what others have read, as `Actor.read_before` says, by actor and stream.
        loop: of the node.
    """

    def __init__(
        self,
        actors: Iterable[Actor],
        journals: Mapping[str, StepJournal],
        read_before: Mapping[str, Mapping[str, tuple[int, int]]],
        loop: Loop,
        *,
        power_lost: bool,
    ) -> None:
        self._power_lost = power_lost
        self.actors = {actor.name: actor for actor in actors}
        self._journals = journals
        self._read_before = read_before
        self._loop = loop
        self._replays: dict[str, JournalReplay] = {}
        self.readers_without_position: list[Input] = []
        """Readers of these actors that have no position, and must be brought up to date."""

    def restore(self) -> None:
        """Do all journals again, and give streams and readers their numbers.

        Raises:
            DamagedFileError: a journal is damaged.
            RecoveryError: an actor does not do again what its journal holds, or a reader is ahead
                of its publisher.
        """
        for name, actor in self.actors.items():
            journal = self._journals[name]
            try:
                self._replays[name] = replay = replayed(actor, journal.files, self._loop)
            except DivergedError as error:
                raise RecoveryError(f"{error}\n{WRITTEN_BY_ANOTHER}") from error
            except msgspec.ValidationError as error:
                raise RecoveryError(
                    f"{name}: its class cannot know what its snapshot holds: {error}\n"
                    f"{WRITTEN_BY_ANOTHER}"
                ) from error
            journal.node_step, journal.now = replay.node_step, replay.now
            epoch = _header(journal.files)["epoch"]
            for output, stream in actor.context.streams.items():
                stream.renumber(epoch, replay.next_seq[output])
            inbox = actor.context.inbox.stream
            inbox.renumber(epoch, replay.positions.get(inbox.name, (epoch, 1))[1])
            actor.context.inbox.position = actor.context.inbox.began = inbox.next_seq
        done = self._replays.values()
        self._loop.steps = max((replay.node_step for replay in done), default=0)
        self._loop.now = max((replay.now for replay in done), default=self._loop.now)
        for actor in self.actors.values():
            for stream in actor.context.streams.values():
                for reader in stream.readers:
                    self._place(reader)
                for listener in stream.listeners:
                    listener.position = listener.began = stream.next_seq

    @property
    def steps(self) -> int:
        """Steps that were done again."""
        return sum(replay.done for replay in self._replays.values())

    def position_of(self, actor: Actor, stream: str) -> int:
        """Return the sequence number from which on `actor` has not handled `stream`."""
        return self._replays[actor.name].positions.get(stream, (0, 1))[1]

    def read_of(self, reader: Input) -> tuple[int, int] | None:
        """Return (epoch, position) of a reader of another node's stream.

        None where it never had this input; epoch 0 where it had, and has read nothing of it or
        must be brought up to date.
        """
        positions = self._positions_of(reader.owner.name, reader.source.name)
        return None if positions is None else positions.get(reader.source.name, UNKNOWN)

    def restore_newest(self, reader: Input) -> None:
        """Let a `latest` reader know which values it has read."""
        assert reader.conflation is not None
        replay, stream = self._replays[reader.owner.name], reader.source.name
        for event_class, key, seq in replay.newest_read.get(stream, ()):
            reader.conflation.note_read(event_class, key, seq)
        for event, seq in replay.events_read.get(stream, ()):
            reader.conflation.note_read_event(event, seq)

    def positions_of(self, actor: Actor) -> Mapping[str, tuple[int, int]]:
        """Return (epoch, position) of all that `actor` reads, as its journal has them."""
        return self._replays[actor.name].positions

    def deliver(self) -> None:
        """Fill the tails with what readers lack, and queue it in the order of its emission.

        Raises:
            RecoveryError: a reader lacks what its publisher's journal no longer holds.
        """
        emitted = [e for actor in self.actors.values() for e in self._lacking(actor)]
        emitted.sort(key=itemgetter(0, 1))
        for _, _, stream, envelope in emitted:
            seq = envelope.id[2]
            for reader in stream.readers:
                if reader.conflation is None:
                    if reader.position <= seq:
                        self._loop.queue.append(reader)
                elif seq >= reader.began and not reader.conflation.was_read(envelope):
                    reader.conflation.offer(envelope)
        for actor in self.actors.values():
            for reader in actor.context.inputs:
                ours = owner_of(reader.source.name) in self.actors
                if reader.conflation is not None and ours:
                    reader.began = reader.source.next_seq - reader.conflated - reader.queued

    def _place(self, reader: Input) -> None:
        source, name = reader.source, reader.owner.name
        positions = self._positions_of(name, source.name)
        if positions is None or positions.get(source.name) == UNKNOWN:
            reader.began = source.next_seq
            if reader.conflation is None:
                reader.position = source.next_seq
            self.readers_without_position.append(reader)
            return
        epoch, position = positions.get(source.name, (source.epoch, 1))
        if self._power_lost and position > source.next_seq:
            # Steps fit together by now: what is beyond was seen by a snapshot and not handled.
            position = source.next_seq
        if epoch != source.epoch or position > source.next_seq:
            raise RecoveryError(
                f"{name} has read {source.name} up to {epoch}/{position - 1}, but the journal of"
                f" {source.name.partition('.')[0]} ends at {source.epoch}/{source.next_seq - 1}: it"
                " is older than its reader's. Put back the newer journal, or begin with an empty"
                " directory"
            )
        reader.began = position
        if reader.conflation is None:
            reader.position = position
            return
        self.restore_newest(reader)

    def _positions_of(self, name: str, stream: str) -> Mapping[str, tuple[int, int]] | None:
        """Return what an actor has read; None if it never read this stream or knows nothing."""
        if name not in self._replays:
            return self._read_before.get(name)
        if stream not in _header(self._journals[name].files)["inputs"]:
            return None
        return self._replays[name].positions

    def _lacking(self, actor: Actor) -> Iterator[Emitted]:
        """Read back from an actor's journal what somebody may lack, into its tails."""
        wanted = {
            output: min(
                (r.began if r.conflation is not None else r.position for r in _all(stream)),
                default=stream.next_seq,
            )
            for output, stream in actor.context.streams.items()
        }
        wanted = {o: seq for o, seq in wanted.items() if seq < actor.context.streams[o].next_seq}
        if not wanted:
            return
        files = self._journals[actor.name].files
        for output, node_step, place, envelope in outputs_since(files, actor, wanted):
            stream = actor.context.streams[output]
            if not stream.tail:
                stream.base = envelope.id[2]
            stream.tail.append(envelope)
            yield node_step, place, stream, envelope


def replayed(actor: Actor, files: Journal, loop: Loop, held: Iterable[bytes] = ()) -> JournalReplay:
    """Let an actor do its journal again, configured as it was then.

    Args:
        actor: to be brought back.
        files: its journal.
        loop: of the actor.
        held: bodies of steps behind those in its files.

    Raises:
        DivergedError: it does not do what its journal holds.
        DamagedFileError: the journal is damaged.
    """
    header = _header(files)
    with _as_then(actor, header):
        replay = JournalReplay(actor, loop, files)
        replay_all(
            replay,
            files.newest_snapshot(),
            header["inputs"],
            lambda step: chain(files.steps(after=step), held),
        )
    return replay


@contextmanager
def _as_then(actor: Actor, header: Mapping[str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(configured_as(actor, header))
        except (ValueError, ImportError) as error:
            raise RecoveryError(
                f"{actor.name}: its class no longer takes what its journal was made with:"
                f" {error}\n{WRITTEN_BY_ANOTHER}"
            ) from error
        yield


def outputs_since(
    files: Journal, actor: Actor, wanted: Mapping[str, int]
) -> Iterator[tuple[str, int, int, Envelope]]:
    """Yield (output, node step, place in the step, event) from the numbers `wanted` on.

    See `steps_since`.
    """
    for emitted in steps_since(files, actor, wanted):
        yield from emitted


def steps_since(
    files: Journal, actor: Actor, wanted: Mapping[str, int]
) -> Iterator[list[tuple[str, int, int, Envelope]]]:
    """Yield for each step what it emitted from the numbers `wanted` on, maybe nothing.

    Args:
        files: the actor's journal.
        actor: whose outputs these are.
        wanted: first sequence number by output.

    Yields:
        (output, node step, place in the step, event) of each.

    Raises:
        RecoveryError: the journal begins later.
    """
    start = None
    for segment in files.segments():
        if all(segment.header["next_seq"].get(output, 1) <= seq for output, seq in wanted.items()):
            start = segment
    if start is None:
        raise RecoveryError(
            f"{actor.name}: a reader lacks {', '.join(f'{o} from {s}' for o, s in wanted.items())},"
            f" which its journal no longer holds"
        )
    emits: Any = reduce(or_, (c for classes in actor.outputs.values() for c in classes))
    read = codec.decoder(tuple[tuple[emits, ...], Any] | None)
    output_of = {c: o for o, classes in actor.outputs.items() for c in classes}
    next_seq: dict[str, int] = dict(start.header["next_seq"])
    epoch = start.header["epoch"]
    for body in files.steps(after=start.first_step - 1):
        number, node_step, now, place, _, root, _, _, _, raw = read_step(body)
        try:
            effects = read(raw)
        except codec.WideIntegerError as error:
            raise files.damaged_step(number, error) from error
        emitted = []
        for index, event in enumerate(effects[0] if effects else ()):
            output = output_of[event.__class__]
            seq = next_seq.get(output, 1)  # an output that came with a later version begins at 1
            next_seq[output] = seq + 1
            if seq >= wanted.get(output, seq + 1):
                name = f"{actor.name}.{output}"
                envelope = Envelope((name, epoch, seq), place, root, now, event)
                emitted.append((output, node_step, index, envelope))
        yield emitted


def _all(stream: Stream) -> tuple[Input, ...]:
    return (*stream.readers, *stream.listeners)


def _header(files: Journal) -> Mapping[str, Any]:
    assert files.header is not None
    return files.header
