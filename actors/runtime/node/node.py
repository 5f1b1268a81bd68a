"""A node: the actors of one process, their wiring, and the life of their loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from actors.events.event import Event
from actors.events.reference import Currency, Instrument
from actors.events.system import (
    ActorFailed,
    HaltTrading,
    ResumeTrading,
    StopRequested,
)
from actors.runtime.actor import Actor
from actors.runtime.clock import FOREVER, NO_LIMIT, Clock, VirtualClock
from actors.runtime.journal.commits import MAX_HELD
from actors.runtime.journal.data_directory import CONTROL as CONTROL_NAME
from actors.runtime.journal.data_directory import DataDirectory
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.writer import Journal
from actors.runtime.loop import Loop
from actors.runtime.node.counters import actor_record, edge_record
from actors.runtime.node.durability import EVERYTHING, NodeDurability, Retention
from actors.runtime.node.links import Links
from actors.runtime.node.outside import Outside
from actors.runtime.node.shutdown import GracefulShutdown
from actors.runtime.node.startup import Startup
from actors.runtime.node.supervision import Supervisor
from actors.runtime.node.wiring import Wiring
from actors.runtime.poller import EventPoller, Poller
from actors.runtime.ports import Outlet, PortRunner
from actors.runtime.recovery.recovery import Recovery
from actors.runtime.ref import ActorDeadError, Registry
from actors.runtime.statistics import (
    NodeStatistics,
    StreamRecord,
)
from actors.runtime.stream import ENVELOPE_BYTES, Input, Stream

CONTROL = (HaltTrading, ResumeTrading, StopRequested, ActorFailed)
"""Classes of the control stream, which every actor that handles them reads first."""
TURN_INTERVAL = 100_000_000
SEGMENT_BYTES = 64 * 2**20
END_OF_DATA = "end of data"
"""Why a node ends whose sources have nothing more to give."""


class Node(Wiring):
    """The actors of one process on one loop.

    Actors are added in file order, then connected, then the node is run once.

    Args:
        name: the node's name in the topology.
        clock: virtual by default.
        seed: of every actor's random numbers, together with its name.
        session: first part of client order ids.
        metrics: False leaves out all clock reads; counters are always kept.
        slice_steps: deliveries between two looks at ports and outside commands.
        bound: events that a port may lag before sources pause. In live time also the lag
            beyond which a reader is reset; a reader of a durable publisher is not, but at
            four times the bound trading halts.
        tail_bytes: budget of all tails together, beyond what readers still lack.
        poller: how the loop waits.
        directory: of the run, for files of its actors and, on a failure, the flight recorder;
            None where nothing is kept.
        data: directory that keeps what durable actors do; where it was used before, they go on
            from there. None keeps nothing, whatever is durable.
        disk: how that is written.
        segment_bytes: of an actor's journal after which a snapshot is taken.
        retention: how much of a journal is kept beyond what recovery needs.
        most_held: bytes that may wait in memory for a disk that refuses them; then the run ends.
        links: to the other nodes of the run; None where this one is alone.
        shared: directory of the journals of all nodes of this host; None where this one is alone.
        elsewhere: durable actors of other nodes.
        outside: where inputs come from and outputs go; None asks the actors.
    """

    def __init__(
        self,
        name: str = "node",
        *,
        clock: Clock | None = None,
        seed: int = 0,
        session: str = "0",
        instruments: Iterable[Instrument] = (),
        currencies: Iterable[Currency] = (),
        metrics: bool = True,
        slice_steps: int = 1024,
        bound: int = 65_536,
        tail_bytes: int = 1 << 20,
        poller: Poller | None = None,
        directory: Path | None = None,
        data: Path | None = None,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        retention: Retention = EVERYTHING,
        most_held: int = MAX_HELD,
        links: Links | None = None,
        shared: Path | None = None,
        elsewhere: Iterable[str] = (),
        outside: Outside | None = None,
    ) -> None:
        clock, poller = clock or VirtualClock(), poller or EventPoller()
        supervisor = Supervisor(self.control, directory)
        loop = Loop(
            clock,
            clocked=metrics,
            on_failure=supervisor.failed,
            on_lag=supervisor.lagging,
            on_source_failure=supervisor.source_failed,
            on_dead_letter=supervisor.dead_letter,
        )
        supervisor.watch(loop)
        super().__init__(
            name,
            clock,
            loop,
            supervisor,
            poller,
            seed=seed,
            instruments=instruments,
            currencies=currencies,
        )
        self.unfired: int | None = None
        """Timers that were still pending when the node stopped."""
        self.on_turn: Callable[[Node], None] | None = None
        """Called on the loop's thread, at most every 100 ms of real time."""
        self._poller = poller
        self._outside = outside or Outside()
        self.links = links
        self._control = Stream(
            f"{CONTROL_NAME}.{'announced' if links is None else name}", urgent=True
        )
        self._stop = GracefulShutdown(
            self.actors,
            self.loop,
            self.clock,
            supervisor=self.supervisor,
            ingress=self._ingress,
            outside=self._outside,
            wait=self._wait,
        )
        self._disk, self._segment_bytes = disk or Disk(), segment_bytes
        self._retention, self._most_held = retention, most_held
        self.data = (
            None
            if data is None
            else DataDirectory(data, name, session, self._disk, shared=shared, elsewhere=elsewhere)
        )
        self._session = session if self.data is None else self.data.file.session
        self._directory = directory
        self._archive: NodeDurability | None = None
        self._slice, self._bound, self._tail_bytes = slice_steps, bound, tail_bytes
        self.outlets: list[Outlet] = []
        """All that leaves the node: ports, and streams that other nodes read."""
        self._has_sources = False
        self.end_reason = ""
        """Why the whole run is to end, of which this node is a part; empty while it goes on."""
        self._ending = False
        self.stop_reason = ""
        """Why the run ended or is to end; empty while it goes on."""
        self._next_turn = 0

    def control(self, event: Event) -> None:
        """Send a control event to every actor that handles its class, ahead of all else."""
        keep = None if self._archive is None else self._archive.keep_control
        self.loop.announce(self._control, event, keep)

    def halt(self, reason: str) -> None:
        """Halt trading by an operator's word; callable from any thread and signal handler."""
        self._ingress.call(lambda: self.supervisor.halt(reason))

    def resume(self, reason: str) -> None:
        """Lift a halt by an operator's word; callable from any thread and signal handler.

        Refused, and logged, while an actor of the order path is down.
        """
        self._ingress.call(lambda: self.supervisor.resume(reason))

    def request_stop(self, reason: str) -> None:
        """End the run in order; callable from any thread and from a signal handler.

        One node of several takes in nothing more, empties its mailboxes and ends; it cancels
        nothing, for the others go on.
        """
        self.stop_reason = self.stop_reason or reason
        self._poller.wake()

    def request_end(self, reason: str) -> None:
        """Let the whole run come to its end; callable from any thread and a signal handler.

        One node of several then takes nothing more from sources and has what is open canceled, but
        is there for the others until it is told to stop.
        """
        if self.links is None:
            self.request_stop(reason)
        else:
            self.end_reason = self.end_reason or reason
            self._poller.wake()

    @property
    def busy(self) -> bool:
        """Whether an actor has business open, such as an order."""
        return self._stop.is_busy()

    @property
    def has_data(self) -> bool:
        """Whether a source has more to give."""
        return bool(self.loop.heads)

    def run(self, duration: int | None = None, *, until: int | None = None) -> None:
        """Start, run and stop the node on this thread.

        Args:
            duration: nanoseconds of the node's clock to run for; None runs until the data
                ends or `request_stop` is called.
            until: UTC nanoseconds at which to end instead: a run that goes on after a crash ends
                where it would have ended.

        Raises:
            RecoveryError: the journals do not fit together; nothing was started.
            DamagedFileError: a journal is damaged.
            JournalLockedError: another process runs from the same data.
            OSError: the data directory cannot be written.
        """
        self._ingress.thread_id = threading.get_ident()
        try:
            self._start()
            if duration is not None:
                self.loop.until = self.loop.now + duration
            if until is not None:
                self.loop.until = min(self.loop.until, until)
            while not self._stop.is_over():
                self._turn()
        finally:
            self._close()

    def statistics(self) -> NodeStatistics:
        """Return the node's counters now; on a running node, call it on the loop's thread."""
        actors = tuple(actor_record(actor) for actor in self.actors.values())
        edges = tuple(edge_record(reader) for reader in self._all_readers())
        streams = tuple(
            StreamRecord(s.name, s.epoch, s.next_seq, len(s.tail))
            for s in self.streams.values()
            if s.name not in self.mirrors
        )
        return NodeStatistics(
            self.name,
            self.loop.steps,
            self.loop.now,
            actors,
            edges,
            streams,
            dict(self.supervisor.dead_letter_counts),
            sum(edge.queued for edge in edges),
            self.supervisor.halted,
            None if self._archive is None else self._archive.statistics(),
            () if self.links is None else self.links.statistics(),
            None if self.links is None else self.links.counts(),
        )

    def _start(self) -> None:
        self._running = True
        self._bound_streams(self._bound, self._tail_bytes)
        for actor in self.actors.values():
            self._hear_control(actor)
        recovery = self._open_archive()
        for name, mirror in list(self.mirrors.items()):
            if mirror.stream.readers:
                mirror.place(recovery)
            else:  # nobody here reads this output of the other actor
                del self.mirrors[name], self.streams[name]
        for actor in self.actors.values():
            self._open_ports(actor, resumed=recovery is not None)
            Registry.register(actor.actor_ref)
        if self._archive is not None:
            self._archive.begin()
        self._open_sources(resumed=recovery is not None)
        startup = Startup(
            self.actors,
            self.loop,
            self.supervisor,
            remote=self.mirrors,
            time_passed=not self.clock.virtual,
        )
        if recovery is None or self._archive is None:
            startup.begin()
        else:
            startup.resume(recovery)
            self.supervisor.remember(self._archive.halts())
            self._go_on_stopping(self._archive)
        if self.links is not None:
            self.links.begin(self)
        self._start_threads()

    def _open_archive(self) -> Recovery | None:
        if self.data is None:
            return None
        self._archive = NodeDurability(
            self,
            self.data,
            self._durable,
            self._control,
            CONTROL,
            outlets=self.outlets,
            request_stop=self.request_stop,
            disk=self._disk,
            seed=self._seed,
            segment_bytes=self._segment_bytes,
            retention=self._retention,
            most_held=self._most_held,
        )
        self.loop.on_reply = self._archive.answer
        self.supervisor.next_epoch = self.data.next_epoch
        self.supervisor.replay = self._archive.replay
        if not self.clock.virtual:
            self._archive.commits.start_thread()
        recovery = self._archive.recover(linked=self.links is not None)
        if recovery is not None:
            self.clock.go_on_from(self.loop.now)
        if recovery is not None or self.links is not None:
            begun = () if recovery is None else recovery.actors
            for actor in [a for a in self.actors.values() if a.name not in begun]:
                self._renumber(actor, self.data.next_epoch())
        return recovery

    def on_disk(self, reader: Input) -> int:
        """Return the number of the event from which on a reader would go on after a crash."""
        if self._archive is None:
            return reader.needs_from
        return self._archive.position_on_disk(reader)

    def journal_of(self, actor: str) -> Journal | None:
        """Return the journal of an actor; None where nothing of it is kept."""
        if self._archive is None or actor not in self._archive.journals:
            return None
        return self._archive.journals[actor].files

    def _renumber(self, actor: Actor, epoch: int) -> None:
        """Let an actor that has no past begin in an epoch of its own."""
        for stream in (actor.inbox.stream, *actor.streams.values()):
            stream.renumber(epoch, 1)

    def _go_on_stopping(self, archive: NodeDurability) -> None:
        """In virtual time, end what was being stopped when the run before was killed."""
        if not self.clock.virtual:
            return
        stop, self.stop_reason = archive.stop_in_progress(), archive.data.last_ended
        if stop is not None and isinstance(stop.event, StopRequested):
            self.stop_reason = stop.event.reason
        if self.stop_reason:
            self._stop.begin(self.stop_reason, self.loop.now if stop is None else stop.time)

    def _hear_control(self, actor: Actor) -> None:
        if any(event_class in actor.handlers for event_class in CONTROL):
            table = actor.handler_table(CONTROL)
            actor.control_input = Input(actor, self._control, table, actor.routes)
            self._control.attach(actor.control_input)

    def _open_sources(self, *, resumed: bool) -> None:
        for actor in self.actors.values():
            if (source := self._outside.source(actor)) is not None:
                self.loop.open_source(actor.name, source)
                self._has_sources = True
        if self._has_sources and not self.loop.heads:
            self.loop.until = self.loop.now  # the data ended before the crash: no later timer fires
        if self.clock.virtual and self.loop.heads and not resumed:
            self.clock.move_to(self.loop.heads[0][0])
        self.loop.now = self.clock.read()

    def _open_ports(self, actor: Actor, *, resumed: bool) -> None:
        for port in self._outside.ports(actor):
            reader = Input(actor, actor.streams[port.output], {}, {})
            actor.streams[port.output].listen(reader)
            runner = PortRunner(
                reader,
                port,
                self._port_failed,
                actor.outputs[port.output],
                most_waiting=self._most_held // ENVELOPE_BYTES,
            )
            runner.resume(fresh=resumed and not actor.durable)
            self.ports.append(runner)
            self.open_outlet(runner)

    def open_outlet(self, outlet: Outlet) -> None:
        """Let events leave through `outlet` as the disk allows."""
        if self._archive is not None and self._archive.syncs:
            outlet.synced = outlet.reader.stream.next_seq  # what a journal held, was synced at once
        self.outlets.append(outlet)

    def _start_threads(self) -> None:
        if not self.clock.virtual:
            for port in self.ports:
                port.start_thread(port.reader.source.name, self._wake_if_paused)

    def _wake_if_paused(self) -> None:
        if self.loop.sources_paused:
            self._poller.wake()

    def _port_failed(self, error: BaseException) -> None:
        def halt() -> None:
            self.supervisor.failures.append(str(error))
            self.supervisor.halt(str(error))
            self.request_stop(str(error))

        self._ingress.call(halt)

    def _turn(self) -> None:
        loop = self.loop
        self._look_at_the_clock()
        self._ingress.drain()
        if self.links is not None:
            self.links.receive()
        steps = loop.run(self._slice)
        if self._archive is not None:
            self._archive.turn()
            self.supervisor.settle()
        for port in self.ports:
            port.wake()
            self.supervisor.wait_for_disk(port.reader.source.name, port.refused)
        loop.sources_paused = any(
            port.pending > self._bound and not port.waits_for_disk for port in self.ports
        )
        if self.links is not None:
            self.links.send()
            loop.sources_paused |= not self.links.sources_may_run()
        if self.on_turn is not None and time.monotonic_ns() >= self._next_turn:
            self._next_turn = time.monotonic_ns() + TURN_INTERVAL
            self.on_turn(self)
        if self.end_reason and not self._ending:
            self._begin_end()
        if self.stop_reason and not self._stop.reason:
            self._begin_stop()
        elif steps < self._slice and not self._stop.reason:
            self._rest()

    def _rest(self) -> None:
        """Nothing is left to do now: end the run, or wait for the next outside input."""
        moment, until = self.loop.next_moment(), self.loop.until
        if self._has_sources and not self.loop.heads and not self._ending:
            self.request_end(END_OF_DATA)
        elif moment == FOREVER and until == NO_LIMIT and self.clock.virtual:
            self.request_stop("nothing left to do")
        elif moment > until:
            if self.clock.due_in(until) == 0:
                self.request_stop("time is up")
            else:
                self._wait(until)
        else:
            self._wait(moment)

    def _wait(self, moment: int) -> None:
        delay = min(self.clock.due_in(moment), TURN_INTERVAL)
        if delay and not self._ingress.waiting:
            self._poller.wait(time.monotonic_ns() + delay)

    def _look_at_the_clock(self) -> None:
        """On a live node time went on while nothing happened."""
        if not self.clock.virtual:
            self.loop.now = self.clock.read()

    def _begin_end(self) -> None:
        self._ending = True
        self.loop.close_sources()
        self.loop.until = NO_LIMIT  # the others may still have business here
        self.control(StopRequested(self.end_reason))

    def _begin_stop(self) -> None:
        self._look_at_the_clock()
        self._stop.begin(self.stop_reason, self.loop.now, business=self.links is None)
        if self.links is None:
            self.control(StopRequested(self.stop_reason))
        else:
            self.links.stop_reading()

    def _close(self) -> None:
        self._ingress.close()
        self.unfired = len(self.loop.timers)
        for reply in self.loop.replies.values():
            reply.fail(ActorDeadError("node stopped"))
        self.loop.replies.clear()
        for actor in self.actors.values():
            if not actor.actor_stopped.is_set():
                self._stop_hook(actor)
                actor.actor_stopped.set()
                Registry.unregister(actor.actor_ref)
        self.supervisor.over = True
        if self._archive is not None:
            self._archive.close(self._stop.reason if self._stop.complete else "")
        for port in self.ports:
            port.close()
        if self.links is not None:
            self.links.close()
        self._ingress.run_calls()
