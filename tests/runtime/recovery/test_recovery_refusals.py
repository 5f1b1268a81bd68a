"""What a run needs to go on is never gone in silence, and what it does not need may change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.system import StreamReset, TimerFired
from actors.runtime import moved
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import VirtualClock
from actors.runtime.journal.data_directory import DataDirectoryError
from actors.runtime.journal.disk import Disk
from actors.runtime.node.config import NodeConfig, Retention
from actors.runtime.node.node import Node
from actors.runtime.recovery.recovery import RecoveryError
from tests.kit.kill_points import MortalDisk, lived


class Common(Event):
    n: int


class Rare(Event):
    n: int


class Later(Event):
    n: int


class Source(Actor):
    """Says something common every millisecond, and something rare every hundredth time."""

    class State(msgspec.Struct):
        n: int = 0

    outputs = {"out": (Common, Rare)}
    state: State

    def on_start(self) -> None:
        self.set_timer("tick", MILLISECOND)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.state.n += 1
        self.emit(Common(self.state.n))
        if self.state.n % 100 == 0:
            self.emit(Rare(self.state.n))
        self.set_timer("tick", MILLISECOND)


class Listener(Actor):
    """Hears only what is rare."""

    class State(msgspec.Struct):
        heard: list[int] = []

    state: State

    @handles(Rare)
    def on_rare(self, rare: Rare) -> None:
        self.state.heard.append(rare.n)

    @handles(StreamReset)
    def on_reset(self, _reset: StreamReset) -> None:
        self.state.heard.append(-1)


class Renamed(Source):
    """The same under another name."""


class Upgraded(Source):
    """A later version, which says more."""

    outputs = {"out": (Common, Rare), "more": (Later,)}

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        super().on_timer(timer)
        self.emit(Later(self.state.n))


def node_in(
    directory: Path,
    disk: Disk | None = None,
    source: type[Actor] = Source,
    listener: str = "os",
) -> Node:
    node = Node(
        NodeConfig(data=directory, segment_bytes=4_096, retention=Retention(0, 0), slice_steps=16),
        clock=VirtualClock(0),
        disk=disk,
    )
    node.add("source", source, durable="os")
    node.add("listener", Listener, durable=listener)  # type: ignore[arg-type]
    node.connect("listener", "source.out")
    return node


def killed(directory: Path, dies_at: int = 2_000) -> None:
    directory.mkdir(exist_ok=True)
    assert not lived(lambda: node_in(directory, MortalDisk(dies_at, "before", "write")).run())


def test_files_that_a_reader_needs_after_a_crash_are_kept_however_far_it_is_now(
    tmp_path: Path,
) -> None:
    killed(tmp_path)
    kept = sorted((tmp_path / "journal" / "source").glob("steps-*"))
    assert "0000000000000001" not in kept[0].name, "nothing was deleted"

    node = node_in(tmp_path)
    node.run(until=3_000 * MILLISECOND)

    heard = node.actors["listener"].state.heard
    assert heard == list(range(100, node.actors["source"].state.n + 1, 100))


def test_a_version_with_one_more_output_goes_on_and_rolls_its_files(tmp_path: Path) -> None:
    killed(tmp_path)
    node_in(tmp_path).run(until=2_100 * MILLISECOND)

    # The run ended in order; a new one of the same data goes on where it was.
    data = json.loads((tmp_path / "node.json").read_text())
    (tmp_path / "node.json").write_text(json.dumps(data | {"ended": "", "control": 99}))
    node = node_in(tmp_path, source=Upgraded)
    node.run(until=4_000 * MILLISECOND)

    assert not node.supervisor.failures
    assert node.streams["source.more"].next_seq > 1_000


@pytest.mark.usefixtures("not_verified")
def test_other_code_than_wrote_a_killed_run_s_journal_is_told_to_let_that_stop_in_order(
    tmp_path: Path,
) -> None:
    killed(tmp_path)

    with pytest.raises(RecoveryError, match="run the old version once and stop it in order"):
        node_in(tmp_path, source=Upgraded).run()


def test_a_class_whose_path_alone_changed_is_no_changed_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(tmp_path)
    segments = set((tmp_path / "journal" / "source").glob("steps-*"))
    was = f"{Source.__module__}:{Source.__qualname__}"
    monkeypatch.setattr(moved, "MOVED", {was: f"{__name__}:Renamed"})

    node_in(tmp_path, source=Renamed).run(until=0)

    assert set((tmp_path / "journal" / "source").glob("steps-*")) == segments


@pytest.mark.usefixtures("not_verified")
@pytest.mark.parametrize("gone", ["listener", "source", "_control"])
def test_a_journal_that_is_gone_is_said_and_not_begun_anew(tmp_path: Path, gone: str) -> None:
    killed(tmp_path)
    shutil.rmtree(tmp_path / "journal" / gone)

    with pytest.raises(RecoveryError, match=rf"{gone}: the journal that was here is gone"):
        node_in(tmp_path).run()


@pytest.mark.usefixtures("not_verified")
def test_without_the_file_of_the_node_nobody_knows_which_ids_were_used(tmp_path: Path) -> None:
    killed(tmp_path)
    (tmp_path / "node.json").unlink()

    with pytest.raises(RecoveryError, match=r"the node\.json that belongs to them is gone"):
        node_in(tmp_path).run()
    (tmp_path / "node.json").write_bytes(b"")
    with pytest.raises(DataDirectoryError, match="put back a copy"):
        node_in(tmp_path)


def test_an_actor_that_was_not_durable_for_a_while_begins_anew_later(tmp_path: Path) -> None:
    killed(tmp_path)
    assert not lived(
        lambda: node_in(tmp_path, MortalDisk(500, "before", "write"), listener="none").run()
    )

    node = node_in(tmp_path)
    node.run(until=4_000 * MILLISECOND)

    assert (tmp_path / "journal" / "listener.1").is_dir()
    assert node.actors["listener"].state.heard[0] == -1
