"""KILL: a file beside the journals, written before all else and lifted by a person alone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from actors.events.accounts import TradingState
from actors.events.system import ActorStarted, HaltTrading, ResumeTrading
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import VirtualClock
from actors.runtime.journal.disk import Disk
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.kill import KILL, Kill, KillFile
from actors.runtime.node.node import Node
from kaiju.journals.verify import verify

BY_ANN = Kill("positions unlike the venue's", by="ann", since=7)
SIGNAL = "an operator asked for it (SIGUSR2)"


class Listener(Actor):
    """Writes down what it hears, in its order."""

    class State(msgspec.Struct):
        heard: list[str] = []

    outputs: ClassVar = {}
    state: State

    @handles(ActorStarted, HaltTrading, ResumeTrading)
    def on_anything(self, event: ActorStarted | HaltTrading | ResumeTrading) -> None:
        level = f" {event.level}" if isinstance(event, HaltTrading) else ""
        self.state.heard.append(f"{type(event).__name__}{level}")


def node_in(data: Path) -> Node:
    node = Node(NodeConfig("node", data=data), clock=VirtualClock())
    node.add("listener", Listener, durable="os")
    return node


def heard(node: Node) -> list[str]:
    state: Listener.State = node.actors["listener"].state
    return state.heard


def test_a_node_hears_of_kill_before_its_first_input(tmp_path: Path) -> None:
    KillFile(tmp_path, Disk()).write(BY_ANN)
    node = node_in(tmp_path)
    node.run()

    assert heard(node) == ["HaltTrading KILL", "ActorStarted"]
    assert node.halts.killed
    assert node.halts.reason == BY_ANN.reason
    assert node.halts.lifted_by == "`kaiju resume`, by a person who says why"
    assert verify(tmp_path).equal


def test_kill_is_told_once_however_often_the_node_begins_again(tmp_path: Path) -> None:
    KillFile(tmp_path, Disk()).write(BY_ANN)
    for _ in range(3):
        node = node_in(tmp_path)
        node.run()

    assert heard(node).count("HaltTrading KILL") == 1
    assert node.halts.killed


def test_the_file_is_there_before_anybody_hears_of_the_kill(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    found: list[bool] = []
    node.halts.on_own_change = lambda _entries: found.append((tmp_path / KILL).exists())
    node.halts.kill(BY_ANN)

    assert found == [True]
    assert KillFile(tmp_path, Disk()).read() == BY_ANN


def test_a_person_lifts_a_kill_and_then_the_file_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = node_in(tmp_path)
    node.halts.kill(BY_ANN)
    with caplog.at_level(logging.WARNING):
        assert node.halts.resume("positions agree", by="ann", why="compared by hand") == ""

    assert not (tmp_path / KILL).exists()
    assert not node.halts.killed
    assert "trading resumed: positions agree; by ann; lifted: positions unlike" in caplog.text


def test_a_signal_does_not_lift_a_kill(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node = node_in(tmp_path)
    node.halts.kill(BY_ANN)
    refusal = node.halts.resume(SIGNAL)

    assert refusal == "trading stays halted: KILL is in force, lifted by `kaiju resume` alone"
    assert refusal in caplog.text
    assert node.halts.killed
    assert (tmp_path / KILL).exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"since": "now"}'])
def test_a_file_that_cannot_be_understood_is_a_kill(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KILL).write_bytes(content)
    node = node_in(tmp_path)
    node.run()

    assert node.halts.killed
    assert node.halts.reason.startswith(f"{tmp_path / KILL}: cannot be read:")


def test_a_kill_that_the_disk_refuses_is_in_force_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = node_in(tmp_path)
    (tmp_path / f"{KILL}.new").mkdir()
    node.halts.kill(BY_ANN)

    assert node.halts.killed
    assert "KILL is in force until this process ends: KILL could not be written: " in caplog.text


def test_kill_is_the_strictest_of_all_levels_for_whoever_keeps_the_entries(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    node.halts.halt("by hand")
    node.halts.kill(BY_ANN)

    assert node.halts.entries.strictest()[0] is TradingState.KILL
