from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.events.event import Event
from actors.events.system import ActorFailed, HaltTrading, StopRequested, TimerFired
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import LiveClock, VirtualClock
from actors.runtime.envelope import Envelope
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.node.shutdown import STOP_GRACE
from actors.runtime.ports import Port
from actors.testing import SECOND, SystemTest
from tests.kit.runtime_actors import Burst, Feed, OrderPathRelay, Relay, Sink, Tick, Ticker
from tests.kit.waiting import PATIENCE


class Working(Actor):
    """Has business open for `delay` nanoseconds after a stop is asked for."""

    class Settings(Ticker.Settings):
        delay: int = 100

    class State(msgspec.Struct):
        done: bool = False

    state: State
    settings: Settings

    @handles(StopRequested)
    def on_stop_requested(self, _stop: StopRequested) -> None:
        self.set_timer("done", self.settings.delay)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.state.done = True

    def busy(self) -> bool:
        return not self.state.done


def system(**options: Any) -> SystemTest:
    return SystemTest(start=0, **options)


def test_a_run_ends_with_its_data_and_leaves_nothing_queued() -> None:
    test = system()
    test.add("feed", Feed, settings={"count": 5})
    test.add("relay", Relay, inputs=["feed.ticks"])
    statistics = test.run()

    assert test.emitted("relay.ticks") == [Tick(n) for n in range(5)]
    assert statistics.queued == 0


def test_a_run_for_a_duration_takes_what_is_due_until_then_and_reports_later_timers() -> None:
    test = system()
    test.add("ticker", Ticker, settings={"interval": 10})
    test.run(100)

    assert test.emitted("ticker.ticks") == [Tick(n) for n in range(1, 11)]
    assert test.node.unfired == 1


def test_the_clock_goes_on_at_a_stop_while_an_actor_is_busy() -> None:
    test = system()
    worker = test.add("worker", Working)
    test.add("ticker", Ticker, settings={"interval": 30})
    test.run(90)

    assert worker.state.done
    assert test.node.loop.now == 190


def test_a_busy_actor_delays_a_stop_by_five_seconds_at_most() -> None:
    test = system()
    worker = test.add("worker", Working, settings={"delay": STOP_GRACE + 1})
    test.run(90)

    assert not worker.state.done
    assert test.node.loop.now <= 90 + STOP_GRACE


def test_an_actor_that_fails_off_the_order_path_starts_again_and_its_readers_are_reset() -> None:
    test = system()
    test.add("feed", Feed, settings={"count": 4})
    test.add("relay", Relay, settings={"fails_on": [1]}, inputs=["feed.ticks"])
    sink = test.add("sink", Sink, inputs=["relay.ticks"])
    test.connect()
    test.node.run()

    assert sink.state.seen == [
        "tick 0",
        "reset relay.ticks epoch 2 at 2",
        "tick 0",
        "tick 2",
        "tick 3",
        "stop: end of data",
    ]
    assert test.node.actors["relay"].state.seen == [2, 3]
    assert not test.node.halts.reason
    assert test.node.supervisor.dead_letter_counts == {"handler raised": 1}


def test_an_actor_that_fails_on_the_order_path_halts_trading_and_takes_nothing_more() -> None:
    test = system()
    test.add("feed", Feed, settings={"count": 4})
    test.add("relay", OrderPathRelay, settings={"fails_on": [1]}, inputs=["feed.ticks"])
    sink = test.add("sink", Sink, inputs=["relay.ticks"])
    test.connect()
    test.node.run()

    assert sink.state.seen == [
        "tick 0",
        "halt",
        "stale relay.ticks: actor failed",
        "stop: end of data",
    ]
    assert sink.stale == {"relay.ticks": "actor failed"}
    assert "tick 1 was poison" in test.node.halts.reason
    edge = next(e for e in test.node.statistics().edges if e.stream == "feed.ticks")
    assert edge.dropped == {"handler raised": 1, "actor failed": 2}


class OnAir(Actor):
    """Fails as it starts."""

    def on_start(self) -> None:
        raise RuntimeError("no antenna")


def test_an_actor_that_cannot_start_is_closed_not_restarted_for_ever() -> None:
    test = system()
    test.add("on_air", OnAir)
    test.add("ticker", Ticker)
    test.connect()
    test.node.run(50)

    assert len(test.node.supervisor.failures) == 1
    assert not test.node.statistics().actors[0].alive


class Allergic(Relay):
    """Cannot digest what its publisher's snapshot consists of."""

    @handles(Tick)
    def on_tick(self, tick: Tick) -> int:
        raise ValueError(f"tick {tick.n}")


def test_an_actor_that_fails_on_every_snapshot_is_closed_in_the_end() -> None:
    test = system()
    test.add("feed", Feed, settings={"count": 2})
    test.add("relay", Relay, inputs=["feed.ticks"])
    test.add("allergic", Allergic, inputs=["relay.ticks"])
    test.connect()
    test.node.run()

    assert len(test.node.supervisor.failures) == 6
    assert all(edge.conserved for edge in test.node.statistics().edges)


class Usher(Actor):
    """Lets another actor in on the second tick."""

    node: Node

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        if tick.n == 1:
            self.node.connect("late", "relay.ticks")


def test_a_reader_that_joins_late_gets_a_reset_the_snapshot_and_then_what_is_new() -> None:
    test = system()
    test.add("feed", Feed, settings={"count": 4})
    test.add("relay", Relay, inputs=["feed.ticks"])
    usher = test.add("usher", Usher, inputs=["feed.ticks"])
    assert isinstance(usher, Usher)
    usher.node = test.node
    late = test.add("late", Sink)
    test.run()

    assert late.state.seen == [
        "reset relay.ticks epoch 1 at 3",
        "tick -2",
        "tick 2",
        "tick 3",
        "stop: end of data",
    ]


def test_a_failure_leaves_the_last_steps_in_a_file(tmp_path: Any) -> None:
    test = system(directory=tmp_path)
    test.add("feed", Feed, settings={"count": 2})
    test.add("relay", Relay, settings={"fails_on": [1]}, inputs=["feed.ticks"])
    test.connect()
    test.node.run()

    text = (tmp_path / "flight-1.txt").read_text()
    assert "raised ValueError: tick 1 was poison" in text
    assert "relay <- feed.ticks/1/1 Tick(n=0)\n    -> Tick(n=0)" in text


class Printer(Actor):
    """Hands its ticks to a port."""

    outputs = {"ticks": (Tick,)}
    paper: list[Event]
    jams_after: int

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self.emit(tick)

    def ports(self) -> Sequence[Port]:
        return [Paper(self)]


class Paper:
    output = "ticks"

    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    def resume(self) -> int | None:
        return 0

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            if len(self._printer.paper) >= self._printer.jams_after:
                raise OSError(28, "No space left on device")
            self._printer.paper.append(envelope.event)

    def close(self) -> None:
        self._printer.paper.append(Tick(-1))


def printing(clock: VirtualClock | LiveClock, jams_after: int = 1000) -> tuple[Node, Printer]:
    node = Node(clock=clock)
    node.add("feed", Feed, {"count": 50, "gap": 0, "start": clock.read()})
    printer = node.add("printer", Printer)
    assert isinstance(printer, Printer)
    printer.paper, printer.jams_after = [], jams_after
    node.connect("printer", "feed.ticks")
    return node, printer


@pytest.mark.parametrize("clock", [VirtualClock(), LiveClock()], ids=["virtual", "live"])
def test_a_port_performs_everything_in_order_and_then_closes(clock: Any) -> None:
    node, printer = printing(clock)
    node.run()

    assert printer.paper == [*[Tick(n) for n in range(50)], Tick(-1)]
    assert all(edge.conserved and not edge.queued for edge in node.statistics().edges)


@pytest.mark.parametrize("clock", [VirtualClock(), LiveClock()], ids=["virtual", "live"])
def test_a_port_that_fails_halts_trading_ends_the_run_and_says_why(clock: Any) -> None:
    node, printer = printing(clock, jams_after=10)
    node.run()

    assert "No space left on device" in node.halts.reason
    assert printer.paper[:10] == [Tick(n) for n in range(10)]
    assert all(edge.conserved for edge in node.statistics().edges)


def test_a_live_node_runs_its_timers_by_the_clock_and_stops_when_asked() -> None:
    node = Node(clock=LiveClock())
    ticker = node.add("ticker", Ticker, {"interval": 1_000_000})
    enough = threading.Event()
    node.on_turn = lambda n: enough.set() if n.actors["ticker"].state.fired >= 5 else None
    thread = threading.Thread(target=node.run)
    thread.start()
    assert enough.wait(PATIENCE)
    node.request_stop("test")
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert ticker.state.fired >= 5


class Expecting(Working):
    """Has business open until a tick comes from outside."""

    @handles(StopRequested)
    def on_stop_requested(self, _stop: StopRequested) -> None:
        """Wait, without a timer."""

    @handles(Tick)
    def on_tick(self, _tick: Tick) -> None:
        self.state.done = True


def test_a_live_stop_waits_for_an_answer_from_outside_while_an_actor_is_busy() -> None:
    node = Node(clock=LiveClock())
    node.add("expecting", Expecting)
    sink = node.add("sink", Sink)
    started, stopping = threading.Event(), threading.Event()

    def look(_node: Node) -> None:
        started.set()
        if sink.state.seen:
            stopping.set()

    node.on_turn = look
    thread = threading.Thread(target=node.run)
    thread.start()
    assert started.wait(PATIENCE)
    node.request_stop("test")
    assert stopping.wait(PATIENCE)
    assert thread.is_alive()
    node.ref("expecting").tell(Tick(1))
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert node.actors["expecting"].state.done


def test_virtual_time_can_be_paced() -> None:
    node = Node(clock=VirtualClock(speed=1000))
    node.add("feed", Feed, {"count": 11, "gap": SECOND})
    before = LiveClock().read()
    node.run()

    assert LiveClock().read() - before >= 10 * SECOND // 1000


def test_control_events_reach_exactly_those_that_handle_them() -> None:
    node = Node()
    node.add("sink", Sink)
    node.add("relay", Relay)
    node._start()
    node._control.announce(HaltTrading("test"))
    node._control.announce(ActorFailed("x", "y", restarted=False))
    while node.loop.run(10):
        pass

    assert node.actors["sink"].state.seen == ["halt"]
    assert all(edge.conserved for edge in node.statistics().edges)


EDGES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from(["stream", "latest"])),
    max_size=10,
    unique_by=lambda edge: edge[:2],
)


@settings(max_examples=60, deadline=None)
@given(EDGES, st.sets(st.integers(0, 20)), st.integers(1, 50))
def test_whatever_is_wired_and_whoever_fails_no_event_goes_unaccounted(
    edges: list[tuple[int, int, Any]], poison: set[int], slice_steps: int
) -> None:
    node = Node(NodeConfig(slice_steps=slice_steps))
    node.add("feed", Feed, {"count": 20})
    for i in range(5):
        kind = (Relay, OrderPathRelay, Burst, Sink, Relay)[i]
        fails = {"fails_on": tuple(poison)} if issubclass(kind, Relay) else {}
        node.add(f"a{i}", kind, fails)
        node.connect(f"a{i}", "feed.ticks")
    for reader, publisher, delivery in edges:
        if reader > publisher and publisher != 3:
            output = "prices" if delivery == "latest" else "ticks"
            node.connect(f"a{reader}", f"a{publisher}.{output}", delivery)
    node.run()

    statistics = node.statistics()
    assert [edge for edge in statistics.edges if not edge.conserved] == []
    assert statistics.queued == 0
