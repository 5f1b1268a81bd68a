"""`kaiju run --resume`: a process that was killed goes on from what its actors had written."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.kit import commands
from tests.kit.commands import INSTALLED
from tests.kit.paths import ROOT
from tests.kit.shipped import PAPER
from tests.kit.small_system import TOPOLOGY, write_topology
from tests.kit.waiting import until

pytestmark = pytest.mark.xdist_group("live")


def kaiju(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INSTALLED, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def begin_and_kill(runs: Path, *arguments: object) -> Path:
    """Start a run and kill it once something of it is on disk; return its directory."""
    process = subprocess.Popen(
        [INSTALLED, "run", *map(str, arguments), "--quiet", "--runs", str(runs)], cwd=ROOT
    )

    def has_begun() -> bool:
        return any(path.stat().st_size > 100_000 for path in runs.glob("*/journal/oms/steps-*"))

    until(lambda: has_begun() or process.poll() is not None, "the first orders")
    process.kill()
    process.wait()
    [directory] = runs.iterdir()
    return directory


def test_a_killed_process_goes_on_to_the_same_events_and_the_same_report(tmp_path: Path) -> None:
    whole = kaiju("run", PAPER, "--for", "60s", "--quiet", "--runs", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    [expected] = (tmp_path / "whole").iterdir()
    killed = begin_and_kill(tmp_path / "killed", PAPER, "--for", "60s")
    assert not (killed / "report.json").exists()

    resumed = kaiju("run", "--resume", killed)

    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert (killed / "events.kaiju").read_bytes() == (expected / "events.kaiju").read_bytes()
    reports = [json.loads((d / "report.json").read_text()) for d in (killed, expected)]
    assert reports[0]["orders"] == reports[1]["orders"]
    assert reports[0]["pnl"] == reports[1]["pnl"]
    assert len(json.loads((killed / "run.json").read_text())["starts"]) == 2


def test_a_run_that_came_to_its_end_says_the_same_again(tmp_path: Path) -> None:
    first = commands.kaiju("run", PAPER, "--for", "5s", "--runs", tmp_path)
    [directory] = tmp_path.iterdir()
    before = (directory / "events.kaiju").read_bytes()

    again = commands.kaiju("run", "--resume", directory)

    assert (first.exit_code, again.exit_code) == (0, 0), again.output
    assert (directory / "events.kaiju").read_bytes() == before
    assert "stopped: time is up" in again.output


def test_a_run_that_kept_nothing_cannot_go_on(tmp_path: Path) -> None:
    file = write_topology(tmp_path, TOPOLOGY)
    commands.kaiju("run", file, "--for", "1s", "--runs", tmp_path / "runs")
    [directory] = (tmp_path / "runs").iterdir()

    refused = commands.kaiju("run", "--resume", directory)

    assert refused.exit_code == 2
    assert "there is nothing to continue: no actor of" in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--resume RUN to continue one"),
        ([PAPER, "--resume", "RUN"], "FILE cannot be used with --resume RUN"),
        (["--resume", "RUN", "--seed", "0", "--live"], "--live, --seed cannot be used with"),
        ([PAPER, "--fast"], "--fast cannot be used without --node NAME"),
        ([PAPER, "--node", "core"], "--node NAME needs a topology FILE and --data DIR"),
        ([PAPER, "--node", "core", "--speed", "2"], "--speed cannot be used with --node NAME"),
    ],
)
def test_a_file_a_run_to_resume_and_a_node_have_each_their_own_options(
    arguments: list[object], message: str
) -> None:
    refused = commands.kaiju("run", *arguments)

    assert refused.exit_code == 2
    assert message in " ".join(refused.output.replace("│", " ").split())


def test_a_directory_of_data_is_begun_once_and_then_gone_on_with(tmp_path: Path) -> None:
    data = tmp_path / "paper"
    command = ["run", str(PAPER), "--for", "5s", "--data", str(tmp_path)]

    assert commands.kaiju(*command).exit_code == 0
    before = (data / "events.kaiju").read_bytes()
    assert commands.kaiju(*command).exit_code == 0

    assert (data / "events.kaiju").read_bytes() == before
    assert len(json.loads((data / "run.json").read_text())["starts"]) == 2


def test_a_live_run_that_was_stopped_in_order_trades_on_when_it_is_started_again(
    tmp_path: Path,
) -> None:
    command = ("run", PAPER, "--live", "--for", "4s", "--data", tmp_path)
    submitted = []
    for _ in range(2):
        done = kaiju(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads((tmp_path / "paper" / "report.json").read_text())
        submitted.append(sum(counts["submitted"] for counts in report["orders"].values()))

    assert 0 < submitted[0] < submitted[1]
