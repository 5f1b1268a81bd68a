"""Reaches the nodes of a run by the sockets that their directories name."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

from actors.runtime.node.admin_socket import ADMIN_FILE
from topology.errors import RefusedError

RUN_FILE = "run.json"
"""Is in the directory of every node that was ever started."""
ENDPOINTS_FILE = "endpoints.json"
DEPTHS = ("*", "*/*")
"""Where nodes are below the directory of a run: of one host's data, and of `kaiju up`."""


class NodePlace(NamedTuple):
    """A node of a run."""

    name: str
    directory: Path | None
    """Its directory; None of a node that was never started."""


def find_nodes(run: Path) -> list[NodePlace]:
    """Return the nodes of a run, whether they are running or not.

    Args:
        run: directory of a run, of one node, or of the data of several.

    Raises:
        RefusedError: there is none.
    """
    if (run / RUN_FILE).exists():
        return [NodePlace(run.resolve().name, run)]
    found = sorted(file.parent for depth in DEPTHS for file in run.glob(f"{depth}/{RUN_FILE}"))
    places = [NodePlace(directory.name, directory) for directory in found]
    with suppress(OSError, ValueError, KeyError):
        named = json.loads((run / ENDPOINTS_FILE).read_bytes())["nodes"]
        known = {place.name for place in places}
        places += [NodePlace(name, None) for name in named if name not in known]
    if not places:
        raise RefusedError(
            f"{run}: no run is there; allowed is the directory of a run, such as"
            " runs/paper-20240101-120000, or that of a node's data"
        )
    return places


def ask(
    directory: Path, path: str, body: bytes | None = None, *, timeout: float
) -> tuple[int, bytes] | None:
    """Ask a node, and return (status of HTTP, answer); None where nobody answers.

    Args:
        directory: of the node.
        path: of the request.
        body: of a POST; None for a GET.
        timeout: seconds to wait for the answer.
    """
    try:
        connection = _UnixConnection((directory / ADMIN_FILE).read_text().strip(), timeout)
        try:
            connection.request("GET" if body is None else "POST", path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
    except (OSError, HTTPException):
        return None


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
