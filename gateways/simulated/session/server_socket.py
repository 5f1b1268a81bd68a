"""The venue's end of the socket: a thread that knows connections and nothing of orders."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from actors.events.event import Event
from actors.events.market import RequestSnapshot
from actors.events.system import MessageDiscarded
from actors.runtime.ref import ActorDeadError
from gateways.simulated.session.messages import (
    HEARTBEAT,
    SILENCE,
    ClientAlive,
    Codec,
    FrameError,
    Logon,
    LogonAccepted,
    LogonRefused,
    NotConnected,
    NumberedReport,
    ReportsHandled,
    SessionEnded,
    SessionRequest,
    Subscribe,
    Subscribed,
    ToVenue,
    VenueAlive,
    encode,
    refusal_of_before,
)
from gateways.sockets import ServerSocket, Wake
from gateways.tokens import is_token

log = logging.getLogger("kaiju")


class LogonRequested(Event):
    """A logon arrived; its answer goes to `connection`."""

    connection: bytes
    logon: Logon


class ConnectedClient(msgspec.Struct):
    """A connected gateway or feed."""

    heard: float
    """When it was last heard, on the monotonic clock."""
    subscribed: bool = False
    """Whether it receives market data."""


class ServerSocketThread:
    """Owns the venue's socket: decodes what arrives, and sends each event to its receivers.

    A client that is silent, or does not take its messages, is dropped, and told so when it is heard
    again. So a connection either delivers everything in order or ends.

    Args:
        endpoint: where to listen.
        tell: hands an event to the venue's server actor; called on the socket's thread.
        token: what every client must have; empty where everybody may trade who can connect.
    """

    def __init__(self, endpoint: str, tell: Callable[[Event], None], token: str = "") -> None:
        self.endpoint = endpoint
        self._token = token
        self.discarded: Counter[str] = Counter()
        """Number of frames that were discarded, by reason."""
        self._tell = tell
        self._codec = Codec(ToVenue)
        self._wake = Wake()
        self._outbox: deque[Event] = deque()
        self._peers: dict[bytes, ConnectedClient] = {}
        self._routes: dict[str, bytes] = {}
        """Connection by session."""
        self._unreported: dict[str, str] = {}
        """Detail of the first discarded frame that was not reported yet, by reason."""
        self._next_beat = 0.0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def open(self) -> None:
        """Bind the socket, and start the thread that serves it.

        Raises:
            OSError: nobody can listen there.
        """
        # Bound here so that the caller sees a failure; from then on only the thread uses it.
        socket = ServerSocket(self.endpoint, self._wake)
        self._thread = threading.Thread(
            target=self._run, args=(socket,), name=f"venue {self.endpoint}", daemon=True
        )
        self._thread.start()

    def send(self, events: Iterable[Event]) -> None:
        """Queue events for their receivers; callable from any thread.

        Raises:
            RuntimeError: the socket's thread has failed.
        """
        if self._failure is not None:
            raise RuntimeError(f"the socket {self.endpoint} failed: {self._failure}")
        self._outbox.extend(events)
        self._wake.set()

    def close(self) -> None:
        """Send what is queued, and close the socket."""
        if self._thread is not None:
            self._closing = True
            self._wake.set()
            self._thread.join()
        self._wake.close()

    def _run(self, socket: ServerSocket) -> None:
        try:
            while not self._closing:
                socket.wait(HEARTBEAT)
                self._turn(socket, time.monotonic())
            self._drain(socket)
        except Exception as error:
            self._failure = error  # the next `send` raises it, and trading halts
            log.exception("the socket %s failed", self.endpoint)
        finally:
            socket.close(linger=HEARTBEAT)

    def _turn(self, socket: ServerSocket, now: float) -> None:
        for peer, frame in socket.receive():
            try:
                event = self._codec.decode(frame)
            except FrameError as error:
                self._discard(error.reason, str(error))
                if (refusal := refusal_of_before(frame)) is not None:
                    socket.send(peer, refusal)
            else:
                self._hear(socket, peer, event, now)
        self._drain(socket)
        if now >= self._next_beat:
            self._next_beat = now + HEARTBEAT
            self._beat(socket, now)

    def _discard(self, reason: str, detail: str) -> None:
        self.discarded[reason] += 1
        self._unreported.setdefault(reason, detail)

    def _hear(self, socket: ServerSocket, peer: bytes, event: ToVenue, now: float) -> None:
        known = self._peers.get(peer)
        if isinstance(event, Logon | Subscribe) and not is_token(event.token, self._token):
            self._refuse(socket, peer, event)
            return
        match event:
            case Logon():
                self._peers[peer] = ConnectedClient(now)
                # The server actor's journal is no place for a secret.
                self._pass_on(LogonRequested(peer, replace(event, token="")))
                return
            case Subscribe():
                self._peers[peer] = ConnectedClient(now, subscribed=True)
                self._send(socket, peer, encode(Subscribed()))
                return
        if known is None:
            if not isinstance(event, ClientAlive):
                self._discard("unconnected", f"a {type(event).__name__} of an unknown connection")
            socket.send(peer, encode(NotConnected()))
            return
        known.heard = now
        match event:
            case SessionRequest() | ReportsHandled() | RequestSnapshot():
                self._pass_on(event)
            case ClientAlive():
                pass

    def _refuse(self, socket: ServerSocket, peer: bytes, event: Logon | Subscribe) -> None:
        kind = type(event).__name__
        self._discard("unauthorized", f"a {kind} without the token of this venue")
        reason = "the token is not this venue's" if event.token else "this venue asks for a token"
        session = event.session if isinstance(event, Logon) else ""
        socket.send(peer, encode(LogonRefused(peer, session, reason, final=True)))

    def _drain(self, socket: ServerSocket) -> None:
        while self._outbox:
            event = self._outbox.popleft()
            match event:
                case LogonAccepted() | LogonRefused():
                    if isinstance(event, LogonAccepted):
                        self._routes[event.session] = event.connection
                    self._send(socket, event.connection, encode(event))
                case SessionEnded():
                    self._send(socket, event.connection, encode(event))
                    self._peers.pop(event.connection, None)
                case NumberedReport():
                    peer = self._routes.get(event.session, b"")
                    self._send(socket, peer, encode(event))
                case _:
                    self._publish(socket, event)

    def _publish(self, socket: ServerSocket, event: Event) -> None:
        subscribers = [name for name, peer in self._peers.items() if peer.subscribed]
        if subscribers:
            frame = encode(event)
            for peer in subscribers:
                self._send(socket, peer, frame)

    def _send(self, socket: ServerSocket, peer: bytes, frame: bytes) -> None:
        if peer in self._peers and not socket.send(peer, frame):
            del self._peers[peer]  # it missed a message, so nothing may follow

    def _beat(self, socket: ServerSocket, now: float) -> None:
        for peer in [p for p, known in self._peers.items() if now - known.heard > SILENCE]:
            del self._peers[peer]
        frame = encode(VenueAlive())
        for peer in list(self._peers):
            self._send(socket, peer, frame)
        # At most one event per reason: a flood of garbage must not become a flood of inputs.
        for reason, detail in self._unreported.items():
            count = self.discarded[reason]
            log.warning(
                "%s: frames discarded so far, %s: %d: %s", self.endpoint, reason, count, detail
            )
            self._pass_on(MessageDiscarded(self.endpoint, count, reason, detail))
        self._unreported.clear()

    def _pass_on(self, event: Event) -> None:
        # Counted as a dead letter: the node is stopping, or the server actor has failed.
        with suppress(ActorDeadError):
            self._tell(event)
