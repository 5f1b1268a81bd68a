"""Events and reference data with defaults, so that a test names only what it is about."""

from __future__ import annotations

from decimal import Decimal

from actors.events.market import BookState, BookStateChanged, Side, TopOfBook
from actors.events.orders import (
    CancelOrder,
    CancelRejected,
    ExecType,
    ExecutionReport,
    Liquidity,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    OrderType,
    OrdStatus,
    QuoteIntent,
    Signal,
    SubmitOrder,
    TimeInForce,
)
from actors.events.reference import Contract, Currency, Instrument

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
