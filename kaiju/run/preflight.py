"""Why a node cannot be run on this host."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from topology.config.keys import KeysError, NodeKeys
from topology.config.spec import PORTS_OF_A_NODE
from topology.links.endpoints import Endpoints


def preflight(node: str, endpoints: Endpoints, secret: Path | None) -> Iterator[str]:
    """Yield why a node cannot be run here: its secret key cannot be used, or a port is taken.

    Args:
        node: its name.
        endpoints: of all nodes.
        secret: file of its secret key; None for the usual places.
    """
    try:
        NodeKeys.load(node, endpoints.keys(), secret)
    except KeysError as error:
        yield str(error)
    live, recovery = endpoints.bind(node)
    _, http = endpoints.http(node)
    ports = (*(int(endpoint.rpartition(":")[2]) for endpoint in (live, recovery)), http)
    for port, use in zip(ports, PORTS_OF_A_NODE, strict=True):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("", port))
            except OSError as error:
                yield f"port {port} ({use}) of node '{node}' is not free: {error.strerror}"
