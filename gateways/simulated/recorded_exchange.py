"""The recorded exchange as an actor: our orders against the data of a recorded feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, Trade
from actors.events.system import ConnectionEstablished, StreamReset
from actors.events.venue import ExecutionReport, OrderMassStatus, TradeCaptureReport
from actors.runtime.actor import handles
from gateways.simulated.base import SimulatedVenue, VenueState
from gateways.simulated.engine.recorded_venue import RecordedVenue
from gateways.simulated.engine.venue_orders import VenueRequest

RECORDED = (Quote, Trade, DepthDiff, DepthSnapshot)


class RecordedExchange(SimulatedVenue):
    """Fill our orders against recorded books, quotes and trades, by queue position."""

    class State(VenueState):
        """Requests and reports under way, and the venue itself."""

        venue: RecordedVenue = msgspec.field(default_factory=RecordedVenue)

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "reports": (ExecutionReport, OrderMassStatus, TradeCaptureReport),
        "connection": (ConnectionEstablished,),
    }

    state: State

    def on_start(self) -> None:
        """List every instrument of the topology."""
        venue = self.state.venue
        venue.desk.prefix = self.execution_prefix()
        for instrument in self.instruments.values():
            venue.list_instrument(self.settings.listing(instrument))
        self.connect()

    @handles(Quote)
    def on_quote(self, quote: Quote) -> None:
        """Keep the quote, and match our resting orders against it if there are any."""
        venue = self.state.venue
        market = venue.markets[quote.instrument]
        if market.resting:
            self.report(venue.on_quote(quote, self.now))
        elif quote.update_id >= market.newest_id > 0:  # most quotes, so without a call
            market.quote, market.newest_id = quote, quote.update_id
        else:
            market.take_quote(quote)

    @handles(Trade)
    def on_trade(self, trade: Trade) -> None:
        """Match a recorded trade against our resting orders."""
        self.report(self.state.venue.on_trade(trade, self.now))

    @handles(DepthDiff, DepthSnapshot)
    def on_depth(self, depth: DepthDiff | DepthSnapshot) -> None:
        """Update the recorded book, and match our resting orders against it."""
        self.report(self.state.venue.on_depth(depth, self.now))

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Forget the recorded data if some of it was missed."""
        if any(event_class in RECORDED for event_class in self.heard.get(reset.stream, ())):
            self.state.venue.forget_data(reset.reason)

    def perform(self, request: VenueRequest) -> None:
        """Execute a request that reached the venue now."""
        self.report(self.state.venue.handle(request, self.now))
