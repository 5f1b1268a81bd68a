"""A run that begins where KILL is in force: it trades nothing, and its exit code says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.runtime.journal.disk import Disk
from actors.runtime.node.kill import Kill, KillFile
from tests.kit.commands import kaiju
from tests.kit.small_system import TOPOLOGY, write_topology

pytestmark = pytest.mark.xdist_group("live")

DURABLE = TOPOLOGY.replace("    node: one\n", "    node: one\n    durable: os\n")


def test_a_run_under_kill_trades_nothing_and_exits_with_5(tmp_path: Path) -> None:
    file, data = write_topology(tmp_path, DURABLE), tmp_path / "data"
    directory = data / "small"
    assert kaiju("run", file, "--data", data, "--for", "2s").exit_code == 0
    before = json.loads((directory / "report.json").read_text())["orders"]["metronome"]
    KillFile(directory, Disk()).write(Kill("by hand", by="ann"))
    result = kaiju("run", file, "--data", data, "--for", "4s")
    after = json.loads((directory / "report.json").read_text())["orders"]["metronome"]

    assert result.exit_code == 5
    assert "trading was halted: by hand; lifted by: `kaiju resume`" in result.stderr
    assert before["filled"] == after["filled"] == 8
