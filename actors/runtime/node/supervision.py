"""What happens when a handler raises, a reader falls behind or a door is shut.

A refusal that the business expects is an event; a raise is a bug. A durable actor is rebuilt from
its journal and tries once more. Where that does not help, on the order path trading halts and the
actor takes nothing more; elsewhere a durable actor skips the input, and any other starts again,
empty, in a new epoch, and everyone who reads it is told and brought up to date. Nothing is lost
without being counted.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from actors.events.event import Event
from actors.events.system import (
    ActorFailed,
    ActorStarted,
    StreamReset,
    StreamStale,
    TimerFired,
)
from actors.runtime.envelope import Envelope
from actors.runtime.flight_recorder import write_flight
from actors.runtime.recovery.capture import forget
from actors.runtime.ref import Registry
from actors.runtime.statistics import DeadLetter
from actors.runtime.stream import Input, StepWriter, Stream
from actors.runtime.stream_name import output_of

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.loop import Loop
    from actors.runtime.node.halts import Halts
    from actors.runtime.node.mirrors import Mirror, RemotePublisher

log = logging.getLogger("kaiju")

DEAD_LETTERS_KEPT = 100
DURABLE_LAG_FACTOR = 4
RESTARTS_ALLOWED = 5
RESTART_WINDOW = 1_000_000_000
"""Nanoseconds of the node's clock in which an actor may restart `RESTARTS_ALLOWED` times: a
snapshot that its reader cannot digest would otherwise be sent and fail for ever."""


class Supervisor:
    """Decides what a failure costs, and says so to everyone whom it concerns.

    Args:
        loop: whose steps are supervised.
        announce: sends a control event to every actor that handles it.
        halts: of the node.
        flight_directory: where the flight recorder is dumped on a failure; None keeps it in memory.
    """

    def __init__(
        self,
        loop: Loop,
        announce: Callable[[Event], None],
        halts: Halts,
        flight_directory: Path | None = None,
    ) -> None:
        self.halts = halts
        self.failures: list[str] = []
        self.dead_letters: deque[DeadLetter] = deque(maxlen=DEAD_LETTERS_KEPT)
        self.dead_letter_counts: Counter[str] = Counter()
        self.actors: dict[str, Actor] = {}
        self.owners: dict[str, Actor | RemotePublisher] = {}
        """Publisher by stream name."""
        self.mirrors: dict[str, Mirror] = {}
        """Streams of other nodes by name."""
        self.next_epoch: Callable[[], int] | None = None
        """Gives numbers that no epoch of this data directory had; None where nothing is kept."""
        self.replay: Callable[[Actor], None] = _nothing_kept
        """Brings a durable actor to where its journal ends; may raise anything."""
        self._retried: dict[str, tuple[Input, int, str]] = {}
        """(input, position behind the event, what happened) of each actor that tries again."""
        self._restarts: dict[str, deque[int]] = {}
        self._loop, self._announce = loop, announce
        self._flight_directory = flight_directory
        loop.on_failure, loop.on_lag = self.failed, self.lagging
        loop.on_source_failure, loop.on_dead_letter = self.source_failed, self.dead_letter

    def resume(self, reason: str, *, by: str = "", why: str = "") -> str:
        """Lift all halts, unless an actor of the order path is down; see `Halts.resume`."""
        actors = self.actors.values()
        down = [a.name for a in actors if a.order_path and a.actor_stopped.is_set()]
        return self.halts.resume(reason, down, by=by, why=why)

    def dead_letter(self, reader: Input, envelope: Envelope, reason: str) -> None:
        """Keep and count an event that nobody will finish."""
        stream, _, seq = envelope.id
        self.count_dead_letter(reader.owner.name, stream, seq, type(envelope.event), reason)

    def count_dead_letter(
        self, actor: str, stream: str, seq: int, event_class: type, reason: str
    ) -> None:
        """Keep and count a message that never became an input."""
        self.dead_letter_counts[reason] += 1
        self.dead_letters.append(DeadLetter(actor, stream, seq, event_class.__name__, reason))

    def trouble(self, what: str, error: BaseException) -> None:
        """Keep and log that something of an actor other than a handler raised."""
        text = f"{what} raised {type(error).__name__}: {error}"
        self.failures.append(text)
        log.error("%s", text, exc_info=error)

    def source_failed(self, name: str, error: Exception) -> None:
        """Note that a source ended by raising; its actor goes on with what it has."""
        self.trouble(f"the source of {name}", error)
        if self.actors[name].order_path:
            self.halts.halt(self.failures[-1])

    def failed(self, reader: Input, envelope: Envelope, error: BaseException) -> None:
        """Deal with a handler that raised: drop its step, then try again, skip, halt or restart."""
        actor, loop = self.actors[reader.owner.name], self._loop
        loop.discard()
        if isinstance(timer := envelope.event, TimerFired) and envelope.cause is not None:
            again = (timer.timer_id, timer.name, timer.due, envelope.cause)
            loop.timers.restore(actor.name, [again], frozenset({timer.timer_id}))
        actor.context.statistics.failed += 1
        what = describe(actor, envelope, error)
        rebuilt = reader.journal is not None and self._rebuild(actor, what)
        if rebuilt and self._try_again(reader, what):
            return
        reader.drop("handler raised")
        self.failures.append(what)
        log.error("%s", what, exc_info=error)
        self.dead_letter(reader, envelope, "handler raised")
        write_flight(loop.flight, what, traceback.format_exception(error), self._flight_directory)
        waiting = loop.replies.pop((reader, reader.position - 1), None)
        if waiting is not None:
            waiting.fail(error)
        lost = reader.journal is not None and not rebuilt
        hopeless = (
            lost
            or actor.order_path
            or isinstance(envelope.event, ActorStarted)
            or self._restarts_too_often(actor)
        )
        self._announce(ActorFailed(actor.name, what, restarted=not hopeless))
        if actor.order_path:
            self.halts.halt(what)
        if hopeless:
            hears = actor.order_path and not lost and reader is not actor.context.control_input
            self.close(actor, "actor failed", keep_control=hears)
        elif reader.journal is not None:
            self._skip(reader.journal, reader, envelope)
        else:
            self._restart(actor)

    def settle(self) -> None:
        """Report the actors that raised once and not again: they are not deterministic."""
        for name, (reader, position, what) in list(self._retried.items()):
            if reader.position >= position:
                del self._retried[name]
                text = f"{what}; on the same input it then did not: it is not deterministic"
                self.failures.append(text)
                log.error("%s", text)
                self._announce(ActorFailed(name, text, restarted=True))

    def _try_again(self, reader: Input, what: str) -> bool:
        """Put the input back before all others, unless this was the second time."""
        name = reader.owner.name
        tried = self._retried.pop(name, None)
        if tried is not None and tried[:2] == (reader, reader.position):
            return False
        self._retried[name] = (reader, reader.position, what)
        reader.position -= 1
        self._loop.queue.appendleft(reader)
        log.warning("%s; it was rebuilt from its journal and tries again", what)
        return True

    def _skip(self, journal: StepWriter, reader: Input, envelope: Envelope) -> None:
        if isinstance(envelope.event, TimerFired):
            self._loop.timers.remove(reader.owner.name, envelope.event.timer_id)
        try:
            journal.skip(self._loop.steps, self._loop.now, reader, envelope)
        except (OverflowError, TypeError, ValueError) as error:
            # Nothing came of the input, so nothing is missing where it cannot even be noted.
            self.trouble(f"noting that {reader.owner.name} skipped an input", error)

    def _rebuild(self, actor: Actor, what: str) -> bool:
        """Bring a durable actor back to before the step that failed; return whether that went."""
        loop = self._loop
        now, envelope = loop.now, loop.envelope
        timers, fired = actor.context.pending_timers(), loop.timers.fired(actor.name)
        try:
            self.replay(actor)
        except Exception as error:  # noqa: BLE001 - then the actor is lost, whatever it was
            self.trouble(f"{what}; rebuilding {actor.name} from its journal", error)
            return False
        finally:
            loop.now, loop.envelope = now, envelope
            # A timer that came due waits in the inbox: the journal does not know that yet.
            loop.timers.forget(actor.name)
            loop.timers.restore(actor.name, timers, fired)
        actor.stale = {s: why for s, why in actor.stale.items() if s in actor.heard}
        return True

    def close(self, actor: Actor, reason: str, *, keep_control: bool = False) -> None:
        """Let an actor take nothing more; what still comes is counted by `reason`.

        With `keep_control` it still hears control: a gateway that failed may yet cancel.
        """
        for reader in actor.context.readers:
            if not keep_control or reader is not actor.context.control_input:
                reader.handlers = {}
                reader.closed = reason
        self._retried.pop(actor.name, None)
        self._loop.timers.forget(actor.name)
        self._loop.close_sources(actor.name)
        if actor.actor_stopped.is_set():
            return
        actor.actor_stopped.set()
        Registry.unregister(actor.actor_ref)
        for stream in actor.context.streams.values():
            self._tell_stale(stream, reason)

    def _tell_stale(self, stream: Stream, reason: str) -> None:
        for reader in stream.readers:
            inbox = self.actors[reader.owner.name].context.inbox
            if not inbox.closed:
                self._loop.post(inbox, StreamStale(stream.name, reason))

    def lagging(self, reader: Input) -> None:
        """Reset a reader that fell too far behind; on a durable stream, halt trading instead."""
        publisher, bound = self.owners[reader.source.name], reader.source.lag_bound
        if not publisher.durable:
            self.reset(reader, "fell behind")
        elif reader.queued > DURABLE_LAG_FACTOR * bound and not self.halts.entries.reason():
            self.halts.halt(
                f"{reader.owner.name} is {reader.queued} events behind {reader.source.name}, "
                f"allowed are {DURABLE_LAG_FACTOR * bound}"
            )

    def reset(self, reader: Input, reason: str) -> None:
        """Bring one reader up to date: reset, snapshot to it alone, then live events."""
        if (mirror := self.mirrors.get(reader.source.name)) is not None:
            mirror.bring_up_to_date(reader, reason)
            return
        reader.skip_to(reader.stream.next_seq, "reset")
        # Tokens of what was skipped would read what comes next ahead of the reset.
        self._loop.withdraw(reader)
        self._post_reset(reader, reason)

    def _post_reset(self, reader: Input, reason: str) -> None:
        source, inbox = reader.source, self.actors[reader.owner.name].context.inbox
        publisher = self.actors[self.owners[source.name].name]
        self._loop.post(inbox, StreamReset(source.name, source.epoch, source.next_seq, reason))
        emitted = len(self._loop.outbox)
        try:
            for event in publisher.snapshot(output_of(source.name)):
                self._loop.post(inbox, event)
        except Exception as error:  # noqa: BLE001 - the reader was told of the reset at least
            self.trouble(f"{publisher.name}.snapshot({source.name})", error)
        del self._loop.outbox[emitted:]  # a snapshot returns; what it emitted is nobody's step

    def _restarts_too_often(self, actor: Actor) -> bool:
        times = self._restarts.setdefault(actor.name, deque(maxlen=RESTARTS_ALLOWED))
        if len(times) == RESTARTS_ALLOWED and self._loop.now - times[0] < RESTART_WINDOW:
            return True
        times.append(self._loop.now)
        return False

    def _restart(self, actor: Actor) -> None:
        epoch = actor.context.inbox.stream.epoch + 1
        if self.next_epoch is not None:
            try:
                epoch = self.next_epoch()
            except OSError as error:
                self.trouble(f"{actor.name} cannot start again: noting its epoch", error)
                self.close(actor, "actor failed")
                return
        self._loop.timers.forget(actor.name)
        forget(actor)
        self._loop.post(actor.context.inbox, ActorStarted(actor.name))
        for reader in actor.context.inputs:
            self.reset(reader, "reader restarted")
        actor.context.inbox.stream.epoch = epoch
        for stream in actor.context.streams.values():
            stream.epoch = epoch
            for reader in stream.readers:
                if reader.conflation is not None:
                    # An unread value of the old epoch could be replaced by one of the new.
                    self.reset(reader, "publisher restarted")
                else:
                    self._post_reset(reader, "publisher restarted")


def describe(actor: Actor, envelope: Envelope, error: BaseException) -> str:
    """Say which actor failed on which input, and how."""
    stream, epoch, seq = envelope.id
    if isinstance(error, KeyError) and isinstance(error.args[0], type):
        name = error.args[0].__name__
        allowed = ", ".join(sorted(c.__name__ for cs in actor.outputs.values() for c in cs))
        problem = f"emitted {name}, which is in none of its outputs (allowed: {allowed or 'none'})"
    else:
        problem = f"raised {type(error).__name__}: {error}"
    return (
        f"{actor.name} ({type(actor).__name__}) {problem}, while handling "
        f"{type(envelope.event).__name__} {stream}/{epoch}/{seq}"
    )


def _nothing_kept(actor: Actor) -> None:
    raise LookupError(f"{actor.name} has no journal")
