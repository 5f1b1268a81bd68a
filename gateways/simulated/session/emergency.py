"""Cancels everything in a gateway's session at a simulated venue, without the gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import uuid4

from actors.events.event import Event
from actors.events.venue import (
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
)
from gateways.simulated.session.messages import (
    HEARTBEAT,
    ClientAlive,
    Codec,
    FrameError,
    FromVenue,
    Logon,
    LogonAccepted,
    LogonRefused,
    NumberedReport,
    SessionEnded,
    SessionRequest,
    encode,
)
from gateways.sockets import ClientSocket, Wake
from gateways.tokens import TokenError

LISTINGS: Final = 2
"""Empty lists in a row after which nothing is open: a venue may still have been placing an order
when it made the first one."""
BETWEEN: Final = 0.1
"""Seconds between two of them."""


class VenueEmergency:
    """Takes the session over, which ends it for whoever had it, and cancels what is open.

    What the gateway sent and did not arrive yet is fenced with its session. The reports stay at
    the venue until the gateway comes back and asks for them.

    Args:
        endpoint: where the venue listens.
        session: its name.
        token: returns what the venue asks of its clients.
    """

    def __init__(self, endpoint: str, session: str, token: Callable[[], str] = lambda: "") -> None:
        self._endpoint, self._session, self._token = endpoint, session, token
        self._incarnation = self._seq = 0
        self._codec = Codec(FromVenue)

    def cancel_all(self, seconds: float) -> str:
        """See `EmergencyConnection.cancel_all`."""
        deadline, wake = time.monotonic() + seconds, Wake()
        socket = ClientSocket(self._endpoint, wake)
        try:
            return self._cancel_all(socket, deadline)
        except TimeoutError as error:
            return f"{error} within {seconds:g} s"
        finally:
            socket.close(linger=HEARTBEAT)
            wake.close()

    def _cancel_all(self, socket: ClientSocket, deadline: float) -> str:
        try:
            token = self._token()
        except TokenError as error:
            return str(error)
        logon = Logon(self._session, uuid4().hex, again=False, after=-1, keeps=True, token=token)
        self._say(socket, logon)
        for event in self._heard(socket, deadline, "the venue did not accept the logon"):
            if isinstance(event, LogonRefused):
                return f"the venue refused the logon: {event.reason}"
            if isinstance(event, LogonAccepted):
                self._incarnation = event.incarnation
                break
        empty = count = 0
        while empty < LISTINGS:
            count += 1
            asked = f"emergency-{count}-{uuid4().hex[:8]}"
            self._request(socket, OrderMassCancelRequest())
            self._request(socket, OrderMassStatusRequest(asked))
            listing = self._listing(socket, asked, deadline)
            if isinstance(listing, str):
                return listing
            empty = empty + 1 if not listing.orders else 0
            time.sleep(BETWEEN)
        return ""

    def _listing(self, socket: ClientSocket, asked: str, deadline: float) -> OrderMassStatus | str:
        for event in self._heard(socket, deadline, "the venue did not list nothing as open"):
            match event:
                case SessionEnded():
                    return f"the session was taken over: {event.reason}"
                case NumberedReport(report=OrderMassStatus() as listing):
                    if listing.request_id == asked:
                        return listing
        raise AssertionError("what is heard never ends")

    def _heard(self, socket: ClientSocket, deadline: float, otherwise: str) -> Iterator[Any]:
        """Yield what the venue says, with a sign of life at times.

        Raises:
            TimeoutError: the time is over.
        """
        while True:
            for frame in socket.receive():
                try:
                    yield self._codec.decode(frame)
                except FrameError:
                    continue  # another message will say what this one did
            if time.monotonic() > deadline:
                raise TimeoutError(otherwise)
            socket.wait(min(HEARTBEAT, max(0.0, deadline - time.monotonic())))
            self._say(socket, ClientAlive())

    def _request(self, socket: ClientSocket, body: Any) -> None:
        self._seq += 1
        self._say(socket, SessionRequest(self._session, self._incarnation, self._seq, body))

    def _say(self, socket: ClientSocket, event: Event) -> None:
        if not socket.send(encode(event)):
            raise TimeoutError("the venue did not take messages")
