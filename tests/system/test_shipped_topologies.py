"""The topologies that ship with kaiju, run whole: they trade, they add up, they repeat."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.clock import VirtualClock
from actors.runtime.node.node import Node
from actors.testing import SECOND
from kaiju.report.audit import audit
from kaiju.report.report import load_history
from kaiju.run.build import compose
from tests.kit.commands import INSTALLED
from tests.kit.paths import ROOT
from tests.kit.shipped import PAPER, RECORDED, START, needs_recordings, start_of
from topology.check.check import check_file

pytestmark = pytest.mark.slow

topologies = pytest.mark.parametrize(
    "file", [PAPER, pytest.param(RECORDED, marks=needs_recordings)], ids=["paper", "recorded"]
)


def run(file: Path, into: Path, seconds: int, start: int | None = None, **options: Any) -> Node:
    clock = VirtualClock(start_of(file) if start is None else start)
    into.mkdir()
    node = compose(check_file(file), clock=clock, directory=into, **options)
    node.run(seconds * SECOND)
    return node


def events_of(directory: Path) -> bytes:
    return (directory / "events.kaiju").read_bytes()


def run_in_a_process(file: Path, into: Path, hash_seed: int) -> bytes:
    command = [str(INSTALLED), "run", str(file), "--quiet", "--for", "20s", "--runs", str(into)]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [directory] = into.iterdir()
    return events_of(directory)


@topologies
def test_both_strategies_trade_and_every_conservation_check_holds(
    file: Path, tmp_path: Path
) -> None:
    node = run(file, tmp_path / "run", 60)
    story = load_history(tmp_path / "run")
    assert story is not None

    assert not node.supervisor.failures
    assert [c for c in audit(node.statistics(), story.ledger) if c.holds is not True] == []
    assert {strategy for strategy, _ in story.ledger.filled} >= {"maker", "taker"}


@topologies
def test_two_processes_with_different_hash_seeds_leave_identical_event_files(
    file: Path, tmp_path: Path
) -> None:
    first = run_in_a_process(file, tmp_path / "first", 1)

    assert first == run_in_a_process(file, tmp_path / "second", 2)


def test_the_seed_decides_a_synthetic_run(tmp_path: Path) -> None:
    for name, seed in (("first", 7), ("again", 7), ("other", 8)):
        run(PAPER, tmp_path / name, 5, seed=seed)

    assert events_of(tmp_path / "first") == events_of(tmp_path / "again")
    assert events_of(tmp_path / "first") != events_of(tmp_path / "other")


@topologies
@pytest.mark.parametrize(("slice_steps", "bound"), [(1, 1), (17, 100)])
def test_slices_and_bounds_leave_the_event_file_as_it_is(
    file: Path, slice_steps: int, bound: int, tmp_path: Path
) -> None:
    run(file, tmp_path / "usual", 10)
    run(file, tmp_path / "other", 10, slice_steps=slice_steps, bound=bound)

    assert events_of(tmp_path / "usual") == events_of(tmp_path / "other")


def test_metrics_leave_the_event_file_as_it_is(tmp_path: Path) -> None:
    run(PAPER, tmp_path / "usual", 5)
    run(PAPER, tmp_path / "unmetered", 5, metrics=False)

    assert events_of(tmp_path / "usual") == events_of(tmp_path / "unmetered")


def test_moving_an_actor_to_another_node_leaves_the_event_file_as_it_is(tmp_path: Path) -> None:
    text = PAPER.read_text()
    moved = tmp_path / "moved.yaml"
    moved.write_text(text.replace("node: core", "node: md", 3))
    run(PAPER, tmp_path / "usual", 10)
    run(moved, tmp_path / "moved", 10, start=START)

    assert text != moved.read_text()
    assert events_of(tmp_path / "usual") == events_of(tmp_path / "moved")
