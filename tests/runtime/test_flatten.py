"""A command to flatten: what it names is closed, and nothing else."""

from __future__ import annotations

import pytest

from actors.events.market import Side
from actors.events.system import OperatorCommand
from actors.runtime.flatten import closing_orders


def command(*arguments: tuple[str, str], name: str = "flatten") -> OperatorCommand:
    return OperatorCommand("1", name, arguments, "ann", "")


def test_a_long_position_is_sold_and_a_short_one_bought() -> None:
    assert closing_orders(command(("maker BTCUSDT.SIM", "12"), ("taker BTCUSDT.SIM", "-7"))) == [
        ("maker", "BTCUSDT.SIM", Side.SELL, 12),
        ("taker", "BTCUSDT.SIM", Side.BUY, 7),
    ]


@pytest.mark.parametrize(
    "argument",
    [("maker", "1"), ("maker BTCUSDT.SIM", "0"), ("maker BTCUSDT.SIM", "1.5"), ("m B", "--1")],
)
def test_what_names_no_position_closes_nothing(argument: tuple[str, str]) -> None:
    assert closing_orders(command(argument)) == []


def test_another_command_closes_nothing() -> None:
    assert closing_orders(command(("maker BTCUSDT.SIM", "12"), name="halt")) == []
