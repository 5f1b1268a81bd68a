"""What a gateway asks of a venue, and what the venue reports."""

from __future__ import annotations

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import (
    ExecType,
    Liquidity,
    OrderType,
    OrdRejReason,
    OrdStatus,
    TimeInForce,
)
from actors.events.role import FROM_VENUES, Role


class NewOrderSingle(Event):
    """A gateway sends an order to its venue (FIX D)."""

    request = True
    emitted_by = (Role.GATEWAY,)

    client_order_id: str
    instrument: str
    side: Side
    qty: int
    order_type: OrderType
    time_in_force: TimeInForce
    limit_px: int = 0
    post_only: bool = False
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""
    intent_id: str = ""
    """What its strategy knows it by: that of the signal or quote."""
    decided_at: int = 0
    """When the intent was taken, UTC nanoseconds: an order's age counts from here; 0: unknown."""
    stop_px: int = 0
    """Price that triggers a STOP, STOP_LIMIT or TRAILING_STOP, price units; 0 for others."""
    expire_time: int = 0
    """End of a GTD order, UTC nanoseconds; 0 for others."""
    reduce_only: bool = False
    """Whether it may only make a position smaller."""
    display_qty: int = 0
    """What an iceberg shows, quantity units; 0 shows all."""
    parent_id: str = ""
    """The parent order whose child it is; empty where there is none."""


class OrderCancelRequest(Event):
    """A gateway asks its venue to cancel one order (FIX F)."""

    request = True
    cancels = True
    emitted_by = (Role.GATEWAY,)

    client_order_id: str
    instrument: str
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""


class OrderMassCancelRequest(Event):
    """A gateway asks its venue to cancel our orders of one instrument or (empty) of all (FIX q)."""

    request = True
    cancels = True
    emitted_by = (Role.GATEWAY,)

    instrument: str = ""
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""


class OrderStatusRequest(Event):
    """A gateway asks its venue about one order (FIX H), open or ended.

    The answer is an `ExecutionReport` of type ORDER_STATUS.
    """

    request = True
    emitted_by = (Role.GATEWAY,)

    client_order_id: str
    instrument: str
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""


class OrderMassStatusRequest(Event):
    """A gateway asks its venue for all our open orders (FIX AF).

    The answer is one `OrderMassStatus` behind all reports of what happened before it.
    """

    request = True
    emitted_by = (Role.GATEWAY,)

    request_id: str
    instruments: tuple[str, ...] = ()
    """What it asks about; empty for all."""
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""


class TradeCaptureReportRequest(Event):
    """A gateway asks its venue for our trades, oldest first (FIX AD).

    The answer is one `TradeCaptureReport` behind all reports of what happened before it.
    """

    request = True
    emitted_by = (Role.GATEWAY,)

    request_id: str
    instrument: str
    after: str = ""
    """`exec_id` of the newest trade that is known; empty for all that the venue keeps."""
    client_order_id: str = ""
    """The order whose trades are wanted; empty for those of all."""
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""


class OrderStatus(Event):
    """An open order as its venue lists it."""

    client_order_id: str
    venue_order_id: str
    instrument: str
    side: Side
    qty: int
    ord_status: OrdStatus
    cum_qty: int
    leaves_qty: int
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""


class OrderMassStatus(Event):
    """All our orders that are open at a venue, oldest first."""

    emitted_by = FROM_VENUES

    request_id: str
    orders: tuple[OrderStatus, ...]
    instruments: tuple[str, ...] = ()
    """What it is about, as it was asked; empty for all."""


class ExecutionReport(Event):
    """What the venue says about one order (FIX 8).

    `exec_id` is unique at the venue, and empty for ORDER_STATUS, which is no execution: asked
    about an order that it does not have, a venue says REJECTED with UNKNOWN_ORDER, or with
    NEVER_RECEIVED, and the side means nothing. `text` carries the reason of a reject or an
    expiry. Quantities and prices are 0 where they do not apply; `fee` is a cost, negative for a
    rebate.
    """

    emitted_by = FROM_VENUES

    client_order_id: str
    venue_order_id: str
    exec_id: str
    exec_type: ExecType
    ord_status: OrdStatus
    instrument: str
    side: Side
    last_qty: int
    last_px: int
    cum_qty: int
    leaves_qty: int
    fee: int = 0
    fee_currency: str = ""
    liquidity: Liquidity = Liquidity.NONE
    text: str = ""
    transact_time: int = 0
    ord_rej_reason: OrdRejReason = OrdRejReason.OTHER
    account: str = ""
    """Of the venue, as the topology names it; empty for the venue's only one."""
    trade_id: str = ""
    """The venue's own id of the trade, where it differs from `exec_id`."""
    cum_amount: int = 0
    """Amount of all fills of the order so far, in settle units; 0 where it is not told."""
    inferred: bool = False
    """Concluded from the venue's totals, not reported: its amount is known, its price is not."""
    orig_client_order_id: str = ""
    """The order's first client order id, where a replacement gave it another."""


class TradeCaptureReport(Event):
    """Our trades as their venue keeps them, oldest first (FIX AE)."""

    emitted_by = FROM_VENUES

    request_id: str
    instrument: str
    trades: tuple[ExecutionReport, ...]
    """As they were reported; none is new."""
