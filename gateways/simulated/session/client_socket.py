"""The client's end of the socket: a thread that keeps one connection to a venue up."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol

from actors.events.event import Event
from actors.events.system import (
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    MessageDiscarded,
)
from actors.runtime.ref import ActorDeadError
from gateways.simulated.session.messages import (
    HEARTBEAT,
    SILENCE,
    ClientAlive,
    Codec,
    FrameError,
    FromVenue,
    NotConnected,
    VenueAlive,
    encode,
)
from gateways.sockets import ClientSocket, Wake

log = logging.getLogger("kaiju")

FIRST_PAUSE: Final = 0.05
MAX_PAUSE: Final = 5.0
"""Seconds between two attempts to connect: each waits twice as long as the one before."""


class ConnectionEndedError(Exception):
    """A connection cannot go on; the text says why.

    Args:
        reason: for people.
        final: whether there is no use in connecting again.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class ClientSession(Protocol):
    """What is said over a connection, apart from keeping it up; used on its thread alone."""

    ready: bool
    """Whether the venue has welcomed us, and told what we had missed."""

    def greeting(self) -> Event:
        """Return what a new connection begins with; nothing said before counts any more."""

    def hear(self, event: Event) -> Event | None:
        """Take an event from the venue, and return what the actor is to be told.

        Raises:
            ConnectionEndedError: the connection is of no more use.
        """

    def say(self, event: Event) -> Event | None:
        """Return what goes to the venue for an event of the actor; None where nothing may."""

    def unsent(self, event: Event) -> Event | None:
        """Return what the actor is to be told of an event that will never be sent."""


class Connection:
    """Connects, keeps the connection alive, and connects again, for as long as it is open.

    A connection brings everything in order or ends. Whatever was to be sent while there was none
    is not sent afterwards.

    Args:
        name: what events about the connection call it.
        endpoint: where the venue listens.
        talk: what is said.
        tell: hands an event to the actor; called on the connection's thread.
        known: whether there was a connection before, in another process.
    """

    def __init__(
        self,
        name: str,
        endpoint: str,
        talk: ClientSession,
        tell: Callable[[Event], None],
        *,
        known: bool,
    ) -> None:
        self.discarded: Counter[str] = Counter()
        """Frames that could not be understood, by reason."""
        self._name = name
        self._endpoint = endpoint
        self._talk = talk
        self._tell = tell
        self._known = known
        self._up = False
        self._last_reason = ""
        self._codec = Codec(FromVenue)
        self._wake = Wake()
        self._outbox: deque[Event] = deque()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def open(self) -> None:
        """Connect, and stay connected from now on."""
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
        """Send what is queued, and release the socket."""
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
            self._give_up()
        except Exception as error:
            self._failure = error  # the next `send` says so, and trading halts
            log.exception("the connection %s to %s failed", self._name, self._endpoint)
            self._lose(f"its thread failed: {error}", final=True)

    def _converse(self) -> None:
        socket = ClientSocket(self._endpoint, self._wake)
        linger = 0.0
        try:
            self._send(socket, self._talk.greeting())
            heard = said = time.monotonic()
            while not self._closing:
                socket.wait(HEARTBEAT)
                now = time.monotonic()
                for frame in socket.receive():
                    heard = now
                    self._hear(frame)
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
                self._pass_on(self._talk.hear(event))
        if self._talk.ready and not self._up:
            back = ConnectionRestored if self._known else ConnectionEstablished
            self._up = self._known = True
            self._last_reason = ""
            self._pass_on(back(self._name))

    def _drain(self, socket: ClientSocket) -> None:
        while self._outbox:
            event = self._outbox[0]
            said = self._talk.say(event)
            if said is not None:
                self._send(socket, said)
            self._outbox.popleft()
            if said is None:
                self._pass_on(self._talk.unsent(event))

    def _send(self, socket: ClientSocket, event: Event) -> None:
        if not socket.send(encode(event)):
            raise ConnectionEndedError("the venue does not take what is sent")

    def _lose(self, reason: str, *, final: bool = False) -> None:
        if self._up or final:
            self._up = False
            self._pass_on(ConnectionLost(self._name, reason))
        if reason != self._last_reason:  # one attempt after the other may fail for the same
            self._last_reason = reason
            stays = " for good" if final else ""
            log.warning(
                "%s is not connected to %s%s: %s", self._name, self._endpoint, stays, reason
            )
        self._give_up()

    def _pause(self, seconds: float | None) -> None:
        """Wait before the next attempt, or (None) for the end; what is to be sent is not."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._closing and (until is None or time.monotonic() < until):
            self._wake.wait(HEARTBEAT if until is None else until - time.monotonic())
            self._give_up()

    def _give_up(self) -> None:
        while self._outbox:
            self._pass_on(self._talk.unsent(self._outbox.popleft()))

    def _pass_on(self, event: Event | None) -> None:
        # Counted as a dead letter: the node is stopping, or the actor has failed.
        if event is not None:
            with suppress(ActorDeadError):
                self._tell(event)
