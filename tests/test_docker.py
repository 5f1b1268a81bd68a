"""`docker compose up` for real: it trades, heals by itself, and moves an actor by an edit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import linked
from tests.killed_trading import Accounts
from tests.linked import until
from topology.verify import verify

ROOT = Path(__file__).parents[1]
COPIED = (
    *("docker-compose.yml", "Dockerfile", ".dockerignore", "pyproject.toml", "constraints.txt"),
    *("README.md", "LICENSE", "actors", "gateways", "topology", "grafana", "user"),
)
PUBLISHED = ("ports:", "- 127.0.0.1:9090:9090", "- 127.0.0.1:3000:3000")
"""Lines that are left out of the copy: another one may be up on this machine."""
NODES = ("md", "core")
STATUS = "exec 3<>/dev/tcp/127.0.0.1/7002; printf 'GET /status HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"


def why_no_engine() -> str:
    """Return why no containers can be run here; empty where they can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    asked = [["docker", "info"], ["docker", "compose", "version"]]
    for command in asked:
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=10)
        except subprocess.TimeoutExpired:
            return f"{' '.join(command)} does not answer"
        if done.returncode:
            return f"{' '.join(command)} fails: no engine, or no compose"
    return ""


NO_ENGINE = why_no_engine()
pytestmark = pytest.mark.skipif(bool(NO_ENGINE), reason=NO_ENGINE)


class Project:
    """A copy of this project, up in containers and with an image of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Another run of these tests on this machine must not take these containers for its own.
        self.name = f"kaijutest{os.getpid()}"
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        file = folder / "docker-compose.yml"
        lines = file.read_text().splitlines()
        text = "\n".join(line for line in lines if line.strip() not in PUBLISHED)
        text = text.replace("name: kaiju\n", f"name: {self.name}\n")
        file.write_text(text.replace("image: kaiju\n", f"image: {self.name}\n"))

    def compose(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self, node: str) -> dict[str, Any]:
        said = self.compose("exec", "-T", node, "bash", "-c", STATUS, check=False)
        try:
            found: dict[str, Any] = json.loads(said.rpartition("\n")[2])
        except ValueError:
            return {}
        return found

    def orders(self, state: str) -> int:
        orders: dict[str, int] = self.status("core").get("orders", {})
        return sum(count for name, count in orders.items() if name.endswith(f" {state}"))

    def is_well(self) -> bool:
        found = [self.status(node) for node in NODES]
        return all(
            status
            and not status["halted"]
            and all(link["state"] == "LIVE" for link in status["links"] if link["kind"] == "input")
            for status in found
        )

    def pid(self, service: str) -> int:
        container = self.compose("ps", "-q", service).strip()
        asked = ["docker", "inspect", "-f", "{{.State.Pid}}", container]
        return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)

    def logs(self) -> str:
        return self.compose("logs", "--tail", "20", "md", "core", "venue", check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    found = Project(tmp_path_factory.mktemp("project"))
    patch = pytest.MonkeyPatch()
    patch.setattr(linked, "PATIENCE", 90.0)
    try:
        found.compose("up", "-d", "--build")
        yield found
    finally:
        found.compose("down", "-v", "-t", "5", check=False)
        subprocess.run(["docker", "image", "rm", found.name], capture_output=True, check=False)
        patch.undo()


def test_all_are_healthy_and_orders_and_fills_flow(project: Project) -> None:
    until(project.is_well, "well nodes", project.logs)
    until(lambda: project.orders("filled") > 0, "fills", project.logs)


@pytest.mark.parametrize("service", ["md", "core", "venue"])
def test_what_is_killed_heals_by_itself(project: Project, service: str) -> None:
    killed = project.pid(service)
    os.kill(killed, signal.SIGKILL)
    until(lambda: project.pid(service) not in (0, killed), "a new process", project.logs)
    until(project.is_well, "well nodes", project.logs)
    filled = project.orders("accepted")
    until(lambda: project.orders("accepted") > filled, "more orders", project.logs)


def test_an_actor_is_moved_by_an_edit_and_a_restart(project: Project) -> None:
    file = project.folder / "topology" / "compose.yaml"
    before, _, behind = file.read_text().partition("  taker:\n")
    file.write_text(f"{before}  taker:\n{behind.replace('node: core', 'node: md', 1)}")
    project.compose("restart", "-t", "20", "md", "core")

    until(project.is_well, "well nodes", project.logs)
    assert "taker" in [actor["name"] for actor in project.status("md")["actors"]]
    accepted = project.orders("accepted")
    until(lambda: project.orders("accepted") > accepted, "more orders", project.logs)


def test_nothing_was_lost_and_the_ledger_agrees(project: Project, tmp_path: Path) -> None:
    for node in NODES:  # the run is to end: everything open is canceled
        project.compose("exec", "-T", node, "bash", "-c", "kill -INT 1")
    until(lambda: at_rest(project.status("core")), "rest", project.logs)
    project.compose("stop", "-t", "30", *NODES, "venue")
    project.compose("cp", "core:/kaiju/data/desk", str(tmp_path / "desk"))
    project.compose("cp", "venue:/kaiju/data", str(tmp_path / "venue"))

    assert verify(tmp_path / "desk").summary.startswith("HASH EQUAL")
    accounts = Accounts(tmp_path / "desk", tmp_path / "venue")
    assert accounts.disagreements() == {}
    assert len(accounts.sent_orders()) > 100


def at_rest(status: dict[str, Any]) -> bool:
    """Tell whether nothing is open any more; market data comes all the same."""
    return bool(status.get("ending")) and not status["busy"]
