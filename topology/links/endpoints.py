"""Where the nodes of a run are: from the topology, or from `kaiju up` on this host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from actors.runtime.errors import ExitCode, KaijuError
from topology.check.check import CheckedTopology
from topology.config.keys import read_public_key
from topology.files import atomic_write

LOOPBACK = "127.0.0.1"
ENDPOINTS_FILE = "endpoints.json"
"""Name of the file in the directory of a run."""


class EndpointsError(KaijuError):
    """A file of endpoints cannot be used; the text says which and why."""

    exit_code = ExitCode.MISUSED


class NodeEndpoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one node is."""

    live: str
    """Address of its live streams: ``tcp://HOST:PORT`` or ``ipc:///PATH``."""
    recovery: str
    """Address at which missing events are requested."""
    http: str
    """``HOST:PORT`` of its metrics, health and status."""
    key: str = ""
    """Its public key, Z85; empty if nothing leaves the host."""
    bind: tuple[str, str] | None = None
    """Addresses that it binds itself, live and recovery; None for the same as above."""
    pid: int = 0
    """Its process id; 0 if unknown."""


class Endpoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where all nodes of a run are."""

    nodes: dict[str, NodeEndpoints]

    def bind(self, node: str) -> tuple[str, str]:
        """Return where a node binds its live and its recovery socket."""
        found = self.nodes[node]
        return found.bind or (found.live, found.recovery)

    def of(self, node: str) -> tuple[str, str, bytes | None]:
        """Return the live and the recovery address of a node, and its public key."""
        found = self.nodes[node]
        return found.live, found.recovery, found.key.encode("ascii") or None

    def http(self, node: str) -> tuple[str, int]:
        """Return host and port of a node's metrics, health and status."""
        host, _, port = self.nodes[node].http.rpartition(":")
        return host, int(port)

    def on(self, hosts: Mapping[str, str]) -> Endpoints:
        """Return a copy with each node's HTTP address at its host, for use from other hosts."""
        nodes = {
            name: msgspec.structs.replace(node, http=f"{hosts[name]}:{self.http(name)[1]}")
            for name, node in self.nodes.items()
        }
        return Endpoints(nodes=nodes)

    def keys(self) -> dict[str, bytes]:
        """Return the public keys, by node."""
        return {name: node.key.encode("ascii") for name, node in self.nodes.items() if node.key}

    def save(self, path: Path) -> None:
        """Write the file.

        Raises:
            OSError: it cannot be written.
        """
        with atomic_write(path) as unfinished:
            unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Endpoints:
        """Read a file of endpoints.

        Raises:
            EndpointsError: it does not exist or is no file of endpoints.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError) as error:
            raise EndpointsError(
                f"{path}: {error}; allowed is an {ENDPOINTS_FILE} that `kaiju up` wrote"
            ) from error


def endpoints_of(checked: CheckedTopology, path: Path | None = None) -> Endpoints:
    """Return where the nodes of a topology are.

    Args:
        checked: the topology.
        path: a file of endpoints; None for the hosts, ports and keys of the topology.

    Raises:
        EndpointsError: the file cannot be used, or lacks a node of the topology.
        KeysError: the file of a public key cannot be used.
    """
    nodes = checked.topology.nodes
    if path is not None:
        found = Endpoints.load(path)
        if missing := [name for name in nodes if name not in found.nodes]:
            raise EndpointsError(f"{path}: there are no endpoints of {', '.join(missing)}")
        return found
    folder = checked.document.path.parent
    return Endpoints(
        nodes={
            name: NodeEndpoints(
                live=f"tcp://{spec.host}:{spec.port}",
                recovery=f"tcp://{spec.host}:{spec.port + 1}",
                http=f"{LOOPBACK}:{spec.port + 2}",
                key=read_public_key(folder / spec.public_key) if spec.public_key else "",
                bind=(f"tcp://*:{spec.port}", f"tcp://*:{spec.port + 1}"),
            )
            for name, spec in nodes.items()
        }
    )
