"""Halts by signals: at a node that only begins, and at `kaiju up` for every node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.runtime.errors import ExitCode
from kaiju.run.signals import HALTS
from tests.kit.running_cluster import ONE, TWO, Running, running
from tests.kit.small_system import TOPOLOGY, all_durable, write_topology
from tests.kit.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("live")

BY_SIGNAL = "an operator asked for it (SIGUSR1)"


def is_halted(run: Running, node: str) -> bool:
    status = run.status(node)
    return status is not None and BY_SIGNAL in status.halted


def is_free(run: Running, node: str) -> bool:
    status = run.status(node)
    return status is not None and not status.halted


def until_halted(run: Running) -> None:
    run.until(lambda: all(is_halted(run, node) for node in (ONE, TWO)), "halt of every node")


@contextmanager
def beginning(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a node that is started as `kaiju up` does: the signals that halt it are blocked."""
    file = str(write_topology(folder, all_durable(TOPOLOGY)))
    command = [sys.executable, "-m", "kaiju", "run", file, "--live", "--data", str(folder / "data")]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HALTS)
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("seconds", [0, 0.15, 0.3, 0.6])
def test_a_halt_while_a_node_begins_is_the_first_that_it_does(
    tmp_path: Path, seconds: float
) -> None:
    with beginning(tmp_path) as process:
        time.sleep(seconds)  # a moment of its start, whichever that is on this machine
        process.send_signal(signal.SIGUSR1)
        assert process.stderr is not None
        said = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)

    assert said.startswith(f"trading halted: {BY_SIGNAL}")
    assert process.returncode == ExitCode.HALTED, errors


def test_of_a_resume_and_a_halt_that_both_wait_the_halt_counts(tmp_path: Path) -> None:
    with beginning(tmp_path) as process:
        process.send_signal(signal.SIGUSR2)
        process.send_signal(signal.SIGUSR1)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("trading halted: ")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)

    assert "resumed" not in errors
    assert process.returncode == ExitCode.HALTED


def test_a_halt_of_the_whole_run_halts_every_node_and_ends_none(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.start()
        run.until_it_trades()
        run.signal(signal.SIGUSR1)
        until_halted(run)
        run.signal(signal.SIGUSR2)
        run.until(lambda: all(is_free(run, node) for node in (ONE, TWO)), "resume of every node")
        run.until_it_trades(run.fills() + 1)
        run.signal(signal.SIGINT)
        assert run.wait() == ExitCode.OK, run.said()
    assert run.restarts() == {ONE: 0, TWO: 0}


def test_a_halt_that_comes_while_nodes_begin_reaches_them_all(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.start()
        run.until(lambda: "Ctrl-C stops" in run.said(), "start")
        run.signal(signal.SIGUSR1)
        until_halted(run)
        assert run.fills() == 0
        run.signal(signal.SIGINT)
        assert run.wait() == ExitCode.HALTED, run.said()
    assert run.restarts() == {ONE: 0, TWO: 0}


def test_a_halt_reaches_a_node_that_was_killed_right_before(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.start()
        run.until_it_trades()
        killed = run.pid(ONE)
        os.kill(killed, signal.SIGKILL)
        run.signal(signal.SIGUSR1)
        run.until(lambda: run.pid(ONE) != killed, "second start")
        until_halted(run)
        run.signal(signal.SIGINT)
        assert run.wait() == ExitCode.HALTED, run.said()
    assert run.restarts() == {ONE: 1, TWO: 0}


def test_a_node_that_is_halted_in_its_first_moment_goes_on_halted(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.start()
        until(lambda: any(run.runs.glob("*/endpoints.json")), "the run")
        run.until(lambda: bool(run.pid(ONE)), "process")
        os.kill(run.pid(ONE), signal.SIGUSR1)
        run.until(lambda: is_halted(run, ONE), "halt")
        run.signal(signal.SIGINT)
        assert run.wait() == ExitCode.HALTED, run.said()
    assert run.restarts()[ONE] == 0
