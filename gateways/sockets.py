"""ZeroMQ sockets of the gateways; no other module of theirs imports it.

A ZeroMQ socket belongs to the thread that made it. So a socket here waits for messages and for a
`Wake` that any thread may set: to send, another thread queues the message and wakes the owner.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import socket as operating_system
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Annotated

import zmq
from pydantic import AfterValidator, WithJsonSchema

_ENDPOINT = re.compile(r"ipc://(?P<path>/.+)|tcp://(?P<host>\[[0-9a-f:]+\]|[\w.*-]+):(?P<port>\d+)")
IPC = "ipc://"
MAX_PATH_LENGTH = 107
"""Bytes of a Unix socket's path."""
LARGEST_FRAME = 8 * 2**20
"""Bytes; ZeroMQ drops the connection of whoever sends more."""
QUEUED = 10_000
"""Messages that a socket queues for each peer that does not take them."""
HANDSHAKE_MS = 5_000
"""Time in which whoever connects must have shaken hands: until then it holds a descriptor."""
AT_ONCE = 256
"""Messages received before other work is looked for."""
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


def _checked(endpoint: str) -> str:
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None or int(match["port"] or 1) not in range(1, 65536):
        raise ValueError(
            f"was {endpoint!r}, allowed are tcp://HOST:PORT and ipc:///PATH, such as"
            " tcp://127.0.0.1:7100"
        )
    if match["path"] and len(os.fsencode(match["path"])) > MAX_PATH_LENGTH:
        raise ValueError(
            f"was {endpoint!r}, allowed are {MAX_PATH_LENGTH} bytes in a path: take a shorter one"
        )
    return endpoint


Endpoint = Annotated[
    str,
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "examples": ["tcp://127.0.0.1:7100", "ipc:///run/venue"]}),
]
"""Where a socket listens: ``tcp://HOST:PORT`` or ``ipc:///PATH``."""


def is_local(endpoint: str) -> bool:
    """Tell whether only programs of this machine can reach an endpoint."""
    match = _ENDPOINT.fullmatch(endpoint)
    return match is not None and (bool(match["path"]) or match["host"] in LOCAL_HOSTS)


class Wake:
    """Ends the current or the next wait of a socket; any thread may call `set`."""

    def __init__(self) -> None:
        self._reader, self._writer = operating_system.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def set(self) -> None:
        """End the wait."""
        with suppress(BlockingIOError):  # the pair is full, so the waiter is woken anyway
            self._writer.send(b"\0")

    def wait(self, seconds: float) -> None:
        """Return when set or after `seconds`."""
        select.select([self._reader], [], [], max(0.0, seconds))
        self.clear()

    def clear(self) -> None:
        """Forget all wakes so far."""
        with suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def fileno(self) -> int:
        """Return what a poller waits on."""
        return self._reader.fileno()

    def close(self) -> None:
        """Release both ends."""
        self._reader.close()
        self._writer.close()


class _Socket:
    def __init__(self, kind: int, wake: Wake) -> None:
        self._wake = wake
        try:
            self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
        except zmq.ZMQError as error:
            raise OSError(error.errno, f"no socket: {error.strerror}") from error
        self._socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_FRAME)
        self._socket.setsockopt(zmq.SNDHWM, QUEUED)
        self._socket.setsockopt(zmq.RCVHWM, QUEUED)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(wake.fileno(), zmq.POLLIN)

    def wait(self, seconds: float) -> None:
        """Return when a message has come, when woken, or after `seconds`."""
        self._poller.poll(max(0, int(seconds * 1000)))
        self._wake.clear()

    def close(self, linger: float = 0.0) -> None:
        """Close; messages still queued have `linger` seconds to leave."""
        self._socket.close(linger=int(linger * 1000))

    def _taken(self) -> Iterator[list[bytes]]:
        for _ in range(AT_ONCE):
            try:
                yield self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return

    def _sent(self, parts: list[bytes]) -> bool:
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno in (errno.EAGAIN, errno.EHOSTUNREACH):
                return False
            raise
        return True


class ServerSocket(_Socket):
    """Receives from many peers and answers each; a peer's id is valid for one connection.

    Args:
        endpoint: where to listen.
        wake: ends its waits.

    Raises:
        OSError: another program listens there, or nobody may.
    """

    def __init__(self, endpoint: str, wake: Wake) -> None:
        super().__init__(zmq.ROUTER, wake)
        self._lock: IO[bytes] | None = None
        try:
            self._lock = _locked(endpoint)
            self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
            self._socket.bind(endpoint)
            if self._lock is not None:
                Path(endpoint.removeprefix(IPC)).chmod(0o600)
        except (zmq.ZMQError, OSError) as error:
            self.close()
            raise OSError(
                error.errno, f"cannot listen on {endpoint}: {os.strerror(error.errno or 0)}"
            ) from error

    def receive(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (peer, frame) received; a message of several parts gives an empty frame."""
        for peer, *parts in self._taken():
            yield peer, parts[0] if len(parts) == 1 else b""

    def send(self, peer: bytes, frame: bytes) -> bool:
        """Send, and return whether the peer is connected and has room."""
        return self._sent([peer, frame])

    def close(self, linger: float = 0.0) -> None:
        """See `_Socket.close`; another program may listen here afterwards."""
        super().close(linger)
        if self._lock is not None:
            self._lock.close()


class ClientSocket(_Socket):
    """Talks to one server; connects and reconnects by itself.

    Args:
        endpoint: where the server listens.
        wake: ends its waits.

    Raises:
        OSError: the process has no descriptor left.
    """

    def __init__(self, endpoint: str, wake: Wake) -> None:
        super().__init__(zmq.DEALER, wake)
        self._socket.connect(endpoint)

    def receive(self) -> Iterator[bytes]:
        """Yield the frames received; a message of several parts gives an empty one."""
        for parts in self._taken():
            yield parts[0] if len(parts) == 1 else b""

    def send(self, frame: bytes) -> bool:
        """Queue a frame for the server, and return whether there was room."""
        return self._sent([frame])


def _locked(endpoint: str) -> IO[bytes] | None:
    """Lock an ipc path: ZeroMQ would silently take it from another process."""
    if not endpoint.startswith(IPC):
        return None
    lock = Path(f"{endpoint.removeprefix(IPC)}.lock").open("wb")  # noqa: SIM115 - held for as long as the socket
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from error
    return lock
