"""Positions, profit and loss, and the limits that watch them."""

from __future__ import annotations

from enum import StrEnum

from actors.events.event import Event


class TradingState(StrEnum):
    """What is let through, from the mildest to the strictest."""

    ACTIVE = "ACTIVE"
    WARN = "WARN"
    """Everything, but somebody should look."""
    REDUCING = "REDUCING"
    """Only orders that reduce a position."""
    HALTED = "HALTED"
    """No new orders; cancels pass."""
    KILL = "KILL"
    """No new orders, everything is canceled, and a restart does not lift it."""


class PositionUpdated(Event):
    """A strategy's position in one instrument after a fill.

    A position is (quantity, cost): `cost` is what the open quantity cost, signed like `qty`,
    in settle units, so `cost / qty` is the average price without ever being rounded.
    """

    key = ("strategy", "instrument")

    strategy: str
    instrument: str
    qty: int
    cost: int
    realized: int
    """Gross realized profit so far, in settle units."""
    fees: int
    """Fees paid so far in the settle currency; fees in others come as `FeePaid`."""
    exec_id: str
    """The fill that made it so."""
    bought_qty: int
    sold_qty: int
    cash_flow: int
    """Sum of signed amounts of all fills: negative for what was paid."""
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""


class FeePaid(Event):
    """A fee in a currency other than the instrument's settle currency."""

    strategy: str
    instrument: str
    currency: str
    amount: int
    exec_id: str


class PnlUpdated(Event):
    """Profit and loss of one strategy in one instrument, in settle units."""

    key = ("strategy", "instrument")

    strategy: str
    instrument: str
    currency: str
    qty: int
    mark_px: int
    """Mid price in half price units (bid + ask), so that it is exact; 0 before the first book."""
    realized: int
    unrealized: int
    fees: int
    net: int
    """``realized + unrealized - fees``."""
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""


class RiskLimitExceeded(Event):
    """A limit was hit; `value` and `limit` are in the units that `code` implies."""

    code: str
    strategy: str
    instrument: str
    value: int
    limit: int
    text: str


class TradingStateChanged(Event):
    """Risk changed what it lets through, and why."""

    state: TradingState
    reason: str
