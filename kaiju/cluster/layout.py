"""What `kaiju up` writes on this host before the first node starts.

```
RUN/                      runs/<topology>-<time>
  up.json                 what it was asked for: `--resume RUN` continues that
  endpoints.json          where each node is at the moment
  keys/                   with tcp links: a key pair per node
  <node>.log              what the node printed, in all of its lives
  <topology>/             data of all nodes
```

Sockets of ipc links are in a directory of their own with a short name, because a socket's path may
have 107 bytes at most (sun_path of unix(7)); only its owner can enter the directory.
"""

from __future__ import annotations

import fcntl
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from gateways.sockets import IPC
from kaiju.run.local import make_directory
from topology.check.check import CheckedTopology, check_file
from topology.config.keys import SECRET, read_public_key
from topology.errors import RefusedError
from topology.links.endpoints import ENDPOINTS_FILE, LOOPBACK, Endpoints, NodeEndpoints
from topology.links.keygen import make_keys

UP_FILE = "up.json"
"""What a run was asked for, in its directory; locked while the run goes on."""
KEYS = "keys"
SOCKETS = "kaiju-"
"""Prefix of the names of directories of sockets."""
MAX_SOCKET_LENGTH = 107
"""Bytes in the path of a Unix socket."""
PORTS = range(20_000, 32_000)
"""Below the kernel's ephemeral ports: a node that is restarted finds its own port free."""
NODE_PORTS = 3
"""Live, recovery, http."""
ATTEMPTS = 1000

Link = Literal["ipc", "tcp"]


class ClusterPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run of several processes was asked for."""

    file: str
    """The topology, as an absolute path."""
    link: Link = "ipc"
    fast: bool = False
    """Whether recorded data comes as fast as its readers can take it."""


class Layout(msgspec.Struct, kw_only=True):
    """The files, endpoints and command lines of a run on this host."""

    run: Path
    plan: ClusterPlan
    checked: CheckedTopology
    endpoints: Endpoints

    @property
    def endpoints_file(self) -> Path:
        """Where the endpoints are written."""
        return self.run / ENDPOINTS_FILE

    def log(self, node: str) -> Path:
        """Return the file for the output of a node."""
        return self.run / f"{node}.log"

    def arguments(self, node: str) -> list[str]:
        """Return the command line of a node, after ``kaiju``."""
        found = ["run", self.plan.file, "--node", node, "--data", str(self.run)]
        found += ["--endpoints", str(self.endpoints_file), "--with-parent"]
        if self.plan.link == "tcp":
            found += ["--secret", str(self.run / KEYS / f"{node}{SECRET}")]
        if self.plan.fast:
            found.append("--fast")
        return found

    def started(self, node: str, pid: int) -> None:
        """Record the process of a node in the file of endpoints.

        Raises:
            OSError: the file of endpoints cannot be written.
        """
        found = msgspec.structs.replace(self.endpoints.nodes[node], pid=pid)
        self.endpoints = Endpoints(nodes={**self.endpoints.nodes, node: found})
        self.endpoints.save(self.endpoints_file)


@contextmanager
def prepare_run(
    plan: ClusterPlan | None, runs: Path, resume: Path | None = None
) -> Iterator[Layout]:
    """Yield a run that is ready to be started, and remove its sockets afterwards.

    Args:
        plan: of a new run; None to continue `resume` with its own.
        runs: where a new run gets its directory.
        resume: the run to continue; None for a new one.

    Raises:
        TopologyError: the file has mistakes; the text lists all of them.
        RefusedError: there is no such run, or it is still running.
        EndpointsError: the endpoints of an earlier start are damaged.
        KeysError: a key of the run is damaged.
        OSError: the directory cannot be written.
    """
    plan = plan or read_plan(resume or runs)
    checked = check_file(Path(plan.file))
    topology = checked.topology
    started = datetime.now(UTC)
    run = resume or make_directory(runs, f"{topology.name}-{started:%Y%m%d-%H%M%S}")
    with ExitStack() as stack:
        stack.enter_context(_locked(run / UP_FILE, plan))
        _take_away_left_sockets(run / ENDPOINTS_FILE)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=SOCKETS))
        nodes = list(topology.nodes)
        ports = _free_ports(len(nodes))
        endpoints = Endpoints(
            nodes={
                node: _endpoints(node, plan.link, Path(folder), run / KEYS, port)
                for node, port in zip(nodes, ports, strict=True)
            }
        )
        layout = Layout(run=run.resolve(), plan=plan, checked=checked, endpoints=endpoints)
        endpoints.save(layout.endpoints_file)
        yield layout


def read_plan(run: Path) -> ClusterPlan:
    """Return what a run was asked for.

    Raises:
        RefusedError: it is no run that `kaiju up` started.
    """
    path = run / UP_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=ClusterPlan)
    except (OSError, msgspec.DecodeError) as error:
        raise RefusedError(
            f"{path}: {error}; allowed is the directory of a run that `kaiju up FILE` started"
        ) from error


@contextmanager
def _locked(path: Path, plan: ClusterPlan) -> Iterator[None]:
    """Keep a second `kaiju up` out of the run; the kernel frees the lock however we end."""
    with path.open("ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                f"{path.parent}: this run is still running, in another process"
            ) from None
        file.truncate(0)
        file.write(msgspec.json.format(msgspec.json.encode(plan)) + b"\n")
        file.flush()
        yield


def _take_away_left_sockets(endpoints: Path) -> None:
    """Remove the sockets that an earlier, killed start of the run left."""
    if not endpoints.exists():
        return
    for node in Endpoints.load(endpoints).nodes.values():
        folder = Path(node.live.removeprefix(IPC)).parent
        mine = folder.name.startswith(SOCKETS) and folder.parent == Path(tempfile.gettempdir())
        if node.live.startswith(IPC) and mine:
            shutil.rmtree(folder, ignore_errors=True)


def _endpoints(node: str, link: Link, folder: Path, keys: Path, port: int) -> NodeEndpoints:
    http = f"{LOOPBACK}:{port + 2}"
    if link == "tcp":
        live, recovery = (f"tcp://{LOOPBACK}:{port + i}" for i in range(2))
        public, _ = make_keys(keys, node)
        return NodeEndpoints(live=live, recovery=recovery, http=http, key=read_public_key(public))
    paths = [folder / f"{node}.live", folder / f"{node}.recovery"]
    for path in paths:
        if len(bytes(path)) > MAX_SOCKET_LENGTH:
            raise RefusedError(
                f"{path}: {len(bytes(path))} bytes, allowed is a path of {MAX_SOCKET_LENGTH} for a"
                " socket: let TMPDIR name a directory with a shorter path, or use --link tcp"
            )
    live, recovery = (f"{IPC}{path}" for path in paths)
    return NodeEndpoints(live=live, recovery=recovery, http=http)


def _free_ports(count: int) -> list[int]:
    """Return the first of `NODE_PORTS` free ports in a row, for each of `count` nodes."""
    chance = random.Random()  # noqa: S311 - only to avoid the ports of other runs
    found: list[int] = []
    for _ in range(ATTEMPTS):
        if len(found) == count:
            return found
        first = chance.randrange(PORTS.start, PORTS.stop, NODE_PORTS)
        if first not in found and all(_is_free(first + i) for i in range(NODE_PORTS)):
            found.append(first)
    raise RefusedError(f"there are not {count * NODE_PORTS} free ports from {PORTS.start} on")


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.socket() as found:
        found.bind((LOOPBACK, port))
        return True
    return False
