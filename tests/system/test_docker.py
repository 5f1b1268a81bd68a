"""`docker compose up` for real: it trades, heals by itself, and moves an actor by an edit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from ruamel.yaml import YAML

from kaiju.monitor.status import NodeStatus
from tests.kit import node_processes as linked
from tests.kit.killed_trading import Accounts
from tests.kit.paths import ROOT
from tests.kit.waiting import PATIENCE, until

COPIED = (
    *("docker-compose.yml", "Dockerfile", ".dockerignore", "pyproject.toml", "constraints.txt"),
    *("README.md", "LICENSE", "actors", "gateways", "kaiju", "topology", "grafana", "user"),
)
PUBLISHED = ("ports:", "- 127.0.0.1:9090:9090", "- 127.0.0.1:3000:3000")
"""Lines that are left out of the copy: another one may be up on this machine."""
NODES = ("md", "core")
SERVICES = (*NODES, "venue", "prometheus", "grafana")
TOPOLOGY = "topology/compose.yaml"
UP = "http://127.0.0.1:9090/api/v1/query?query=up"
STATUS = "exec 3<>/dev/tcp/127.0.0.1/7002; printf 'GET /status HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"

SPREADS = """
import msgspec
from actors.events.market import TopOfBook
from actors.runtime.actor import Actor, handles

class Spreads(Actor):
    class State(msgspec.Struct):
        widest: dict[str, int] = {}

    @handles(TopOfBook)
    def on_top(self, top: TopOfBook) -> None:
        widest = self.state.widest
        widest[top.instrument] = max(widest.get(top.instrument, 0), top.ask_px - top.bid_px)
"""
NODE = """
nodes:
  desk: {host: desk, port: 7000, public_key: ../keys/desk.public, machine: docker}
"""
ACTOR = """
actors:
  spreads: {class: "spreads:Spreads", node: desk, durable: os, inputs: [book.top]}
"""


def why_no_engine() -> str:
    """Return why no containers can be run here; empty where they can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    asked = [["docker", "info"], ["docker", "compose", "version"]]
    for command in asked:
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return f"{' '.join(command)} does not answer"
        if done.returncode:
            return f"{' '.join(command)} fails: no engine, or no compose"
    return ""


NO_ENGINE = (why := why_no_engine()) and f"no containers: {why}"
pytestmark = [
    pytest.mark.xdist_group("live"),
    pytest.mark.skipif(bool(NO_ENGINE), reason=NO_ENGINE),
]


def docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


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
        self.make_own()

    def make_own(self) -> None:
        """Give what compose is told another name, and publish nothing."""
        file = self.folder / "docker-compose.yml"
        lines = file.read_text().splitlines()
        text = "\n".join(line for line in lines if line.strip() not in PUBLISHED)
        text = text.replace("name: kaiju\n", f"name: {self.name}\n")
        file.write_text(text.replace("image: kaiju\n", f"image: {self.name}\n"))

    def kaiju(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "kaiju", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def edit(self, replaced: dict[str, str]) -> str:
        """Edit the topology, put the edit into force, and return what `kaiju plan` says of it."""
        old, file = self.folder / "old.yaml", self.folder / TOPOLOGY
        text = file.read_text()
        old.write_text(text)
        for before, after in replaced.items():
            assert text.count(before) == 1
            text = text.replace(before, after)
        file.write_text(text)
        said = self.kaiju("plan", "old.yaml", TOPOLOGY)
        self.kaiju("render", "all", TOPOLOGY)
        self.make_own()
        self.compose("up", "-d")
        return said

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

    def run_to_its_end(self, *arguments: str) -> str:
        """Return what `kaiju` prints in a container of its own, and see that it ends well.

        It is read from the container's log: what is streamed of a short life may lack lines.
        """
        name = f"{self.name}-once"
        self.compose("run", "-d", "--name", name, "--no-deps", "core", *arguments)
        code = docker("wait", name).strip()
        said = docker("logs", name)
        docker("rm", name)
        assert code == "0", said
        return said

    def status(self, node: str) -> NodeStatus | None:
        said = self.compose("exec", "-T", node, "bash", "-c", STATUS, check=False)
        try:
            return msgspec.json.decode(said.rpartition("\n")[2], type=NodeStatus)
        except msgspec.DecodeError:
            return None

    def orders(self, state: str) -> int:
        status = self.status("core")
        orders = {} if status is None else status.orders
        return sum(count for name, count in orders.items() if name.endswith(f" {state}"))

    def handled(self, node: str, actor: str) -> int:
        """Return how many events an actor handled; 0 where it does not live there."""
        status = self.status(node)
        found = {} if status is None else {a.name: a.handled for a in status.actors}
        return found.get(actor, 0)

    def is_well(self, nodes: tuple[str, ...] = NODES) -> bool:
        found = [self.status(node) for node in nodes]
        return all(
            status is not None and not status.halted and all(link.live for link in status.links)
            for status in found
        )

    def health(self) -> dict[str, str]:
        """Return what docker thinks of each service that runs."""
        said = self.compose("ps", "--format", "{{.Service}} {{.Health}}")
        return dict(line.split(" ", 1) for line in said.splitlines())

    def scraped(self) -> dict[str, bool]:
        """Return whether Prometheus had the metrics of each target."""
        said = self.compose("exec", "-T", "prometheus", "wget", "-q", "-O", "-", UP, check=False)
        try:
            series = json.loads(said)["data"]["result"]
        except ValueError:
            return {}
        return {one["metric"]["instance"]: one["value"][1] == "1" for one in series}

    def pid(self, service: str) -> int:
        container = self.compose("ps", "-q", service).strip()
        return int(docker("inspect", "-f", "{{.State.Pid}}", container))

    def durable_actors(self) -> set[str]:
        actors = YAML(typ="safe").load(self.folder / TOPOLOGY)["actors"]
        return {name for name, actor in actors.items() if "durable" in actor}

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
    until(lambda: project.health() == dict.fromkeys(SERVICES, "healthy"), "health", project.logs)
    targets = {f"{node}:7002": True for node in NODES}
    until(lambda: project.scraped() == targets, "metrics", project.logs)


@pytest.mark.parametrize("service", ["md", "core", "venue"])
def test_what_is_killed_heals_by_itself(project: Project, service: str) -> None:
    killed = project.pid(service)
    os.kill(killed, signal.SIGKILL)
    until(lambda: project.pid(service) not in (0, killed), "a new process", project.logs)
    until(project.is_well, "well nodes", project.logs)
    filled = project.orders("accepted")
    until(lambda: project.orders("accepted") > filled, "more orders", project.logs)


def test_an_actor_is_moved_by_an_edit(project: Project) -> None:
    venue = project.pid("venue")
    taker = "  taker:\n    class: actors.strategies.taker:Taker\n    node: "
    plan = project.edit({f"{taker}core": f"{taker}md"})
    assert plan.split("\n")[0].split() == [">", "actor", "taker", "core", "->", "md"]

    until(project.is_well, "well nodes", project.logs)
    until(lambda: project.handled("md", "taker") > 0, "a taker on md", project.logs)
    accepted = project.orders("accepted")
    until(lambda: project.orders("accepted") > accepted, "more orders", project.logs)
    assert project.pid("venue") == venue  # it was left alone


def test_a_node_and_an_actor_of_ones_own_are_added_by_an_edit(project: Project) -> None:
    (project.folder / "user" / "spreads.py").write_text(SPREADS)
    project.edit({"\nnodes:\n": NODE, "\nactors:\n": ACTOR})

    everywhere = (*NODES, "desk")
    until(lambda: project.is_well(everywhere), "three well nodes", project.logs)
    until(lambda: project.handled("desk", "spreads") > 100, "tops of books", project.logs)
    targets = {f"{node}:7002": True for node in everywhere}
    until(lambda: project.scraped() == targets, "metrics", project.logs)
    accepted = project.orders("accepted")
    until(lambda: project.orders("accepted") > accepted, "more orders", project.logs)


def test_nothing_was_lost_and_the_ledger_agrees(project: Project, tmp_path: Path) -> None:
    nodes = project.health().keys() - {"venue", "prometheus", "grafana"}
    for node in nodes:  # the run is to end: everything open is canceled
        project.compose("exec", "-T", node, "bash", "-c", "kill -INT 1")
    until(lambda: at_rest(project.status("core")), "rest", project.logs)
    project.compose("stop", "-t", "30", *nodes, "venue")
    said = project.run_to_its_end("verify", "/kaiju/data/desk")
    verified = {line.split()[0] for line in said.splitlines() if line.endswith(" equal")}
    assert verified == project.durable_actors(), said
    assert said.splitlines()[-1].startswith(f"HASH EQUAL: {len(verified)} actors, "), said
    project.compose("cp", "core:/kaiju/data/desk", str(tmp_path / "desk"))
    project.compose("cp", "venue:/kaiju/data", str(tmp_path / "venue"))

    accounts = Accounts(tmp_path / "desk", tmp_path / "venue")
    assert accounts.disagreements() == {}
    assert len(accounts.sent_orders()) > 100


def at_rest(status: NodeStatus | None) -> bool:
    """Tell whether nothing is open any more; market data comes all the same."""
    return status is not None and bool(status.ending) and not status.busy
