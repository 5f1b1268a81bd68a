"""Journals that are deleted, moved or replaced under a running node: it halts at once."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.recorder import EVENTS_FILE
from actors.runtime.clock import LiveClock
from actors.runtime.journal.data_directory import CONTROL, JOURNALS
from actors.runtime.journal.disk import Disk
from actors.runtime.node.node import Node
from tests.kit.commands import KAIJU
from tests.kit.failing_disk import Outside, trading
from tests.kit.paths import ROOT
from tests.kit.shipped import PAPER
from tests.kit.waiting import PATIENCE, until

A_BEGINNING = 50_000
"""Bytes of a record; every actor has done something then."""
pytestmark = pytest.mark.xdist_group("live")


def move_away(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}-away"))


def replace_by_a_copy(path: Path) -> None:
    move_away(path)
    shutil.copytree(path.with_name(f"{path.name}-away"), path)


def delete_newest_segment(path: Path) -> None:
    max(path.glob("steps-*")).unlink()


@contextmanager
def trading_node(data: Path) -> Iterator[tuple[Node, Outside]]:
    outside = Outside()
    node = trading(data, LiveClock(), Disk(), outside, ticks=10**9, gap=200_000)
    thread = threading.Thread(target=node.run)
    thread.start()
    try:
        assert outside.ordered.wait(PATIENCE)
        yield node, outside
    finally:
        node.request_stop("enough")
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.usefixtures("not_verified")
@pytest.mark.parametrize(
    ("what", "harm"),
    [
        ("", shutil.rmtree),
        ("", replace_by_a_copy),
        (JOURNALS, move_away),
        (f"{JOURNALS}/{CONTROL}", shutil.rmtree),
        (f"{JOURNALS}/tally", replace_by_a_copy),
        (f"{JOURNALS}/desk", delete_newest_segment),
    ],
)
def test_a_journal_that_vanished_or_was_replaced_halts_at_once(
    tmp_path: Path, what: str, harm: Callable[[Path], None]
) -> None:
    with trading_node(tmp_path / "run") as (node, outside):
        harm(tmp_path / "run" / what)
        assert outside.canceled.wait(PATIENCE)
        assert "was deleted or replaced" in node.halts.reason
        outside.ordered.clear()
        node.resume("an operator who does not look")
        assert not outside.ordered.wait(0.2)
    assert "was deleted or replaced" in node.halts.reason


def test_journals_that_are_put_back_are_gone_on_with(tmp_path: Path) -> None:
    data = tmp_path / "run"
    with trading_node(data) as (node, outside):
        move_away(data)
        assert outside.canceled.wait(PATIENCE)
        outside.ordered.clear()
        data.with_name("run-away").rename(data)
        assert outside.ordered.wait(PATIENCE)
        assert node.halts.reason == ""


def test_a_run_whose_directory_is_gone_says_so_and_ends_halted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        command: list[str | Path] = [*KAIJU, "run", PAPER, "--live", "--data", tmp_path / "data"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
    try:
        record = tmp_path / "data" / "paper" / EVENTS_FILE
        until(lambda: record.exists() and record.stat().st_size > A_BEGINNING, "a beginning")
        shutil.rmtree(tmp_path / "data")
        until(lambda: "was deleted or replaced" in log.read_text(), "an alarm", log.read_text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 3, log.read_text()
    finally:
        process.kill()
