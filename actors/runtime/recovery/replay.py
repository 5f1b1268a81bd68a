"""An actor's journal, done again: its handlers get the same inputs and must do the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from actors.events.event import Event, tag_of
from actors.events.system import StopActor, StreamLive, StreamReset, TimerFired
from actors.runtime import codec
from actors.runtime.envelope import Envelope, Position
from actors.runtime.errors import KaijuError
from actors.runtime.handlers import handler_table, inbox_table
from actors.runtime.journal.segments import JournalFiles
from actors.runtime.journal.steps import SKIPPED, read_step, step_decoder
from actors.runtime.recovery.capture import NOT_YET, capture, classes_read, forget, restore
from actors.runtime.schema import as_known
from actors.runtime.snapshot import ActorSnapshot, decode_snapshot

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.loop import Loop

MAX_TEXT_LENGTH = 2_000
"""Characters of one output that a message shows."""


class DivergedError(KaijuError):
    """An actor did not do again what its journal says it did."""

    def __init__(
        self,
        *,
        actor: str,
        step: int,
        node_step: int,
        place: Position,
        event: str,
        expected: str,
        found: str,
    ) -> None:
        stream, epoch, seq = place
        super().__init__(
            f"{actor}: step {step}, on {event} {stream}/{epoch}/{seq}, is not what the journal"
            f" holds.\n  journal: {expected}\n  again:   {found}"
        )
        self.actor = actor
        self.step = step
        self.node_step = node_step
        self.expected = expected
        self.found = found


class JournalReplay:
    """Gives one actor its journaled steps again, and keeps what they tell of its inputs.

    Args:
        actor: is given the newest snapshot, or is empty where there is none.
        loop: the actor's; its clock and envelope are those of each step in turn.
        files: the journal.
    """

    def __init__(self, actor: Actor, loop: Loop, files: JournalFiles) -> None:
        self.actor = actor
        self._files = files
        read = classes_read(actor)
        self.step = self.node_step = self.now = 0
        self.done = 0
        """Steps done again."""
        self.next_seq = dict.fromkeys(actor.outputs, 1)
        self._last_read: dict[str, Position] = {}
        """By stream; of a `latest` input, the first event that the last value stands for."""
        self.newest_read: dict[str, list[tuple[type[Event], Any, int]]] = {}
        """(class, key, sequence number) by stream of a `latest` input, as of the snapshot."""
        self.events_read: dict[str, list[tuple[Event, int]]] = {}
        """(event, sequence number) of the steps after it."""
        self._classes = {tag_of(event_class): event_class for event_class in read}
        self._loop = loop
        self.read_step = step_decoder(reduce(or_, read))
        """Returns what stands in a step, its input as an event."""
        inbox = inbox_table(actor)
        self._on_reset, self._on_live = inbox[StreamReset], inbox[StreamLive]
        self._handlers: dict[type[Event], Callable[[Any], Any]] = {
            **handler_table(actor, read),
            **inbox,
            StopActor: _stay,
            StreamReset: self._note_reset,
            StreamLive: self._note_live,
        }
        self._resets: dict[str, Position] = {}
        """What was read, by stream, once the snapshot of its last reset was."""
        self._output_of = {c: o for o, classes in actor.outputs.items() for c in classes}

    def restore(self, snapshot: ActorSnapshot) -> None:
        """Make the actor know what it knew at a snapshot."""
        restore(self.actor, snapshot)
        self.step, self.node_step, self.now = snapshot.step, snapshot.node_step, snapshot.now
        self.next_seq = {output: snapshot.next_seq.get(output, 1) for output in self.actor.outputs}
        self._last_read = {s: (s, epoch, seq - 1) for s, (epoch, seq) in snapshot.positions.items()}
        self.newest_read = {
            stream: [(self._classes[tag], _as_key(key), seq) for tag, key, seq in newest]
            for stream, newest in snapshot.read.items()
        }
        self.events_read = {}

    def begin_empty(self, inputs: Iterable[str]) -> None:
        """Make the actor as new: nothing of its `inputs` is current, and it has not started."""
        forget(self.actor)
        self.actor.context.started = False
        self.actor.stale = dict.fromkeys(inputs, NOT_YET)
        self._loop.timer_ids[self.actor.name] = 0

    def run(self, bodies: Iterable[bytes]) -> None:  # noqa: C901 - in one piece: calls cost time
        """Do steps again.

        Raises:
            DivergedError: a step had other outputs or timers, or raised, or its input is no event
                that this actor handles now.
            DamagedFileError: a step holds a number in no form of ours.
        """
        loop, decode, handlers = self._loop, self.read_step, self._handlers
        outbox, requested, timers = loop.outbox, loop.requested, loop.timers
        name, next_seq, output_of = self.actor.name, self.next_seq, self._output_of
        last_read = self._last_read
        number, node_step, now = self.step, self.node_step, self.now
        for body in bodies:
            try:
                step = decode(body)
            except msgspec.DecodeError as error:
                raise self._unreadable(body, error) from error
            number, node_step, now, place, cause, root, time, first, event, effects = step
            loop.now = now
            loop.envelope = Envelope(place, cause, root, time, event)
            if event.__class__ is TimerFired:
                timers.remove(name, event.timer_id)
            if effects != SKIPPED:
                try:
                    handlers[event.__class__](event)
                    found = Raw(codec.encode((outbox, requested)))
                except Exception as error:
                    loop.discard()
                    again = f"raised {type(error).__name__}: {error}"
                    raise self._diverged(number, node_step, effects, again) from error
                if found != effects and not self._repeated(number, effects):
                    loop.discard()
                    raise self._diverged(number, node_step, effects, found)
                if outbox:
                    for emitted in outbox:
                        next_seq[output_of[emitted.__class__]] += 1
                    outbox.clear()
                if requested:
                    timers.apply(requested, place)
                    requested.clear()
            last_read[place[0]] = place
            if first:
                last_read[place[0]] = (place[0], place[1], first)
                self.events_read.setdefault(place[0], []).append((event, place[2]))
        self.done += number - self.step
        self.step, self.node_step, self.now = number, node_step, now

    @property
    def positions(self) -> dict[str, tuple[int, int]]:
        """(epoch, sequence number of the next event) by stream, as in `ActorSnapshot.positions`."""
        return {stream: (epoch, seq + 1) for stream, epoch, seq in self._last_read.values()}

    def snapshot(self) -> ActorSnapshot:
        """Return what the actor knows after the last step done again."""
        snapshot = capture(self.actor, step=self.step, node_step=self.node_step, now=self.now)
        snapshot.next_seq, snapshot.positions = dict(self.next_seq), self.positions
        return snapshot

    def _repeated(self, step: int, effects: Raw) -> bool:
        """Tell whether a step did again what it had done, in the words that its writer had.

        Fields that were appended to events since are no difference.
        """
        try:
            outputs, timers = codec.decode(effects)
        except codec.WideIntegerError as error:
            raise self._files.damaged_step(step, error) from error
        schema = self._files.header_of(step)["schema"]["events"]
        found = codec.encode((self._loop.outbox, self._loop.requested))
        again, again_timers = codec.decode(found)
        events = ([as_known(e, schema) for e in each] for each in (outputs, again))
        return timers == again_timers and next(events) == next(events)

    def _note_reset(self, event: StreamReset) -> None:
        stream = event.stream
        self._last_read[stream] = (stream, 0, 0)
        self._resets[stream] = (stream, event.epoch, event.resume_seq - 1)
        self._on_reset(event)

    def _note_live(self, event: StreamLive) -> None:
        reset = self._resets.pop(event.stream, None)
        if reset is not None and self._last_read[event.stream][1] == 0:
            self._last_read[event.stream] = reset
        self._on_live(event)

    def _unreadable(self, body: bytes, error: msgspec.DecodeError) -> KaijuError:
        if isinstance(error, codec.WideIntegerError):
            return self._files.damaged_step(read_step(body)[0], error)
        number, node_step, _, place, _, _, _, _, event, _ = codec.decode(body)
        return DivergedError(
            actor=self.actor.name,
            step=number,
            node_step=node_step,
            place=place,
            event=event[0],
            expected=_shown_event(event),
            found=f"this program cannot read it: {error}",
        )

    def _diverged(
        self, step: int, node_step: int, expected: Raw, found: Raw | str
    ) -> DivergedError:
        envelope = self._loop.envelope
        before = _shown(expected)
        after = [found] if isinstance(found, str) else _shown(found)
        parted = next(
            (n for n, (one, other) in enumerate(zip(before, after, strict=False)) if one != other),
            min(len(before), len(after)),
        )
        return DivergedError(
            actor=self.actor.name,
            step=step,
            node_step=node_step,
            place=envelope.id,
            event=type(envelope.event).__name__,
            expected=(before[parted:] or ["nothing more"])[0],
            found=(after[parted:] or ["nothing more"])[0],
        )


def replay_all(
    replay: JournalReplay,
    newest_snapshot: tuple[int, bytes] | None,
    inputs: Iterable[str],
    steps: Callable[[int], Iterable[bytes]],
) -> None:
    """Bring an actor from a snapshot, or from nothing, to where its steps end.

    Args:
        replay: of the actor.
        newest_snapshot: (step, body); None where there is none.
        inputs: names of the streams that the actor read when it began.
        steps: returns the bodies of the steps behind the one that it is given.

    Raises:
        DivergedError: it does not do what the journal says it did.
        DamagedFileError: the journal is damaged.
        msgspec.ValidationError: a snapshot is not one of this actor.
    """
    if newest_snapshot is None:
        replay.begin_empty(inputs)
    else:
        replay.restore(decode_snapshot(newest_snapshot[1]))
    replay.run(steps(replay.step))


def _as_key(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def _stay(_event: Event) -> None:
    """An actor that was stopped from outside is there again after a restart."""


def _shown(effects: Raw) -> list[str]:
    """Return outputs and timers of a step as people read them, one text each."""
    decoded = codec.decode(effects)
    if decoded is None:
        return ["the input was skipped, because the handler raised twice"]
    outputs, timers = decoded
    said = [_shown_event(event) for event in outputs]
    said += [f"timer {name!r} #{number} due {due}" for _, number, name, due in timers]
    return [
        text if len(text) <= MAX_TEXT_LENGTH else text[:MAX_TEXT_LENGTH] + "..." for text in said
    ]


def _shown_event(event: list[Any]) -> str:
    return f"{event[0]}({', '.join(map(repr, event[1:]))})"
