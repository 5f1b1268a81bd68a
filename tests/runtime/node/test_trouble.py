"""What a node survives: bursts, endless chains, and bugs outside handlers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.orders import OrderSubmitted, ReconciliationCompleted, SubmitOrder
from actors.events.system import (
    ConnectionEstablished,
    HaltTrading,
    ResumeTrading,
    StreamLive,
    StreamReset,
)
from actors.events.venue import NewOrderSingle, OrderMassCancelRequest, OrderMassStatusRequest
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import LiveClock
from actors.runtime.envelope import Envelope
from actors.runtime.node import shutdown as stopping
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.ports import Port
from actors.testing import SystemTest
from gateways.gateway import Gateway
from tests.kit.runtime_actors import Feed, OrderPathRelay, Price, Relay, Sink, Tick, Ticker
from tests.kit.waiting import PATIENCE

MANY = 200_000


class Counter(Actor):
    class State(Actor.State):
        count: int = 0
        last: int = -1
        in_order: bool = True

    state: State

    @handles(Tick)
    def on_tick(self, tick: Tick) -> int:
        self.state.count += 1
        self.state.in_order = self.state.in_order and tick.n == self.state.last + 1
        self.state.last = tick.n
        return self.state.count

    @handles(StreamReset)
    def on_reset(self, reset: StreamReset) -> None:
        self.state.last = reset.resume_seq - 2


class Flood(Actor):
    """Answers one tick with very many."""

    outputs = {"ticks": (Tick,)}

    @handles(Tick)
    def on_tick(self, _tick: Tick) -> None:
        for n in range(3000):
            self.emit(Tick(n))


def live_node(**options: Any) -> tuple[Node, threading.Thread, threading.Event]:
    node = Node(NodeConfig(**options), clock=LiveClock())
    started = threading.Event()
    node.on_turn = lambda _node: started.set()
    return node, threading.Thread(target=node.run), started


def stop(node: Node, thread: threading.Thread) -> None:
    node.request_stop("test")
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert [e for e in node.statistics().edges if not e.conserved or e.queued] == []


def test_a_burst_of_tells_far_beyond_the_bound_is_handled_whole_and_in_order() -> None:
    node, thread, started = live_node()
    counter = node.add("counter", Counter)
    thread.start()
    assert started.wait(PATIENCE)
    ref = node.ref("counter")
    for n in range(MANY):
        ref.tell(Tick(n))

    assert ref.ask(Tick(MANY), timeout=PATIENCE) == MANY + 1
    assert counter.state.in_order
    stop(node, thread)


@pytest.mark.parametrize("durable", ["none", "os"])
def test_a_reader_beyond_the_bound_gets_everything_or_a_reset_never_a_hole(durable: Any) -> None:
    node, thread, started = live_node(bound=10, slice_steps=5)
    node.add("flood", Flood, durable=durable)
    counter = node.add("counter", Counter)
    node.connect("counter", "flood.ticks")
    thread.start()
    assert started.wait(PATIENCE)
    node.ref("flood").ask(Tick(0))
    stop(node, thread)
    [edge] = [e for e in node.statistics().edges if e.stream == "flood.ticks"]

    assert counter.state.in_order
    if durable == "os":
        assert edge.handled == 3000
        assert "events behind flood.ticks" in node.halts.reason
    else:
        assert edge.handled + edge.dropped["reset"] == 3000


class Echo(Actor):
    """Answers every tick at once, for ever."""

    outputs = {"ticks": (Tick,)}

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self.emit(Tick(tick.n + 1))


def test_actors_that_answer_each_other_for_ever_do_not_hold_up_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "STOP_PATIENCE", 50_000_000)
    node = Node()
    node.add("feed", Feed, {"count": 1})
    node.add("ping", Echo)
    node.add("pong", Echo)
    for reader, stream in (("ping", "feed.ticks"), ("ping", "pong.ticks"), ("pong", "ping.ticks")):
        node.connect(reader, stream)
    node.on_turn = lambda n: n.request_stop("test")
    node.run()

    assert len(node.supervisor.failures) == 1
    assert "still flowing at the stop" in node.supervisor.failures[0]
    assert [e for e in node.statistics().edges if not e.conserved or e.queued] == []


def test_a_thread_that_keeps_telling_does_not_hold_up_a_stop() -> None:
    node, thread, started = live_node()
    node.add("counter", Counter)
    thread.start()
    assert started.wait(PATIENCE)
    ref, told, enough = node.ref("counter"), [0], threading.Event()

    def keep_telling() -> None:
        while not enough.is_set():
            try:
                ref.tell(Tick(1))
            except Exception:  # noqa: BLE001 - the node is gone
                return
            told[0] += 1

    teller = threading.Thread(target=keep_telling)
    teller.start()
    stop(node, thread)
    enough.set()
    teller.join(PATIENCE)
    lost = sum(node.supervisor.dead_letter_counts.values())
    [edge] = [e for e in node.statistics().edges if e.stream == "counter.inbox"]

    assert edge.handled + lost >= told[0]


class BadSnapshot(Relay):
    def snapshot(self, output: str) -> tuple[Event, ...]:
        raise RuntimeError(f"no snapshot of {output}")


class BadBusy(Relay):
    def busy(self) -> bool:
        raise RuntimeError("not busy")


class BadStop(Relay):
    def on_stop(self) -> None:
        raise RuntimeError("no stop")


class BadSource(Feed):
    def source(self) -> Iterator[tuple[int, Event]]:
        yield 0, Tick(0)
        raise RuntimeError("no more")


class Exits(Relay):
    @handles(Tick)
    def on_tick(self, tick: Tick) -> int:
        sys.exit(tick.n)


@pytest.mark.parametrize(
    ("actor_class", "text"),
    [
        (BadSnapshot, "relay.snapshot(relay.ticks) raised RuntimeError: no snapshot of ticks"),
        (BadBusy, "relay.busy() raised RuntimeError: not busy"),
        (BadStop, "relay.on_stop() raised RuntimeError: no stop"),
        (Exits, "relay (Exits) raised SystemExit: 0, while handling Tick feed.ticks/1/1"),
    ],
)
def test_a_bug_outside_the_handlers_is_told_and_everyone_else_stops_in_order(
    actor_class: type[Relay], text: str
) -> None:
    test = SystemTest(start=0)
    test.add("feed", Feed, settings={"count": 3})
    test.add("relay", actor_class, settings={"fails_on": [1]}, inputs=["feed.ticks"])
    sink = test.add("sink", Sink, inputs=["relay.ticks", "feed.ticks"])
    test.connect()
    test.node.run()

    assert text in test.node.supervisor.failures
    assert "stop: end of data" in sink.state.seen
    assert all(a.actor_stopped.is_set() for a in test.node.actors.values())


def test_a_source_that_raises_ends_there_and_what_it_gave_is_kept() -> None:
    test = SystemTest(start=0)
    test.add("feed", BadSource)
    test.connect()
    test.node.run()

    assert test.emitted("feed.ticks") == [Tick(0)]
    assert test.node.supervisor.failures == ["the source of feed raised RuntimeError: no more"]


def test_a_foreign_message_that_cannot_be_encoded_is_refused() -> None:
    node, thread, started = live_node()
    node.add("counter", Counter)
    thread.start()
    assert started.wait(PATIENCE)
    node.ref("counter").tell(Tick(10**90))

    with pytest.raises(ValueError, match="cannot be encoded"):
        node.ref("counter").ask(Tick(10**90))
    assert node.ref("counter").ask(Tick(0)) == 1
    stop(node, thread)
    assert node.supervisor.dead_letter_counts == {"cannot be encoded": 1}


class Connected(Actor):
    """A venue that is there, with nothing open, and orders for it."""

    outputs = {
        "connection": (ConnectionEstablished,),
        "requests": (ReconciliationCompleted, OrderSubmitted),
    }

    def on_start(self) -> None:
        order = SubmitOrder("0-x-1", "s", "A.B", Side.BUY, 1, OrderType.MARKET, TimeInForce.IOC)
        self.emit(ConnectionEstablished("venue"))
        self.emit(ReconciliationCompleted("0-gateway-1", 0, 0))
        self.emit(OrderSubmitted(order))
        self.emit(OrderSubmitted(order))


class FragileGateway(Gateway):
    @handles(OrderSubmitted)
    def on_order_submitted(self, submitted: OrderSubmitted) -> None:
        self.state.refused += 1
        if self.state.refused > 1:
            raise RuntimeError("broken")
        super().on_order_submitted(submitted)


def test_a_gateway_that_fails_still_cancels_what_works_at_the_venue() -> None:
    test = SystemTest(start=0)
    test.add("venue", Connected)
    test.add("gateway", FragileGateway, inputs=["venue.connection", "venue.requests"])
    test.connect()
    test.node.run()

    sent = [type(event) for event in test.emitted("gateway.venue")]
    assert sent == [
        *(OrderMassStatusRequest, NewOrderSingle),
        *(OrderMassCancelRequest, OrderMassStatusRequest),
    ]
    assert "raised RuntimeError: broken" in test.node.halts.reason


class Watcher(Actor):
    """Notes which inputs are not current when it starts, and when each comes alive."""

    class State(Actor.State):
        seen: list[str] = []

    state: State

    def on_start(self) -> None:
        self.state.seen.append(f"stale {sorted(self.stale)}")

    @handles(StreamLive)
    def on_live(self, live: StreamLive) -> None:
        self.state.seen.append(f"live {live.stream}, stale {sorted(self.stale)}")

    @handles(HaltTrading, ResumeTrading)
    def on_control(self, event: Event) -> None:
        self.state.seen.append(type(event).__name__)


def test_every_input_starts_stale_and_says_when_it_is_live() -> None:
    test = SystemTest(start=0)
    watcher = test.add("watcher", Watcher, inputs=["ticker.ticks", "feed.ticks"])
    test.add("ticker", Ticker)
    test.add("feed", Feed)
    test.run()

    assert watcher.state.seen == [
        "stale ['feed.ticks', 'ticker.ticks']",
        "live ticker.ticks, stale ['feed.ticks']",
        "live feed.ticks, stale []",
    ]


def test_an_operator_can_halt_and_resume_but_not_while_the_order_path_is_down() -> None:
    node, thread, started = live_node()
    watcher = node.add("watcher", Watcher)
    node.add("relay", OrderPathRelay, {"fails_on": [1]})
    thread.start()
    assert started.wait(PATIENCE)
    node.halt("operator")
    node.resume("operator")
    with pytest.raises(ValueError, match="poison"):
        node.ref("relay").ask(Tick(1))
    node.resume("operator")
    stop(node, thread)

    assert watcher.state.seen[1:] == ["HaltTrading", "ResumeTrading", "HaltTrading"]
    assert "poison" in node.halts.reason


class Publisher(Actor):
    """Says a new number for each tick; a restart forgets the number."""

    class State(Actor.State):
        said: int = 0

    outputs = {"prices": (Price,)}
    state: State

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        if tick.n < 0:
            raise ValueError("forget")
        self.state.said += 1
        self.emit(Price("p", self.state.said))

    def snapshot(self, output: str) -> Sequence[Event]:
        assert output == "prices"
        return (Price("p", self.state.said),)


class Follower(Actor):
    """Keeps the newest number, as all readers do, and fails when told to."""

    class State(Actor.State):
        newest: int = -1

    state: State

    @handles(Price)
    def on_price(self, price: Price) -> None:
        self.state.newest = price.px

    @handles(Tick)
    def on_tick(self, _tick: Tick) -> None:
        raise ValueError("forget")


@pytest.mark.parametrize("delivery", ["stream", "latest"])
@pytest.mark.parametrize(
    "story", [("pub 1", "rd 1", "pub 1"), ("pub 1", "pub -1", "pub 1"), ("pub 1", "pub -1", "rd 1")]
)
def test_after_any_reset_a_reader_ends_where_its_publisher_is(
    delivery: Any, story: Sequence[str]
) -> None:
    node = Node()
    publisher = node.add("pub", Publisher)
    follower = node.add("rd", Follower)
    node.connect("rd", "pub.prices", delivery)
    node._start()
    for line in story:
        name, n = line.split()
        node.loop.post(node.actors[name].context.inbox, Tick(int(n)))
    while node.loop.run(100):
        pass

    assert follower.state.newest == publisher.state.said
    assert all(edge.conserved for edge in node.statistics().edges)


class Fragile(Counter):
    class State(Counter.State):
        def __deepcopy__(self, _memo: object) -> Any:
            raise ZeroDivisionError

    state: State


def test_a_proxy_that_reads_what_raises_gets_the_error_and_the_node_goes_on() -> None:
    node, thread, started = live_node()
    node.add("fragile", Fragile)
    thread.start()
    assert started.wait(PATIENCE)

    with pytest.raises(ZeroDivisionError):
        node.ref("fragile").proxy().state.get()
    assert node.ref("fragile").ask(Tick(0)) == 1
    stop(node, thread)


class Endless(Feed):
    order_path = True

    def source(self) -> Iterator[tuple[int, Event]]:
        n = 0
        while True:
            yield n, Tick(n)
            n += 1

    @handles(Tick)
    def on_tick(self, _tick: Tick) -> None:
        raise ValueError("never mind")


def test_a_closed_actor_takes_nothing_more_from_its_source() -> None:
    node = Node()
    node.add("endless", Endless)
    node.run()

    assert node.supervisor.dead_letter_counts == {"handler raised": 1}
    assert node.stop_reason == "end of data"


def test_a_restarted_actor_starts_before_it_hears_anything_else() -> None:
    test = SystemTest(start=0)
    test.add("feed", Feed, settings={"count": 2})
    test.add("relay", Relay, inputs=["feed.ticks"])
    late = test.add("late", LateStarter, inputs=["relay.ticks"])
    test.connect()
    test.node.run()

    assert late.state.seen == ["start", "reset", "tick -2"]


class LateStarter(Actor):
    class State(Actor.State):
        seen: list[str] = []

    state: State

    def on_start(self) -> None:
        self.state.seen.append("start")

    @handles(StreamReset)
    def on_reset(self, _reset: StreamReset) -> None:
        self.state.seen.append("reset")

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        if tick.n == 1:
            raise ValueError("forget")
        self.state.seen.append(f"tick {tick.n}")


class Shop(Relay):
    port: Stall

    def ports(self) -> Sequence[Port]:
        return (self.port,)


class Stall:
    """A port with an outside of its own: what it has, and a door that can be shut."""

    output = "ticks"

    def __init__(self, known: int = 0) -> None:
        self.known = known
        self.open = threading.Event()
        self.sold: list[Event] = []

    def resume(self) -> int | None:
        return self.known

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        assert self.open.wait(PATIENCE)
        self.sold += [envelope.event for envelope in envelopes]

    def close(self) -> None:
        """Keep what was sold."""


def test_a_port_that_belongs_to_another_run_halts_before_it_does_anything() -> None:
    node = Node()
    node.add("feed", Feed)
    shop = node.add("shop", Shop)
    assert isinstance(shop, Shop)
    shop.port = Stall(known=7)
    node.connect("shop", "feed.ticks")
    node.run()

    assert "already has 7 events" in node.halts.reason
    assert shop.port.sold == []


def test_a_port_that_lags_beyond_the_bound_pauses_the_sources_until_it_has_caught_up() -> None:
    node, thread, _ = live_node(bound=5, slice_steps=4)
    feed = node.add("feed", Feed, {"count": 500, "gap": 0, "start": node.clock.read()})
    shop = node.add("shop", Shop)
    assert isinstance(shop, Shop)
    shop.port = Stall()
    node.connect("shop", "feed.ticks")
    paused = threading.Event()
    node.on_turn = lambda n: paused.set() if n.loop.sources_paused else None
    thread.start()
    assert paused.wait(PATIENCE)
    assert feed.state.taken < 100
    shop.port.open.set()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert shop.port.sold == [Tick(n) for n in range(500)]
