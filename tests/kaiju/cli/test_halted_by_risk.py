"""A run in which risk halts trading: everybody hears of it, and nothing new goes to the venue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import Result

from kaiju.record.record import Record
from tests.kit.commands import run
from tests.kit.small_system import QUOTING, TOPOLOGY, write_topology

pytestmark = pytest.mark.xdist_group("live")

LIMIT = "max_daily_loss: {USDT: "
BEGINNINGS = {"signals": TOPOLOGY, "quotes": QUOTING}


class Halted:
    """What a run left that lost more than it may in a day."""

    def __init__(self, result: Result, directory: Path) -> None:
        self.result = result
        self.report = json.loads((directory / "report.json").read_text())
        with Record(directory) as record:
            self.tags = [event.tag for event in record]

    def behind_the_halt(self, tag: str) -> int:
        """Return how many events of a class there are behind the halt."""
        return self.tags[self.tags.index("TradingStateChanged") :].count(tag)


@pytest.fixture(scope="module", params=list(BEGINNINGS))
def halted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Halted:
    text = BEGINNINGS[request.param].replace(LIMIT + '"20000"', LIMIT + '"0.01"')
    return Halted(*run(write_topology(tmp_path_factory.mktemp("halted"), text), "--for", "20s"))


def test_the_run_says_why_it_was_halted_and_by_what_it_is_lifted(halted: Halted) -> None:
    assert halted.result.exit_code == 3
    assert halted.report["halted"].startswith("day's loss 0.")
    assert "error: trading was halted: day's loss 0." in halted.result.stderr
    assert "lifted by: an operator who resumes" in halted.result.stderr


def test_execution_sends_nothing_more_and_refuses_what_strategies_want(halted: Halted) -> None:
    assert halted.behind_the_halt("SubmitOrder") == 0
    assert halted.behind_the_halt("IntentRefused") > 0


def test_no_new_order_leaves_for_the_venue(halted: Halted) -> None:
    assert halted.behind_the_halt("NewOrderSingle") == 0
