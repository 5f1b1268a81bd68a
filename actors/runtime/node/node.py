"""A node: the actors of one process, their wiring, and the life of their loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from actors.events.system import StopRequested
from actors.runtime.clock import FOREVER, NO_LIMIT, Clock, VirtualClock
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.writer import Journal
from actors.runtime.loop import Loop
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.control_log import ControlLog, restore_halts
from actors.runtime.node.counters import actor_record, edge_record
from actors.runtime.node.durability import NodeDurability
from actors.runtime.node.halts import Halts
from actors.runtime.node.ingress import Ingress
from actors.runtime.node.kill import KillFile
from actors.runtime.node.links import Links
from actors.runtime.node.operator_commands import OperatorCommands
from actors.runtime.node.outside import Outside
from actors.runtime.node.port_runners import PortRunners
from actors.runtime.node.shutdown import GracefulShutdown
from actors.runtime.node.startup import Startup
from actors.runtime.node.supervision import Supervisor
from actors.runtime.node.surroundings import Surroundings
from actors.runtime.node.wiring import Wiring
from actors.runtime.poller import EventPoller, Poller
from actors.runtime.ports import Outlet
from actors.runtime.recovery.recovery import Recovery
from actors.runtime.ref import ActorDeadError, Registry
from actors.runtime.statistics import NodeStatistics, StreamRecord
from actors.runtime.stream import Input

TURN_INTERVAL = 100_000_000
END_OF_DATA = "end of data"
"""Why a node ends whose sources have nothing more to give."""


class Node:
    """The actors of one process on one loop.

    Actors are added in file order, then connected, then the node is run once.

    Args:
        config: plain values.
        clock: virtual by default.
        poller: how the loop waits.
        disk: how journals are written.
        links: to the other nodes of the run; None where this one is alone.
        outside: where inputs come from and outputs go; None asks the actors.
    """

    def __init__(
        self,
        config: NodeConfig | None = None,
        *,
        clock: Clock | None = None,
        poller: Poller | None = None,
        disk: Disk | None = None,
        links: Links | None = None,
        outside: Outside | None = None,
    ) -> None:
        self.config = config = config or NodeConfig()
        self.name = config.name
        self.clock, self.links = clock or VirtualClock(), links
        self._poller, self._disk = poller or EventPoller(), disk or Disk()
        self._outside = outside or Outside()
        self.data = config.open_data(self._disk)
        """The node's directory; None where nothing is kept."""
        self.loop = Loop(self.clock, clocked=config.metrics)
        session = config.session if self.data is None else self.data.file.session
        output = "announced" if links is None else config.name
        self._control = ControlLog(self.loop, output, f"{config.name}-{session}")
        announce, place = self._control.announce, config.data or config.directory
        kill_file = None if place is None else KillFile(place, self._disk)
        self.halts = Halts(announce, kill_file, self._control.halt_entry)
        self.supervisor = Supervisor(self.loop, announce, self.halts, config.directory)
        self.operator = OperatorCommands(self._control, self.supervisor, self.loop)
        self._ingress = Ingress(self.loop, self._poller, self.supervisor)
        self.call = self._ingress.call
        wiring = self.wiring = Wiring(config, self.loop, self.supervisor, self._ingress, session)
        self.actors, self.streams, self.mirrors = wiring.actors, wiring.streams, wiring.mirrors
        self.instruments, self.currencies = wiring.instruments, wiring.currencies
        self.add, self.add_remote = wiring.add, wiring.add_remote
        self.connect, self.ref = wiring.connect, wiring.ref
        self._surround()
        self._durability: NodeDurability | None = None
        self.turns = 0
        """Turns of the loop so far; 0 before the first one, negative after the last."""
        self.unfired: int | None = None
        """Timers that were still pending when the node stopped."""
        self.on_turn: Callable[[Node], None] | None = None
        """Called on the loop's thread, at most every 100 ms of real time."""
        self.end_reason = ""
        """Why the whole run is to end, of which this node is a part; empty while it goes on."""
        self.stop_reason = ""
        """Why the run ended or is to end; empty while it goes on."""
        self._has_sources = self._ending = False
        self._next_turn = 0

    def _surround(self) -> None:
        """Make what stands between the loop and the world around the process."""
        self._ports = PortRunners(
            bound=self.config.bound, max_held=self.config.max_held, on_failure=self._port_failed
        )
        self.let_out_only_cancels = self._ports.let_out_only_cancels
        self._stop = GracefulShutdown(
            self.actors,
            self.loop,
            self.clock,
            supervisor=self.supervisor,
            ingress=self._ingress,
            outside=self._outside,
            wait=self._wait,
        )
        self._surroundings = Surroundings(
            self.config,
            self.clock,
            halt=self.halts.halt,
            is_busy=self._stop.is_busy,
            request_stop=self.request_stop,
        )

    def halt(self, reason: str) -> None:
        """Halt trading by an operator's word; callable from any thread and signal handler."""
        self.call(partial(self.halts.halt, reason))

    def resume(self, reason: str) -> None:
        """Lift a halt by an operator's word; callable from any thread and signal handler.

        Refused, and logged, while an actor of the order path is down.
        """
        self.call(partial(self.supervisor.resume, reason))

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
            self.turns = -1
            self._close()

    def statistics(self) -> NodeStatistics:
        """Return the node's counters now; on a running node, call it on the loop's thread."""
        actors = tuple(actor_record(actor) for actor in self.actors.values())
        edges = tuple(
            edge_record(reader) for reader in (*self.wiring.readers, *self._ports.readers)
        )
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
            self.halts.reason,
            None if self._durability is None else self._durability.statistics(),
            () if self.links is None else self.links.statistics(),
            None if self.links is None else self.links.counts(),
            self.halts.lifted_by,
            self._surroundings.statistics(),
            self.halts.records(),
            self.halts.in_part,
        )

    def _start(self) -> None:
        self.wiring.running = True
        self.wiring.bound_streams()
        for actor in self.actors.values():
            self._control.add_reader(actor)
        recovery = self._open_durability()
        self.wiring.place_mirrors(recovery)
        for actor in self.actors.values():
            fresh = recovery is not None and not actor.durable
            self._ports.open(actor, self._outside.ports(actor), fresh=fresh)
            Registry.register(actor.actor_ref)
        if self._durability is not None:
            self._durability.begin()
        self._open_sources(resumed=recovery is not None)
        startup = Startup(
            self.actors,
            self.loop,
            self.supervisor,
            remote=self.mirrors,
            time_passed=not self.clock.virtual,
        )
        if recovery is None:
            startup.begin()
        else:
            startup.resume(recovery)
            restore_halts(self.halts, self._control, recovery.actors)
            self._resume_stopping()
        self.halts.keep_killed()
        self.operator.begin(self.config.data)
        if self.links is not None:
            self.links.begin(self)
        if not self.clock.virtual:
            self._ports.start_threads(self._wake_if_paused)

    def _open_durability(self) -> Recovery | None:
        if self.data is None:
            return None
        self._durability = durability = NodeDurability(
            self.wiring,
            self.data,
            self._control,
            outlets=self._ports.outlets,
            disk=self._disk,
            request_stop=self.request_stop,
        )
        self._ports.wait_for_syncs = durability.gate.waits_for_syncs
        self.loop.on_reply = durability.gate.answer
        self.supervisor.next_epoch = self.data.next_epoch
        self.supervisor.replay = durability.replay
        if not self.clock.virtual:
            durability.gate.commits.start_thread()
        recovery = durability.recover(linked=self.links is not None)
        if recovery is not None:
            self.clock.go_on_from(self.loop.now)
        if recovery is not None or self.links is not None:
            begun = () if recovery is None else recovery.actors
            for actor in [a for a in self.actors.values() if a.name not in begun]:
                self.wiring.renumber(actor, self.data.next_epoch())
        return recovery

    def on_disk(self, reader: Input) -> int:
        """Return the number of the event from which on a reader would go on after a crash."""
        if self._durability is None:
            return reader.needs_from
        return self._durability.position_on_disk(reader)

    def journal_of(self, actor: str) -> Journal | None:
        """Return the journal of an actor; None where nothing of it is kept."""
        journals = {} if self._durability is None else self._durability.journals
        return journals[actor].files if actor in journals else None

    def open_outlet(self, outlet: Outlet) -> None:
        """Let events leave through `outlet` as the disk allows."""
        self._ports.add(outlet)

    def _resume_stopping(self) -> None:
        """In virtual time, end what was being stopped when the run before was killed."""
        if self.data is None or not self.clock.virtual:
            return
        stop = self._control.stop_since(self.data.file.control)
        self.stop_reason = self.data.last_ended
        if stop is not None and isinstance(stop.event, StopRequested):
            self.stop_reason = stop.event.reason
        if self.stop_reason:
            self._stop.begin(self.stop_reason, self.loop.now if stop is None else stop.time)

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

    def _wake_if_paused(self) -> None:
        if self.loop.sources_paused:
            self._poller.wake()

    def _port_failed(self, error: BaseException) -> None:
        def halt() -> None:
            self.supervisor.failures.append(str(error))
            self.halts.halt(str(error))
            self.request_stop(str(error))

        self._ingress.call(halt)

    def _turn(self) -> None:
        loop = self.loop
        self.turns += 1
        self._look_at_the_clock()
        self._ingress.drain()
        if self.links is not None:
            self.links.receive()
        steps = loop.run(self.config.slice_steps)
        if self._durability is not None:
            self._durability.turn()
            self.supervisor.settle()
        self._surroundings.turn()
        self._ports.turn(self.halts)
        loop.sources_paused = self._ports.lag
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
        elif steps < self.config.slice_steps and not self._stop.reason:
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
        self._control.announce(StopRequested(self.end_reason, self.config.leaves_orders))

    def _begin_stop(self) -> None:
        self._look_at_the_clock()
        self._stop.begin(self.stop_reason, self.loop.now, business=self.links is None)
        if self.links is None:
            self._control.announce(StopRequested(self.stop_reason, self.config.leaves_orders))
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
                self.wiring.run_stop_hook(actor)
                actor.actor_stopped.set()
                Registry.unregister(actor.actor_ref)
        self.halts.over = True
        if self._durability is not None:
            self._durability.close(self._stop.reason if self._stop.complete else "")
        self._ports.close()
        if self.links is not None:
            self.links.close()
        self._ingress.run_calls()
