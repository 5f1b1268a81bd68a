"""What a person wants of a node: done once, whoever repeats it, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from actors.events.accounts import TradingState
from actors.events.orders import CancelAll, SubmitOrder
from actors.events.role import Role
from actors.events.system import HaltTrading, OperatorCommand, ResumeTrading
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import VirtualClock
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.kill import KILL
from actors.runtime.node.node import Node
from actors.runtime.node.operator_commands import HALT_FILE, read_halt, write_halt
from tests.kit.builders import buy


class Desk(Actor):
    """Has orders open, as a test says, and writes down what it hears."""

    class State(Actor.State):
        heard: list[str] = []

    outputs = {}
    role = Role.NONE
    orders: Mapping[str, SubmitOrder] = {}
    state: State

    @handles(HaltTrading, ResumeTrading, CancelAll, OperatorCommand)
    def on_control(self, event: HaltTrading | ResumeTrading | CancelAll | OperatorCommand) -> None:
        self.state.heard.append(type(event).__name__)

    def open_orders(self) -> Mapping[str, SubmitOrder]:
        return self.orders


def node_in(data: Path | None = None) -> Node:
    node = Node(NodeConfig("node", data=data), clock=VirtualClock())
    node.add("desk", Desk, durable="none" if data is None else "os")
    return node


def wanted(command: str, command_id: str = "1", **arguments: str) -> OperatorCommand:
    return OperatorCommand(command_id, command, tuple(arguments.items()), "ann", "a test")


def heard(node: Node) -> list[str]:
    state: Desk.State = node.actors["desk"].state
    return state.heard


@pytest.mark.parametrize(
    ("command", "level"),
    [
        ("halt", TradingState.HALTED),
        ("reduce", TradingState.REDUCING),
        ("kill", TradingState.KILL),
    ],
)
def test_a_command_raises_the_level_that_it_names_and_says_who_and_why(
    command: str, level: TradingState
) -> None:
    node = node_in()
    assert node.operator.take(wanted(command)) == ""
    (entry,) = node.halts.own

    assert (entry.level, entry.reason, entry.by, entry.owner) == (
        level,
        "ann: a test",
        "ann",
        "operator",
    )


def test_a_command_that_is_repeated_is_done_once() -> None:
    node = node_in()
    for _ in range(3):
        node.call(lambda: node.operator.take(wanted("cancel-all")))
    node.run()

    assert heard(node) == ["CancelAll", "OperatorCommand"]


def test_a_command_is_done_once_across_a_restart(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    node.call(lambda: node.operator.take(wanted("halt")))
    node.run()
    again = node_in(tmp_path)
    again.call(lambda: again.operator.take(wanted("resume", "2")))
    again.call(lambda: again.operator.take(wanted("halt")))
    again.run()

    assert heard(again) == ["HaltTrading", "OperatorCommand", "ResumeTrading", "OperatorCommand"]
    assert again.halts.reason == ""


def test_a_halt_is_confirmed_once_no_order_is_open() -> None:
    node = node_in()
    desk = node.actors["desk"]
    assert isinstance(desk, Desk)
    desk.orders = {"A-1": buy(1)}
    node.operator.take(wanted("halt"))
    assert node.operator.missing(wanted("halt")) == "1 orders are open: A-1"
    desk.orders = {}
    assert node.operator.missing(wanted("halt")) == ""


def test_a_cancel_all_is_confirmed_by_the_end_of_the_orders_of_its_moment() -> None:
    node = node_in()
    desk = node.actors["desk"]
    assert isinstance(desk, Desk)
    desk.orders = {"A-1": buy(1)}
    node.operator.take(wanted("cancel-all"))
    desk.orders = {"A-2": buy(1)}

    assert node.operator.missing(wanted("cancel-all")) == ""


def test_a_strategy_that_nobody_knows_is_not_disabled() -> None:
    node = node_in()

    assert node.operator.take(wanted("disable", strategy="nobody")) == (
        "there is no actor 'nobody' here"
    )
    assert node.operator.take(wanted("disable", "2", strategy="desk")) == ""
    assert node.halts.entries.strictest() == (TradingState.ACTIVE, None)
    assert node.halts.entries.reason(strategy="desk") == "ann: a test"


def test_a_resume_names_who_and_why_and_lifts_kill_too(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    node.operator.take(wanted("kill"))
    assert (tmp_path / KILL).exists()

    assert node.operator.take(wanted("resume", "2")) == ""
    assert not (tmp_path / KILL).exists()
    assert node.halts.reason == ""


def test_a_command_that_does_not_exist_is_refused_with_those_that_do() -> None:
    refusal = node_in().operator.take(wanted("stop"))

    assert refusal.startswith("there is no command 'stop'; there are halt, reduce, disable")


def test_a_halt_that_waits_in_the_directory_is_taken_before_the_first_input(
    tmp_path: Path,
) -> None:
    write_halt(tmp_path, wanted("halt"))
    node = node_in(tmp_path)
    node.run()

    assert node.halts.reason == "ann: a test"
    assert not (tmp_path / HALT_FILE).exists()
    again = node_in(tmp_path)
    again.run()
    assert heard(again) == ["HaltTrading", "OperatorCommand"]


def test_a_waiting_halt_that_is_damaged_halts(tmp_path: Path) -> None:
    (tmp_path / HALT_FILE).write_bytes(b"{")
    waiting = read_halt(tmp_path)

    assert waiting is not None
    assert waiting.command == "halt"
    assert waiting.why.startswith(f"{tmp_path / HALT_FILE}: ")
