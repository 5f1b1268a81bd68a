"""What a pre-trade check decides on: codes, limits and the case of one order."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from actors.events.accounts import TradingState
from actors.events.durations import SECOND
from actors.events.market import TopOfBook
from actors.events.orders import SubmitOrder
from actors.events.reference import Contract, Instrument, from_units
from actors.model.exposure import Exposure, Exposures
from actors.model.market_view import MarketView
from actors.model.money import amount
from actors.model.order_rate import OrderRate, Repeats


class RiskCode(StrEnum):
    """Why an order was denied, in the order of the checks."""

    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    FOREIGN_STRATEGY = "FOREIGN_STRATEGY"
    FOREIGN_ORDER_ID = "FOREIGN_ORDER_ID"
    TRADING_HALTED = "TRADING_HALTED"
    DUPLICATE_ORDER_ID = "DUPLICATE_ORDER_ID"
    CONTRADICTION = "CONTRADICTION"
    STALE_INPUT = "STALE_INPUT"
    BOOK_NOT_LIVE = "BOOK_NOT_LIVE"
    EMPTY_BOOK = "EMPTY_BOOK"
    PRICE_FILTER = "PRICE_FILTER"
    LOT_FILTER = "LOT_FILTER"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    MAX_ORDER_QTY = "MAX_ORDER_QTY"
    MAX_ORDER_NOTIONAL = "MAX_ORDER_NOTIONAL"
    PRICE_COLLAR = "PRICE_COLLAR"
    REDUCING_ONLY = "REDUCING_ONLY"
    MAX_POSITION = "MAX_POSITION"
    MAX_ACCOUNT_POSITION = "MAX_ACCOUNT_POSITION"
    MAX_GROSS_EXPOSURE = "MAX_GROSS_EXPOSURE"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    ORDER_RATE = "ORDER_RATE"
    REPEATED_ORDER = "REPEATED_ORDER"
    DAILY_LOSS = "DAILY_LOSS"
    """Denies nothing by itself: it changes the trading state."""


FOREIGN: Final = frozenset({RiskCode.FOREIGN_STRATEGY, RiskCode.FOREIGN_ORDER_ID})
"""Codes of denials that say nothing of the order whose id they name: another's was meant."""


class Denial(msgspec.Struct, frozen=True):
    """One failed check; `limit` is set where a number was compared with a limit of ours."""

    code: RiskCode
    text: str
    value: int = 0
    limit: int | None = None


class InstrumentLimits(msgspec.Struct, frozen=True):
    """Limits in one instrument, in its units.

    None has more than 38 digits: what passes can be counted.
    """

    max_order_qty: int
    max_order_notional: int
    """Settle units."""
    max_position: int
    """Largest worst-case position of one strategy, either way."""
    max_account_position: int
    """Largest worst-case position of all strategies together, either way."""
    max_gross_exposure: int
    """Largest sum of worst-case positions in this settle currency, in its units."""


class AccountLimits(msgspec.Struct, frozen=True):
    """Limits that concern the account as a whole."""

    price_collar_bps: int
    """How far outside the spread a limit price may be; 0 for any."""
    max_open_orders: int
    orders_per_second: int
    order_burst: int
    max_repeats: int
    """Times that a strategy may send the same order within `repeat_window`."""
    repeat_window: int
    """Nanoseconds."""

    @property
    def repeat_interval_ns(self) -> int:
        """Nanoseconds that one repetition costs."""
        return self.repeat_window // self.max_repeats

    @property
    def order_interval_ns(self) -> int:
        """Nanoseconds that one order costs."""
        return SECOND // self.orders_per_second


class Case(msgspec.Struct, frozen=True, gc=False):
    """All that the decision about one order depends on."""

    order: SubmitOrder
    instrument: Instrument
    limits: InstrumentLimits
    account_limits: AccountLimits
    trading_state: TradingState
    known_ids: Mapping[str, bool]
    stale: Mapping[str, str]
    """Inputs that are not current, with the reason."""
    market: MarketView
    top: TopOfBook | None
    """Top of the order's book, if it may be used."""
    worst_px: int
    """Price that the order's amount is judged by, as `worst_px` finds it."""
    exposures: Exposures
    own: Exposure
    """The strategy's exposure in the instrument."""
    account: Exposure
    """The account's exposure in the instrument."""
    instruments: Mapping[str, Instrument]
    rate: OrderRate
    repeats: Repeats
    now: int

    @property
    def amount(self) -> int:
        """Notional of the order at its worst price, in settle units; 0 where nothing tells.

        It may have more than 38 digits, which no limit has.
        """
        px = self.worst_px
        return amount(self.instrument, self.order.qty, px) if px > 0 else 0

    def quantity(self, units: int) -> str:
        """Return a quantity as people write it."""
        return f"{from_units(units, self.instrument.qty_scale):f}"

    def price(self, units: int) -> str:
        """Return a price as people write it."""
        return f"{from_units(units, self.instrument.price_scale):f}"

    def money(self, units: int) -> str:
        """Return an amount with its currency, as people write it."""
        return f"{from_units(units, self.instrument.settle_scale):f} {self.instrument.settle}"


def same_order(order: SubmitOrder) -> str:
    """Return what two orders have in common that ask for the same, whatever their ids."""
    what = f"{order.strategy} {order.instrument} {order.side.name} {order.qty}"
    return f"{what} {order.order_type.value} {order.limit_px}"


def worst_px(order: SubmitOrder, top: TopOfBook | None, contract: Contract) -> int:
    """Return the price that an order's amount is judged by; 0 where nothing tells.

    It is the dearest at which the order may fill as far as the top tells: the highest, but for an
    inverse contract, whose amount grows as its price falls, the lowest. A limit bounds it on one
    side, the price on the far side of the book on the other.
    """
    far_px = 0 if top is None else (top.ask_px if order.side > 0 else top.bid_px)
    limit_px = order.limit_px
    if (order.side > 0) == (contract is Contract.LINEAR):
        return limit_px or far_px
    if order.side > 0:
        return min(limit_px, far_px) or max(limit_px, far_px)
    return max(limit_px, far_px)
