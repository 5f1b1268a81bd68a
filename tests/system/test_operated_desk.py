"""Three nodes and a venue, stopped by an operator at random moments, half of them standing still.

What is open is read from the venue's ledger, by code that shares nothing with ours.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.runtime.errors import ExitCode
from tests.kit.commands import kaiju
from tests.kit.linked_trading import Desk, desk
from tests.kit.waiting import until

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.slow]

ROUNDS = 200 if "FAULTS" in os.environ else 10
STOPS = ("halt", "kill", "cancel-all")
STANDS_STILL = "core"
"""The node with the gateway."""


@pytest.fixture
def switch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "switch"


def commanded(trading: Desk, command: str) -> str:
    """Give a command to all nodes, and return what each said."""
    return kaiju(command, trading.data, "--why", "a test").output


def is_resumed(trading: Desk) -> bool:
    return kaiju("resume", trading.data, "--why", "tested").exit_code == ExitCode.OK


def until_ended(trading: Desk, orders: set[str] | None, after: str) -> None:
    """Wait until none of these orders is open at the venue, or none at all."""

    def ended() -> bool:
        still_open = trading.open_in_ledger()
        return not (still_open if orders is None else still_open & orders)

    until(ended, f"end of all orders after {after}", trading.logs)


def test_nothing_is_open_after_a_stop_and_nothing_opens_before_a_resume(switch: Path) -> None:
    chance = random.Random(5)  # noqa: S311 - the same rounds every time
    switched = {
        "class": "tests.kit.stuck_actors:Switched",
        "node": STANDS_STILL,
        "durable": "none",
        "inputs": ["oms.orders"],
        "settings": {"switch": str(switch)},
    }
    with desk(extra={"switched": switched}) as trading:
        trading.start()
        for _ in range(ROUNDS):
            command, still = chance.choice(STOPS), chance.random() < 0.5
            trading.await_orders(chance.randrange(1, 4))
            before = trading.open_in_ledger()
            if still:
                switch.touch()
            said = commanded(trading, command)
            if still:
                assert trading.nodes.processes[STANDS_STILL].wait() == ExitCode.KILLED, said
            halted = still or command != "cancel-all"
            until_ended(trading, None if halted else before, f"{command}: {said}")
            if halted:
                orders = trading.orders_in_ledger()
                switch.unlink(missing_ok=True)
                if still:
                    trading.nodes.start(STANDS_STILL)
                until(trading.nodes.is_live, "live inputs", trading.logs)
                assert trading.orders_in_ledger() == orders, said
                until(lambda: is_resumed(trading), "a resume", trading.logs)
            trading.await_orders(1)
        trading.stop()

        assert trading.disagreements() == {}
        assert trading.defects() == []
