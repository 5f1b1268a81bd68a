"""`kaiju up` as its operator sees it: a command reaches every node, and each one answers."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.commands import KAIJU, kaiju
from tests.kit.running_cluster import split
from tests.kit.small_system import write_topology
from tests.kit.waiting import PATIENCE, until

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.slow]

NODES = {"one", "two"}


class Up:
    """`kaiju up` as a process."""

    def __init__(self, folder: Path) -> None:
        self.log, self.runs = folder / "up.log", folder / "runs"
        file = write_topology(folder, split())
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*KAIJU, "up", str(file), "--runs", str(self.runs)], stdout=log, stderr=log
            )
        until(self.is_trading, "fills", self.log.read_text)

    @property
    def run(self) -> Path:
        (run,) = self.runs.iterdir()
        return run

    def show(self, what: str) -> dict[str, Any]:
        return json.loads(kaiju(what, self.run, "--json").stdout)  # type: ignore[no-any-return]

    def is_trading(self) -> bool:
        if not self.runs.exists() or kaiju("fills", self.run).exit_code:
            return False
        return any(answer["rows"] for answer in self.show("fills").values())

    def levels(self) -> dict[str, str]:
        return {
            node: "" if answer is None else answer["level"]
            for node, answer in self.show("status").items()
        }


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    found = Up(tmp_path)
    yield found
    found.process.send_signal(signal.SIGTERM)
    try:
        found.process.wait(PATIENCE)
    finally:
        found.process.kill()


def test_a_run_of_two_nodes_is_halted_killed_flattened_and_resumed(up: Up) -> None:
    for command, level in (("halt", "HALTED"), ("kill", "KILL")):
        done = kaiju(command, up.run)
        assert done.exit_code == 0, done.output + up.log.read_text()
        assert up.levels() == dict.fromkeys(NODES, level)
    resumed = kaiju("resume", up.run, "--why", "a test")
    assert resumed.exit_code == 0, resumed.output + up.log.read_text()
    assert up.levels() == dict.fromkeys(NODES, "ACTIVE")
    flat = kaiju("flatten", up.run, "--yes")
    assert flat.exit_code == 0, flat.output + up.log.read_text()
    assert {row["units"] for each in up.show("positions").values() for row in each["rows"]} == {0}


def test_a_strategy_is_disabled_where_it_is_known(up: Up) -> None:
    disabled = kaiju("disable", up.run, "metronome", "--json")
    assert disabled.exit_code == 0, disabled.output
    assert kaiju("disable", up.run, "nobody").exit_code == 2
    assert up.levels() == dict.fromkeys(NODES, "ACTIVE")
