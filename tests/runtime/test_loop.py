from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.events.event import Event
from actors.events.system import HaltTrading, TimerFired
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import VirtualClock
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.testing import ActorTest, SystemTest
from tests.kit.runtime_actors import Burst, Feed, Price, Relay, Sink, Tick, Ticker, Unlisted


class Journal(Actor):
    """Remembers who sent what, over all its inputs."""

    class State(msgspec.Struct):
        seen: list[tuple[str, int]] = []

    state: State

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self.state.seen.append((self.envelope.id[0], tick.n))


def run_node(node: Node, *edges: tuple[str, str], duration: int | None = None) -> Node:
    for reader, stream in edges:
        node.connect(reader, stream)
    node.run(duration)
    return node


def test_deliveries_run_in_the_order_in_which_they_were_made() -> None:
    node = Node()
    node.add("feed", Feed, {"count": 2})
    node.add("first", Relay)
    node.add("second", Relay)
    node.add("journal", Journal)
    edges = [("first", "feed.ticks"), ("second", "feed.ticks"), ("journal", "feed.ticks")]
    run_node(node, *edges, ("journal", "first.ticks"), ("journal", "second.ticks"))

    assert node.actors["journal"].state.seen == [
        ("feed.ticks", 0),
        ("first.ticks", 0),
        ("second.ticks", 0),
        ("feed.ticks", 1),
        ("first.ticks", 1),
        ("second.ticks", 1),
    ]


def test_sources_of_the_same_moment_go_by_name_and_before_timers() -> None:
    node = Node()
    node.add("zulu", Feed, {"count": 2})
    node.add("alpha", Feed, {"count": 2})
    node.add("ticker", Ticker)
    node.add("journal", Journal)
    edges = [("journal", f"{name}.ticks") for name in ("ticker", "zulu", "alpha")]
    run_node(node, *edges, duration=10)

    assert node.actors["journal"].state.seen == [
        ("alpha.ticks", 0),
        ("zulu.ticks", 0),
        ("alpha.ticks", 1),
        ("zulu.ticks", 1),
        ("ticker.ticks", 1),
    ]


def test_a_raise_releases_nothing_that_the_step_had_emitted() -> None:
    system = SystemTest()
    system.add("feed", Feed)
    system.add("relay", Relay, settings={"fails_on": [1]}, inputs=["feed.ticks"])
    system.connect()
    system.node.run()

    assert system.emitted("relay.ticks") == [Tick(0), Tick(2)]


class Careless(Relay):
    @handles(Tick)
    def on_tick(self, tick: Tick) -> int:
        self.emit(tick)
        self.emit(Unlisted())
        return 0


def test_an_event_of_no_output_drops_the_whole_step_and_says_what_is_allowed() -> None:
    system = SystemTest()
    system.add("feed", Feed, settings={"count": 1})
    system.add("careless", Careless, inputs=["feed.ticks"])
    system.connect()
    system.node.run()

    assert system.emitted("careless.ticks") == []
    [failure] = system.node.supervisor.failures
    assert failure == (
        "careless (Careless) emitted Unlisted, which is in none of its outputs "
        "(allowed: Price, Tick), while handling Tick feed.ticks/1/1"
    )


def test_a_latest_input_waits_for_the_stream_inputs_of_its_actor() -> None:
    node = Node()
    node.add("feed", Feed, {"count": 1})
    node.add("burst", Burst)
    node.add("sink", Sink)
    node.connect("burst", "feed.ticks")
    node.connect("sink", "burst.prices", "latest")
    node.connect("sink", "burst.ticks")
    node.run()

    assert node.actors["sink"].state.seen == ["tick 0"] * 3 + ["a 2", "b 2", "stop: end of data"]


class Alarm(Relay):
    """Halts trading on the first tick, while two more wait."""

    @handles(Tick)
    def on_tick(self, tick: Tick) -> int:
        self.emit(tick)
        self.emit(Tick(tick.n + 10))
        return 0


def test_control_is_read_before_what_waits_in_the_mailbox() -> None:
    node = Node()
    node.add("alarm", Alarm)
    node.add("sink", Sink)
    node.connect("sink", "alarm.ticks")
    node.loop.post(node.actors["alarm"].context.inbox, Tick(1))
    node._start()
    node.loop.run(1)
    node._control.announce(HaltTrading("test"))
    while node.loop.run(10):
        pass

    assert node.actors["sink"].state.seen == ["halt", "tick 1", "tick 11"]


class Chain(Actor):
    outputs = {"prices": (Price,)}

    @handles(Tick)
    def on_tick(self, _tick: Tick) -> None:
        self.set_timer("later", 5)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.emit(Price("a", 1))


def test_an_envelope_names_its_cause_and_its_root() -> None:
    system = SystemTest(start=100)
    system.add("feed", Feed, settings={"count": 1, "start": 100})
    system.add("relay", Relay, inputs=["feed.ticks"])
    system.run()

    [envelope] = system.envelopes("relay.ticks")
    assert envelope.id == ("relay.ticks", 1, 1)
    assert envelope.cause == ("feed.ticks", 1, 1)
    assert envelope.root == ("feed.inbox", 1, 1, 100)
    assert envelope.time == 100


def test_the_cause_of_a_timer_is_the_input_of_the_step_that_set_it() -> None:
    node = Node()
    node.add("ticker", Ticker)
    node.run(10)

    taken = [envelope for _, _, envelope, _, _, _ in node.loop.flight]
    fired = next(envelope for envelope in taken if isinstance(envelope.event, TimerFired))
    assert fired.event == TimerFired("tick", 1, 10)
    assert fired.cause == ("ticker.inbox", 1, 1)


def test_a_timer_fires_when_it_is_due_and_not_when_canceled() -> None:
    kit = ActorTest(Chain)

    assert kit.given(Tick(1)) == []
    assert kit.advance(4) == []
    assert kit.advance(1) == [Price("a", 1)]
    kit.given(Tick(2))
    kit.actor.cancel_timer(2)
    kit.given(Tick(3))
    assert kit.advance(5) == [Price("a", 1)]


def test_the_same_seed_gives_the_same_random_numbers_and_each_actor_its_own() -> None:
    def numbers(seed: int, name: str) -> list[float]:
        actor = Node(NodeConfig(seed=seed)).add(name, Sink)
        return [actor.rng.random() for _ in range(3)]

    assert numbers(1, "a") == numbers(1, "a")
    assert numbers(1, "a") != numbers(1, "b")
    assert numbers(1, "a") != numbers(2, "a")


def test_virtual_time_begins_with_the_first_outside_event() -> None:
    node = Node(clock=VirtualClock(0))
    node.add("feed", Feed, {"start": 1_000_000, "count": 1})
    node.add("ticker", Ticker, {"interval": 100})
    node.run(250)

    assert node.actors["ticker"].state.fired == 0
    assert node.loop.now == 1_000_000


@pytest.mark.parametrize(("slice_steps", "bound"), [(1, 1), (7, 3), (1024, 65_536)])
def test_slices_and_bounds_change_nothing_in_virtual_time(slice_steps: int, bound: int) -> None:
    def run(**options: Any) -> list[tuple[str, int, Event]]:
        system = SystemTest(start=0, **options)
        system.add("feed", Feed, settings={"count": 40, "gap": 7})
        system.add("ticker", Ticker, settings={"interval": 3})
        system.add("burst", Burst, inputs=["feed.ticks", "ticker.ticks"])
        system.add("relay", Relay, inputs=["burst.ticks", "feed.ticks"])
        system.run(200)
        probe = system.node.actors["probe"].state
        return [(e.id[0], e.time, e.event) for e in probe.envelopes]

    assert run(slice_steps=slice_steps, bound=bound) == run()
