"""The sockets of one node's links, all on the loop's thread, which also waits on them.

A node publishes live streams on an XPUB socket and answers requests for missed events on a ROUTER;
for every node that it reads it has a SUB and a DEALER. Sequence numbers reveal what ZeroMQ loses.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import zmq
from zmq.utils import z85

from actors.events.durations import MILLISECOND
from gateways.sockets import IPC, Wake
from topology.config.keys import NodeKeys
from topology.links.frame import LARGEST_FRAME, topic_of
from topology.links.zap import ZapAuthenticator

log = logging.getLogger("kaiju")

ZAP = "inproc://zeromq.zap.01"
"""Address at which ZeroMQ asks whether a peer may connect."""
QUEUED_FRAMES = 1_000
"""Live frames queued for a reader that does not receive them: at most 64 MB."""
QUEUED_MESSAGES = 1_000
MAX_LOGGED = 100
"""Refusals that are logged; all are counted."""
AT_ONCE = 64
"""Messages received from one socket before others are looked at."""
RECONNECT_MS, MAX_RECONNECT_MS = 100, 2_000
SILENCE_S = 3
"""Seconds after which a reader on another host that answers nothing is given up by the kernel, and
its queue with it. ZeroMQ's own heartbeats are for neither side: libzmq 4.3.5 aborts the process
(``!_io_error``) that has one to send or to answer on a connection that was lost while its receive
queue was full. Readers send `Ping` instead."""
GIVING_UP = {
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 1,
    zmq.TCP_KEEPALIVE_INTVL: 1,
    zmq.TCP_KEEPALIVE_CNT: SILENCE_S - 1,
    zmq.TCP_MAXRT: SILENCE_S * 1000,
}
UNASKED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
"""Handshakes that fail before a key is checked."""
HANDSHAKE_MS = 5_000
"""Time in which whoever connects must have shaken hands: until then it holds a descriptor."""
LINGER_MS = 500
"""Time for queued messages to leave when a node ends."""


def make_pair() -> tuple[bytes, bytes]:
    """Return a new (public, secret) pair of keys in Z85."""
    public, secret = zmq.curve_keypair()
    return public, secret


class SocketRecord(NamedTuple):
    """Counts of what the sockets refused or lost."""

    refused_keys: int
    refused_handshakes: int
    """Handshakes that failed: no CURVE, wrong server key, or peer closed early."""
    refused_subscriptions: int
    unsent: int
    """Messages not sent: a full queue, or no peer. ZeroMQ does not report the live frames that it
    drops; the reader counts them as a gap."""
    malformed: int


class LinkClient:
    """Sockets that read other nodes and do not listen; `wait` and `wake` are those of a `Poller`.

    Args:
        keys: of the nodes; None only if nothing leaves the host.
    """

    def __init__(self, keys: NodeKeys | None = None) -> None:
        self._keys = keys
        self._context = zmq.Context()
        self._wake = Wake()
        self._poller = zmq.Poller()
        self._poller.register(self._wake.fileno(), zmq.POLLIN)
        self._found: dict[object, int] = {}
        """Sockets that had messages when last polled, and were not read yet."""
        self._ready: dict[object, int] = {}
        self._unsent = self._malformed = 0
        self._subscribers: dict[str, zmq.Socket[bytes]] = {}
        self._dealers: dict[str, zmq.Socket[bytes]] = {}

    def wait(self, deadline: int | None) -> None:
        """See `Poller.wait`."""
        # The last part of a millisecond is polled for, because timers are that exact.
        left = None if deadline is None else max(0, deadline - time.monotonic_ns()) // MILLISECOND
        self._found = dict(self._poller.poll(left))
        if self._found.pop(self._wake.fileno(), 0):
            self._wake.clear()

    def wake(self) -> None:
        """See `Poller.wake`."""
        self._wake.set()

    def connect(
        self, node: str, live: str, recovery: str, streams: Iterable[str], key: bytes | None
    ) -> None:
        """Connect to another node, with new sockets if there were any.

        Args:
            node: its name.
            live: address of its live streams.
            recovery: address for requests.
            streams: to subscribe to.
            key: its public key; None if nothing leaves the host.

        Raises:
            OSError: the process has no descriptor left; there is no connection now.
        """
        self._disconnect(node)
        try:
            subscriber = self._subscribers[node] = self._socket(zmq.SUB)
            dealer = self._dealers[node] = self._socket(zmq.DEALER)
        except zmq.ZMQError as error:
            self._disconnect(node)
            raise OSError(error.errno, f"no socket: {error.strerror}") from error
        for stream in streams:
            subscriber.setsockopt(zmq.SUBSCRIBE, topic_of(stream))
        for socket, endpoint in ((subscriber, live), (dealer, recovery)):
            socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, MAX_RECONNECT_MS)
            if not endpoint.startswith(IPC):
                if self._keys is None or key is None:
                    raise ValueError(f"node {node}: {endpoint} needs its public key")
                socket.curve_serverkey = key
                socket.curve_publickey, socket.curve_secretkey = self._keys.own, self._keys.secret
            socket.connect(endpoint)
            self._poller.register(socket, zmq.POLLIN)

    def send(self, node: str, data: bytes) -> bool:
        """Send a request to a node, and return whether there was room."""
        dealer = self._dealers.get(node)
        return dealer is not None and self._sent(dealer, [data])

    def frames(self) -> Iterator[tuple[str, bytes]]:
        """Yield (node, live frame) received, a batch at a time, as found by `ready`."""
        yield from self._received(self._subscribers)

    def answers(self) -> Iterator[tuple[str, bytes]]:
        """Yield (node, answer) received, a batch at a time, as found by `ready`."""
        yield from self._received(self._dealers)

    def ready(self) -> bool:
        """Poll all sockets, and return whether there is anything to receive."""
        self._ready, self._found = self._found or dict(self._poller.poll(0)), {}
        return bool(self._ready)

    def close(self) -> None:
        """Close everything, after a moment for queued messages; may be called twice."""
        self._context.destroy(linger=LINGER_MS)
        self._wake.close()

    def _received(self, sockets: Mapping[str, zmq.Socket[bytes]]) -> Iterator[tuple[str, bytes]]:
        for node, socket in list(sockets.items()):
            for parts in self._messages(socket):
                if len(parts) == 1:
                    yield node, parts[0]
                else:
                    self._malformed += 1

    def _messages(self, socket: zmq.Socket[bytes], *, copy: bool = True) -> Iterator[list[Any]]:
        """Yield at most `AT_ONCE` messages: their bytes or, without `copy`, `zmq.Frame` objects."""
        if socket not in self._ready:
            return
        for _ in range(AT_ONCE):
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK, copy=copy)
            except zmq.Again:
                return
            yield parts
            # Asking is cheaper than a failed read, and the message may have closed the socket.
            if socket.closed or not int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                return

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_FRAME)
        socket.setsockopt(zmq.LINGER, 0)
        room = QUEUED_FRAMES if kind in (zmq.XPUB, zmq.SUB) else QUEUED_MESSAGES
        socket.setsockopt(zmq.SNDHWM, room)
        socket.setsockopt(zmq.RCVHWM, room)
        return socket

    def _disconnect(self, node: str) -> None:
        for sockets in (self._subscribers, self._dealers):
            if (socket := sockets.pop(node, None)) is not None:
                if socket in self._poller:
                    self._poller.unregister(socket)
                socket.close(linger=0)

    def _sent(self, socket: zmq.Socket[bytes], parts: list[bytes]) -> bool:
        try:
            socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno in (errno.EAGAIN, errno.EHOSTUNREACH):
                self._unsent += 1
                return False
            raise
        return True


class LinkSockets(LinkClient):
    """All sockets of a node, which reads others and is read itself.

    Args:
        live: address of live streams: ``tcp://HOST:PORT`` or ``ipc:///PATH``.
        recovery: address for requests.
        topics: nodes that may read, by stream.
        keys: of the nodes; None only if nothing leaves the host.

    Raises:
        OSError: another program listens there, or others may enter the directory of a path.
        ValueError: an address is reachable from other hosts, and there are no keys.
    """

    def __init__(
        self,
        live: str,
        recovery: str,
        *,
        topics: Mapping[str, frozenset[str]],
        keys: NodeKeys | None = None,
    ) -> None:
        for endpoint in (live, recovery):
            if keys is None and not endpoint.startswith(IPC):
                raise ValueError(f"{endpoint}: links over TCP need keys")
        super().__init__(keys)
        self._readers = {topic_of(stream): nodes for stream, nodes in topics.items()}
        self._needs_proof = keys is not None
        """Whether every peer must have proved its name with a key."""
        self._refused_subscriptions = self._refused_handshakes = 0
        self._monitors: list[zmq.Socket[bytes]] = []
        self._locks: list[IO[bytes]] = []
        self._authenticator: ZapAuthenticator | None = None
        if keys is not None:
            self._authenticator = ZapAuthenticator(
                {z85.decode(k): node for node, k in keys.public.items()}
            )
            self._zap = self._socket(zmq.REP)
            self._zap.bind(ZAP)
            self._poller.register(self._zap, zmq.POLLIN)
        try:
            self._live = self._listening(zmq.XPUB, live)
            self._recovery = self._listening(zmq.ROUTER, recovery)
        except BaseException:
            self.close()
            raise

    def publish(self, frame: bytes) -> None:
        """Send a live frame to all subscribers; one that is too slow misses it, and asks later."""
        self._sent(self._live, [frame])

    def answer(self, peer: bytes, data: bytes) -> bool:
        """Send to one reader, and return whether it is connected and has room."""
        return self._sent(self._recovery, [peer, data])

    def requests(self) -> Iterator[tuple[bytes, str | None, bytes]]:
        """Yield (peer, node that its key proves, request) received, as found by `ready`."""
        self._answer_zap()
        self._count_failures()
        self._subscribe()
        for peer, *parts in self._messages(self._recovery, copy=False):
            user = _user(parts[0]) if len(parts) == 1 else None
            if len(parts) == 1 and self._authenticated(user):
                yield peer.bytes, user, parts[0].bytes
            else:
                self._malformed += 1

    def statistics(self) -> SocketRecord:
        """Return the counts so far."""
        refused = 0 if self._authenticator is None else self._authenticator.refused
        return SocketRecord(
            refused,
            self._refused_handshakes,
            self._refused_subscriptions,
            self._unsent,
            self._malformed,
        )

    def close(self) -> None:
        """See `LinkClient.close`; another program may listen here afterwards."""
        super().close()
        for lock in self._locks:
            lock.close()
        self._locks.clear()

    def _answer_zap(self) -> None:
        """Answer peers that want to connect."""
        if self._authenticator is not None:
            for asked in self._messages(self._zap):
                self._zap.send_multipart(self._authenticator.answer(asked))

    def _count_failures(self) -> None:
        for monitor in self._monitors:
            self._refused_handshakes += sum(1 for _ in self._messages(monitor))

    def _subscribe(self) -> None:
        """Answer peers that want to subscribe."""
        for message, *_ in self._messages(self._live, copy=False):
            data, user = message.bytes, _user(message)
            topic = data[1:]
            if data[:1] == b"\1" and self._may(user, topic):
                self._live.setsockopt(zmq.SUBSCRIBE, topic)
            elif data[:1] == b"\1":
                self._refused_subscriptions += 1
                if self._refused_subscriptions <= MAX_LOGGED:
                    log.warning("node %s may not read %r: refused", user or "unknown", topic[:80])
            elif data[:1] != b"\0":
                self._malformed += 1
            elif topic in self._readers:
                self._live.setsockopt(zmq.UNSUBSCRIBE, topic)

    def _may(self, user: str | None, topic: bytes) -> bool:
        """Tell whether a node may subscribe to a topic: exactly one stream that it may read."""
        given = self._readers.get(topic)
        return given is not None and self._authenticated(user) and (user is None or user in given)

    def _authenticated(self, user: str | None) -> bool:
        """Tell whether a peer may send requests: over TCP, only with a proved name."""
        return user is not None or not self._needs_proof

    def _listening(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._socket(kind)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        for option, value in GIVING_UP.items():
            socket.setsockopt(option, value)
        if kind == zmq.XPUB:
            socket.setsockopt(zmq.XPUB_MANUAL, 1)
        else:
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        if not endpoint.startswith(IPC):
            assert self._keys is not None
            socket.curve_server = True
            socket.curve_secretkey = self._keys.secret
            socket.curve_publickey = self._keys.own
            socket.setsockopt(zmq.ZAP_DOMAIN, b"kaiju")
            socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
            self._monitors.append(self._monitor(socket, kind))
        try:
            if endpoint.startswith(IPC):
                self._locks.append(_locked(Path(endpoint.removeprefix(IPC))))
            socket.bind(endpoint)
        except (zmq.ZMQError, OSError) as error:
            reason = error.strerror or os.strerror(error.errno or 0)
            raise OSError(error.errno, f"cannot listen on {endpoint}: {reason}") from error
        self._poller.register(socket, zmq.POLLIN)
        return socket

    def _monitor(self, socket: zmq.Socket[bytes], kind: int) -> zmq.Socket[bytes]:
        """Return a socket that reports the handshakes that ZeroMQ refuses by itself."""
        place = f"inproc://failed-{kind}"
        socket.monitor(place, UNASKED)
        monitor: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        monitor.setsockopt(zmq.RCVHWM, 0)  # a full queue would block ZeroMQ's own thread
        monitor.connect(place)
        self._poller.register(monitor, zmq.POLLIN)
        return monitor


def _user(message: zmq.Frame) -> str | None:
    """Return the node that the sender's key proves; None without a key."""
    with suppress(zmq.ZMQError):
        return str(message.get("User-Id")) or None
    return None


def _locked(path: Path) -> IO[bytes]:
    """Lock a path: ZeroMQ would silently take it from another process."""
    mode = path.parent.stat()
    if mode.st_uid != os.getuid() or stat.S_IMODE(mode.st_mode) & 0o077:
        raise PermissionError(
            errno.EPERM,
            f"{path.parent} must be yours alone (mode 0700): whoever may enter it can read",
        )
    lock = path.with_name(f"{path.name}.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from error
    return lock
