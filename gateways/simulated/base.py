"""What both simulated exchanges share as actors: settings, latency and the connection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from pydantic import AfterValidator

from actors.events.event import Event
from actors.events.reference import Instrument
from actors.events.role import Role
from actors.events.system import ConnectionEstablished, TimerFired
from actors.events.venue import (
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatusRequest,
    OrderStatusRequest,
    TradeCaptureReportRequest,
)
from actors.model.money import fee_rate
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Amount, Duration
from gateways.simulated.engine.venue_orders import Listing, VenueReport, VenueRequest

REQUEST = "request"
REPORT = "report"


def _checked_rate(rate: Amount) -> Amount:
    fee_rate(rate)
    if abs(rate) >= 1:
        raise ValueError(f"was {rate}, allowed is a fraction of the notional between -1 and 1")
    return rate


FeeRate = Annotated[Amount, AfterValidator(_checked_rate)]


class VenueSettings(Actor.Settings):
    """Fees and latency of a simulated venue."""

    maker_fee: FeeRate = Amount("0.0002")
    """Fraction of a fill's notional, in the settle currency; negative for a rebate."""
    taker_fee: FeeRate = Amount("0.0005")
    order_latency: Duration = 0
    """From the emission of a request until the venue executes it."""
    report_latency: Duration = 0
    """From an execution at the venue until its report is emitted."""
    latency_jitter: Duration = 0
    """Upper bound of a uniform random delay added to either latency; order is kept."""

    def listing(self, instrument: Instrument) -> Listing:
        """Return how the venue trades an instrument."""
        return Listing(instrument, fee_rate(self.maker_fee), fee_rate(self.taker_fee))


class VenueState(Actor.State):
    """Requests and reports under way, by the id of the timer at which they arrive."""

    requests: dict[int, VenueRequest] = msgspec.field(default_factory=dict)
    request_due: int = 0
    """When the last request arrives; requests do not overtake each other."""
    reports: dict[int, list[VenueReport]] = msgspec.field(default_factory=dict)
    report_due: int = 0


class SimulatedVenue(Actor):
    """A venue that takes requests and answers with reports, each after its latency."""

    Settings = VenueSettings
    State = VenueState
    role = Role.VENUE
    order_path = True

    settings: VenueSettings
    state: VenueState

    @abstractmethod
    def perform(self, request: VenueRequest) -> None:
        """Execute a request that reached the venue now."""

    @handles(
        NewOrderSingle,
        OrderCancelRequest,
        OrderMassCancelRequest,
        OrderStatusRequest,
        OrderMassStatusRequest,
        TradeCaptureReportRequest,
    )
    def on_request(self, request: VenueRequest) -> None:
        """Deliver the request to the venue after its latency."""
        state, settings = self.state, self.settings
        due = self._due(settings.order_latency, state.request_due)
        if due <= self.now and not state.requests:
            self.perform(request)
            return
        state.request_due = due
        state.requests[self.set_timer(REQUEST, due - self.now)] = request

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        """Execute a request, or emit reports, that arrive now."""
        if timer.name == REQUEST:
            self.perform(self.state.requests.pop(timer.timer_id))
        elif timer.name == REPORT:
            for report in self.state.reports.pop(timer.timer_id):
                self.emit(report)

    def report(self, reports: Sequence[VenueReport]) -> None:
        """Emit these reports together after their latency."""
        if not reports:
            return
        state = self.state
        due = self._due(self.settings.report_latency, state.report_due)
        if due <= self.now and not state.reports:
            for report in reports:
                self.emit(report)
            return
        state.report_due = due
        state.reports[self.set_timer(REPORT, due - self.now)] = list(reports)

    def connect(self) -> None:
        """Emit that the venue is connected."""
        self.emit(ConnectionEstablished(self.name))

    def execution_prefix(self) -> str:
        """Return a prefix that tells execution ids from those before a restart."""
        return f"{self.now:x}-"

    def snapshot(self, output: str) -> Iterable[Event]:
        """Return the connection's state; reports are never repeated."""
        return (ConnectionEstablished(self.name),) if output == "connection" else ()

    def busy(self) -> bool:
        """Return True while a request or a report is under way."""
        return bool(self.state.requests or self.state.reports)

    def _due(self, latency: int, last_due: int) -> int:
        jitter = self.settings.latency_jitter
        if jitter:
            latency += int(self.rng.random() * (jitter + 1))
        return max(self.now + latency, last_due)
