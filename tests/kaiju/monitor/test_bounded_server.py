"""What strangers do to the HTTP server of a node, and what is left for the node."""

from __future__ import annotations

import resource
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from kaiju.monitor.http_server import NodeServer
from tests.kit.waiting import PATIENCE, until

FLOOD = 200
MOST_FOR_PEERS = 64
"""Descriptors that all peers of one server may hold."""
HALF = b"GET /healthz HTTP/1.1\r\nHost: "


@pytest.fixture
def server() -> Iterator[NodeServer]:
    with NodeServer(Node(NodeConfig("one"))) as served:
        yield served


def connect(server: NodeServer, sends: bytes = b"") -> socket.socket:
    host, port = server.address.split(":")
    peer = socket.create_connection((host, int(port)), PATIENCE)
    peer.sendall(sends)
    return peer


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def ask(server: NodeServer, path: str = "/metrics") -> bytes:
    with urllib.request.urlopen(f"http://{server.address}{path}", timeout=PATIENCE) as answer:
        found: bytes = answer.read()
    return found


def everything_of(peer: socket.socket) -> bytes:
    """Return what a server says until it closes, however it does that."""
    found = b""
    try:
        while more := peer.recv(4096):
            found += more
    except ConnectionResetError:
        pass
    return found


def test_idle_half_requests_hold_few_descriptors_and_others_are_answered(
    server: NodeServer,
) -> None:
    with ExitStack() as stack:
        before = descriptors()
        for _ in range(FLOOD):
            stack.enter_context(connect(server, HALF))
        assert b"process_resident_memory_bytes" in ask(server)
        assert descriptors() - before - FLOOD <= MOST_FOR_PEERS


def test_a_request_that_takes_too_long_is_ended_however_it_dribbles(
    server: NodeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaiju.monitor.bounded_server.REQUEST_TIME", 0.3)
    with connect(server, HALF) as peer:
        peer.settimeout(0.02)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                peer.send(b"x")
                if peer.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return
    raise AssertionError("it goes on for ever")


def test_a_header_that_is_too_long_is_refused(server: NodeServer) -> None:
    with connect(server, b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 60_000) as peer:
        assert everything_of(peer).partition(b"\r\n")[0] in (
            b"",  # the rest of what we sent met a closed socket
            b"HTTP/1.0 431 Request Header Fields Too Large",
        )
    assert ask(server)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"POST /status HTTP/1.1", b"405 Method Not Allowed"),
        (b"GET", b"400 Bad Request"),
        (b"\xff\xfe\x00", b"400 Bad Request"),
        (b"HEAD /nowhere HTTP/1.1", b"404 Not Found"),
        (b"GET /nowhere?x=1 HTTP/1.1", b"404 Not Found"),
    ],
)
def test_requests_that_are_not_served_are_told_so(
    server: NodeServer, request_line: bytes, status: bytes
) -> None:
    with connect(server, request_line + b"\r\n\r\n") as peer:
        assert everything_of(peer).partition(b"\r\n")[0] == b"HTTP/1.0 " + status


def test_the_last_descriptors_are_not_for_peers(server: NodeServer) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        peers = [stack.enter_context(connect(server)) for _ in range(4)]
        highest = max(peer.fileno() for peer in peers)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 10, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with connect(server, HALF) as peer:
            assert everything_of(peer) == b""  # closed at once, before its time is over
    until(lambda: ask(server), "an answer once there are descriptors again")
