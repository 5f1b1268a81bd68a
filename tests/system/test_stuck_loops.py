"""A loop that stands still with orders open, at a real venue: nothing is open there afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from actors.runtime.errors import ExitCode
from actors.runtime.node.kill import KILL, STUCK_FILE
from tests.kit.commands import kaiju
from tests.kit.killable_kaiju import MortalProcess
from tests.kit.killed_trading import Accounts, quick_trading, quick_venue
from tests.kit.run_folder import run_folder
from tests.kit.waiting import until

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.slow]


class StuckTrading(Accounts):
    """A run with a strategy that stands still, and the venue at which it trades.

    Args:
        folder: of both.
        how: the strategy does it.
        loop_timeout: of the topology.
    """

    def __init__(self, folder: Path, how: str, loop_timeout: str) -> None:
        endpoint = f"ipc://{folder}/v"
        super().__init__(folder / "run" / "paper_live", folder / "venue")
        content = quick_trading(endpoint) | {"loop_timeout": loop_timeout}
        content["actors"]["stuck"] = {
            "class": "tests.kit.stuck_actors:Stuck",
            "node": "core",
            "inputs": ["oms.orders"],
            "settings": {"how": how, "note": str(folder / "stuck")},
        }
        self.stuck = folder / "stuck"
        self.file = folder / "stuck.yaml"
        self._write(content)
        self.venue = MortalProcess(
            ["venue", quick_venue(folder), "--data", self.venue_data, "--bind", endpoint],
            folder / "venue.log",
        )
        self.run = MortalProcess(
            ["run", self.file, "--live", "--data", self.data.parent], folder / "run.log"
        )

    def _write(self, content: dict[str, Any]) -> None:
        YAML().dump(content, self.file)

    def heal(self) -> None:
        """Take the strategy out of the topology."""
        content = YAML(typ="safe").load(self.file)
        del content["actors"]["stuck"]
        self._write(content)

    def level(self) -> str:
        result = kaiju("status", self.data, "--json")
        if result.exit_code:
            return ""
        return str(json.loads(result.stdout)[self.data.name]["level"])

    def log(self) -> str:
        return self.run.log.read_text()


@contextmanager
def trading(how: str, loop_timeout: str = "2s") -> Iterator[StuckTrading]:
    with run_folder() as folder:
        found = StuckTrading(folder, how, loop_timeout)
        found.venue.start()
        found.run.start()
        try:
            yield found
        finally:
            found.run.end()
            found.venue.end()


@pytest.fixture(scope="module")
def spinning() -> Iterator[StuckTrading]:
    with trading("spin") as found:
        assert found.run.wait() == ExitCode.KILLED, found.log()
        yield found


def test_a_handler_that_never_returns_ends_the_process_with_kill(spinning: StuckTrading) -> None:
    assert (spinning.data / KILL).exists()
    assert "the loop made no turn for 2 s: the process ends with KILL" in spinning.log()
    assert "gateway: the venue lists nothing open" in spinning.log()


def test_nothing_is_open_at_the_venue_afterwards(spinning: StuckTrading) -> None:
    assert len(spinning.orders_in_ledger()) >= 20
    assert spinning.open_in_ledger() == set()


def test_who_begins_again_trades_nothing_until_a_person_resumes(spinning: StuckTrading) -> None:
    before = spinning.orders_in_ledger()
    spinning.heal()
    spinning.run.start()
    until(lambda: spinning.level() == "KILL", "KILL", spinning.log)
    assert spinning.orders_in_ledger() == before
    resumed = kaiju("resume", spinning.data, "--why", "the strategy is out")
    assert resumed.exit_code == 0, resumed.output
    until(lambda: len(spinning.orders_in_ledger()) > len(before), "orders", spinning.log)
    assert spinning.run.stop() == 0, spinning.log()
    assert spinning.disagreements() == {}


@pytest.mark.parametrize("command", ["halt", "cancel-all", "kill"])
def test_a_command_that_the_loop_does_not_take_is_done_without_it(command: str) -> None:
    with trading("spin", loop_timeout="1h") as run:
        until(run.stuck.exists, "a loop that stands still", run.log)
        result = kaiju(command, run.data, "--why", "a test")
        assert result.exit_code == 0, result.output + run.log()
        assert run.run.wait() == ExitCode.KILLED, run.log()
        assert f"the loop did not take {command} within 0.3 s" in run.log()
        assert run.open_in_ledger() == set()
        assert (run.data / KILL).exists()


def test_a_call_that_keeps_the_interpreter_lock_ends_and_the_next_start_cancels() -> None:
    with trading("lock") as run:
        assert run.run.wait() == ExitCode.FAILED, run.log()
        assert "stuck_actors.py" in (run.data / STUCK_FILE).read_text()
        orders = run.orders_in_ledger()
        run.heal()
        run.run.start()
        until(lambda: run.level() == "KILL", "KILL", run.log)
        until(lambda: run.open_in_ledger() == set(), "nothing open", run.log)
        assert run.orders_in_ledger() == orders
        assert run.run.stop() == ExitCode.KILLED
        assert list(run.data.glob("stuck-*.txt"))
