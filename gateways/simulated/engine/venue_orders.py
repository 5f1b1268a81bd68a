"""Our orders at a simulated venue: accepted, filled and ended, with a report of each change."""

from __future__ import annotations

from itertools import islice
from typing import Final, TypeAlias

import msgspec

from actors.events.market import Side
from actors.events.order_words import (
    ExecType,
    Liquidity,
    OrderType,
    OrdRejReason,
    OrdStatus,
    TimeInForce,
)
from actors.events.reference import Instrument
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
    OrderStatus,
    OrderStatusRequest,
    TradeCaptureReport,
    TradeCaptureReportRequest,
)
from actors.model.money import fee, notional
from actors.model.rejection import rejection
from gateways.simulated.engine.filters import filter_refusal

StatusRequest: TypeAlias = OrderStatusRequest | OrderMassStatusRequest | TradeCaptureReportRequest
VenueRequest: TypeAlias = (
    NewOrderSingle | OrderCancelRequest | OrderMassCancelRequest | StatusRequest
)
VenueReport: TypeAlias = ExecutionReport | OrderMassStatus | TradeCaptureReport

OPPOSITE: Final = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}

REMEMBERED: Final = 4096
"""Ended orders, and trades, that are remembered, at least."""

UNKNOWN_ORDER = "unknown order"
SELF_TRADE = "self-trade prevention: the rest would meet an order of our own"


class Listing(msgspec.Struct, frozen=True):
    """An instrument that the venue lists, and its fees."""

    instrument: Instrument
    maker_rate: int = 0
    """Units of ``10 ** -8`` of the notional; negative for a rebate."""
    taker_rate: int = 0


class RestingOrder(msgspec.Struct, gc=False):
    """One of our orders, as the venue sees it."""

    client_order_id: str
    order_id: int
    instrument: str
    side: Side
    qty: int
    limit_px: int = 0
    """0 for a market order."""
    cum_qty: int = 0
    status: OrdStatus = OrdStatus.NEW
    cum_amount: int = 0
    """Of all fills, in settle units."""

    @property
    def leaves_qty(self) -> int:
        """Quantity that may still trade; 0 once the order has ended."""
        working = self.status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
        return self.qty - self.cum_qty if working else 0


class VenueOrders(msgspec.Struct):
    """Our orders at the venue; each method that changes one returns its report.

    Execution ids are `prefix` and a counter, so they are unique for the life of the venue and the
    same in every run of the same inputs.
    """

    prefix: str = ""
    listings: dict[str, Listing] = {}
    working: dict[str, RestingOrder] = {}
    """By client order id, oldest first."""
    ended: dict[str, RestingOrder] = {}
    """The newest orders that have ended, to recognize late cancels and repeated ids."""
    open_orders: dict[str, int] = {}
    """Working orders by instrument."""
    order_ids: int = 0
    executions: int = 0
    trades: list[ExecutionReport] = []
    """Reports of the newest trades, oldest first."""

    def refusal(self, order: NewOrderSingle, opposite_px: int) -> str:
        """Return why a new order is refused; empty if it is accepted.

        Args:
            order: as it arrived.
            opposite_px: best price that it could trade at, in price units; 0 if there is none.
        """
        listing, client_order_id = self.listings.get(order.instrument), order.client_order_id
        if listing is None:
            return f"unknown instrument {order.instrument}"
        if client_order_id in self.working or client_order_id in self.ended:
            return f"duplicate client order id {client_order_id}"
        text = filter_refusal(
            order,
            listing.instrument,
            open_orders=self.open_orders.get(order.instrument, 0),
            reference_px=opposite_px,
        )
        crosses = opposite_px and opposite_px * order.side <= order.limit_px * order.side
        if not text and order.post_only and crosses:
            return "a post-only order would trade at once"
        return text

    def next_order_id(self) -> int:
        """Return a new id, larger than all before."""
        self.order_ids += 1
        return self.order_ids

    def accept(self, order: NewOrderSingle, now: int) -> tuple[RestingOrder, ExecutionReport]:
        """Accept an order, which is working from now on."""
        own = RestingOrder(
            order.client_order_id,
            self.next_order_id(),
            order.instrument,
            order.side,
            order.qty,
            order.limit_px,
        )
        self.working[own.client_order_id] = own
        self.open_orders[own.instrument] = self.open_orders.get(own.instrument, 0) + 1
        return own, self._report(own, ExecType.NEW, now)

    def reject(self, order: NewOrderSingle, text: str, now: int) -> ExecutionReport:
        """Reject a new order; its client order id may be used again."""
        return rejection(order, text, exec_id=self._next_exec_id(), now=now)

    def fill(
        self, own: RestingOrder, qty: int, px: int, liquidity: Liquidity, now: int
    ) -> ExecutionReport:
        """Fill `qty` of a working order at `px`; it ends when nothing is left."""
        own.cum_qty += qty
        own.status = OrdStatus.PARTIALLY_FILLED
        if own.cum_qty == own.qty:
            self._end(own, OrdStatus.FILLED)
        listing = self.listings[own.instrument]
        maker = liquidity is Liquidity.MAKER
        rate = listing.maker_rate if maker else listing.taker_rate
        amount = notional(listing.instrument, qty, px)
        own.cum_amount += amount
        report = ExecutionReport(
            client_order_id=own.client_order_id,
            venue_order_id=str(own.order_id),
            exec_id=self._next_exec_id(),
            exec_type=ExecType.TRADE,
            ord_status=own.status,
            instrument=own.instrument,
            side=own.side,
            last_qty=qty,
            last_px=px,
            cum_qty=own.cum_qty,
            leaves_qty=own.leaves_qty,
            fee=fee(amount, rate),
            fee_currency=listing.instrument.settle,
            liquidity=liquidity,
            transact_time=now,
            cum_amount=own.cum_amount,
        )
        self.trades.append(report)
        if len(self.trades) > 2 * REMEMBERED:
            del self.trades[:REMEMBERED]
        return report

    def expire(self, own: RestingOrder, text: str, now: int) -> ExecutionReport:
        """End a working order for the venue's own reason."""
        self._end(own, OrdStatus.EXPIRED)
        return self._report(own, ExecType.EXPIRED, now, text)

    def cancel(self, own: RestingOrder, now: int, text: str = "") -> ExecutionReport:
        """End a working order because we asked for it."""
        self._end(own, OrdStatus.CANCELED)
        return self._report(own, ExecType.CANCELED, now, text)

    def reject_cancel(self, request: OrderCancelRequest, now: int) -> ExecutionReport:
        """Reject a cancel of an order that is not working, or no longer.

        In the report of an order that the venue never saw, the side means nothing.
        """
        own = self.ended.get(request.client_order_id)
        if own is not None:
            return self._report(
                own, ExecType.CANCEL_REJECTED, now, f"too late to cancel: the order is {own.status}"
            )
        return self._report(_unknown(request), ExecType.CANCEL_REJECTED, now, UNKNOWN_ORDER)

    def answer(self, request: StatusRequest, now: int) -> VenueReport:
        """Return the status of one order, or of all open ones, or trades; changes nothing."""
        if isinstance(request, OrderMassStatusRequest):
            return self._list(request)
        if isinstance(request, TradeCaptureReportRequest):
            return self._trades_of(request)
        own = self.working.get(request.client_order_id) or self.ended.get(request.client_order_id)
        if own is not None and own.instrument == request.instrument:
            return self._report(own, ExecType.ORDER_STATUS, now)
        return self._report(
            _unknown(request),
            ExecType.ORDER_STATUS,
            now,
            UNKNOWN_ORDER,
            reason=OrdRejReason.NEVER_RECEIVED,
        )

    def find(self, request: OrderCancelRequest) -> RestingOrder | None:
        """Return the working order that a request names; None if there is none."""
        own = self.working.get(request.client_order_id)
        return own if own is not None and own.instrument == request.instrument else None

    def works_in(self, instrument: str) -> list[RestingOrder]:
        """Return the working orders of an instrument, oldest first; of all if it is empty."""
        return [o for o in self.working.values() if instrument in ("", o.instrument)]

    def _list(self, request: OrderMassStatusRequest) -> OrderMassStatus:
        listed = tuple(
            OrderStatus(
                own.client_order_id,
                str(own.order_id),
                own.instrument,
                own.side,
                own.qty,
                own.status,
                own.cum_qty,
                own.leaves_qty,
            )
            for own in self.working.values()
            if not request.instruments or own.instrument in request.instruments
        )
        return OrderMassStatus(request.request_id, listed, request.instruments)

    def _trades_of(self, request: TradeCaptureReportRequest) -> TradeCaptureReport:
        found: list[ExecutionReport] = []
        for trade in reversed(self.trades):
            if request.after and trade.exec_id == request.after:
                break
            ours = request.client_order_id in ("", trade.client_order_id)
            if ours and trade.instrument == request.instrument:
                found.append(trade)
        return TradeCaptureReport(request.request_id, request.instrument, tuple(reversed(found)))

    def _end(self, own: RestingOrder, status: OrdStatus) -> None:
        own.status = status
        del self.working[own.client_order_id]
        self.open_orders[own.instrument] -= 1
        self.ended[own.client_order_id] = own
        if len(self.ended) > 2 * REMEMBERED:
            self.ended = dict(islice(self.ended.items(), REMEMBERED, None))

    def _next_exec_id(self) -> str:
        self.executions += 1
        return f"{self.prefix}{self.executions}"

    def _report(
        self,
        own: RestingOrder,
        exec_type: ExecType,
        now: int,
        text: str = "",
        reason: OrdRejReason = OrdRejReason.OTHER,
    ) -> ExecutionReport:
        executed = exec_type is not ExecType.ORDER_STATUS
        return ExecutionReport(
            client_order_id=own.client_order_id,
            venue_order_id=str(own.order_id) if own.order_id else "",
            exec_id=self._next_exec_id() if executed else "",
            exec_type=exec_type,
            ord_status=own.status,
            instrument=own.instrument,
            side=own.side,
            last_qty=0,
            last_px=0,
            cum_qty=own.cum_qty,
            leaves_qty=own.leaves_qty,
            text=text,
            transact_time=now,
            ord_rej_reason=reason,
            cum_amount=own.cum_amount,
        )


def _unknown(request: OrderCancelRequest | OrderStatusRequest) -> RestingOrder:
    return RestingOrder(
        request.client_order_id, 0, request.instrument, Side.BUY, 0, status=OrdStatus.REJECTED
    )


def end_of_rest(order: NewOrderSingle) -> str:
    """Return why the rest of an order expires; empty if it stays in the book."""
    if order.order_type is OrderType.MARKET:
        return "no liquidity left for a MARKET order"
    return "" if order.time_in_force is TimeInForce.GTC else f"rest of an {order.time_in_force}"


def fill_or_kill_text(order: NewOrderSingle, available: int) -> str:
    """Return why a FOK order expires if only `available` could trade; empty if it trades."""
    if order.time_in_force is not TimeInForce.FOK or available >= order.qty:
        return ""
    return f"FOK: {available} of {order.qty} units could be filled"
