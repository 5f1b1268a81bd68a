"""A venue for our own orders on recorded data: (requests, recorded data, time) -> reports.

Pure, like the matching venue; only what an order trades against differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.events.market import DepthDiff, DepthSnapshot, Quote, Side, Trade
from actors.events.order_words import Liquidity
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatusRequest,
    OrderStatusRequest,
    TradeCaptureReportRequest,
)
from gateways.simulated.engine.queue_position import (
    BookDepth,
    QueuedOrder,
    QuoteDepth,
    RecordedMarket,
    RestingFill,
)
from gateways.simulated.engine.venue_orders import (
    OPPOSITE,
    SELF_TRADE,
    Listing,
    RestingOrder,
    VenueOrders,
    VenueReport,
    VenueRequest,
    end_of_rest,
    fill_or_kill_text,
)


class RecordedVenue(msgspec.Struct):
    """Our orders in several instruments, each against its own recorded data."""

    desk: VenueOrders = msgspec.field(default_factory=VenueOrders)
    markets: dict[str, RecordedMarket] = {}

    def list_instrument(self, listing: Listing) -> None:
        """Accept orders in an instrument from now on."""
        self.desk.listings[listing.instrument.instrument] = listing
        self.markets[listing.instrument.instrument] = RecordedMarket()

    def handle(self, request: VenueRequest, now: int) -> Sequence[VenueReport]:
        """Execute one of our requests, which reached the venue at `now` (UTC ns)."""
        match request:
            case NewOrderSingle():
                return self._submit(request, now)
            case OrderCancelRequest():
                own = self.desk.find(request)
                if own is None:
                    return [self.desk.reject_cancel(request, now)]
                return [self._cancel(own, now)]
            case OrderMassCancelRequest():
                return [self._cancel(own, now) for own in self.desk.works_in(request.instrument)]
            case OrderStatusRequest() | OrderMassStatusRequest() | TradeCaptureReportRequest():
                return [self.desk.answer(request, now)]

    def on_quote(self, quote: Quote, now: int) -> list[ExecutionReport]:
        """Keep the quote, and match our resting orders against it; an older one is passed over."""
        market = self.markets[quote.instrument]
        if market.take_quote(quote) and market.resting:
            return self._fill(market.meet_depth(QuoteDepth(quote), quote.venue_time or now), now)
        return []

    def on_trade(self, trade: Trade, now: int) -> list[ExecutionReport]:
        """Match our resting orders against a recorded trade, once however often it is printed."""
        market = self.markets[trade.instrument]
        if not market.is_new(trade) or not market.resting:
            return []
        return self._fill(market.meet_trade(trade), now)

    def on_depth(self, depth: DepthDiff | DepthSnapshot, now: int) -> list[ExecutionReport]:
        """Update the recorded book, and match our resting orders against it."""
        market = self.markets[depth.instrument]
        if not market.take_depth(depth) or not market.resting:
            return []
        return self._fill(market.meet_depth(BookDepth(market.book), depth.venue_time or now), now)

    def forget_data(self, reason: str) -> None:
        """Forget all recorded data because some was missed; our orders stay."""
        for market in self.markets.values():
            market.quote, market.newest_id = None, 0
            market.book.reset(reason)

    def _submit(self, order: NewOrderSingle, now: int) -> list[ExecutionReport]:
        market = self.markets.get(order.instrument)
        best_px = _best_px(market, OPPOSITE[order.side]) if market is not None else 0
        text = self.desk.refusal(order, best_px)
        if text or market is None:
            return [self.desk.reject(order, text, now)]
        own, accepted = self.desk.accept(order, now)
        depth, side = market.depth(), order.side
        limit_px, blocked = _short_of_own(market, side, order.limit_px or None)
        plan = market.plan(depth, side, order.qty, limit_px)
        text = fill_or_kill_text(order, sum(qty for _, qty in plan))
        if text:
            return [accepted, self.desk.expire(own, text, now)]
        reports = [accepted]
        if plan:
            market.take(depth, side, plan)
            reports += [self.desk.fill(own, qty, px, Liquidity.TAKER, now) for px, qty in plan]
        if not own.leaves_qty:
            return reports
        text = SELF_TRADE if blocked else end_of_rest(order)
        if text:
            reports.append(self.desk.expire(own, text, now))
        else:
            ahead = depth.shown(side, own.limit_px)
            market.join(QueuedOrder(own.client_order_id, side, own.limit_px, own.leaves_qty, ahead))
        return reports

    def _cancel(self, own: RestingOrder, now: int) -> ExecutionReport:
        self.markets[own.instrument].leave(own.client_order_id)
        return self.desk.cancel(own, now)

    def _fill(self, fills: list[RestingFill], now: int) -> list[ExecutionReport]:
        working = self.desk.working
        return [
            self.desk.fill(working[f.client_order_id], f.qty, f.px, Liquidity.MAKER, now)
            for f in fills
        ]


def _best_px(market: RecordedMarket, side: Side) -> int:
    """Return the best price of a side, in the recorded data and our own orders; 0 for none."""
    recorded = next((px for px, _ in market.depth().levels(side)), 0)
    own = market.best_own_px(side)
    if not own or not recorded:
        return own or recorded
    return max(own, recorded, key=lambda px: px * side)


def _short_of_own(
    market: RecordedMarket, side: Side, limit_px: int | None
) -> tuple[int | None, bool]:
    """Return a limit that does not reach our own opposite orders, and whether they set it."""
    own_px = market.best_own_px(OPPOSITE[side])
    if not own_px or (limit_px is not None and own_px * side > limit_px * side):
        return limit_px, False
    return own_px - side, True
