"""The enumerations of orders, in FIX's words."""

from __future__ import annotations

from enum import StrEnum


class OrderType(StrEnum):
    """OrdType(40)."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP = "STOP"
    """At market once the stop price is reached."""
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"
    """A stop whose price follows the market's best, and never goes back."""
    MARKET_IF_TOUCHED = "MARKET_IF_TOUCHED"
    """A stop on the other side of the market: what takes a profit."""
    LIMIT_IF_TOUCHED = "LIMIT_IF_TOUCHED"


class TimeInForce(StrEnum):
    """TimeInForce(59)."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    DAY = "DAY"
    GTD = "GTD"
    """Until its `expire_time`."""


class OrdStatus(StrEnum):
    """OrdStatus(39) as our OMS keeps it; from FILLED to DENIED they are terminal."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    DENIED = "DENIED"
    UNKNOWN = "UNKNOWN"
    """Ours: sent or asked for, and what became of it is not known; the venue is asked."""


class ExecType(StrEnum):
    """ExecType(150): why a report was sent."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCEL_REJECTED = "CANCEL_REJECTED"
    ORDER_STATUS = "ORDER_STATUS"
    """The answer to a question about an order; nothing happened to it."""
    REPLACED = "REPLACED"
    REPLACE_REJECTED = "REPLACE_REJECTED"
    TRIGGERED = "TRIGGERED"
    """A stop's price was reached: the order works now."""
    RESTATED = "RESTATED"
    """The venue changed the order by itself."""
    TRADE_CORRECT = "TRADE_CORRECT"
    """A trade that was reported before was another than it said."""
    TRADE_CANCEL = "TRADE_CANCEL"
    """A trade that was reported before is void."""


class OrdRejReason(StrEnum):
    """OrdRejReason(103), as far as it changes what follows."""

    OTHER = "OTHER"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    """The answer of a venue that was asked about an order that it does not have."""
    NEVER_RECEIVED = "NEVER_RECEIVED"
    """The same, and what was sent before can never arrive any more: older sessions are fenced."""


class Liquidity(StrEnum):
    """LastLiquidityInd(851)."""

    MAKER = "MAKER"
    TAKER = "TAKER"
    NONE = "NONE"
