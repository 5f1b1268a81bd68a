"""What becomes of open orders at an ordinary stop is the gateway's setting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.kit.killable_kaiju import MortalProcess
from tests.kit.killed_trading import Accounts, quick_trading, quick_venue
from tests.kit.run_folder import run_folder
from tests.kit.waiting import until

pytestmark = pytest.mark.xdist_group("live")


LEFT = "left open at the venue, as `on_stop: leave` says: (.+)"


def write(file: Path, endpoint: str, on_stop: str) -> None:
    content = quick_trading(endpoint)
    content["actors"]["gateway"]["settings"]["on_stop"] = on_stop
    YAML().dump(content, file)


def test_orders_are_left_at_the_venue_and_gone_on_with_or_canceled() -> None:
    with run_folder() as folder:
        endpoint, file = f"ipc://{folder}/v", folder / "live.yaml"
        write(file, endpoint, "leave")
        found = Accounts(folder / "run" / "paper_live", folder / "venue")
        venue = MortalProcess(
            ["venue", quick_venue(folder), "--data", found.venue_data, "--bind", endpoint],
            folder / "venue.log",
        )
        run = MortalProcess(["run", file, "--live", "--data", folder / "run"], folder / "run.log")
        try:
            venue.start()
            run.start()
            until(lambda: found.orders_at_venue() >= 10, "orders", run.log.read_text)
            assert run.stop() == 0, run.log.read_text()
            said = re.search(LEFT, run.log.read_text())
            assert said is not None, run.log.read_text()
            # Since then, some may have filled.
            assert found.open_in_ledger() <= set(said[1].split(", "))

            write(file, endpoint, "cancel")
            run.start()
            wanted = found.orders_at_venue() + 5
            until(lambda: found.orders_at_venue() >= wanted, "orders", run.log.read_text)
            assert run.stop() == 0, run.log.read_text()
            assert found.open_in_ledger() == set()
            assert venue.stop() == 0
            assert found.disagreements() == {}
        finally:
            run.end()
            venue.end()
