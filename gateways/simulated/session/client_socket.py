"""The client's end of the socket: a thread that keeps one connection to a venue up."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol

from msgspec.structs import replace

from actors.events.event import Event
from actors.events.system import (
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    MessageDiscarded,
)
from actors.runtime.ref import ActorDeadError
from gateways.simulated.session.messages import (
    BEFORE,
    HEARTBEAT,
    SILENCE,
    VERSION,
    ClientAlive,
    Codec,
    FrameError,
    FromVenue,
    Logon,
    NotConnected,
    Subscribe,
    VenueAlive,
    encode,
    encode_before,
)
from gateways.sockets import ClientSocket, Wake

log = logging.getLogger("kaiju")

FIRST_PAUSE: Final = 0.05
MAX_PAUSE: Final = 5.0
"""Seconds between attempts to connect; each pause is twice the previous one."""


class ConnectionEndedError(Exception):
    """The connection has to end; the text says why.

    Args:
        reason: why, for people.
        final: whether connecting again is pointless.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class ClientSession(Protocol):
    """What is sent and received over a connection; used on the connection's thread only."""

    ready: bool
    """Whether the venue has accepted us and sent everything we had missed."""

    def greeting(self) -> Logon | Subscribe:
        """Return the first message of a new connection, which replaces any earlier state."""

    def hear(self, event: Event) -> Event | None:
        """Take an event from the venue, and return what to tell the actor.

        Raises:
            ConnectionEndedError: the connection cannot be used any more.
        """

    def say(self, event: Event) -> Event | None:
        """Return what to send to the venue for an event of the actor; None for nothing."""

    def unsent(self, event: Event) -> Event | None:
        """Return what to tell the actor about an event that will never be sent."""


class Connection:
    """Keeps one connection to a venue up, and connects again whenever it is lost.

    A connection delivers everything in order or ends. What could not be sent while there was none
    is not sent later.

    Args:
        name: of the connection in the events about it.
        endpoint: where the venue listens.
        session: what is sent and received.
        tell: hands an event to the actor; called on the connection's thread.
        known: whether there was a connection before, in another process.
        token: what the venue asks of its clients; empty for nothing.
    """

    def __init__(
        self,
        name: str,
        endpoint: str,
        session: ClientSession,
        tell: Callable[[Event], None],
        *,
        known: bool,
        token: str = "",
    ) -> None:
        self.discarded: Counter[str] = Counter()
        """Number of frames that could not be decoded, by reason."""
        self._name = name
        self._endpoint = endpoint
        self._session = session
        self._tell = tell
        self._known = known
        self._token = token
        self._up = False
        self._last_reason = ""
        self._codec = Codec(FromVenue)
        self._wake = Wake()
        self._outbox: deque[Event] = deque()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def open(self) -> None:
        """Start the thread that connects and stays connected."""
        self._thread = threading.Thread(
            target=self._run, name=f"{self._name} {self._endpoint}", daemon=True
        )
        self._thread.start()

    def send(self, events: Iterable[Event]) -> None:
        """Queue events of the actor; callable from any thread.

        Raises:
            RuntimeError: the connection's thread has failed.
        """
        if self._failure is not None:
            raise RuntimeError(f"the connection to {self._endpoint} failed: {self._failure}")
        self._outbox.extend(events)
        self._wake.set()

    def close(self) -> None:
        """Send what is queued, and close the socket."""
        if self._thread is not None:
            self._closing = True
            self._wake.set()
            self._thread.join()
        self._wake.close()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        try:
            while not self._closing:
                began = time.monotonic()
                try:
                    self._converse()
                except ConnectionEndedError as end:
                    self._lose(str(end), final=end.final)
                    lasted = time.monotonic() - began > 2 * SILENCE
                    pause = FIRST_PAUSE if lasted else min(2 * pause, MAX_PAUSE)
                    self._pause(None if end.final else pause)
                except OSError as error:
                    # What is lacking now, such as descriptors, may be there in a moment.
                    self._lose(error.strerror or str(error))
                    pause = min(2 * pause, MAX_PAUSE)
                    self._pause(pause)
            self._give_up()
        except Exception as error:
            self._failure = error  # the next `send` raises it, and trading halts
            log.exception("the connection %s to %s failed", self._name, self._endpoint)
            self._lose(f"its thread failed: {error}", final=True)

    def _converse(self) -> None:
        socket = ClientSocket(self._endpoint, self._wake)
        linger = 0.0
        try:
            self._send(socket, replace(self._session.greeting(), token=self._token))
            heard = said = began = time.monotonic()
            asked = False
            while not self._closing:
                socket.wait(HEARTBEAT)
                now = time.monotonic()
                for frame in socket.receive():
                    heard = now
                    self._hear(frame)
                if heard == began and not asked and now - began > SILENCE / 2:
                    asked = socket.send(encode_before(ClientAlive()))  # it would not hear ours
                self._drain(socket)
                if now - heard > SILENCE:
                    raise ConnectionEndedError(f"the venue was silent for {SILENCE:g} s")
                if now - said >= HEARTBEAT:
                    said = now
                    self._send(socket, ClientAlive())
            self._drain(socket)
            linger = HEARTBEAT
        finally:
            socket.close(linger)

    def _hear(self, frame: bytes) -> None:
        try:
            event = self._codec.decode(frame)
        except FrameError as error:
            if frame[:1] == bytes((BEFORE,)):
                text = f"the venue speaks version {BEFORE} of the wire, this client {VERSION}"
                raise ConnectionEndedError(text) from error
            self.discarded[error.reason] += 1
            count = self.discarded[error.reason]
            self._pass_on(MessageDiscarded(self._endpoint, count, error.reason, str(error)))
            return
        match event:
            case VenueAlive():
                pass
            case NotConnected():
                raise ConnectionEndedError("the venue does not know this connection")
            case _:
                self._pass_on(self._session.hear(event))
        if self._session.ready and not self._up:
            back = ConnectionRestored if self._known else ConnectionEstablished
            self._up = self._known = True
            self._last_reason = ""
            self._pass_on(back(self._name))

    def _drain(self, socket: ClientSocket) -> None:
        while self._outbox:
            event = self._outbox[0]
            said = self._session.say(event)
            if said is not None:
                self._send(socket, said)
            self._outbox.popleft()
            if said is None:
                self._pass_on(self._session.unsent(event))

    def _send(self, socket: ClientSocket, event: Event) -> None:
        if not socket.send(encode(event)):
            raise ConnectionEndedError("the venue does not take messages")

    def _lose(self, reason: str, *, final: bool = False) -> None:
        if self._up or final:
            self._up = False
            self._pass_on(ConnectionLost(self._name, reason, final))
        if reason != self._last_reason:  # attempt after attempt may fail for the same reason
            self._last_reason = reason
            stays = " for good" if final else ""
            log.warning(
                "%s is not connected to %s%s: %s", self._name, self._endpoint, stays, reason
            )
        self._give_up()

    def _pause(self, seconds: float | None) -> None:
        """Wait before the next attempt, for ever if None; meanwhile nothing is sent."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._closing and (until is None or time.monotonic() < until):
            self._wake.wait(HEARTBEAT if until is None else until - time.monotonic())
            self._give_up()

    def _give_up(self) -> None:
        while self._outbox:
            self._pass_on(self._session.unsent(self._outbox.popleft()))

    def _pass_on(self, event: Event | None) -> None:
        # Counted as a dead letter: the node is stopping, or the actor has failed.
        if event is not None:
            with suppress(ActorDeadError):
                self._tell(event)
