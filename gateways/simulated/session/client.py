"""The client of a simulated venue: a gateway and a feed that reach `kaiju venue` over a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeAlias

import msgspec
from pydantic import Field

from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, RequestSnapshot, Trade
from actors.events.reference import Instrument
from actors.events.role import Role
from actors.events.system import (
    ActorRecovered,
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    HaltTrading,
    MessageDiscarded,
    StreamReset,
)
from actors.events.venue import NewOrderSingle, OrderCancelRequest, OrderMassCancelRequest
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import FOREVER
from actors.runtime.envelope import Envelope, Root
from actors.runtime.stream_name import owner_of
from gateways.ages import AgeLimits, LeaveBy, leave_by
from gateways.gateway import Connection as ConnectionNews
from gateways.gateway import Gateway
from gateways.simulated.session.client_session import (
    DatedRequest,
    LogonNeeded,
    MarketDataSession,
    OrderSession,
    RequestUnsent,
)
from gateways.simulated.session.client_socket import Connection
from gateways.simulated.session.emergency import VenueEmergency
from gateways.simulated.session.messages import (
    MAX_NAME_LENGTH,
    LogonAccepted,
    MarketData,
    NumberedReport,
    ReportsHandled,
    SessionRequest,
    mark_of,
)
from gateways.sockets import Endpoint
from gateways.tokens import TokenSettings


def _at_any_time(_order: NewOrderSingle, _root: Root) -> LeaveBy:
    return LeaveBy(FOREVER, "")


ACKNOWLEDGED_EVERY: Final = 16
"""Reports after which the venue is told that it may forget them."""

Cancel: TypeAlias = OrderCancelRequest | OrderMassCancelRequest


class SessionBegan(Event):
    """Requests emitted after this belong to this logon; earlier ones are no longer sent."""

    cancels = True  # leaves where only cancels may: without it no later cancel would be sent

    incarnation: int


class VenueGateway(Gateway):
    """Trade at a simulated venue in another process, in a session that outlives both.

    Nothing emitted before a logon is sent after it: an order that was not sent is rejected, a
    cancel is emitted again, and the venue is asked about what may have arrived.
    """

    class Settings(Gateway.Settings, TokenSettings):
        """Which venue, and in which session."""

        endpoint: Endpoint = "tcp://127.0.0.1:7100"
        """Where `kaiju venue` listens."""
        venue_session: str = Field(default="kaiju", min_length=1, max_length=MAX_NAME_LENGTH)
        """Name of the session; another process that logs on to it takes it over."""

    class State(Gateway.State):
        """The state of the session, besides that of every gateway."""

        incarnation: int = 0
        """Incarnation of the last logon; 0 before the first."""
        handled: int = -1
        """Number of the last report; -1 before the first logon."""
        repeated: int = 0
        """Reports whose number was handled already."""
        unsent: int = 0
        """Requests that never left this process."""
        owed: dict[str, Cancel] = msgspec.field(default_factory=dict)
        """Cancels that were not sent, and will be after the next logon."""
        ledger: str = ""
        """Id of the ledger in which it trades; empty before the first logon."""
        newest: str = ""
        """What the last report said, as `mark_of` gives it."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        **Gateway.outputs,
        "venue": (*Gateway.outputs["venue"], SessionBegan, ReportsHandled, LogonNeeded),
        "discarded": (MessageDiscarded,),
        "halts": (HaltTrading,),
    }
    venue_endpoint = "endpoint"

    settings: Settings
    state: State

    @classmethod
    def emergency(cls, settings: Settings) -> VenueEmergency:
        """Return what takes the session over and cancels all; see `Actor.emergency`."""
        return VenueEmergency(settings.endpoint, settings.venue_session, settings.read_token)

    @classmethod
    def check_settings(
        cls, settings: Any, instruments: Mapping[str, Instrument]
    ) -> Iterable[tuple[tuple[str, ...], str]]:
        """See `Actor.check_settings`: a venue that others can reach needs a token."""
        yield from super().check_settings(settings, instruments)
        yield from settings.token_mistakes(settings.endpoint)

    @handles(ConnectionEstablished, ConnectionLost, ConnectionRestored)
    def on_connection(self, connection: ConnectionNews) -> None:
        """See `Gateway.on_connection`; halt where the venue will not be reached again."""
        super().on_connection(connection)
        if isinstance(connection, ConnectionLost) and connection.final:
            reason = f"no connection to the venue for good: {connection.reason}"
            halt = HaltTrading(reason, owner=self.name, since=self.now)
            self.emit(self.state.halts.begin(halt, self.session))
            self.state.halted = self.state.halts.reason()

    def tells_trades(self) -> bool:
        """See `Gateway.tells_trades`; a venue that has an id of its ledger does."""
        return bool(self.state.ledger)

    @handles(LogonAccepted)
    def on_logon_accepted(self, accepted: LogonAccepted) -> None:
        """Send in the new incarnation from now on, owed cancels first."""
        state = self.state
        state.incarnation, state.ledger = accepted.incarnation, accepted.ledger
        if state.handled < 0:
            state.handled = accepted.after
        self.emit(SessionBegan(accepted.incarnation))
        owed, state.owed = state.owed, {}
        for cancel in owed.values():
            self.emit(cancel)

    @handles(ActorRecovered)
    def on_actor_recovered(self, _recovered: ActorRecovered) -> None:
        """Report the connection as lost: it ended with the previous process."""
        if self._connected():
            self.on_connection(ConnectionLost(self.name, "the gateway's process began again"))

    @handles(NumberedReport)
    def on_numbered_report(self, numbered: NumberedReport) -> None:
        """Handle each report of the session once."""
        state, number = self.state, numbered.number
        if number <= state.handled:
            state.repeated += 1
            return
        if number > state.handled + 1:
            self.emit(LogonNeeded(f"report {state.handled + 1} was not handled"))
        state.handled, state.newest = number, mark_of(numbered.report)
        if number % ACKNOWLEDGED_EVERY == 0:
            self.emit(ReportsHandled(self.settings.venue_session, state.incarnation, number))
        report = numbered.report
        getattr(self, self.handlers[type(report)])(report)

    @handles(RequestUnsent)
    def on_request_unsent(self, unsent: RequestUnsent) -> None:
        """Reject an order that was not sent; emit a cancel again, or keep it for the next logon."""
        state, request = self.state, unsent.body
        state.unsent += 1
        match request:
            case NewOrderSingle():
                reason = unsent.reason or "no session"
                self.emit(self._rejection(request, f"the order was not sent: {reason}"))
            case OrderCancelRequest() | OrderMassCancelRequest():
                if unsent.incarnation < state.incarnation:
                    self.emit(request)
                else:
                    state.owed[_about(request)] = request

    @handles(MessageDiscarded)
    def on_message_discarded(self, discarded: MessageDiscarded) -> None:
        """Report a frame that could not be decoded."""
        self.emit(discarded)

    def ports(self) -> Sequence[SessionPort]:
        """Return the port that keeps the session up and sends requests in it."""
        state, settings = self.state, self.settings
        connection = Connection(
            self.name,
            settings.endpoint,
            OrderSession(
                settings.venue_session, state.handled, self.session, state.ledger, state.newest
            ),
            self.actor_ref.tell,
            known=state.handled >= 0,
            token=settings.read_token(),
        )
        return [
            SessionPort(
                connection,
                settings.venue_session,
                state.incarnation,
                self._leave_by,
                virtual=self.virtual_time,
            )
        ]

    def _leave_by(self, order: NewOrderSingle, root: Root) -> LeaveBy:
        limits = AgeLimits(self.settings.max_order_age, self.settings.max_tick_age)
        loop = self.context.loop
        return leave_by(order, root, limits, lambda stream: loop.has(owner_of(stream)))


class VenueFeed(Actor):
    """Bring the market data of a simulated venue in another process.

    Whenever the connection comes up, it asks for all books again: what was published meanwhile is
    lost, and an old book must not pass for the current one.
    """

    class Settings(TokenSettings):
        """Which venue."""

        endpoint: Endpoint = "tcp://127.0.0.1:7100"
        """Where `kaiju venue` listens."""

    class State(Actor.State):
        """The connection."""

        connection: ConnectionNews | None = None

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "depth": (DepthSnapshot, DepthDiff),
        "quotes": (Quote,),
        "trades": (Trade,),
        "connection": (ConnectionEstablished, ConnectionLost, ConnectionRestored),
        "discarded": (MessageDiscarded,),
        "venue": (RequestSnapshot,),
    }
    venue_endpoint = "endpoint"

    role = Role.FEED

    settings: Settings
    state: State

    @classmethod
    def check_settings(
        cls, settings: Any, instruments: Mapping[str, Instrument]
    ) -> Iterable[tuple[tuple[str, ...], str]]:
        """See `Actor.check_settings`: a venue that others can reach needs a token."""
        yield from super().check_settings(settings, instruments)
        yield from settings.token_mistakes(settings.endpoint)

    def on_start(self) -> None:
        """Ask for all books: after a restart, the connection may be up already."""
        self._request_snapshots()

    @handles(DepthSnapshot, DepthDiff, Quote, Trade)
    def on_market_data(self, event: MarketData) -> None:
        """Pass it on."""
        self.emit(event)

    @handles(RequestSnapshot)
    def on_request_snapshot(self, request: RequestSnapshot) -> None:
        """Ask the venue for a whole book."""
        self.emit(request)

    @handles(StreamReset)
    def on_stream_reset(self, _reset: StreamReset) -> None:
        """Ask for all books: a request for one may have been missed."""
        self._request_snapshots()

    @handles(ConnectionEstablished, ConnectionLost, ConnectionRestored)
    def on_connection(self, news: ConnectionNews) -> None:
        """Pass the news on, and ask for all books once the connection is up."""
        self.state.connection = news
        self.emit(news)
        if not isinstance(news, ConnectionLost):
            self._request_snapshots()

    @handles(ActorRecovered)
    def on_actor_recovered(self, _recovered: ActorRecovered) -> None:
        """Report the connection as lost: it ended with the previous process."""
        if not isinstance(self.state.connection, ConnectionLost | None):
            self.on_connection(ConnectionLost(self.name, "the feed's process began again"))

    @handles(MessageDiscarded)
    def on_message_discarded(self, discarded: MessageDiscarded) -> None:
        """Report a frame that could not be decoded: it may have been of any book."""
        self.emit(discarded)

    def snapshot(self, output: str) -> Iterable[Event]:
        """Return the last news of the connection; books are requested, not kept."""
        connection = self.state.connection
        return (connection,) if output == "connection" and connection else ()

    def ports(self) -> Sequence[VenuePort]:
        """Return the port that keeps the connection up and asks for books."""
        connection = Connection(
            self.name,
            self.settings.endpoint,
            MarketDataSession(),
            self.actor_ref.tell,
            known=self.state.connection is not None,
            token=self.settings.read_token(),
        )
        return [VenuePort(connection, virtual=self.virtual_time)]

    def _request_snapshots(self) -> None:
        for instrument in self.instruments:
            if self.accepts is None or instrument in self.accepts:
                self.emit(RequestSnapshot(instrument))


class VenuePort:
    """Sends what its actor emits to the venue, over a connection that it keeps up.

    Args:
        connection: not open yet.
        virtual: whether the node's time is virtual, which a venue elsewhere cannot follow.
    """

    output = "venue"

    def __init__(self, connection: Connection, *, virtual: bool = False) -> None:
        self._connection = connection
        self._virtual = virtual

    def resume(self) -> None:
        """Connect; nothing emitted before is sent, so nothing is sent twice.

        Raises:
            ValueError: the node's time is virtual.
        """
        if self._virtual:
            raise ValueError(
                "virtual time was asked for, and a venue has real time: run with --live"
            )
        self._connection.open()

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """Hand these events to the connection's thread.

        Raises:
            RuntimeError: the thread has failed.
        """
        self._connection.send(envelope.event for envelope in envelopes)

    def close(self) -> None:
        """Send what is queued, and close the socket."""
        self._connection.close()


class SessionPort(VenuePort):
    """Sends each request of a gateway in the logon after which it was emitted, or never.

    Args:
        connection: not open yet.
        session: its name.
        incarnation: of the last logon known to the gateway.
        leave_by: returns until when the order in an envelope may leave; by default for ever.
        virtual: see `VenuePort`.
    """

    def __init__(
        self,
        connection: Connection,
        session: str,
        incarnation: int,
        leave_by: Callable[[NewOrderSingle, Root], LeaveBy] = _at_any_time,
        *,
        virtual: bool = False,
    ) -> None:
        super().__init__(connection, virtual=virtual)
        self._session = session
        self._incarnation = incarnation
        self._leave_by = leave_by

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """See `VenuePort.perform`."""
        self._connection.send(self._requests(envelopes))

    def _requests(self, envelopes: Sequence[Envelope]) -> Iterable[Event]:
        for envelope in envelopes:
            event: Any = envelope.event
            if isinstance(event, SessionBegan):
                self._incarnation = event.incarnation
            elif isinstance(event, ReportsHandled | LogonNeeded):
                yield event
            else:
                request = SessionRequest(self._session, self._incarnation, 0, event)
                yield self._dated(request, envelope.root)

    def _dated(self, request: SessionRequest, root: Root) -> Event:
        if not isinstance(request.body, NewOrderSingle):
            return request
        moment, reason = self._leave_by(request.body, root)
        return request if moment == FOREVER else DatedRequest(request, moment, reason)


def _about(cancel: Cancel) -> str:
    if isinstance(cancel, OrderCancelRequest):
        return cancel.client_order_id
    return f"all {cancel.instrument}"
