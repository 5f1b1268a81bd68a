"""A small HTTP server for peers that nobody vouches for: one thread, and a bound on everything.

Each request has a connection of its own, a few seconds and a few kilobytes. Where there are too
many connections, the one that has been asking longest gives way. The last descriptors of the
process are not for peers: a venue, a link or a journal may need them at any moment.
"""

from __future__ import annotations

import logging
import resource
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

log = logging.getLogger("kaiju")

MAX_CONNECTIONS = 32
MAX_REQUEST = 16_384
"""Bytes of a request with all its headers."""
REQUEST_TIME = 5.0
"""Seconds from a connection's begin to the last byte of its answer."""
RESERVED = 64
"""Descriptors of the process that no peer gets."""
LOOK = 0.1
"""Seconds between two looks at connections whose time is over."""
END = b"\r\n\r\n"
METHODS = ("GET", "HEAD")


class Answer(NamedTuple):
    """What a request gets."""

    status: str
    """Such as ``200 OK``."""
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    """Its content type."""


class BoundedServer:
    """Answers requests by their paths.

    Args:
        host: address to listen on.
        port: 0 for any free one.
        answer: returns what a path gets; called on the server's thread.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, host: str, port: int, answer: Callable[[str], Answer]) -> None:
        self._answer = answer
        self._listener = _listening(host, port)
        self.port: int = self._listener.getsockname()[1]
        """Where it listens."""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._open: dict[_Connection, None] = {}
        """Oldest first."""
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._closing = True
        self._thread.join()
        for connection in list(self._open):
            self._drop(connection)
        self._selector.close()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(LOOK):
                connection: _Connection | None = key.data
                if connection is None:
                    self._accept()
                elif connection in self._open:  # else it gave way to another one just now
                    self._go_on(connection)
            now = time.monotonic()
            for connection in [c for c in self._open if now - c.began > REQUEST_TIME]:
                self._drop(connection)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except BlockingIOError:
            return  # it went away meanwhile
        except OSError:
            time.sleep(LOOK)  # no descriptor is left, and the peer still waits: do not spin
            return
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit != resource.RLIM_INFINITY and peer.fileno() >= limit - RESERVED:
            peer.close()  # descriptors are given lowest first, so only the reserve is left
            return
        if len(self._open) >= MAX_CONNECTIONS:
            self._drop(next((c for c in self._open if not c.answer), next(iter(self._open))))
        peer.setblocking(False)
        connection = _Connection(peer, time.monotonic())
        self._open[connection] = None
        self._selector.register(peer, selectors.EVENT_READ, connection)

    def _go_on(self, connection: _Connection) -> None:
        try:
            over = self._send(connection) if connection.answer else self._read(connection)
        except OSError:
            over = True
        if over:
            self._drop(connection)

    def _read(self, connection: _Connection) -> bool:
        """Read what came, and return whether the connection is over."""
        more = connection.peer.recv(MAX_REQUEST)
        connection.request += more
        if END in connection.request:
            connection.answer = memoryview(self._answered(connection.request))
        elif len(connection.request) > MAX_REQUEST:
            answer = Answer("431 Request Header Fields Too Large", b"the request is too long\n")
            connection.answer = memoryview(_encoded(answer))
        else:
            return not more
        self._selector.modify(connection.peer, selectors.EVENT_WRITE, connection)
        return self._send(connection)

    def _send(self, connection: _Connection) -> bool:
        try:
            sent = connection.peer.send(connection.answer)
        except BlockingIOError:
            return False
        connection.answer = connection.answer[sent:]
        return not connection.answer

    def _answered(self, request: bytes) -> bytes:
        words = request.partition(b"\r\n")[0].decode("latin-1").split()
        if len(words) < len(("GET", "/")):
            return _encoded(Answer("400 Bad Request", b"bad request\n"))
        method, target = words[:2]
        if method not in METHODS:
            return _encoded(Answer("405 Method Not Allowed", b"allowed are GET and HEAD\n"))
        try:
            answer = self._answer(target.partition("?")[0])
        except Exception:
            log.exception("a request of %s could not be answered", target)
            answer = Answer("500 Internal Server Error", b"a bug; the log has it\n")
        return _encoded(answer, bare=method == "HEAD")

    def _drop(self, connection: _Connection) -> None:
        del self._open[connection]
        self._selector.unregister(connection.peer)
        connection.peer.close()


class _Connection:
    """A peer with its request, as far as it came, and its answer, as far as it did not leave."""

    def __init__(self, peer: socket.socket, began: float) -> None:
        self.peer, self.began = peer, began
        self.request = b""
        self.answer = memoryview(b"")


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(MAX_CONNECTIONS)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _encoded(answer: Answer, *, bare: bool = False) -> bytes:
    head = (
        f"HTTP/1.0 {answer.status}\r\nContent-Type: {answer.kind}\r\n"
        f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if bare else answer.body)
