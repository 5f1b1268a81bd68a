"""The path of `bench.path` in NautilusTrader's `BacktestEngine`: same quotes, orders and fees."""

from __future__ import annotations

import time
from decimal import Decimal

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, TimeInForce
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from bench.recorded import BTCUSDT, ORDER_QTY, QUOTES_PER_ORDER, TAKER_FEE, looped_quotes
from bench.rounds import Figures

INSTRUMENT_ID = InstrumentId.from_str(BTCUSDT.instrument)
PRICE_UNITS, QTY_UNITS = 10**BTCUSDT.price_scale, 10**BTCUSDT.qty_scale
QTY = Quantity.from_str(f"{Decimal(ORDER_QTY):.{BTCUSDT.qty_scale}f}")
INSTRUMENT = CurrencyPair(
    instrument_id=INSTRUMENT_ID,
    raw_symbol=Symbol(BTCUSDT.symbol),
    base_currency=BTC,
    quote_currency=USDT,
    price_precision=BTCUSDT.price_scale,
    size_precision=BTCUSDT.qty_scale,
    price_increment=Price.from_str("0.01"),
    size_increment=Quantity.from_str("0.000001"),
    lot_size=None,
    max_quantity=None,
    min_quantity=None,
    max_notional=None,
    min_notional=None,
    max_price=None,
    min_price=None,
    margin_init=Decimal(0),
    margin_maint=Decimal(0),
    maker_fee=Decimal(TAKER_FEE),
    taker_fee=Decimal(TAKER_FEE),
    ts_event=0,
    ts_init=0,
)


class Alternating(Strategy):  # type: ignore[misc]
    """Trade on every so many-th quote, buying and selling in turn."""

    def on_start(self) -> None:
        """Listen."""
        self.quotes = 0
        self.side = OrderSide.BUY
        self.subscribe_quote_ticks(INSTRUMENT_ID)

    def on_quote_tick(self, _tick: QuoteTick) -> None:
        """Count, and trade when it is time."""
        self.quotes += 1
        if self.quotes % QUOTES_PER_ORDER == 0:
            order = self.order_factory.market(
                INSTRUMENT_ID, self.side, QTY, time_in_force=TimeInForce.IOC
            )
            self.submit_order(order)
            self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY


def measure() -> Figures:
    """Return quotes a second, and how many orders and fills there were."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("BENCH-001"),
            logging=LoggingConfig(bypass_logging=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        venue=Venue(BTCUSDT.venue),
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=None,
        starting_balances=[Money(10, BTC), Money(1_000_000, USDT)],
    )
    engine.add_instrument(INSTRUMENT)
    quotes = quote_ticks()
    engine.add_data(quotes)
    strategy = Alternating()
    engine.add_strategy(strategy)
    began = time.perf_counter()
    engine.run()
    took = time.perf_counter() - began
    orders = engine.cache.orders()
    fees = sum(
        fee.as_double() for order in orders for fee in order.commissions() if fee.currency == USDT
    )
    return {
        "per_second": len(quotes) / took,
        "quotes": strategy.quotes,
        "orders": len(orders),
        "fills": sum(isinstance(event, OrderFilled) for order in orders for event in order.events),
        "fees": fees,
    }


def quote_ticks() -> list[QuoteTick]:
    """Return the quotes as this system wants them."""
    return [
        QuoteTick(
            INSTRUMENT_ID,
            Price(quote.bid_px / PRICE_UNITS, BTCUSDT.price_scale),
            Price(quote.ask_px / PRICE_UNITS, BTCUSDT.price_scale),
            Quantity(quote.bid_qty / QTY_UNITS, BTCUSDT.qty_scale),
            Quantity(quote.ask_qty / QTY_UNITS, BTCUSDT.qty_scale),
            time_ns,
            time_ns,
        )
        for time_ns, quote in looped_quotes()
    ]
