"""Damaged input is told: while the run goes on, when it ends, in its report and as a metric."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import Result

from actors.runtime.clock import VirtualClock
from kaiju.monitor.node_metrics import NodeCollector
from kaiju.monitor.observer import NodeObserver
from kaiju.run.build import compose
from tests.kit import commands
from tests.kit.recorded_lines import PLAYED, diff, line, quote, snapshot, write
from topology.check.check import check_file

GARBAGE = b"1723161253000000000 {" + b"x" * 10 + b"}\n"
NOT_JSON = "JSON is malformed: object keys must be strings (byte 1)"
MORE = "; more of the kind are only counted"
SUMMARY = (
    "feed: 702 messages discarded: json 700"
    f" (first: BTCUSDT.BINANCE/day1.gz:2 {NOT_JSON}),"
    " unreadable 1 (first: BTCUSDT.BINANCE/day2.gz:1 Not a gzipped file (b'no')),"
    " empty 1 (first: BTCUSDT.BINANCE/day3.gz:1 the file is empty)"
)


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    write(tmp_path / "day1.gz", snapshot(0, 10), *[GARBAGE] * 700, diff(1, 1), quote(2, 3))
    (tmp_path / "day2.gz").write_bytes(b"no gzip")
    (tmp_path / "day3.gz").write_bytes(b"")
    file = tmp_path / "played.yaml"
    file.write_text(PLAYED)
    return file


def run(topology: Path) -> tuple[Result, Path]:
    runs = topology.parent / "runs"
    result = commands.kaiju("run", topology, "--runs", runs)
    [directory] = runs.iterdir()
    return result, directory


def test_the_end_of_the_run_says_what_was_discarded_by_reason(topology: Path) -> None:
    result, directory = run(topology)

    assert result.exit_code == 1, result.output
    for file, problem in (
        ("day2.gz", "unreadable: Not a gzipped file (b'no')"),
        ("day3.gz", "empty: the file is empty"),
    ):
        assert f"error: feed: BTCUSDT.BINANCE/{file}: {problem}" in result.stderr
    assert "error: feed: 702 of 710 messages were discarded, allowed is 1%" in result.stderr
    assert SUMMARY in result.output
    found = json.loads((directory / "report.json").read_text())["discarded"]
    assert found == [
        {
            "actor": "feed",
            "source": f"BTCUSDT.BINANCE/{file}",
            "reason": reason,
            "count": count,
            "first_line": line,
            "first_detail": detail,
        }
        for file, reason, count, line, detail in (
            ("day1.gz", "json", 700, 2, NOT_JSON),
            ("day2.gz", "unreadable", 1, 1, "Not a gzipped file (b'no')"),
            ("day3.gz", "empty", 1, 1, "the file is empty"),
        )
    ]
    page = (directory / "report.html").read_text()
    assert "Discarded input" in page
    assert "<td>700</td>" in page


def test_each_reason_of_a_source_is_warned_of_once(
    topology: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "kaiju"):
        run(topology)

    assert [record.getMessage() for record in caplog.records] == [
        f"feed discarded BTCUSDT.BINANCE/day1.gz:2, json: {NOT_JSON}{MORE}",
        "feed discarded BTCUSDT.BINANCE/day2.gz:1, unreadable: Not a gzipped file (b'no')",
        "feed discarded BTCUSDT.BINANCE/day3.gz:1, empty: the file is empty",
    ]


def test_a_sound_capture_is_not_mentioned(topology: Path) -> None:
    for file in topology.parent.glob("day*"):
        file.unlink()
    write(topology.parent / "day1.gz", line(0, {"result": None, "id": 1}), snapshot(1, 10))
    result, directory = run(topology)

    assert "discarded" not in result.output
    assert "Discarded input" not in (directory / "report.html").read_text()


def test_discarded_messages_are_a_metric_by_actor_and_reason(topology: Path) -> None:
    node = compose(check_file(topology), clock=VirtualClock())
    watch = NodeObserver(node, "played")
    node.run()
    collector = NodeCollector(frozenset())
    collector.view = watch.observe()
    registry = CollectorRegistry()
    registry.register(collector)

    lines = generate_latest(registry).decode().splitlines()
    assert [found for found in lines if found.startswith("kaiju_messages_discarded_total")] == [
        'kaiju_messages_discarded_total{actor="feed",reason="json"} 700.0',
        'kaiju_messages_discarded_total{actor="feed",reason="unreadable"} 1.0',
        'kaiju_messages_discarded_total{actor="feed",reason="empty"} 1.0',
    ]


@pytest.mark.parametrize(("damaged", "code"), [(2, 0), (3, 1)])
def test_a_recording_may_be_damaged_up_to_its_share(
    tmp_path: Path, damaged: int, code: int
) -> None:
    sound = [quote(n, n) for n in range(1, 250)]
    write(tmp_path / "day1.gz", snapshot(0, 10), *[GARBAGE] * damaged, *sound)
    file = tmp_path / "played.yaml"
    file.write_text(PLAYED)
    result, _ = run(file)
    assert result.exit_code == code, result.output
    assert ("messages were discarded, allowed is 1%" in result.stderr) == bool(code)
