"""The admin socket of a node: HTTP over a Unix socket that only its owner can reach.

Nothing here blocks: the thread that serves it has more to do. A connection has one request. Who
asks is what the kernel says of the other end, whatever the request says.
"""

from __future__ import annotations

import os
import pwd
import selectors
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

MAX_PATH_LENGTH: Final = 107
"""Bytes of a Unix socket's path."""
PREFIX: Final = "kaiju-"
PLACE: Final = "KAIJU_SOCKETS"
"""Variable with a directory that all nodes of a run see, where that is not so of /run and /tmp."""
ADMIN_FILE: Final = "admin"
"""Holds the path of a running node's socket, in the node's directory."""
MAX_CONNECTIONS: Final = 32
MAX_REQUEST: Final = 64 * 1024
"""Bytes."""
REQUEST_TIME: Final = 5.0
"""Seconds within which a request must be complete, and its answer taken."""
LONGEST_NUMBER: Final = 8
"""Digits of a length: what has more is no request."""
A_MOMENT: Final = 0.025
"""Seconds until a connection is accepted again for which there was no descriptor."""
AT_ONCE: Final = 64 * 1024
PEER: Final = struct.Struct("3i")
"""Process, user and group, as SO_PEERCRED gives them."""
XUCRED: Final = struct.Struct("2I")
"""Version and user, as LOCAL_PEERCRED gives them first."""


class AdminRequest:
    """One request, to be answered once.

    Args:
        who: by the kernel's word.
        method: of HTTP.
        path: of HTTP.
        body: as it came.
    """

    def __init__(self, who: str, method: str, path: str, body: bytes) -> None:
        self.who, self.method, self.path, self.body = who, method, path, body
        self.response = b""
        """What goes back; empty while nobody has answered."""

    def answer(self, status: HTTPStatus, body: bytes) -> None:
        """Send an answer in JSON; the first one counts."""
        if not self.response:
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            self.response = head.encode() + body


class AdminSocket:
    """Listens in a directory of its own, and tells in a file of the node's directory where.

    Args:
        directory: of the node.

    Raises:
        OSError: there is no place for a socket.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / ADMIN_FILE
        self._remove_left_socket()
        self._folder = _make_folder()
        self.path = self._folder / ADMIN_FILE
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, _Connection] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(os.fspath(self.path))
            self._listener.listen()
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._file.write_text(f"{self.path}\n")
        except OSError:
            self.close()
            raise

    def poll(self, seconds: float) -> list[AdminRequest]:
        """Do what can be done without waiting longer than `seconds`; return requests that came."""
        found = list[AdminRequest]()
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listener:
                self._accept()
            elif (connection := self._connections.get(key.fd)) is not None:
                found += connection.receive()
        for number, connection in list(self._connections.items()):
            connection.send()
            if connection.is_over(time.monotonic()):
                self._selector.unregister(connection.socket)
                connection.socket.close()
                del self._connections[number]
        return found

    def close(self) -> None:
        """Stop listening, and leave nothing behind."""
        for connection in self._connections.values():
            connection.send()
            connection.socket.close()
        self._connections.clear()
        self._selector.close()
        self._listener.close()
        self._file.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # no descriptor is left: whoever asks waits, and the loop is watched on
            time.sleep(A_MOMENT)
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            accepted.close()
            return
        accepted.setblocking(False)
        self._connections[accepted.fileno()] = _Connection(accepted)
        self._selector.register(accepted, selectors.EVENT_READ)

    def _remove_left_socket(self) -> None:
        """Remove the socket of a process that was killed."""
        with suppress(OSError):
            folder = Path(self._file.read_text().strip()).parent
            if folder.name.startswith(PREFIX):
                shutil.rmtree(folder, ignore_errors=True)


class _Connection:
    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self._deadline = time.monotonic() + REQUEST_TIME
        self._received = b""
        self._request: AdminRequest | None = None
        self._sent = 0
        self._gone = False

    def receive(self) -> Iterator[AdminRequest]:
        try:
            data = self.socket.recv(AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._gone = True
        elif self._request is None:
            self._received += data
            self._request = self._parse()
            if self._request is not None:
                yield self._request
            elif len(self._received) > MAX_REQUEST:
                self._gone = True

    def send(self) -> None:
        if self._request is None or not self._request.response or self._gone:
            return
        try:
            self._sent += self.socket.send(self._request.response[self._sent :])
        except BlockingIOError:
            return
        except OSError:
            self._gone = True

    def is_over(self, now: float) -> bool:
        if self._request is None:
            return self._gone or now > self._deadline
        response = self._request.response
        if not response:
            self._deadline = now + REQUEST_TIME
            return False  # whoever asked may be gone: it is done all the same
        return self._gone or self._sent == len(response) or now > self._deadline

    def _parse(self) -> AdminRequest | None:
        head, end, body = self._received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        length = headers.get("content-length", "0")
        if not end or not length.isdecimal() or len(length) > LONGEST_NUMBER:
            return None
        if len(body) < int(length):
            return None
        return AdminRequest(_who(self.socket), method, rest.partition(" ")[0], body[: int(length)])


def _who(connection: socket.socket) -> str:
    """Return the name of the user at the other end."""
    if hasattr(socket, "SO_PEERCRED"):
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        _, user, _ = PEER.unpack(peer)
    else:
        _, user = XUCRED.unpack(connection.getsockopt(0, 1, XUCRED.size))  # LOCAL_PEERCRED
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _make_folder() -> Path:
    """Make a directory that only we can enter, with a path that leaves room for a socket's."""
    problem: OSError | None = None
    given = os.environ.get(PLACE)
    usual = (f"/run/user/{os.getuid()}", tempfile.gettempdir(), "/tmp")  # noqa: S108
    for base in usual if given is None else (given,):
        longest = f"{base}/{PREFIX}12345678/{ADMIN_FILE}"
        if len(os.fsencode(longest)) <= MAX_PATH_LENGTH:
            try:
                return Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))  # mode 0700
            except OSError as error:
                problem = error
    raise problem or OSError("no directory has a path that is short enough for a socket")
