"""The test kit: one actor on virtual time, or a whole system of them, without files or threads.

kit = ActorTest(OrderBook, settings={"stale_after": "5s"})
assert kit.given(snapshot, diff) == [BookReset(...), TopOfBook(...)]
assert kit.advance(5 * SECOND) == [BookStateChanged("BTCUSDT.SIM", BookState.STALE, ...)]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from actors.events.durations import SECOND
from actors.events.event import Event
from actors.events.reference import Currency, Instrument
from actors.events.system import ActorStarted
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import VirtualClock
from actors.runtime.envelope import Envelope
from actors.runtime.handlers import handler_table
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.statistics import NodeStatistics
from actors.runtime.stream import Delivery, Input

__all__ = ["SECOND", "START", "ActorTest", "Probe", "SystemTest"]

START = 1_700_000_000 * SECOND
"""Where virtual time begins in a test: 2023-11-14 22:13:20 UTC."""
AT_ONCE = 64
"""Steps between two looks at what was emitted; fewer than the flight recorder keeps."""


class ActorTest:
    """One actor alone: give it events, see what it emits.

    A handler that raises, raises here. `on_start` has run when the constructor returns; what it
    emitted is in `started`.

    Args:
        actor_class: the actor under test.
        settings: its settings as the topology file would give them.
        instruments: what ``self.instruments`` knows.
        currencies: what ``self.currencies`` knows.
        name: the actor's name.
        seed: of ``self.rng``.
        start: UTC nanoseconds at which the clock stands.
        state: begin from this state instead of an empty one.
    """

    def __init__(
        self,
        actor_class: type[Actor],
        settings: Mapping[str, Any] | None = None,
        *,
        instruments: Iterable[Instrument] = (),
        currencies: Iterable[Currency] = (),
        name: str = "actor",
        seed: int = 0,
        start: int = START,
        state: Any = None,
    ) -> None:
        self._clock = VirtualClock(start)
        config = NodeConfig("test", seed=seed, instruments=instruments, currencies=currencies)
        self._node = Node(config, clock=self._clock)
        self.actor = self._node.add(name, actor_class, settings)
        if state is not None:
            self.actor.state = state
        self._loop = self._node.loop
        self._loop.on_failure = _raise
        self._loop.until = start
        self._seen = 0
        self._loop.post(self.actor.context.inbox, ActorStarted(name))
        self.started = self._emitted_by_now()

    @property
    def state(self) -> Any:
        """The actor's state."""
        return self.actor.state

    @property
    def now(self) -> int:
        """The virtual clock, UTC nanoseconds."""
        return self._loop.now

    def given(self, *events: Event) -> list[Event]:
        """Let the actor handle these events, and return what it emitted, in order."""
        emitted: list[Event] = []
        for event in events:
            if type(event) not in self.actor.context.inbox.handlers:
                self.actor.context.inbox.handlers = {
                    **self.actor.context.inbox.handlers,
                    **handler_table(self.actor, [type(event)]),
                }
            self._loop.post(self.actor.context.inbox, event)
            emitted += self._emitted_by_now()
        return emitted

    def advance(self, nanoseconds: int) -> list[Event]:
        """Let time pass, firing timers on the way, and return what was emitted."""
        self._loop.until = self.now + nanoseconds
        emitted = self._emitted_by_now()
        self._clock.move_to(self._loop.until)
        self._loop.now = self._loop.until
        return emitted

    def _emitted_by_now(self) -> list[Event]:
        emitted: list[Event] = []
        while self._loop.run(AT_ONCE):
            for number, _, _, outputs, _, _ in self._loop.flight:
                if number > self._seen:
                    emitted += outputs
                    self._seen = number
        return emitted


class Probe(Actor):
    """Keeps every envelope that it reads, for a test to look at."""

    class State(msgspec.Struct):
        """What was read, oldest first."""

        envelopes: list[Envelope] = []

    state: State

    @handles(Event)
    def on_event(self, _event: Event) -> None:
        """Keep the input."""
        self.state.envelopes.append(self.envelope)


class SystemTest:
    """A whole system on virtual time, wired in the test as a topology file would wire it.

        system = SystemTest(instruments=[BTC], currencies=[USDT])
        system.add("market", SimulatedExchange, settings={...}, inputs=["gateway.venue"])
        system.add("book", OrderBook, inputs=["market.depth"])
        system.run(10 * SECOND)
        assert system.emitted("book.top")

    Inputs may name actors that are added later. Every edge is checked for conservation when the
    run ends.
    """

    def __init__(
        self,
        *,
        instruments: Iterable[Instrument] = (),
        currencies: Iterable[Currency] = (),
        seed: int = 0,
        start: int = START,
        **config: Any,
    ) -> None:
        self.node = Node(
            NodeConfig("test", seed=seed, instruments=instruments, currencies=currencies, **config),
            clock=VirtualClock(start),
        )
        self._inputs: list[tuple[str, str, Delivery]] = []

    def add(
        self,
        name: str,
        actor_class: type[Actor],
        *,
        settings: Mapping[str, Any] | None = None,
        inputs: Iterable[str] = (),
        latest: Iterable[str] = (),
    ) -> Actor:
        """Add an actor that reads `inputs` event by event and of `latest` only the newest."""
        self._inputs += [(name, stream, "stream") for stream in inputs]
        self._inputs += [(name, stream, "latest") for stream in latest]
        return self.node.add(name, actor_class, settings)

    def connect(self) -> list[Input]:
        """Connect all inputs and a probe on every output; done by `run` if not before."""
        inputs = [self.node.connect(*edge) for edge in self._inputs]
        self._inputs = []
        if "probe" not in self.node.actors:
            outputs = [s for s in self.node.streams if not s.endswith(".inbox")]
            self.node.add("probe", Probe)
            inputs += [self.node.connect("probe", stream) for stream in outputs]
        return inputs

    def run(self, duration: int | None = None) -> NodeStatistics:
        """Run to the end of data or for `duration` nanoseconds.

        Raises:
            AssertionError: an actor failed, or an edge lost an event without counting it.
        """
        self.connect()
        self.node.run(duration)
        assert not self.node.supervisor.failures, self.node.supervisor.failures
        statistics = self.node.statistics()
        lost = [edge for edge in statistics.edges if not edge.conserved]
        assert not lost, lost
        return statistics

    def envelopes(self, stream: str) -> list[Envelope]:
        """Return everything that was emitted on `stream`, oldest first."""
        probe: Probe.State = self.node.actors["probe"].state
        return [envelope for envelope in probe.envelopes if envelope.id[0] == stream]

    def emitted(self, stream: str) -> list[Event]:
        """Return the events that were emitted on `stream`, oldest first."""
        return [envelope.event for envelope in self.envelopes(stream)]


def _raise(_reader: Input, _envelope: Envelope, error: BaseException) -> None:
    raise error
