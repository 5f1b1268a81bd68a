"""A durable actor that raises is rebuilt from its journal and tries again, exactly where it was."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.events.system import ActorFailed
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import LiveClock, VirtualClock
from actors.runtime.journal.disk import Disk
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.recovery.capture import capture
from actors.testing import START
from kaiju.journals.verify import verify
from tests.kit.brittle_actors import Brittle, faults
from tests.kit.failing_disk import TroubledDisk
from tests.kit.runtime_actors import Burst, Feed, Relay, Sink, Tick
from tests.kit.waiting import PATIENCE

TICKS = 20
HALTED_AT = 9
KEYS = ["start", "tick 7", "timer 4", "price a 29", "halt"]


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    faults.clear()
    yield
    faults.clear()


class BrittleOnOrderPath(Brittle):
    order_path = True


class Witness(Actor):
    """Hears who failed."""

    class State(msgspec.Struct):
        failed: list[tuple[str, bool]] = []

    state: State

    @handles(ActorFailed)
    def on_actor_failed(self, failed: ActorFailed) -> None:
        self.state.failed.append((failed.actor, failed.restarted))


class Halter(Actor):
    """Halts trading at one tick."""

    node: Node

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        if tick.n == HALTED_AT:
            self.node.halts.halt("a test")


class Scene:
    """A node with a brittle actor that reads streams, newest values, timers and control."""

    def __init__(
        self,
        data: Path,
        actor_class: type[Actor] = Brittle,
        ignores: str = "",
        *,
        disk: Disk | None = None,
        segment_bytes: int = 1 << 26,
        slice_steps: int = 5,
    ) -> None:
        self.data = data
        self.node = node = Node(
            NodeConfig(data=data, segment_bytes=segment_bytes, slice_steps=slice_steps),
            clock=VirtualClock(START),
            disk=disk,
        )
        node.add("feed", Feed, {"count": TICKS, "start": START}, durable="os")
        node.add("burst", Burst, durable="os")
        self.brittle = node.add("brittle", actor_class, {"ignores": ignores}, durable="os")
        self.sink = node.add("sink", Sink, durable="os")
        self.witness = node.add("witness", Witness)
        halter = node.add("halter", Halter)
        assert isinstance(halter, Halter)
        halter.node = node
        node.connect("halter", "feed.ticks")
        node.connect("burst", "feed.ticks")
        node.connect("brittle", "feed.ticks")
        node.connect("brittle", "burst.prices", "latest")
        node.connect("sink", "brittle.ticks")

    def run(self) -> Scene:
        self.node.run()
        return self

    def known(self) -> tuple[Any, ...]:
        """Return all that the actor knows and all that it said."""
        return (
            self.brittle.state,
            self.brittle.context.rng_state,
            self.brittle.context.pending_timers(),
            self.brittle.context.last_timer,
            self.sink.state,
        )


@pytest.mark.parametrize("segment_bytes", [1 << 26, 1_500])
@pytest.mark.parametrize("key", KEYS)
def test_an_actor_that_raises_once_tries_again_and_is_reported(
    tmp_path: Path, key: str, segment_bytes: int
) -> None:
    well = Scene(tmp_path / "well", segment_bytes=segment_bytes).run()
    assert key in well.brittle.state.seen
    faults[key] = 1
    scene = Scene(tmp_path / "run", segment_bytes=segment_bytes).run()

    assert scene.known() == well.known()
    [failure] = scene.node.supervisor.failures
    assert failure.startswith(f"brittle (Brittle) raised RuntimeError: {key} is not to be done")
    assert failure.endswith("on the same input it then did not: it is not deterministic")
    assert scene.witness.state.failed == [("brittle", True)]
    assert scene.brittle.context.statistics.failed == 1
    assert scene.node.halts.reason == "a test"
    assert not scene.node.supervisor.dead_letters
    assert verify(tmp_path / "run").equal


@pytest.mark.parametrize("segment_bytes", [1 << 26, 1_500])
@pytest.mark.parametrize("key", KEYS[1:])
def test_an_input_on_which_an_actor_raises_twice_is_skipped_as_if_it_had_never_come(
    tmp_path: Path, key: str, segment_bytes: int
) -> None:
    ignoring = Scene(tmp_path / "ignoring", ignores=key, segment_bytes=segment_bytes).run()
    faults[key] = 2
    scene = Scene(tmp_path / "run", segment_bytes=segment_bytes).run()

    assert scene.known() == ignoring.known()
    [failure] = scene.node.supervisor.failures
    assert "is not to be done, while handling" in failure
    assert scene.witness.state.failed == [("brittle", True)]
    [letter] = scene.node.supervisor.dead_letters
    assert (letter.actor, letter.reason) == ("brittle", "handler raised")
    assert [e.dropped for e in scene.node.statistics().edges if e.dropped] == [
        {"handler raised": 1}
    ]
    assert verify(tmp_path / "run").equal

    again = Scene(tmp_path / "run", segment_bytes=segment_bytes)
    again.node.run()
    assert again.node.supervisor.failures == []
    assert again.brittle.state == scene.brittle.state


@pytest.mark.parametrize("key", KEYS)
def test_on_the_order_path_a_second_raise_halts_and_only_control_is_still_heard(
    tmp_path: Path, key: str
) -> None:
    well = Scene(tmp_path / "well").run()
    before = well.brittle.state.seen[: well.brittle.state.seen.index(key)]
    faults[key] = 10**9
    scene = Scene(tmp_path / "run", BrittleOnOrderPath).run()

    heard = [] if "halt" in (key, *before) else ["halt", "halt"]
    if "halt" in before:
        heard = ["halt"]
    assert scene.brittle.state.seen == before + heard
    assert f"raised RuntimeError: {key} is not to be done" in " ".join(
        entry.reason for entry in scene.node.halts.own
    )
    assert scene.brittle.actor_stopped.is_set()
    assert scene.witness.state.failed == [("brittle", False)]
    assert any(
        word.startswith("stale brittle.ticks: actor failed") for word in scene.sink.state.seen
    )
    assert all(edge.conserved for edge in scene.node.statistics().edges)
    assert verify(tmp_path / "run").equal


def test_an_actor_that_cannot_start_twice_is_closed(tmp_path: Path) -> None:
    faults["start"] = 2
    scene = Scene(tmp_path / "run").run()

    assert scene.brittle.state == Brittle.State()
    assert scene.witness.state.failed == [("brittle", False)]
    assert scene.node.halts.reason == "a test"
    again = Scene(tmp_path / "run")
    again.node.run()
    assert "start" in again.brittle.state.seen, "its next life begins where this one ended"


def test_an_actor_that_raises_on_whatever_comes_is_closed_in_the_end(tmp_path: Path) -> None:
    for n in range(TICKS):
        faults[f"tick {n}"] = 2
    scene = Scene(tmp_path / "run").run()

    assert scene.witness.state.failed == [*[("brittle", True)] * 5, ("brittle", False)]
    assert scene.node.supervisor.dead_letter_counts["handler raised"] == 6
    assert verify(tmp_path / "run").equal


@pytest.mark.parametrize("raises", [1, 2])
def test_steps_that_a_full_disk_did_not_take_are_done_again_as_well(
    tmp_path: Path, raises: int
) -> None:
    ignores = "tick 7" if raises > 1 else ""
    well = Scene(tmp_path / "well", ignores=ignores)
    well.node.halts.wait_for_disk("another", OSError())
    well.run()
    faults["tick 7"] = raises
    disk = TroubledDisk(errno.ENOSPC, begins_with=b"tick 5", refusals=10)
    scene = Scene(tmp_path / "run", disk=disk, slice_steps=10)
    scene.run()

    assert disk.refused == 10
    [failure] = scene.node.supervisor.failures
    assert "tick 7 is not to be done" in failure
    seen = [what for what in scene.brittle.state.seen if what != "halt"]
    assert seen == [what for what in well.brittle.state.seen if what != "halt"]
    assert verify(tmp_path / "run").equal


class Forgetful(Brittle):
    """Says something else when it does a step again."""

    def _do(self, what: str) -> int:
        faults["calls"] += 1
        self.emit(Tick(faults["calls"]))
        return super()._do(what)


class ForgetfulOnOrderPath(Forgetful):
    order_path = True


@pytest.mark.usefixtures("not_verified")
@pytest.mark.parametrize("actor_class", [Forgetful, ForgetfulOnOrderPath])
def test_an_actor_that_cannot_be_rebuilt_is_lost(
    tmp_path: Path, actor_class: type[Forgetful]
) -> None:
    faults["tick 7"] = 1
    scene = Scene(tmp_path / "run", actor_class).run()
    supervisor = scene.node.supervisor

    trouble, failure = supervisor.failures
    assert "rebuilding brittle from its journal raised DivergedError: brittle: step 1" in trouble
    assert "tick 7 is not to be done" in failure
    assert scene.witness.state.failed == [("brittle", False)]
    assert (len(scene.node.halts.own) == 2) == actor_class.order_path
    assert scene.brittle.actor_stopped.is_set()
    assert all(edge.conserved for edge in scene.node.statistics().edges)


class Huge(Relay):
    """Emits what no journal can hold."""

    @handles(Tick)
    def on_tick(self, tick: Tick) -> int:
        self.emit(Tick(10**90 if tick.n == 3 else tick.n))
        return 0


def test_an_input_that_no_journal_can_hold_is_passed_over(tmp_path: Path) -> None:
    node = Node(NodeConfig(data=tmp_path), clock=VirtualClock(START))
    node.add("feed", Feed, {"count": 6, "start": START})
    node.add("huge", Huge)
    sink = node.add("sink", Sink, durable="os")
    node.connect("huge", "feed.ticks")
    node.connect("sink", "huge.ticks")
    node.run()

    assert sink.state.seen[:-1] == [f"tick {n}" for n in (0, 1, 2, 4, 5)]
    assert node.supervisor.dead_letter_counts == {"handler raised": 1}
    assert verify(tmp_path).equal


@pytest.mark.parametrize("times", [1, 2])
def test_an_ask_whose_handler_raises_is_answered_by_the_second_try(
    tmp_path: Path, times: int
) -> None:
    node = Node(NodeConfig(data=tmp_path), clock=LiveClock())
    node.add("brittle", Brittle, durable="os")
    running = threading.Event()
    node.on_turn = lambda _node: running.set()
    thread = threading.Thread(target=node.run)
    thread.start()
    assert running.wait(PATIENCE)
    faults["tick 5"] = times
    reply = node.ref("brittle").ask(Tick(5), block=False)
    if times == 1:
        assert reply.get(timeout=PATIENCE) == 2
    else:
        with pytest.raises(RuntimeError, match="tick 5 is not to be done"):
            reply.get(timeout=PATIENCE)
    assert node.ref("brittle").ask(Tick(6), timeout=PATIENCE) > 0
    node.request_stop("enough")
    thread.join(PATIENCE)
    ticks = [what for what in node.actors["brittle"].state.seen if what.startswith("tick")]
    assert ticks == (["tick 5", "tick 6"] if times == 1 else ["tick 6"])


def test_a_timer_that_fired_and_was_not_handled_is_in_a_snapshot(tmp_path: Path) -> None:
    node = Node(NodeConfig(data=tmp_path / "run"), clock=VirtualClock(START))
    brittle = node.add("brittle", Brittle, durable="os")
    node._start()
    node.loop.run(1)  # it starts, and sets a timer

    def timers() -> list[int]:
        return [timer for timer, *_ in capture(brittle, step=1, node_step=1, now=START).timers]

    assert timers() == [1]
    assert node.loop.advance()
    assert (brittle.context.inbox.queued, timers(), len(node.loop.timers)) == (1, [1], 0)
    node.loop.run(1)
    assert (brittle.context.inbox.queued, timers(), len(node.loop.timers)) == (0, [], 0)
    node._close()
