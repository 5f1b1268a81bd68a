"""What pykka's users know works on our actors, and what breaks in pykka does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pykka
import pytest

from actors.runtime.actor import handles
from actors.runtime.clock import LiveClock
from actors.runtime.node.node import Node
from actors.runtime.ref import ActorRef
from tests.kit.runtime_actors import Relay, Tick
from tests.kit.waiting import PATIENCE


class Asker(Relay):
    """Asks itself, which pykka would wait for until the end of time."""

    @handles(Tick)
    def on_tick(self, tick: Tick) -> int:
        if tick.n == 0:
            return int(self.actor_ref.ask(Tick(1), block=True))
        return tick.n


class Running:
    def __init__(self) -> None:
        self.node = Node(clock=LiveClock())
        self.node.add("relay", Relay, {"fails_on": [666]})
        self.node.add("asker", Asker)
        self.started = threading.Event()
        self.node.on_turn = lambda _node: self.started.set()
        self.thread = threading.Thread(target=self.node.run)

    def ref(self, name: str) -> ActorRef:
        return self.node.ref(name)

    def stop(self) -> None:
        self.node.request_stop("test")
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    running.thread.start()
    assert running.started.wait(PATIENCE)
    yield running
    running.stop()


def test_an_ask_is_answered_with_the_handlers_return_value(running: Running) -> None:
    assert running.ref("relay").ask(Tick(5)) == 1
    assert running.ref("relay").ask(Tick(6), block=False).get() == 2


def test_a_tell_is_handled_before_an_ask_behind_it(running: Running) -> None:
    running.ref("relay").tell(Tick(5))

    assert running.ref("relay").ask(Tick(6)) == 2


def test_the_registry_knows_the_actors_while_the_node_runs(running: Running) -> None:
    assert running.ref("relay") in pykka.ActorRegistry.get_all()
    assert pykka.ActorRegistry.get_by_class(Asker) == [running.ref("asker")]
    running.stop()
    assert pykka.ActorRegistry.get_by_class(Asker) == []


def test_a_proxy_reads_a_deep_copy_of_the_state(running: Running) -> None:
    running.ref("relay").ask(Tick(5))
    state = running.ref("relay").proxy().state.get()
    state.seen.append(99)

    assert running.ref("relay").proxy().state.get().seen == [5]


def test_a_proxy_can_neither_call_nor_set(running: Running) -> None:
    proxy = running.ref("relay").proxy()

    with pytest.raises(TypeError, match="can read state, not call or set"):
        proxy.snapshot("ticks").get()
    with pytest.raises(TypeError, match="can read state, not call or set"):
        proxy.name = "other"
    assert running.node.actors["relay"].name == "relay"


def test_only_events_may_be_asked_and_only_those_that_are_handled(running: Running) -> None:
    with pytest.raises(TypeError, match="message was str, allowed are events"):
        running.ref("relay").ask("hello")


def test_an_ask_whose_handler_raises_gets_the_error_and_the_actor_goes_on(
    running: Running,
) -> None:
    with pytest.raises(ValueError, match="tick 666 was poison"):
        running.ref("relay").ask(Tick(666))
    assert running.ref("relay").ask(Tick(1)) == 1


def test_asking_on_the_loops_own_thread_is_refused_at_once(running: Running) -> None:
    with pytest.raises(RuntimeError, match="would wait for itself"):
        running.ref("asker").ask(Tick(0))


def test_an_ask_has_a_deadline(running: Running) -> None:
    gate, standing = threading.Event(), threading.Event()

    def stand_still(_node: Node) -> None:
        standing.set()
        gate.wait(PATIENCE)

    running.node.on_turn = stand_still
    assert standing.wait(PATIENCE)
    with pytest.raises(pykka.Timeout):
        running.ref("relay").ask(Tick(2), timeout=0.05)
    gate.set()


def test_what_was_told_before_a_stop_is_handled_and_what_comes_after_is_answered_or_counted(
    running: Running,
) -> None:
    ref = running.ref("relay")
    replies = [ref.ask(Tick(n), block=False) for n in range(50)]
    assert ref.stop()
    assert [reply.get() for reply in replies] == list(range(1, 51))
    with pytest.raises(pykka.ActorDeadError):
        ref.ask(Tick(1))
    with pytest.raises(pykka.ActorDeadError):
        ref.tell(Tick(1))
    running.stop()

    assert running.node.supervisor.dead_letter_counts == {"actor stopped": 1}


def test_every_message_to_a_stopping_node_is_answered_or_counted(running: Running) -> None:
    ref = running.ref("relay")
    outcomes: list[str] = []

    def keep_asking() -> None:
        while not outcomes or outcomes[-1] != "dead":
            try:
                ref.ask(Tick(1), timeout=PATIENCE)
                outcomes.append("answered")
            except pykka.ActorDeadError:
                outcomes.append("dead")

    askers = [threading.Thread(target=keep_asking) for _ in range(4)]
    for asker in askers:
        asker.start()
    running.stop()
    for asker in askers:
        asker.join(PATIENCE)

    assert not any(asker.is_alive() for asker in askers)
    assert outcomes.count("dead") >= 1


def test_an_actor_cannot_be_started_outside_a_node() -> None:
    with pytest.raises(TypeError, match="a Node starts its actors"):
        Relay.start()
    with pytest.raises(TypeError, match="add it to a Node"):
        Relay("alone", Relay.Settings())
