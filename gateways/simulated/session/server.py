"""The server of the simulated venue: sessions on one side, the exchange on the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

import msgspec

from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, RequestSnapshot, Trade
from actors.events.order_words import ExecType
from actors.events.reference import Instrument
from actors.events.role import Role
from actors.events.system import MessageDiscarded
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
    OrderStatusRequest,
    TradeCaptureReport,
    TradeCaptureReportRequest,
)
from actors.runtime.actor import Actor, handles
from actors.runtime.envelope import Envelope
from gateways.simulated.engine.venue_orders import VenueReport, VenueRequest
from gateways.simulated.session.messages import (
    Logon,
    LogonAccepted,
    LogonRefused,
    MarketData,
    NumberedReport,
    ReportsHandled,
    SessionEnded,
    SessionRequest,
    mark_of,
)
from gateways.simulated.session.server_socket import (
    LogonRequested,
    ServerSocketThread,
)
from gateways.sockets import Endpoint
from gateways.tokens import TokenSettings

REMEMBERED = 4096
"""Ended orders whose session is remembered, at least."""


class Session(msgspec.Struct):
    """The session of one gateway, which outlives connections and processes."""

    incarnation: int = 0
    """Number of logons so far."""
    client: str = ""
    """Process that holds the session now."""
    connection: bytes = b""
    last_request: int = 0
    """Sequence number of the last request of this incarnation."""
    last_report: int = 0
    reports: list[NumberedReport] = []
    """Reports that the gateway may still ask for, oldest first."""
    journal: str = ""
    """Id of the journal that has the reports of this session."""
    forgotten_mark: str = ""
    """What the newest forgotten report said; empty where it is not known."""

    @property
    def forgotten(self) -> int:
        """Number of the newest report that is no longer kept."""
        return self.last_report - len(self.reports)

    def forget(self, number: int) -> None:
        """Keep only the reports after `number`."""
        gone = number - self.forgotten
        if gone > 0:
            self.forgotten_mark = mark_of(self.reports[gone - 1].report)
            del self.reports[:gone]

    def mark(self, number: int) -> str:
        """Return what the report `number` said, one that is kept or the last forgotten."""
        place = number - self.forgotten - 1
        return self.forgotten_mark if place < 0 else mark_of(self.reports[place].report)


class VenueServer(Actor):
    """Let gateways trade over a socket at the exchange of the same node, each in its own session.

    A request passes once, in order and in the session's newest incarnation, or not at all. Reports
    are numbered, and kept until the gateway has handled them. There is one account: a request for
    all orders covers those of all sessions.
    """

    class Settings(TokenSettings):
        """Where the venue is reached, and by whom."""

        endpoint: Endpoint = "tcp://127.0.0.1:7100"
        """Where it listens; an address that other hosts can reach needs a token."""

    class State(Actor.State):
        """Sessions, and the session of each order."""

        sessions: dict[str, Session] = msgspec.field(default_factory=dict)
        owners: dict[str, str] = msgspec.field(default_factory=dict)
        """Session by client order id, oldest first."""
        working: dict[str, bool] = msgspec.field(default_factory=dict)
        """Client order ids of working orders."""
        askers: list[str] = msgspec.field(default_factory=list)
        """Sessions that wait for open orders or trades, oldest first."""
        unowned: int = 0
        """Reports that belonged to no session."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "requests": (
            NewOrderSingle,
            OrderCancelRequest,
            OrderMassCancelRequest,
            OrderStatusRequest,
            OrderMassStatusRequest,
            TradeCaptureReportRequest,
        ),
        "snapshots": (RequestSnapshot,),
        "wire": (
            LogonAccepted,
            LogonRefused,
            SessionEnded,
            NumberedReport,
            DepthSnapshot,
            DepthDiff,
            Quote,
            Trade,
        ),
        "discarded": (MessageDiscarded,),
    }
    role = Role.GATEWAY
    order_path = True
    orders_are_approved = True

    settings: Settings
    state: State

    @classmethod
    def check_settings(
        cls, settings: Any, instruments: Mapping[str, Instrument]
    ) -> Iterable[tuple[tuple[str, ...], str]]:
        """See `Actor.check_settings`: a venue that others can reach needs a token."""
        yield from super().check_settings(settings, instruments)
        yield from settings.token_mistakes(settings.endpoint)

    @handles(LogonRequested)
    def on_logon_requested(self, requested: LogonRequested) -> None:
        """Give the session to this process alone, and send the reports that it lacks."""
        logon, connection = requested.logon, requested.connection
        session = self.state.sessions.setdefault(logon.session, Session())
        taken = logon.again and session.client != logon.client
        reason = "another process has taken the session over" if taken else ""
        reason = reason or _stranger(session, logon, self.session) or _misfit(session, logon)
        if reason:
            self.emit(LogonRefused(connection, logon.session, reason, final=True))
            return
        if session.incarnation and session.client != logon.client:
            self._end(logon.session, session, "another process logged on")
        session.incarnation += 1
        session.client, session.connection = logon.client, connection
        session.last_request = 0
        after = session.last_report if logon.after < 0 else logon.after
        if logon.keeps:
            after = session.forgotten
        else:
            session.journal = logon.journal
        session.forget(after)
        self.emit(
            LogonAccepted(
                connection,
                logon.session,
                session.incarnation,
                after,
                session.last_report,
                self.session,
            )
        )
        for report in session.reports:
            self.emit(report)

    @handles(SessionRequest)
    def on_session_request(self, wrapped: SessionRequest) -> None:
        """Pass a request on if it is the next of the session's newest incarnation."""
        session = self.state.sessions.get(wrapped.session)
        if session is None or wrapped.incarnation != session.incarnation:
            self._discard(wrapped, "fenced", "the request is of another incarnation")
        elif wrapped.seq <= session.last_request:
            self._discard(wrapped, "repeated", "the request came before")
        elif wrapped.seq > session.last_request + 1:
            reason = f"request {session.last_request + 1} is missing, {wrapped.seq} came"
            self._discard(wrapped, "gap", reason)
            self._end(wrapped.session, session, reason)
        else:
            session.last_request = wrapped.seq
            self._remember(wrapped.session, wrapped.body)
            self.emit(wrapped.body)

    @handles(ReportsHandled)
    def on_reports_handled(self, handled: ReportsHandled) -> None:
        """Forget reports that the gateway will not ask for again."""
        session = self.state.sessions.get(handled.session)
        if session is not None and handled.incarnation == session.incarnation:
            session.forget(min(handled.number, session.last_report))

    @handles(ExecutionReport)
    def on_execution_report(self, report: ExecutionReport) -> None:
        """Send the report to the session of the order."""
        state, order_id = self.state, report.client_order_id
        if report.exec_type is ExecType.NEW:
            state.working[order_id] = True
        elif _ends(report):
            state.working.pop(order_id, None)
        self._report(state.owners.get(order_id, ""), report)

    @handles(OrderMassStatus)
    def on_order_mass_status(self, status: OrderMassStatus) -> None:
        """Send the list to the session that asked, with its own orders; answers come in order."""
        asker = self.state.askers.pop(0)
        orders = tuple(o for o in status.orders if self._is_of(asker, o.client_order_id))
        self._report(asker, msgspec.structs.replace(status, orders=orders))

    @handles(TradeCaptureReport)
    def on_trade_capture_report(self, answer: TradeCaptureReport) -> None:
        """Send its own trades to the session that asked."""
        asker = self.state.askers.pop(0)
        trades = tuple(t for t in answer.trades if self._is_of(asker, t.client_order_id))
        self._report(asker, msgspec.structs.replace(answer, trades=trades))

    @handles(DepthSnapshot, DepthDiff, Quote, Trade)
    def on_market_data(self, event: MarketData) -> None:
        """Publish it."""
        self.emit(event)

    @handles(RequestSnapshot)
    def on_request_snapshot(self, request: RequestSnapshot) -> None:
        """Pass on a request for a whole book."""
        self.emit(request)

    @handles(MessageDiscarded)
    def on_message_discarded(self, discarded: MessageDiscarded) -> None:
        """Report frames that could not be decoded."""
        self.emit(discarded)

    def ports(self) -> Sequence[WirePort]:
        """Return the port that owns the socket."""
        settings, tell = self.settings, self.actor_ref.tell
        return [WirePort(ServerSocketThread(settings.endpoint, tell, settings.read_token()))]

    def _remember(self, name: str, request: VenueRequest) -> None:
        state = self.state
        match request:
            case OrderMassStatusRequest() | TradeCaptureReportRequest():
                state.askers.append(name)
            case NewOrderSingle() | OrderCancelRequest() | OrderStatusRequest():
                state.owners.setdefault(request.client_order_id, name)
        if len(state.owners) - len(state.working) > 2 * REMEMBERED:
            idle = (order_id for order_id in state.owners if order_id not in state.working)
            for order_id in tuple(islice(idle, REMEMBERED)):
                del state.owners[order_id]

    def _is_of(self, name: str, client_order_id: str) -> bool:
        return self.state.owners.get(client_order_id, name) == name

    def _report(self, name: str, report: VenueReport) -> None:
        session = self.state.sessions.get(name)
        if session is None:
            self.state.unowned += 1
            return
        session.last_report += 1
        numbered = NumberedReport(name, session.last_report, report)
        session.reports.append(numbered)
        self.emit(numbered)

    def _end(self, name: str, session: Session, reason: str) -> None:
        self.emit(SessionEnded(session.connection, name, session.incarnation, reason))

    def _discard(self, wrapped: SessionRequest, reason: str, detail: str) -> None:
        self.emit(MessageDiscarded(f"session {wrapped.session}", wrapped.seq, reason, detail))


class WirePort:
    """Sends what the server emits to those connected; it keeps nothing for others.

    Args:
        socket_thread: owns the socket.
    """

    output = "wire"

    def __init__(self, socket_thread: ServerSocketThread) -> None:
        self._socket_thread = socket_thread

    def resume(self) -> None:
        """Listen; a gateway says itself at logon which reports it has.

        Raises:
            OSError: nobody can listen there.
        """
        self._socket_thread.open()

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """Hand these events to the socket's thread.

        Raises:
            RuntimeError: the thread has failed.
        """
        self._socket_thread.send(envelope.event for envelope in envelopes)

    def close(self) -> None:
        """Send what is queued, and close the socket."""
        self._socket_thread.close()


def _stranger(session: Session, logon: Logon, ledger: str) -> str:
    """Return why a gateway's past belongs elsewhere; empty if it is of this ledger and session."""
    if logon.ledger and logon.ledger != ledger:
        return f"the gateway has traded in the ledger {logon.ledger}, this one is {ledger}"
    if logon.after >= 0 and session.journal not in ("", logon.journal):
        return (
            f"the session goes on in the journal {session.journal}, and this gateway's is"
            f" {logon.journal or 'not named'}"
        )
    return ""


def _misfit(session: Session, logon: Logon) -> str:
    """Return why the reports that a gateway has are not those of its session; empty if they are."""
    if logon.after < 0:
        return ""
    if logon.after > session.last_report:
        return (
            f"the gateway has report {logon.after} and this ledger ends at {session.last_report}:"
            " it is another venue's, or an older copy"
        )
    if logon.after < session.forgotten:
        return (
            f"the gateway wants the reports after {logon.after} and said before that it had"
            f" {session.forgotten}: its own journal is an older copy"
        )
    mark = session.mark(logon.after)
    if mark and logon.newest and mark != logon.newest:
        return (
            f"report {logon.after} was {logon.newest!r} to the gateway and is {mark!r} here:"
            " the ledger or the gateway's journal is an older copy that went on"
        )
    return ""


def _ends(report: ExecutionReport) -> bool:
    filled = report.exec_type is ExecType.TRADE and not report.leaves_qty
    return filled or report.exec_type in (ExecType.CANCELED, ExecType.EXPIRED)
