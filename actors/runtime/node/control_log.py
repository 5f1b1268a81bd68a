"""What is announced to all actors of a node: a stream that is read before all else, and kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from actors.events.event import Event
from actors.events.orders import CancelAll
from actors.events.system import (
    ActorFailed,
    HaltTrading,
    OperatorCommand,
    ResumeTrading,
    StopRequested,
)
from actors.runtime import codec
from actors.runtime.envelope import Envelope
from actors.runtime.handlers import handler_table
from actors.runtime.journal.data_directory import CONTROL
from actors.runtime.journal.steps import read_step
from actors.runtime.schema import schema_table
from actors.runtime.stream import Input, Stream
from actors.runtime.trading_state import HaltEntries, key_of

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.journal.commits import Commits
    from actors.runtime.journal.writer import Journal
    from actors.runtime.loop import Loop
    from actors.runtime.node.halts import Halts
    from actors.runtime.recovery.recovery import Recovery

ANNOUNCED = (
    HaltTrading,
    ResumeTrading,
    StopRequested,
    ActorFailed,
    CancelAll,
    OperatorCommand,
)
"""Classes of the control stream, which every actor that handles them reads first."""


class ControlLog:
    """The control stream of a node and, where anything is kept, its journal.

    Args:
        loop: delivers what is announced.
        output: second part of the stream's name.
        prefix: begins the ids of halts of the node as a whole.
    """

    def __init__(self, loop: Loop, output: str, prefix: str) -> None:
        self.stream = Stream(f"{CONTROL}.{output}", urgent=True)
        self._loop, self._prefix = loop, prefix
        self._journal: Journal | None = None
        self._commits: Commits | None = None

    def add_reader(self, actor: Actor) -> None:
        """Let an actor hear what it handles of what is announced."""
        if any(event_class in actor.handlers for event_class in ANNOUNCED):
            context, table = actor.context, handler_table(actor, ANNOUNCED)
            context.control_input = Input(context, self.stream, table, context.routes)
            self.stream.attach(context.control_input)

    def announce(self, event: Event) -> None:
        """Send an event to every actor that handles its class, ahead of all else."""
        self._loop.announce(self.stream, event, self._write)

    def halt_entry(self, reason: str) -> HaltTrading:
        """Return the entry of why the node as a whole is halted from now on."""
        number = self.stream.next_seq  # kept with the journal, so no other entry has it
        return HaltTrading(reason, f"{self._prefix}-{number}", since=self._loop.now)

    def keep_in(self, journal: Journal, commits: Commits) -> None:
        """Write from now on what is announced, before anyone hears of it."""
        self._journal, self._commits = journal, commits

    def begin(self, node: str) -> None:
        """Begin the first segment of the journal, if there is none yet."""
        assert self._journal is not None
        if self._journal.header is None:
            self._journal.begin(self._header(node))

    def restore(self, recovery: Recovery, elsewhere: Collection[str]) -> None:
        """Read back what was announced, and queue it for those who have not heard it.

        Args:
            recovery: of the actors.
            elsewhere: actors whose journal another node wrote: what they had heard of control was
                that node's.
        """
        assert self._journal is not None
        stream, queue = self.stream, self._loop.queue
        read = codec.decoder(reduce(or_, ANNOUNCED))
        for body in self._journal.steps():
            _, _, _, place, cause, root, time, _, event, _ = read_step(body)
            stream.keep(Envelope(place, cause, root, time, read(event)))
        # An actor without a past has not heard why trading is halted; the rest no longer matters.
        first_halt = min((e.id[2] for e in self._in_force()), default=stream.next_seq)
        for reader in stream.readers:
            name = reader.owner.name
            if name in recovery.actors and name not in elsewhere:
                reader.position = recovery.position_of(recovery.actors[name], stream.name)
            else:
                reader.position = first_halt
            reader.began = reader.position
        for envelope in stream.tail:
            for reader in reversed(stream.readers):
                if reader.position <= envelope.id[2]:
                    queue.appendleft(reader)

    def stop_since(self, seq: int) -> Envelope | None:
        """Return the newest announcement of a stop, if it has the number `seq` or a later one."""
        for envelope in reversed(self.stream.tail):
            if isinstance(envelope.event, StopRequested):
                return envelope if envelope.id[2] >= seq else None
        return None

    def halts(self) -> list[HaltTrading]:
        """Return the entries that were in force when the run before ended."""
        return [e.event for e in self._in_force() if isinstance(e.event, HaltTrading)]

    def announced_halts(self) -> set[str]:
        """Return the keys of all entries that anyone may have heard of, lifted ones included."""
        events = (envelope.event for envelope in self.stream.tail)
        return {key_of(event) for event in events if isinstance(event, HaltTrading)}

    def _write(self, envelope: Envelope) -> None:
        if self._journal is None or self._commits is None:
            return
        number, loop = envelope.id[2], self._loop
        about = (envelope.id, envelope.cause, envelope.root, envelope.time)
        body = (number, loop.steps, loop.now, *about, 0, envelope.event, ((), ()))
        self._commits.append(self._journal, codec.encode(body))

    def _header(self, node: str) -> dict[str, Any]:
        return {
            "journal": 1,
            "node": node,
            "actor": CONTROL,
            "epoch": self.stream.epoch,
            "next_seq": {"announced": self.stream.next_seq},
            "schema": schema_table(ANNOUNCED),
        }

    def _in_force(self) -> list[Envelope]:
        """Return the halts that nobody lifted."""
        entries, found = HaltEntries(), dict[str, Envelope]()
        for envelope in self.stream.tail:
            if isinstance(envelope.event, HaltTrading) and entries.take(envelope.event):
                found[key_of(envelope.event)] = envelope
            elif isinstance(envelope.event, ResumeTrading):
                for lifted in entries.lift(envelope.event):
                    del found[key_of(lifted)]
        return list(found.values())


def restore_halts(halts: Halts, control: ControlLog, actors: Mapping[str, Actor]) -> None:
    """Restore what was in force, and what an actor raised right before the crash.

    Args:
        halts: of the node.
        control: what was announced in the run before.
        actors: those that were recovered, by name.
    """
    halts.restore(control.halts())
    announced = control.announced_halts()
    for name, actor in actors.items():
        entries = getattr(actor.state, "halts", None)
        if isinstance(entries, HaltEntries):
            for key, entry in entries.entries.items():
                if entry.owner == name and key not in announced:
                    halts.hear(name, entry)
