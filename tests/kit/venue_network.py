"""Order management and gateway before a pure venue, with a line between them that breaks.

Requests go out in order, and the venue drops those of an older session. Reports come back in order
and are kept: what a session lost, the next one brings again.
"""

from __future__ import annotations

from collections import deque

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import ExecType, OrdStatus
from actors.events.orders import (
    CancelAllVerified,
    OrderApproved,
    OrderPendingCancel,
    OrderSubmitted,
    OrderUnknown,
    ReconciliationCompleted,
)
from actors.events.system import (
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    HaltTrading,
)
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
    OrderStatusRequest,
)
from actors.model.order_table import OrderTable
from actors.order_management import OrderManagement
from actors.testing import SECOND, ActorTest
from gateways.gateway import Gateway
from gateways.simulated.engine.matching_venue import BackgroundOrder, Venue
from gateways.simulated.engine.venue_orders import Listing, VenueReport, VenueRequest
from tests.kit.builders import BTCUSDT, buy, cancel

NAME = BTCUSDT.instrument
PX = 100
QTY = 5
TO_GATEWAY = (OrderSubmitted, OrderPendingCancel, OrderUnknown, ReconciliationCompleted)
TO_VENUE = (
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderStatusRequest,
    OrderMassStatusRequest,
)


class Line:
    """The two actors, the venue and what is on its way between them."""

    def __init__(self) -> None:
        self.oms = ActorTest(OrderManagement, name="oms")
        self.gateway = ActorTest(Gateway, name="gateway")
        self.venue = Venue()
        self.venue.desk.prefix = "x"
        self.venue.list_instrument(Listing(BTCUSDT))
        self.requests: deque[tuple[int, VenueRequest]] = deque()
        """With the session in which each was sent."""
        self.reports: list[VenueReport] = []
        """All that the venue ever said."""
        self.delivered = 0
        self.complete = 0
        """So many reports were delivered without one missing."""
        self.late: list[VenueReport] = []
        self.session = 0
        self.up = False
        self.submitted = 0
        self.told: list[Event] = []
        """All that order management emitted."""
        self.sent: list[VenueRequest] = []
        """All that the gateway emitted for the venue."""
        self.verified: list[str] = []
        """Halts of which the gateway said that nothing is open any more."""

    @property
    def table(self) -> OrderTable:
        """The orders as order management knows them."""
        table: OrderTable = self.oms.state.table
        return table

    @property
    def reconciled(self) -> bool:
        """Whether the gateway sends new orders."""
        return self.up and not (self.gateway.state.awaited or self.gateway.state.in_doubt)

    def connect(self) -> None:
        """Begin a session: what an older one sent arrives no more, what it lost comes again."""
        if not self.up:
            self.up = True
            self.session += 1
            self.delivered = self.complete
            first = self.session == 1
            self._to_gateway(
                ConnectionEstablished("market") if first else ConnectionRestored("market")
            )

    def lose(self) -> None:
        """Lose the connection."""
        if self.up:
            self.up = False
            self._to_gateway(ConnectionLost("market", "lost"))

    def submit(self) -> None:
        """Let risk approve one more order, to buy `QTY` at `PX`."""
        self.submitted += 1
        self._to_oms(OrderApproved(buy(QTY, PX, client_order_id=f"o{self.submitted}")))

    def cancel(self, number: int) -> None:
        """Ask for the end of an order that was submitted."""
        if 0 < number <= self.submitted:
            self._to_oms(cancel(buy(QTY, PX, client_order_id=f"o{number}")))

    def halt(self, halt: HaltTrading) -> None:
        """Announce a halt to both."""
        self._to_gateway(halt)
        self._to_oms(halt)

    def trade(self, qty: int) -> None:
        """Let somebody sell to us."""
        self.reports += self.venue.arrive(NAME, BackgroundOrder(Side.SELL, qty), now=0).reports

    def serve(self, most: int = 1) -> None:
        """Let the oldest requests reach the venue."""
        for _ in range(min(most, len(self.requests))):
            session, request = self.requests.popleft()
            if session == self.session:
                self.reports += self.venue.handle(request, now=0).reports

    def drop(self) -> None:
        """Lose the oldest request."""
        if self.requests:
            self.requests.popleft()

    def deliver(self, what: str = "") -> None:
        """Let the next report arrive, or make it ``lost``, ``gone`` for good or ``late``.

        What is lost comes with the next session; a fill is never gone for good.
        """
        if not self.up or self.delivered == len(self.reports):
            return
        report = self.reports[self.delivered]
        is_fill = isinstance(report, ExecutionReport) and report.exec_type is ExecType.TRADE
        if what == "gone" and not is_fill:
            del self.reports[self.delivered]
            return
        if self.complete == self.delivered and what not in ("lost", "gone"):
            self.complete += 1
        self.delivered += 1
        if what == "late":
            self.late.append(report)
        elif what not in ("lost", "gone"):
            self._to_gateway(report)

    def arrive_late(self) -> None:
        """Let the oldest report arrive that others overtook."""
        if self.late:
            self._to_gateway(self.late.pop(0))

    def repeat(self, number: int) -> None:
        """Let one of the last delivered reports arrive once more."""
        if self.up and 0 < number <= self.delivered:
            self._to_gateway(self.reports[self.delivered - number])

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            for event in self.gateway.advance(SECOND):
                self._from_gateway(event)
            for event in self.oms.advance(SECOND):
                self._from_oms(event)

    def settle(self) -> None:
        """Let everything arrive, in a new session that does not break.

        Raises:
            AssertionError: a minute later there still is something in doubt.
        """
        self.lose()
        while self.late:
            self.arrive_late()
        self.connect()
        for _ in range(60):
            while self.requests or self.delivered < len(self.reports):
                self.serve()
                self.deliver()
            if self.reconciled:
                return
            self.wait(1)
        raise AssertionError(f"in doubt: {self.table.open}")

    def working(self) -> dict[str, tuple[OrdStatus, int]]:
        """Return status and filled quantity of what works at the venue."""
        return {i: (own.status, own.cum_qty) for i, own in self.venue.desk.working.items()}

    def open(self) -> dict[str, tuple[OrdStatus, int]]:
        """Return status and filled quantity of what is open in order management."""
        return {i: (record.status, record.cum_qty) for i, record in self.table.open.items()}

    def _to_oms(self, event: Event) -> None:
        for emitted in self.oms.given(event):
            self._from_oms(emitted)

    def _from_oms(self, event: Event) -> None:
        self.told.append(event)
        if isinstance(event, TO_GATEWAY):
            self._to_gateway(event)

    def _to_gateway(self, event: Event) -> None:
        for emitted in self.gateway.given(event):
            self._from_gateway(emitted)

    def _from_gateway(self, event: Event) -> None:
        if isinstance(event, TO_VENUE):
            self.sent.append(event)
            if self.up:
                self.requests.append((self.session, event))
        elif isinstance(event, ExecutionReport | OrderMassStatus):
            self._to_oms(event)
        elif isinstance(event, CancelAllVerified):
            self.verified.append(event.halt_id)
