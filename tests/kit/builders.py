"""Events and reference data with defaults, so that a test names only what it is about."""

from __future__ import annotations

import msgspec

from actors.events.accounts import PnlUpdated, PositionUpdated
from actors.events.market import BookState, BookStateChanged, Side, TopOfBook
from actors.events.order_words import ExecType, Liquidity, OrderType, OrdStatus, TimeInForce
from actors.events.orders import (
    CancelOrder,
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderPendingCancel,
    OrderRejected,
    QuoteIntent,
    Signal,
    SubmitOrder,
)
from actors.events.reference import Contract, Currency, Instrument
from actors.events.venue import ExecutionReport

USDT = Currency(currency="USDT", scale=8)
BTC = Currency(currency="BTC", scale=8)
ETH = Currency(currency="ETH", scale=8)

BTCUSDT = Instrument(
    instrument="BTCUSDT.SIM",
    venue="SIM",
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    settle="USDT",
    price_scale=2,
    qty_scale=5,
    settle_scale=8,
)
ETHUSDT = Instrument(
    instrument="ETHUSDT.SIM",
    venue="SIM",
    symbol="ETHUSDT",
    base="ETH",
    quote="USDT",
    settle="USDT",
    price_scale=2,
    qty_scale=4,
    settle_scale=8,
)
BTCUSD_INVERSE = Instrument(
    instrument="BTCUSD_PERP.SIM",
    venue="SIM",
    symbol="BTCUSD_PERP",
    base="BTC",
    quote="USD",
    settle="BTC",
    price_scale=1,
    qty_scale=0,
    settle_scale=8,
    contract=Contract.INVERSE,
    contract_size=100,
)

INSTRUMENTS = (BTCUSDT, ETHUSDT, BTCUSD_INVERSE)
CURRENCIES = (USDT, BTC, ETH)

ORDER_ID = "0-execution-1"
VENUE_ID = "V-1"
ENDS = {
    ExecType.CANCELED: OrdStatus.CANCELED,
    ExecType.EXPIRED: OrdStatus.EXPIRED,
    ExecType.REJECTED: OrdStatus.REJECTED,
}
TERMINAL = (*ENDS.values(), OrdStatus.FILLED)
STRATEGY = "maker"


def order(
    side: Side,
    qty: int,
    px: int = 10_000,
    *,
    client_order_id: str = ORDER_ID,
    strategy: str = STRATEGY,
    instrument: str = BTCUSDT.instrument,
    time_in_force: TimeInForce = TimeInForce.GTC,
    post_only: bool = False,
    decided_at: int = 0,
) -> SubmitOrder:
    """Return a limit order, or a market order where `px` is 0."""
    return SubmitOrder(
        client_order_id,
        strategy,
        instrument,
        side,
        qty,
        OrderType.LIMIT if px else OrderType.MARKET,
        time_in_force if px else TimeInForce.IOC,
        px,
        post_only,
        decided_at=decided_at,
    )


def buy(qty: int, px: int = 10_000, *, client_order_id: str = ORDER_ID) -> SubmitOrder:
    """Return an order of the default strategy to buy BTCUSDT."""
    return order(Side.BUY, qty, px, client_order_id=client_order_id)


def sell(qty: int, px: int = 10_000, *, client_order_id: str = ORDER_ID) -> SubmitOrder:
    """Return an order of the default strategy to sell BTCUSDT."""
    return order(Side.SELL, qty, px, client_order_id=client_order_id)


def cancel(of: SubmitOrder) -> CancelOrder:
    """Return the request to cancel `of`."""
    return CancelOrder(of.client_order_id, of.strategy, of.instrument)


def report(
    of: SubmitOrder,
    exec_type: ExecType,
    exec_id: str,
    *,
    ord_status: OrdStatus | None = None,
    last_qty: int = 0,
    last_px: int = 0,
    cum_qty: int = 0,
    fee: int = 0,
    fee_currency: str = "USDT",
    text: str = "",
) -> ExecutionReport:
    """Return what the venue says about `of`; `cum_qty` and `ord_status` are its own view."""
    if ord_status is None:
        working = OrdStatus.PARTIALLY_FILLED if cum_qty else OrdStatus.NEW
        live = OrdStatus.FILLED if cum_qty >= of.qty else working
        ord_status = ENDS.get(exec_type, live)
    return ExecutionReport(
        of.client_order_id,
        VENUE_ID,
        exec_id,
        exec_type,
        ord_status,
        of.instrument,
        of.side,
        last_qty,
        last_px,
        cum_qty,
        0 if ord_status in TERMINAL else of.qty - cum_qty,
        fee,
        fee_currency,
        Liquidity.MAKER if of.post_only else Liquidity.TAKER,
        text,
    )


def report_new(of: SubmitOrder, exec_id: str = "E-new") -> ExecutionReport:
    """Return the venue's acknowledgment."""
    return report(of, ExecType.NEW, exec_id)


def report_fill(
    of: SubmitOrder,
    qty: int,
    exec_id: str = "E-fill",
    *,
    px: int = 0,
    fee: int = 0,
    cum_qty: int = 0,
    ord_status: OrdStatus | None = None,
) -> ExecutionReport:
    """Return the report of one execution: the first, at the order's own price, unless told."""
    return report(
        of,
        ExecType.TRADE,
        exec_id,
        ord_status=ord_status,
        last_qty=qty,
        last_px=px or of.limit_px,
        cum_qty=cum_qty or qty,
        fee=fee,
    )


def report_canceled(
    of: SubmitOrder, exec_id: str = "E-canceled", *, cum_qty: int = 0
) -> ExecutionReport:
    """Return the report that the order is out of the market."""
    return report(of, ExecType.CANCELED, exec_id, cum_qty=cum_qty)


def accepted(of: SubmitOrder) -> OrderAccepted:
    """Return the fact that `of` works at the venue."""
    return OrderAccepted(
        of.client_order_id, of.strategy, of.instrument, of.side, of.qty, of.limit_px, VENUE_ID
    )


def rejected(of: SubmitOrder, text: str = "no") -> OrderRejected:
    """Return the fact that the venue refused `of`."""
    return OrderRejected(of.client_order_id, of.strategy, of.instrument, of.side, of.qty, text)


def denied(of: SubmitOrder, code: str = "MAX_POSITION", text: str = "too much") -> OrderDenied:
    """Return the fact that risk refused `of`."""
    return OrderDenied(of.client_order_id, of.strategy, of.instrument, of.side, of.qty, code, text)


def filled(
    of: SubmitOrder,
    qty: int,
    *,
    px: int = 0,
    cum_qty: int = 0,
    leaves_qty: int | None = None,
    exec_id: str = "E-fill",
    fee: int = 0,
    fee_currency: str = "USDT",
    late: bool = False,
) -> OrderFilled:
    """Return one execution of `of`: the first one, at its own price, unless told otherwise."""
    cum_qty = cum_qty or qty
    return OrderFilled(
        of.client_order_id,
        of.strategy,
        of.instrument,
        of.side,
        qty,
        px or of.limit_px,
        cum_qty,
        of.qty - cum_qty if leaves_qty is None else leaves_qty,
        exec_id,
        fee,
        fee_currency,
        Liquidity.MAKER if of.post_only else Liquidity.TAKER,
        late=late,
    )


def canceled(of: SubmitOrder, *, cum_qty: int = 0, text: str = "") -> OrderCanceled:
    """Return the fact that `of` is out of the market."""
    return OrderCanceled(
        of.client_order_id,
        of.strategy,
        of.instrument,
        of.side,
        cum_qty,
        of.qty - cum_qty,
        text,
    )


def expired(of: SubmitOrder, *, cum_qty: int = 0, text: str = "") -> OrderExpired:
    """Return the fact that the venue ended `of`."""
    return OrderExpired(
        of.client_order_id,
        of.strategy,
        of.instrument,
        of.side,
        cum_qty,
        of.qty - cum_qty,
        text,
    )


def pending_cancel(of: SubmitOrder, venue_order_id: str = "") -> OrderPendingCancel:
    """Return the fact that the OMS recorded a request to cancel `of`."""
    return OrderPendingCancel(of.client_order_id, of.strategy, of.instrument, venue_order_id)


def cancel_rejected(of: SubmitOrder, text: str = "no") -> CancelRejected:
    """Return the fact that `of` could not be canceled."""
    return CancelRejected(of.client_order_id, of.strategy, of.instrument, text)


def top(
    bid_px: int = 9_999,
    ask_px: int = 10_001,
    *,
    bid_qty: int = 100_000,
    ask_qty: int = 100_000,
    instrument: str = BTCUSDT.instrument,
    update_id: int = 1,
) -> TopOfBook:
    """Return the best levels of a LIVE book; a price of 0 empties its side."""
    return TopOfBook(
        instrument,
        update_id,
        bid_px,
        bid_qty if bid_px else 0,
        ask_px,
        ask_qty if ask_px else 0,
    )


def book_is(
    state: BookState, instrument: str = BTCUSDT.instrument, reason: str = ""
) -> BookStateChanged:
    """Return the fact that a book entered `state`."""
    return BookStateChanged(instrument, state, reason)


def quote(
    bid_px: int,
    bid_qty: int,
    ask_px: int,
    ask_qty: int,
    *,
    strategy: str = STRATEGY,
    instrument: str = BTCUSDT.instrument,
) -> QuoteIntent:
    """Return the two-sided quote that a strategy wants to have working."""
    return QuoteIntent(strategy, instrument, bid_px, bid_qty, ask_px, ask_qty)


def signal(
    side: Side,
    qty: int,
    limit_px: int = 0,
    *,
    strategy: str = "taker",
    instrument: str = BTCUSDT.instrument,
    reason: str = "",
) -> Signal:
    """Return a strategy's wish to trade now, at market unless a limit is given."""
    return Signal(strategy, instrument, side, qty, limit_px, reason)


def position(
    qty: int,
    cost: int = 0,
    *,
    strategy: str = STRATEGY,
    instrument: str = BTCUSDT.instrument,
    realized: int = 0,
    fees: int = 0,
    exec_id: str = "E-fill",
    cash_flow: int = 0,
) -> PositionUpdated:
    """Return a position that one purchase or one sale made."""
    return PositionUpdated(
        strategy,
        instrument,
        qty,
        cost,
        realized,
        fees,
        exec_id,
        max(qty, 0),
        max(-qty, 0),
        cash_flow,
    )


def pnl(
    net: int,
    *,
    strategy: str = STRATEGY,
    instrument: str = BTCUSDT.instrument,
    currency: str = "USDT",
    qty: int = 0,
) -> PnlUpdated:
    """Return a profit or loss that is all realized."""
    return PnlUpdated(strategy, instrument, currency, qty, 0, net, 0, 0, net)


def with_filters(instrument: Instrument, **filters: int) -> Instrument:
    """Return the instrument with other venue filters, in its units."""
    return msgspec.structs.replace(instrument, **filters)
