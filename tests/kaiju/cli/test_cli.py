"""The command line: what each command prints, leaves behind and returns."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import polars as pl
import pytest

from tests.kit.commands import KAIJU, kaiju, run
from tests.kit.paths import ROOT
from tests.kit.small_system import EXAGGERATOR, STUBBORN, TOPOLOGY, write_topology
from tests.kit.waiting import PATIENCE

pytestmark = pytest.mark.xdist_group("live")


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    return write_topology(tmp_path)


def test_a_run_trades_adds_up_and_leaves_its_report_behind(topology: Path) -> None:
    result, directory = run(topology, "--for", "30s")

    assert result.exit_code == 0, result.output
    assert directory.name.startswith("small-")
    assert {path.name for path in directory.iterdir()} == {
        "events.kaiju",
        "report.html",
        "report.json",
        "run.json",
    }
    report = json.loads((directory / "report.json").read_text())
    assert {check["holds"] for check in report["checks"]} == {True}
    assert report["orders"]["metronome"]["filled"] == 120
    assert report["run"]["stopped"] == "time is up"
    assert "fills = positions: 1 positions" in result.output
    assert "metrics on http://127.0.0.1:" in result.output


def test_the_same_seed_gives_the_same_events_and_another_does_not(topology: Path) -> None:
    events = [
        (run(topology, "--for", "5s", "--seed", seed)[1] / "events.kaiju").read_bytes()
        for seed in (1, 1, 2)
    ]
    assert events[0] == events[1]
    assert events[0] != events[2]


def test_virtual_time_without_recorded_data_begins_in_2024(topology: Path) -> None:
    _, directory = run(topology, "--for", "5s")
    report = json.loads((directory / "report.json").read_text())

    assert report["ended"] - 1_704_067_200_000_000_000 == 5_000_000_000


def test_quiet_prints_nothing(topology: Path) -> None:
    result, _ = run(topology, "--for", "1s", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize("name", ["copy.html", "copy.json"])
def test_the_report_goes_where_it_is_asked_to(topology: Path, name: str) -> None:
    copy = topology.parent / name
    _, directory = run(topology, "--for", "1s", "--report", copy)

    assert copy.read_bytes() == (directory / f"report{copy.suffix}").read_bytes()


def test_a_port_of_metrics_that_is_taken_is_named_before_anything_is_made(topology: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        runs = topology.parent / "runs"
        result = kaiju("run", topology, "--runs", runs, "--metrics-port", port)

    assert result.exit_code == 2
    assert result.stderr == (
        f"error: metrics cannot listen on 127.0.0.1:{port}: Address already in use\n"
    )
    assert not runs.exists()


def test_a_folder_that_is_missing_for_the_report_is_named_before_the_run(topology: Path) -> None:
    runs, copy = topology.parent / "runs", topology.parent / "nowhere" / "report.html"
    result = kaiju("run", topology, "--runs", runs, "--report", copy)

    assert result.exit_code == 2
    assert result.stderr == f"error: --report {copy}: there is no folder {copy.parent}\n"
    assert not runs.exists()


def test_a_report_that_cannot_be_written_leaves_the_one_before(
    topology: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = topology.parent / "report.json"
    copy.write_text("the report of yesterday")

    def write_half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            if "report" not in path.name:
                return file.write(data)
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    result, directory = run(topology, "--for", "1s", "--report", copy)

    assert result.exit_code == 1
    assert "error: the report was not written: [Errno 28] No space left" in result.stderr
    assert copy.read_text() == "the report of yesterday"
    assert {path.name for path in directory.iterdir()} == {"events.kaiju", "run.json"}


def test_a_failed_actor_off_the_order_path_makes_the_run_fail(tmp_path: Path) -> None:
    broken = TOPOLOGY.replace(
        "class: tests.kit.small_system:Metronome",
        "class: tests.kit.small_system:Metronome\n    settings: {breaks_after: 3}",
    )
    result, directory = run(write_topology(tmp_path, broken), "--for", "2s")

    assert result.exit_code == 1
    assert "the spring is broken" in result.stderr
    assert (directory / "flight-1.txt").exists()


def test_a_failed_actor_on_the_order_path_halts_trading(tmp_path: Path) -> None:
    broken = TOPOLOGY.replace(
        "class: tests.kit.small_system:Metronome",
        "class: tests.kit.small_system:OrderPathMetronome\n    settings: {breaks_after: 3}",
    )
    result, directory = run(write_topology(tmp_path, broken), "--for", "2s")

    assert result.exit_code == 3
    assert "trading was halted: metronome (OrderPathMetronome) raised RuntimeError" in result.stderr
    assert json.loads((directory / "report.json").read_text())["halted"]


def test_a_run_that_cannot_be_recorded_does_not_trade_and_claims_nothing(tmp_path: Path) -> None:
    file = write_topology(tmp_path, TOPOLOGY + EXAGGERATOR)
    result, directory = run(file, "--for", "6s")
    report = json.loads((directory / "report.json").read_text())

    assert result.exit_code == 3
    assert "trading was halted: recorder (Recorder) raised OverflowError" in result.stderr
    assert report["ended"] - report["began"] == 6_000_000_000
    sent = {(edge["stream"], edge["reader"]): edge["sent"] for edge in report["edges"]}
    assert sent["metronome.signals", "execution"] == 24
    # Those before the recorder failed, and what is open of them.
    assert sent["oms.requests", "gateway"] == 8 + 1
    dropped = report["cut"]
    assert re.fullmatch(r"recorder dropped [\d,]+ events \(.*actor failed.*\)", dropped)
    money = report["checks"][2:]
    assert {(check["holds"], check["detail"]) for check in money} == {
        (None, f"the record is not whole: {dropped}")
    }
    assert f"the record is not whole: {dropped}; orders and PnL stop where it does" in result.output
    assert f"The record is not whole: {dropped}" in (directory / "report.html").read_text()


@pytest.mark.parametrize("command", ["run", "check", "graph"])
def test_a_topology_with_mistakes_is_refused_with_all_of_them(tmp_path: Path, command: str) -> None:
    file = write_topology(
        tmp_path, TOPOLOGY.replace("market.depth", "market.dept").replace("scale: 8", "scale: 99")
    )
    options = ["--runs", tmp_path / "runs"] if command == "run" else []
    result = kaiju(command, file, *options)

    assert result.exit_code == 2
    assert re.findall(r"small\.yaml:(\d+):", result.stderr) == ["5", "5", "21"]
    assert "did you mean 'market.depth'?" in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "x.yaml", "--for", "30"], "a number with a unit"),
        (["run", "x.yaml", "--live", "--speed", "2"], "with --live there is none"),
        (["run", "x.yaml", "--speed", "inf"], "was inf, allowed is a finite number"),
        (["run", "x.yaml", "--speed", "nan"], "should be greater than or equal to 0"),
        (["export", "x"], "say where to"),
        (["export", "nowhere", "--jsonl", "x"], "no such record"),
        (["trade"], "No such command"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_what_is_allowed(
    arguments: list[str], message: str
) -> None:
    result = kaiju(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert kaiju("check", tmp_path / "none.yaml").exit_code == 2


def test_check_finds_nothing_wrong_with_a_good_topology(topology: Path) -> None:
    result = kaiju("check", topology)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{topology}: no mistakes found\n")


def test_graph_draws_the_topology(topology: Path) -> None:
    result = kaiju("graph", topology)
    assert result.stdout.startswith("flowchart LR\n")
    assert "risk" in result.stdout


def test_schema_is_json() -> None:
    assert json.loads(kaiju("schema").stdout)["$ref"] == "#/$defs/Topology"


def test_export_says_what_it_wrote(topology: Path, tmp_path: Path) -> None:
    _, directory = run(topology, "--for", "2s")
    out = tmp_path / "out"
    result = kaiju("export", directory, "--parquet", out, "--jsonl", out / "events.jsonl")

    assert result.exit_code == 0
    fills = pl.read_parquet(out / "OrderFilled.parquet")
    assert f"{out}/OrderFilled.parquet: {fills.height} events" in result.stdout
    lines = (out / "events.jsonl").read_text().splitlines()
    assert f"events.jsonl: {len(lines):,} events" in result.stdout


def test_a_damaged_record_is_refused_with_its_place(topology: Path, tmp_path: Path) -> None:
    _, directory = run(topology, "--for", "2s")
    events = directory / "events.kaiju"
    data = bytearray(events.read_bytes())
    data[len(data) // 2] ^= 1
    events.write_bytes(data)
    result = kaiju("export", directory, "--jsonl", tmp_path / "out.jsonl")

    assert result.exit_code == 1
    assert re.search(rf"{re.escape(str(events))}: byte \d+: ", result.stderr)


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "replay",
        "check",
        "graph",
        "schema",
        "export",
        "status",
        "halt",
        "resume",
        "disable",
        "audit",
    ],
)
def test_help_teaches_by_example(command: str) -> None:
    assert f"kaiju {command}" in " ".join(kaiju(command, "--help").output.split())


def start(topology: Path, *options: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*KAIJU, "run", str(topology), "--runs", str(topology.parent / "runs"), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert "Ctrl-C stops" in process.stdout.readline()
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_in_order(topology: Path, number: signal.Signals) -> None:
    process = start(topology, "--live")
    process.send_signal(number)
    out, errors = process.communicate(timeout=PATIENCE)

    assert (process.returncode, errors) == (0, "")
    assert f"stopped: {number.name}" in out
    assert "nothing queued at the end: every mailbox is empty" in out


@pytest.mark.parametrize("resumed", [False, True])
def test_an_operator_halts_trading_by_a_signal_and_resumes_it_by_another(
    topology: Path, *, resumed: bool
) -> None:
    process = start(topology, "--live")
    process.send_signal(signal.SIGUSR1)
    assert process.stderr is not None
    assert process.stderr.readline() == (
        "trading halted: an operator asked for it (SIGUSR1); lifted by: an operator who resumes\n"
    )
    if resumed:
        process.send_signal(signal.SIGUSR2)
        assert any("trading resumed" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)

    assert process.returncode == (0 if resumed else 3)


def test_a_second_signal_stops_the_run_at_once(tmp_path: Path) -> None:
    process = start(write_topology(tmp_path, STUBBORN), "--live")
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert errors == "error: stopped at once; there is no report\n"


def test_a_live_run_ends_when_its_time_is_up(topology: Path) -> None:
    process = start(topology, "--live", "--for", "1s")
    out, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0
    assert "stopped: time is up" in out
