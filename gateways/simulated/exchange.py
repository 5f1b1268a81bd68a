"""The simulated exchange as an actor: its books, background traders and our orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

import msgspec

from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, RequestSnapshot, Trade
from actors.events.reference import Instrument
from actors.events.system import (
    ActorRecovered,
    ConnectionEstablished,
    StopRequested,
    StreamReset,
    TimerFired,
)
from actors.events.venue import ExecutionReport, OrderMassStatus, TradeCaptureReport
from actors.runtime.actor import handles
from actors.runtime.settings import Duration, InstrumentId
from gateways.simulated.base import SimulatedVenue, VenueSettings, VenueState
from gateways.simulated.engine.matching_venue import Venue, VenueOutput, changed_by
from gateways.simulated.engine.order_flow import (
    FlowSettings,
    SyntheticFlow,
    flow_mistakes,
    synthetic_flow,
)
from gateways.simulated.engine.venue_orders import VenueRequest

ARRIVAL = "arrival"
DEPTH = "depth"


class SimulatedExchange(SimulatedVenue):
    """Match our orders with those of seeded background traders, and publish the market."""

    class Settings(VenueSettings):
        """The background traders of each instrument, besides fees and latency."""

        flow: dict[InstrumentId, FlowSettings]
        depth_interval: Duration = 100_000_000
        """Changed levels are published this long after the first change; 0 for at once."""

    class State(VenueState):
        """Requests and reports under way, the venue itself, and its background traders."""

        venue: Venue = msgspec.field(default_factory=Venue)
        flows: dict[str, SyntheticFlow] = msgspec.field(default_factory=dict)
        arrivals: dict[int, str] = msgspec.field(default_factory=dict)
        """Instrument whose next background order is due, by timer."""
        depth_timers: dict[int, str] = msgspec.field(default_factory=dict)
        stopping: bool = False

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "depth": (DepthSnapshot, DepthDiff),
        "quotes": (Quote,),
        "trades": (Trade,),
        "reports": (ExecutionReport, OrderMassStatus, TradeCaptureReport),
        "connection": (ConnectionEstablished,),
    }

    settings: Settings
    state: State

    @classmethod
    def check_settings(
        cls, settings: Settings, instruments: Mapping[str, Instrument]
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the background traders' settings that do not fit their instrument."""
        for name, flow in settings.flow.items():
            if name in instruments:
                for key, message in flow_mistakes(instruments[name], flow):
                    yield ("flow", name, key), message

    def on_start(self) -> None:
        """Open trading with the first background orders already in the books."""
        state, now = self.state, self.now
        self.connect()
        state.venue.desk.prefix = self.execution_prefix()
        for name, settings in self.settings.flow.items():
            instrument = self.instruments[name]
            state.venue.list_instrument(self.settings.listing(instrument))
            state.flows[name] = flow = synthetic_flow(instrument, settings)
            for order in flow.opening(self.rng):
                state.venue.arrive(name, order, now)
            state.venue.take_diff(name, now)
            self.emit(state.venue.snapshot(name, now))
            self.emit(state.venue.quote(name, now))
            self._await_arrival(name)

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        """Let a background order arrive, publish changed levels, or deliver what was delayed."""
        if timer.name == ARRIVAL:
            self._arrive(self.state.arrivals.pop(timer.timer_id))
        elif timer.name == DEPTH:
            self._publish_depth(self.state.depth_timers.pop(timer.timer_id))
        else:
            super().on_timer(timer)

    @handles(RequestSnapshot)
    def on_request_snapshot(self, request: RequestSnapshot) -> None:
        """Publish pending changes, then the whole book, so that the next diff follows it."""
        if request.instrument in self.state.venue.markets:
            self._publish_depth(request.instrument)
            self.emit(self.state.venue.snapshot(request.instrument, self.now))

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Publish all books if a request for one may have been missed."""
        if RequestSnapshot in self.heard.get(reset.stream, ()):
            for name in self.state.venue.markets:
                self.on_request_snapshot(RequestSnapshot(name))

    @handles(ActorRecovered)
    def on_actor_recovered(self, _recovered: ActorRecovered) -> None:
        """Let background orders arrive again: they ended when the previous process stopped."""
        state = self.state
        if state.stopping:
            state.stopping = False
            for name in state.flows:
                self._await_arrival(name)

    @handles(StopRequested)
    def on_stop_requested(self, _stop: StopRequested) -> None:
        """End the background orders; our requests and reports still arrive."""
        state = self.state
        state.stopping = True
        for timer_id in (*state.arrivals, *state.depth_timers):
            self.cancel_timer(timer_id)
        state.arrivals, state.depth_timers = {}, {}
        for name in state.venue.markets:
            self._publish_depth(name)

    def perform(self, request: VenueRequest) -> None:
        """Execute a request that reached the venue now."""
        venue = self.state.venue
        output = venue.handle(request, self.now)
        self._publish(output, sorted(changed_by(output.reports) & venue.markets.keys()))

    def snapshot(self, output: str) -> Iterable[Event]:
        """Return whole books, quotes, or the state of the connection."""
        venue = self.state.venue
        if output == "depth":
            return [venue.snapshot(name, self.now) for name in venue.markets]
        if output == "quotes":
            return [venue.quote(name, self.now) for name in venue.markets]
        return super().snapshot(output)

    def _arrive(self, name: str) -> None:
        venue = self.state.venue
        arrival = self.state.flows[name].arrive(self.rng, venue.markets[name].book)
        if arrival is not None:
            self._publish(venue.arrive(name, arrival, self.now), (name,))
        self._await_arrival(name)

    def _await_arrival(self, name: str) -> None:
        timer_id = self.set_timer(ARRIVAL, self.state.flows[name].wait(self.rng))
        self.state.arrivals[timer_id] = name

    def _publish(self, output: VenueOutput, names: Iterable[str]) -> None:
        for event in output.market_data:
            self.emit(event)
        self.report(output.reports)
        state, interval = self.state, self.settings.depth_interval
        for name in names:
            if state.stopping or not interval:
                self._publish_depth(name)
            elif name not in state.depth_timers.values():
                state.depth_timers[self.set_timer(DEPTH, interval)] = name

    def _publish_depth(self, name: str) -> None:
        diff = self.state.venue.take_diff(name, self.now)
        if diff is not None:
            self.emit(diff)
