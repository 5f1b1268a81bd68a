"""`kaiju up` as a process: the small system on two nodes."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateways.sockets import IPC
from kaiju.monitor.status import NodeStatus, fetch_status
from tests.kit.small_system import TOPOLOGY, write_topology
from tests.kit.waiting import PATIENCE, until
from topology.links.endpoints import ENDPOINTS_FILE, Endpoints, EndpointsError

ONE, TWO = "one", "two"
PATIENT = f"""
from kaiju.__main__ import main
from kaiju.cluster import cluster
cluster.QUIET_WITHIN = cluster.STOP_WITHIN = {PATIENCE / 2}
main()
"""
"""`kaiju` that gives nodes the time to end that they need beside other work."""
ON_TWO = ("metronome", "execution", "positions", "pnl")


def split(text: str = TOPOLOGY) -> str:
    """Return the small topology on two nodes, with all that its actors do kept."""
    text = text.replace("nodes:\n", f"nodes:\n  {TWO}: {{host: two, port: 7100}}\n")
    text = text.replace("    node: one\n", "    node: one\n    durable: os\n")
    for actor in ON_TWO:
        text = re.sub(rf"(  {actor}:\n    class: .*\n    node: )one", r"\g<1>two", text)
    return text


class Running:
    """`kaiju up` as a process, with its run in a directory of its own."""

    def __init__(self, folder: Path, topology: str | None = None) -> None:
        self.file = write_topology(folder, topology or split())
        self.runs, self.output = folder / "runs", folder / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: object) -> None:
        arguments = [str(option) for option in options]
        if "--resume" not in arguments:
            arguments = [str(self.file), "--runs", str(self.runs), *arguments]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PATIENT, "up", *arguments], stdout=output, stderr=output
            )

    @property
    def run(self) -> Path:
        (run,) = self.runs.iterdir()
        return run

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints.load(self.run / ENDPOINTS_FILE)

    def pid(self, node: str) -> int:
        return self.endpoints.nodes[node].pid

    def status(self, node: str) -> NodeStatus | None:
        """Return what a node says of itself; None while it does not answer."""
        try:
            http = self.endpoints.http(node)
        except (EndpointsError, ValueError, FileNotFoundError):
            return None
        return fetch_status(*http)

    def is_ending(self, node: str) -> bool:
        status = self.status(node)
        return status is not None and bool(status.ending)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        until(condition, what, self.output.read_text)

    def until_it_trades(self, fills: int = 1) -> None:
        self.until(lambda: self.fills() >= fills, f"{fills} fills")

    def fills(self) -> int:
        status = self.status(ONE)
        return 0 if status is None else status.orders.get("metronome filled", 0)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def said(self) -> str:
        return self.output.read_text()

    def restarts(self) -> dict[str, int]:
        """Return the restarts of each node, from the table at the end."""
        found = re.findall(r"^(\w+) +\w+ +(\d+) *$", self.said(), re.MULTILINE)
        return {node: int(count) for node, count in found}


@contextmanager
def running(folder: Path, topology: str | None = None) -> Iterator[Running]:
    """Give what may be started, and leave no process behind."""
    found = Running(folder, topology)
    try:
        yield found
    finally:
        if found.process is not None:
            found.process.kill()
            found.process.wait()
        for file in found.runs.glob(f"*/{ENDPOINTS_FILE}"):
            live = Endpoints.load(file).nodes[ONE].live
            if live.startswith(IPC):  # a process that was killed left its sockets there
                shutil.rmtree(Path(live.removeprefix(IPC)).parent, ignore_errors=True)
