"""`kaiju up`: all nodes as processes of this host, watched until the run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.linked import until
from tests.running import TOPOLOGY
from tests.venue_client import KAIJU, ROOT
from topology.endpoints import ENDPOINTS_FILE, Endpoints
from topology.nodes import NodeProcess, ask, is_quiet

PATIENCE = 40

HERE = ("market", "book")
"""Actors that stay on node one."""


def on_two_nodes() -> str:
    """Return the small topology with all but the market on a node of their own, and durable."""
    data = YAML(typ="safe").load(TOPOLOGY)
    data["nodes"]["two"] = {"host": "two", "port": 7100}
    for name, actor in data["actors"].items():
        actor["node"] = "one" if name in HERE else "two"
        if name != "recorder":
            actor["durable"] = "os"
    text = StringIO()
    YAML().dump(data, text)
    return text.getvalue()


TWO_NODES = on_two_nodes()


class Up:
    """A `kaiju up` as a process, and what it started."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.runs, self.log = folder / "runs", folder / "up.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*KAIJU, "up", *arguments, "--runs", self.runs], cwd=ROOT, stdout=log, stderr=log
            )

    @property
    def directory(self) -> Path:
        [found] = self.runs.iterdir()
        return found

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints.load(self.directory / ENDPOINTS_FILE)

    def status(self, node: str) -> dict[str, Any]:
        if not any(self.runs.glob(f"*/{ENDPOINTS_FILE}")):
            return {}
        return ask(self.endpoints.nodes[node].http)

    def until_steps(self, node: str, count: int) -> None:
        until(lambda: self.status(node).get("steps", 0) >= count, f"{count} steps", self.said)

    def said(self) -> str:
        return self.log.read_text()

    def wait(self) -> int:
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, *arguments: str, topology: str = TWO_NODES) -> Iterator[Up]:
    file = folder / "small.yaml"
    file.write_text(topology)
    up = Up(folder, str(file), *arguments)
    try:
        yield up
    finally:
        up.process.kill()
        up.process.wait(PATIENCE)


@pytest.mark.parametrize("link", ["ipc", "tcp"])
def test_a_node_that_dies_is_started_again_and_the_run_ends_well(tmp_path: Path, link: str) -> None:
    with running(tmp_path, "--link", link) as up:
        for node in ("one", "two"):
            up.until_steps(node, 100)
            died = up.endpoints.nodes[node].pid
            os.kill(died, signal.SIGKILL)
            until(lambda n=node, d=died: up.endpoints.nodes[n].pid != d, "a new one", up.said)  # type: ignore[misc]
            up.until_steps(node, 100)
        up.process.send_signal(signal.SIGINT)
        assert up.wait() == 0, up.said()
    assert up.said().count("ended with code -9: started again") == 2
    assert "fills = positions" in up.said()
    assert "VIOLATED" not in up.said()


def test_a_run_ends_when_its_time_is_up(tmp_path: Path) -> None:
    with running(tmp_path, "--for", "3s", "--quiet") as up:
        assert up.wait() == 0, up.said()
    assert up.said() == ""


def test_what_cannot_be_started_ends_the_run_at_once_with_its_words(tmp_path: Path) -> None:
    with running(
        tmp_path, topology=TWO_NODES.replace("actors.risk:Risk", "actors.risk:Rask")
    ) as up:
        assert up.wait() == 2
    assert "Risk" in up.said()


def test_nodes_do_not_outlive_the_one_that_started_them(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        up.until_steps("two", 10)
        pids = [node.pid for node in up.endpoints.nodes.values()]
        up.process.kill()
        until(lambda: not any(map(is_alive, pids)), "end of the nodes", up.said)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_deaths_in_a_row_take_longer_and_longer_and_then_it_is_given_up(tmp_path: Path) -> None:
    process = NodeProcess("one", [], tmp_path / "log", lambda *_: None, lambda *_: None)
    process._began = time.monotonic()
    waits = []
    while process.ended(-9):
        assert process.start_at is not None
        waits.append(process.start_at)
    assert len(waits) == 7
    assert waits[-1] - waits[0] > 2


@pytest.mark.parametrize(
    ("changed", "quiet"),
    [
        ({}, True),
        ({"ending": ""}, False),
        ({"busy": True}, False),
        ({"queued": 1}, False),
        ({"links": [{"behind": 1}]}, False),
    ],
)
def test_a_node_is_quiet_once_nothing_is_left_for_anybody(
    changed: dict[str, Any], quiet: bool
) -> None:
    status = {"ending": "SIGINT", "busy": False, "queued": 0, "links": [{"behind": 0}]}
    assert is_quiet({**status, **changed}) is quiet
    assert not is_quiet({})


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "topology", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "kaiju" in done.stdout
