"""A node over HTTP: metrics, health, readiness and status, for people and monitors."""

from __future__ import annotations

import threading
import time
from socketserver import ThreadingMixIn
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec

from actors.events.durations import SECOND
from actors.runtime.node.node import Node
from kaiju.monitor.node_metrics import NodeCollector, order_edges
from kaiju.monitor.observer import NodeView
from kaiju.monitor.prometheus import metrics_page
from kaiju.monitor.status import LIVE, status_of

SILENCE = 10 * SECOND
"""Nanoseconds of real time without a turn of the loop after which a node is unhealthy."""


class NodeServer:
    """Serves ``/metrics``, ``/healthz``, ``/readyz`` and ``/status`` while a node runs.

    ``/healthz`` answers 200 while the loop turns and trading is not halted, ``/readyz`` if
    moreover all inputs from other nodes are live; else both answer 503 and say why. ``/status``
    is the node as JSON: see `NodeStatus`.

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
        self._server = make_server(host, port, self._answer, _Server, _SilentHandler)
        self.address = f"{host}:{self._server.server_port}"
        """The address that it listens on."""
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def show(self, view: NodeView) -> None:
        """Serve `view` until the next one."""
        self._shown = time.monotonic_ns()
        self._collector.view = view

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.1)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return self._metrics(environ, start_response)
        view = self._collector.view
        if path == "/status" and view is not None:
            start_response("200 OK", [("Content-Type", "application/json")])
            return [msgspec.json.encode(status_of(view))]
        if path in ("/healthz", "/readyz", "/status"):
            problem = self._problem(view, ready=path == "/readyz")
            status, text = ("503 Service Unavailable", problem) if problem else ("200 OK", "ok")
        else:
            status, text = "404 Not Found", "not found"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{text}\n".encode()]

    def _problem(self, view: NodeView | None, *, ready: bool) -> str:
        """Return why the node is not healthy, or not ready; empty if it is."""
        if view is None:
            return "starting"
        silence = time.monotonic_ns() - self._shown
        if silence > SILENCE:
            return f"no turn of the loop for {silence // SECOND} s"
        if view.statistics.halted:
            return f"trading halted: {view.statistics.halted}"
        waiting = [
            f"{link.stream} of node {link.node} is {link.state}"
            for link in view.statistics.links
            if link.kind == "input" and link.state != LIVE
        ]
        return "; ".join(waiting) if ready else ""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Log nothing per request."""
