"""The simulated venue itself: (requests, time) -> (reports, market data).

Pure: no clock, random numbers or latency. Its actor delays requests and reports, and submits the
orders of the background traders, which are matched in the same books as ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from actors.events.market import DepthDiff, DepthSnapshot, Quote, Side, Trade
from actors.events.order_words import ExecType, Liquidity, TimeInForce
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatusRequest,
    OrderStatusRequest,
    TradeCaptureReportRequest,
)
from gateways.simulated.engine.limit_order_book import LimitOrderBook, Match
from gateways.simulated.engine.venue_orders import (
    SELF_TRADE,
    Listing,
    RestingOrder,
    VenueOrders,
    VenueReport,
    VenueRequest,
    end_of_rest,
    fill_or_kill_text,
)


class BackgroundOrder(NamedTuple):
    """An order of somebody else; `px` 0 is a market order, whose rest expires."""

    side: Side
    qty: int
    px: int = 0


class BackgroundCancel(NamedTuple):
    """A cancel of an order of somebody else."""

    order_id: int


class VenueOutput(NamedTuple):
    """What one request or background order led to, each list in order."""

    reports: list[VenueReport]
    market_data: list[Trade | Quote]


class Market(msgspec.Struct):
    """One instrument's book, and what was last published of it."""

    book: LimitOrderBook = msgspec.field(default_factory=LimitOrderBook)
    trades: int = 0
    published_id: int = 0
    """Last update id of the last depth diff."""
    published_top: tuple[int, int, int, int] = (0, 0, 0, 0)


class Venue(msgspec.Struct):
    """Matching for several instruments, with our orders among those of background traders."""

    desk: VenueOrders = msgspec.field(default_factory=VenueOrders)
    markets: dict[str, Market] = {}

    def list_instrument(self, listing: Listing) -> None:
        """Open trading in an instrument, with an empty book."""
        self.desk.listings[listing.instrument.instrument] = listing
        self.markets[listing.instrument.instrument] = Market()

    def handle(self, request: VenueRequest, now: int) -> VenueOutput:
        """Execute one of our requests, which reached the venue at `now` (UTC ns)."""
        output = VenueOutput([], [])
        match request:
            case NewOrderSingle():
                self._submit(request, now, output)
            case OrderCancelRequest():
                output.reports.append(self._cancel(request, now))
            case OrderMassCancelRequest():
                for own in self.desk.works_in(request.instrument):
                    self.markets[own.instrument].book.remove(own.order_id)
                    output.reports.append(self.desk.cancel(own, now))
            case OrderStatusRequest() | OrderMassStatusRequest() | TradeCaptureReportRequest():
                return VenueOutput([self.desk.answer(request, now)], [])
        for instrument in self._touched(request.instrument, output.reports):
            self._publish_top(instrument, now, output)
        return output

    def arrive(
        self, instrument: str, arrival: BackgroundOrder | BackgroundCancel, now: int
    ) -> VenueOutput:
        """Execute an order or a cancel of a background trader at `now` (UTC ns)."""
        output = VenueOutput([], [])
        book = self.markets[instrument].book
        if isinstance(arrival, BackgroundCancel):
            book.remove(arrival.order_id)
        else:
            side, qty, px = arrival
            matches, _ = book.take(side, qty, px)
            if matches:
                self._settle(instrument, side, matches, None, now=now, output=output)
                qty -= sum(match.qty for match in matches)
            if qty and px:
                book.add(self.desk.next_order_id(), side, px, qty)
        self._publish_top(instrument, now, output)
        return output

    def snapshot(self, instrument: str, now: int) -> DepthSnapshot:
        """Return the whole book."""
        book = self.markets[instrument].book
        return DepthSnapshot(
            instrument, book.update_id, book.bids.depth(), book.asks.depth(), venue_time=now
        )

    def take_diff(self, instrument: str, now: int) -> DepthDiff | None:
        """Return the levels that changed since the last call; None if none did.

        Ids are those of a spot venue: the first follows the last of the previous diff.
        """
        market = self.markets[instrument]
        book, first = market.book, market.published_id + 1
        if book.update_id < first:
            return None
        market.published_id = book.update_id
        bids, asks = book.bids.take_changes(), book.asks.take_changes()
        return DepthDiff(instrument, first, book.update_id, -1, bids, asks, venue_time=now)

    def quote(self, instrument: str, now: int) -> Quote:
        """Return the best bid and ask; 0 for an empty side."""
        market = self.markets[instrument]
        return Quote(instrument, market.book.update_id, *_top(market.book), venue_time=now)

    def _submit(self, order: NewOrderSingle, now: int, output: VenueOutput) -> None:
        market = self.markets.get(order.instrument)
        best_px = market.book.opposite(order.side).best_px() if market is not None else 0
        text = self.desk.refusal(order, best_px)
        if text or market is None:
            output.reports.append(self.desk.reject(order, text, now))
            return
        book = market.book
        own, accepted = self.desk.accept(order, now)
        output.reports.append(accepted)
        if order.time_in_force is TimeInForce.FOK:
            available = book.available(order.side, order.qty, order.limit_px)
            text = fill_or_kill_text(order, available)
            if text:
                output.reports.append(self.desk.expire(own, text, now))
                return
        matches, blocked = book.take(order.side, order.qty, order.limit_px, own=True)
        self._settle(order.instrument, order.side, matches, own, now=now, output=output)
        if not own.leaves_qty:
            return
        text = SELF_TRADE if blocked else end_of_rest(order)
        if text:
            output.reports.append(self.desk.expire(own, text, now))
        else:
            book.add(
                own.order_id,
                own.side,
                own.limit_px,
                own.leaves_qty,
                client_order_id=own.client_order_id,
            )

    def _cancel(self, request: OrderCancelRequest, now: int) -> ExecutionReport:
        own = self.desk.find(request)
        if own is None:
            return self.desk.reject_cancel(request, now)
        self.markets[own.instrument].book.remove(own.order_id)
        return self.desk.cancel(own, now)

    def _settle(
        self,
        instrument: str,
        aggressor: Side,
        matches: list[Match],
        incoming: RestingOrder | None,
        *,
        now: int,
        output: VenueOutput,
    ) -> None:
        market = self.markets[instrument]
        reports, market_data = output
        for match in matches:
            market.trades += 1
            market_data.append(
                Trade(instrument, market.trades, match.px, match.qty, aggressor, now)
            )
            if match.client_order_id:
                resting = self.desk.working[match.client_order_id]
                reports.append(self.desk.fill(resting, match.qty, match.px, Liquidity.MAKER, now))
            if incoming is not None:
                reports.append(self.desk.fill(incoming, match.qty, match.px, Liquidity.TAKER, now))

    def _touched(self, instrument: str, reports: list[VenueReport]) -> list[str]:
        if instrument:
            return [instrument] if instrument in self.markets else []
        return sorted(changed_by(reports))

    def _publish_top(self, instrument: str, now: int, output: VenueOutput) -> None:
        market = self.markets[instrument]
        top = _top(market.book)
        if top != market.published_top:
            market.published_top = top
            output.market_data.append(self.quote(instrument, now))


def changed_by(reports: Iterable[VenueReport]) -> set[str]:
    """Return the instruments of the orders that the reports are about."""
    return {
        report.instrument
        for report in reports
        if isinstance(report, ExecutionReport) and report.exec_type is not ExecType.ORDER_STATUS
    }


def _top(book: LimitOrderBook) -> tuple[int, int, int, int]:
    bids, asks = book.bids, book.asks
    return bids.best_px(), bids.best_qty(), asks.best_px(), asks.best_qty()
