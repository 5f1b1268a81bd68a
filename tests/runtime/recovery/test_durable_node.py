"""A node that goes on from its directory: durable actors and others side by side."""

from __future__ import annotations

import json
import random
import shutil
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.system import (
    ActorRecovered,
    HaltTrading,
    ResumeTrading,
    StreamLive,
    StreamReset,
    StreamStale,
    TimerFired,
)
from actors.events.venue import NewOrderSingle
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import Clock, LiveClock, VirtualClock
from actors.runtime.journal import frames
from actors.runtime.journal.data_directory import JOURNALS, NODE_FILE, DataDirectoryError
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.steps import read_step
from actors.runtime.journal.writer import JournalLockedError
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.recovery.recovery import RecoveryError
from actors.testing import START
from kaiju.journals.verify import verify
from tests.kit.failing_disk import Outside, journals, trading
from tests.kit.kill_points import MortalDisk, lived
from tests.kit.runtime_actors import Feed, Price, Tick
from tests.kit.waiting import PATIENCE

HOUR = 3_600_000 * MILLISECOND
RUN_FOR = 40 * MILLISECOND
CLOCKS = ["virtual", "live"]


class Counter(Actor):
    """Says how many ticks it counted; what it counted before a crash it does not know."""

    class State(msgspec.Struct):
        count: int = 0

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"prices": (Price,)}
    state: State

    @handles(Tick)
    def on_tick(self, _tick: Tick) -> None:
        self.state.count += 1
        self.emit(Price("count", self.state.count))

    @handles(StreamReset)
    def on_reset(self, _reset: StreamReset) -> None:
        """Go on counting."""

    def snapshot(self, output: str) -> Iterable[Event]:
        assert output == "prices"
        return (Price("count", self.state.count),)


class Diary(Actor):
    """Writes down what it hears, when, and whether its source was current."""

    class State(msgspec.Struct):
        heard: list[str] = []
        moments: list[int] = []

    state: State

    def on_start(self) -> None:
        self._write("start")
        self.set_timer("again", MILLISECOND)
        self.set_timer("late", 2 * RUN_FOR)

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        assert self.now >= timer.due
        self._write(f"timer {timer.name}")
        if timer.name == "again":
            self.set_timer("again", MILLISECOND)

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self._write(f"{self._currency()} tick {tick.n}")

    @handles(Price)
    def on_price(self, price: Price) -> None:
        self._write(f"{self._currency()} count {price.px}")

    @handles(StreamReset)
    def on_reset(self, reset: StreamReset) -> None:
        self._write(f"reset {reset.stream} {reset.epoch}/{reset.resume_seq}")

    @handles(StreamLive)
    def on_live(self, live: StreamLive) -> None:
        self._write(f"live {live.stream}")

    @handles(StreamStale)
    def on_stale(self, stale: StreamStale) -> None:
        self._write(f"stale {stale.stream}")

    @handles(ActorRecovered)
    def on_recovered(self, _recovered: ActorRecovered) -> None:
        self._write("recovered")

    @handles(HaltTrading, ResumeTrading)
    def on_control(self, control: HaltTrading | ResumeTrading) -> None:
        self._write(f"{type(control).__name__} {control.reason}")

    def _currency(self) -> str:
        stream = {Price: "counter.prices", Tick: "feed.ticks"}[type(self.envelope.event)]
        return "stale" if stream in self.stale else "current"

    def _write(self, what: str) -> None:
        self.state.heard.append(what)
        self.state.moments.append(self.now)


def clock_of(kind: str, back: int = 0) -> Clock:
    return LiveClock(-back) if kind == "live" else VirtualClock(START)


def mixed(data: Path, clock: Clock, disk: Disk | None = None, start: int = 0) -> Node:
    """Return a node on which a durable feed is read by all, and a forgetful counter by a diary."""
    node = Node(NodeConfig(data=data), clock=clock, disk=disk)
    start = start or clock.read()
    node.add("feed", Feed, {"count": 10**9, "gap": MILLISECOND, "start": start}, durable="os")
    node.add("counter", Counter)
    node.add("keeper", Diary, durable="os")
    node.add("visitor", Diary)
    node.connect("counter", "feed.ticks")
    node.connect("keeper", "feed.ticks")
    node.connect("keeper", "counter.prices")
    node.connect("visitor", "feed.ticks")
    node.connect("visitor", "counter.prices")
    return node


def killed(data: Path, kind: str, dies_at: int = 120) -> None:
    """Run the mixed node and kill it at one write."""
    disk = MortalDisk(dies_at, "after", "write")
    assert not lived(lambda: mixed(data, clock_of(kind), disk).run())


def heard_by(node: Node, name: str) -> list[str]:
    state: Diary.State = node.actors[name].state
    return [what for what in state.heard if not what.startswith("timer")]


@pytest.mark.parametrize("kind", CLOCKS)
def test_readers_of_an_actor_that_lost_its_state_are_reset_in_a_new_epoch(
    tmp_path: Path, kind: str
) -> None:
    killed(tmp_path, kind)
    steps = len(journals(tmp_path)["keeper"])
    node = mixed(tmp_path, clock_of(kind))
    node.run(RUN_FOR)
    heard = heard_by(node, "keeper")
    reset = next(n for n, what in enumerate(heard) if what.startswith("reset"))
    epoch = node.streams["counter.prices"].epoch

    assert heard[reset] == f"reset counter.prices {epoch}/1"
    assert heard[reset + 1 : reset + 3] == ["stale count 0", "live counter.prices"]
    assert "current count 1" in heard[reset + 3 :]
    stale = heard.index("stale counter.prices")
    assert ("recovered" in heard[:stale]) == (kind == "live")
    assert not [what for what in heard[stale:reset] if "count" in what and "current" in what]
    assert "start" not in heard[1:]
    assert len(journals(tmp_path)["keeper"]) > steps
    assert verify(tmp_path).equal


@pytest.mark.parametrize("kind", CLOCKS)
def test_a_reader_that_lost_its_state_is_reset_in_the_epoch_of_its_durable_publisher(
    tmp_path: Path, kind: str
) -> None:
    killed(tmp_path, kind)
    emitted = sum(len(read_step_outputs(body)) for body in journals(tmp_path)["feed"])
    node = mixed(tmp_path, clock_of(kind))
    node.run(RUN_FOR)
    heard = [what for what in heard_by(node, "visitor") if "count" not in what]

    assert heard[:4] == [
        "start",
        f"reset feed.ticks 1/{emitted + 1}",
        "live feed.ticks",
        f"current tick {emitted}",
    ]
    assert node.streams["feed.ticks"].epoch == 1


def read_step_outputs(body: bytes) -> list[Any]:
    effects = msgspec.msgpack.decode(read_step(body)[9])
    outputs: list[Any] = effects[0]
    return outputs


def test_a_durable_reader_hears_everything_once_and_in_order_however_often_it_is_killed(
    tmp_path: Path,
) -> None:
    for _ in range(5):
        killed(tmp_path, "virtual", 60)
    node = mixed(tmp_path, clock_of("virtual"))
    node.run(RUN_FOR)
    diary: Diary.State = node.actors["keeper"].state
    ticks = [int(what.split()[-1]) for what in diary.heard if " tick " in what]

    assert ticks == list(range(len(ticks)))
    assert len(ticks) > 50


def test_an_epoch_is_on_disk_before_anything_is_emitted_in_it(tmp_path: Path) -> None:
    seen = set()
    for dies_at in range(20, 400, 19):
        disk = MortalDisk(dies_at)
        assert not lived(lambda: mixed(tmp_path, clock_of("virtual"), disk).run())  # noqa: B023
        kept = json.loads((tmp_path / NODE_FILE).read_text())["epoch"]
        epochs = {read_step(body)[3][1] for body in journals(tmp_path).get("keeper", [])}
        assert max(epochs, default=0) <= kept
        seen |= epochs

    assert len(seen) > 5


def test_a_reader_ahead_of_its_publisher_refuses_to_start(tmp_path: Path) -> None:
    run, backup = tmp_path / "run", tmp_path / "backup"
    killed(run, "virtual", 100)
    shutil.copytree(run / JOURNALS / "feed", backup)
    killed(run, "virtual", 100)
    shutil.rmtree(run / JOURNALS / "feed")
    backup.rename(run / JOURNALS / "feed")
    before = len(journals(run)["keeper"])

    with pytest.raises(RecoveryError) as refused:
        mixed(run, clock_of("virtual")).run(RUN_FOR)
    assert "keeper has read feed.ticks up to 1/" in str(refused.value)
    assert "the journal of feed ends at 1/" in str(refused.value)
    assert "Put back the newer journal" in str(refused.value)
    assert len(journals(run)["keeper"]) == before


def test_the_directory_of_another_node_is_refused(tmp_path: Path) -> None:
    mixed(tmp_path, clock_of("virtual")).run(RUN_FOR)
    before = (tmp_path / NODE_FILE).read_bytes()

    with pytest.raises(
        DataDirectoryError, match="holds the data of node 'node', this is node 'other'"
    ):
        Node(NodeConfig("other", data=tmp_path))
    assert (tmp_path / NODE_FILE).read_bytes() == before


def test_a_second_process_on_one_directory_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    node = mixed(tmp_path, clock_of("live"))
    running = threading.Event()
    node.on_turn = lambda _node: running.set()
    thread = threading.Thread(target=node.run)
    thread.start()
    assert running.wait(PATIENCE)
    before = (tmp_path / NODE_FILE).read_bytes()
    with pytest.raises(JournalLockedError, match="in use by process"):
        mixed(tmp_path, clock_of("live")).run(RUN_FOR)
    assert (tmp_path / NODE_FILE).read_bytes() == before
    node.request_stop("enough")
    thread.join(PATIENCE)

    assert node.supervisor.failures == []
    assert verify(tmp_path).equal


def test_a_clock_that_was_set_back_an_hour_between_two_runs_changes_nothing(
    tmp_path: Path,
) -> None:
    clock = clock_of("live")
    start, disk = clock.read(), MortalDisk(120, "after", "write")
    assert not lived(lambda: mixed(tmp_path, clock, disk, start).run())
    node = mixed(tmp_path, clock_of("live", back=HOUR), start=start)
    node.run(3 * RUN_FOR)
    diary: Diary.State = node.actors["keeper"].state

    assert diary.moments == sorted(diary.moments)
    assert diary.moments[-1] - diary.moments[0] < HOUR // 60
    assert diary.heard.count("timer late") == 1
    assert diary.moments[diary.heard.index("timer late")] - diary.moments[0] >= 2 * RUN_FOR
    ticks = [int(what.split()[-1]) for what in diary.heard if " tick " in what]
    assert ticks == list(range(len(ticks)))
    assert verify(tmp_path).equal


def halted_and_killed(data: Path) -> None:
    """Let an operator halt a live node, and kill it."""
    disk = MortalDisk()
    node = mixed(data, clock_of("live"), disk)

    def halt_and_die(_node: Node) -> None:
        if node.halts.reason:
            disk.dies_at = disk.count + 20
        else:
            node.halt("operator")

    node.on_turn = halt_and_die
    node.run()


def test_a_halt_survives_and_who_begins_anew_hears_of_it(tmp_path: Path) -> None:
    assert not lived(lambda: halted_and_killed(tmp_path))
    node = mixed(tmp_path, clock_of("live"))
    node.run(RUN_FOR)

    assert node.halts.reason == "operator"
    assert heard_by(node, "keeper").count("HaltTrading operator") == 1
    assert heard_by(node, "visitor").count("HaltTrading operator") == 1
    resumed = mixed(tmp_path, clock_of("live"))
    resumed.on_turn = lambda n: n.resume("operator") if n.halts.reason else None
    resumed.run(5 * RUN_FOR)
    assert resumed.halts.reason == ""
    after = mixed(tmp_path, clock_of("live"))
    after.run(RUN_FOR)
    assert after.halts.reason == ""
    assert not [what for what in heard_by(after, "visitor") if what.startswith("Halt")]


@pytest.mark.parametrize("kind", CLOCKS)
def test_no_order_id_is_used_twice_however_often_a_run_is_killed(tmp_path: Path, kind: str) -> None:
    chance, sent = random.Random(11), tmp_path / "sent"  # noqa: S311
    run = tmp_path / "run"

    def write_down(event: Event) -> None:
        if isinstance(event, NewOrderSingle):
            with sent.open("a") as file:
                file.write(f"{event.client_order_id}\n")

    def live(dies_at: int, session: str) -> None:
        disk = MortalDisk(dies_at, "after", "write")
        node = trading(
            run,
            clock_of(kind),
            disk,
            Outside(write_down),
            session=session,
            gap=MILLISECOND // 10,
            slice_steps=16,
        )
        node.run()

    for life in range(10):
        dies_at = chance.randint(40, 300)
        assert not lived(lambda: live(dies_at, f"s{life}"))  # noqa: B023
    ids = sent.read_text().split()

    assert len(ids) > 100
    assert len(set(ids)) == len(ids)
    assert {name.partition("-")[0] for name in ids} == {"s0"}
    assert verify(run).equal


def test_a_durable_actor_starts_once(tmp_path: Path) -> None:
    killed(tmp_path, "virtual", 20)
    node = mixed(tmp_path, clock_of("virtual"))
    node.run(RUN_FOR)

    started = [body for body in journals(tmp_path)["keeper"] if b"ActorStarted" in body]
    assert len(started) == 1
    assert heard_by(node, "keeper").count("start") == 1


def test_what_is_too_large_for_a_snapshot_is_kept_by_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(frames, "LARGEST_BODY", 2_000)
    node = mixed(tmp_path, clock_of("virtual"))
    node.run(RUN_FOR)

    assert "a frame's body was" in caplog.text
    assert node.supervisor.failures == []
    assert not list((tmp_path / JOURNALS / "keeper").glob("snapshot-*"))
    assert verify(tmp_path).equal
