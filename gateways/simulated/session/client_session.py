"""The sessions of a gateway and a feed with the venue, apart from keeping the connection up."""

from __future__ import annotations

import time
from uuid import uuid4

from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, RequestSnapshot, Trade
from gateways.simulated.engine.venue_orders import VenueRequest
from gateways.simulated.session.client_socket import ConnectionEndedError
from gateways.simulated.session.messages import (
    Logon,
    LogonAccepted,
    LogonRefused,
    NumberedReport,
    ReportsHandled,
    SessionEnded,
    SessionRequest,
    Subscribe,
    Subscribed,
    mark_of,
)


class RequestUnsent(Event):
    """A request was not sent: the session for which it was meant was over."""

    incarnation: int
    """Incarnation of the logon after which it was emitted; 0 for none."""
    body: VenueRequest
    reason: str = ""
    """Why; empty where there was no session."""


class DatedRequest(Event):
    """A request that may leave until a moment; it is inside of this process alone."""

    wrapped: SessionRequest
    leave_by: int
    """Nanoseconds of the monotonic clock."""
    reason: str
    """Why it is not sent afterwards."""


class LogonNeeded(Event):
    """The gateway lacks a report: log on again, so that the venue repeats it."""

    reason: str


class OrderSession:
    """A gateway's side of its session.

    Args:
        session: its name.
        after: number of the last report that the gateway has; -1 for none.
        journal: id of the journal that has these reports.
        ledger: id of the ledger that the gateway met last; empty for none.
        newest: what the last report said, as `mark_of` gives it; empty for none.
    """

    def __init__(
        self, session: str, after: int, journal: str = "", ledger: str = "", newest: str = ""
    ) -> None:
        self.ready = False
        self._session = session
        self._client = uuid4().hex
        self._again = False
        self._after = after
        self._journal, self._ledger, self._newest = journal, ledger, newest
        self._last_report = 0
        self._incarnation = 0
        self._seq = 0

    def greeting(self) -> Logon:
        """Return the logon; requests of the previous one are no longer sent."""
        self.ready = False
        self._incarnation = 0
        return Logon(
            self._session,
            self._client,
            again=self._again,
            after=self._after,
            journal=self._journal,
            ledger=self._ledger,
            newest=self._newest,
        )

    def hear(self, event: Event) -> Event | None:
        """Take reports in the order of their numbers; a missing one ends the connection."""
        match event:
            case LogonAccepted():
                self._again = True
                self._incarnation, self._seq = event.incarnation, 0
                self._after, self._last_report = event.after, event.last_report
                self._ledger = event.ledger
            case NumberedReport():
                if event.number > self._after + 1:
                    raise ConnectionEndedError(
                        f"report {self._after + 1} is missing, {event.number} came"
                    )
                if event.number > self._after:
                    self._after, self._newest = event.number, mark_of(event.report)
            case LogonRefused():
                raise ConnectionEndedError(event.reason, final=event.final)
            case SessionEnded():
                raise ConnectionEndedError(event.reason)
            case _:
                return None
        self.ready = self._after >= self._last_report
        return event

    def say(self, event: Event) -> Event | None:
        """Return the request with its number; None if it belongs to another logon."""
        match event:
            case SessionRequest() if event.incarnation == self._incarnation:
                self._seq += 1
                return SessionRequest(event.session, event.incarnation, self._seq, event.body)
            case DatedRequest() if time.monotonic_ns() <= event.leave_by:
                return self.say(event.wrapped)
            case ReportsHandled() if event.incarnation == self._incarnation:
                return event
            case LogonNeeded() if self.ready:
                raise ConnectionEndedError(event.reason)
        return None

    def unsent(self, event: Event) -> Event | None:
        """Return that the request was not sent."""
        if isinstance(event, SessionRequest):
            return RequestUnsent(event.incarnation, event.body)
        if isinstance(event, DatedRequest):
            late = time.monotonic_ns() > event.leave_by
            request, reason = event.wrapped, event.reason if late else ""
            return RequestUnsent(request.incarnation, request.body, reason)
        return None


class MarketDataSession:
    """A feed's side of its subscription, which asks for whole books at each connection."""

    def __init__(self) -> None:
        self.ready = False

    def greeting(self) -> Subscribe:
        """Return the subscription."""
        self.ready = False
        return Subscribe()

    def hear(self, event: Event) -> Event | None:
        """Take market data."""
        match event:
            case Subscribed():
                self.ready = True
            case LogonRefused():
                raise ConnectionEndedError(event.reason, final=event.final)
            case DepthSnapshot() | DepthDiff() | Quote() | Trade():
                return event
        return None

    def say(self, event: Event) -> Event | None:
        """Return a request for a whole book, once subscribed."""
        return event if self.ready and isinstance(event, RequestSnapshot) else None

    def unsent(self, event: Event) -> Event | None:  # noqa: ARG002
        """Return None: books are requested again once the connection is up."""
        return None
