"""A node over HTTP: metrics, health, readiness and status, for people and monitors."""

from __future__ import annotations

import time
from typing import Self

import msgspec

from actors.runtime.node.node import Node
from kaiju.monitor.bounded_server import Answer, BoundedServer
from kaiju.monitor.health import degraded, unhealthy, unready
from kaiju.monitor.node_metrics import NodeCollector, order_edges
from kaiju.monitor.observer import NodeView
from kaiju.monitor.prometheus import metrics_page
from kaiju.monitor.status import status_of


class NodeServer:
    """Serves ``/metrics``, ``/healthz``, ``/readyz`` and ``/status`` while a node runs.

    ``/healthz`` and ``/readyz`` answer 200, or 503 and why: see `kaiju.monitor.health`.
    ``/status`` is the node as JSON: see `NodeStatus`.

    Args:
        node: whose metrics to serve; only the classes of its actors are used.
        host: address to listen on; the loopback unless a container says otherwise.
        port: 0 for any free one.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, node: Node, host: str = "127.0.0.1", port: int = 0) -> None:
        self._shown = 0
        self._collector = NodeCollector(order_edges(node))
        self._metrics = metrics_page(self._collector)
        self._server = BoundedServer(host, port, self._answer)
        self.address = f"{host}:{self._server.port}"
        """The address that it listens on."""

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.close()

    def show(self, view: NodeView) -> None:
        """Serve `view` until the next one."""
        self._shown = time.monotonic_ns()
        self._collector.view = view

    def _answer(self, path: str) -> Answer:
        if path == "/metrics":
            return Answer("200 OK", *self._metrics())
        view = self._collector.view
        if path == "/status" and view is not None:
            return Answer("200 OK", msgspec.json.encode(status_of(view)), "application/json")
        if path not in ("/healthz", "/readyz", "/status"):
            return Answer("404 Not Found", b"not found\n")
        problem = unhealthy(view, self._shown)
        if not problem and view is not None and path == "/readyz":
            problem = unready(view)
        if problem:
            return Answer("503 Service Unavailable", f"{problem}\n".encode())
        text = "" if view is None else degraded(view)
        return Answer("200 OK", f"{text or 'ok'}\n".encode())
