"""Orders and executions, in FIX words.

The order path: `Signal` or `QuoteIntent` -> `SubmitOrder` -> `OrderApproved` | `OrderDenied`
-> `OrderSubmitted` -> venue -> `ExecutionReport` -> `OrderAccepted`, `OrderFilled`, ...
"""

from __future__ import annotations

from actors.events.event import Event, require_text, require_whole
from actors.events.market import Side
from actors.events.order_words import (
    ExecType,
    Liquidity,
    OrderType,
    TimeInForce,
)
from actors.events.role import Role

ASKING = (Role.STRATEGY, Role.NONE)


class Signal(Event):
    """A strategy wants to trade now; execution chooses the order.

    `limit_px` 0 means at market. `reason` is kept with the order that it causes. What no strategy
    can mean raises ValueError where it is made, so that the strategy fails and nobody after it.
    """

    request = True
    emitted_by = ASKING

    strategy: str
    instrument: str
    side: Side
    qty: int
    limit_px: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        require_text(self.strategy, "Signal.strategy")
        require_text(self.instrument, "Signal.instrument")
        if type(self.side) is not Side:
            raise ValueError(f"Signal.side was {self.side!r}, allowed are Side.BUY and Side.SELL")
        require_whole(self.qty, "Signal.qty", 1)
        require_whole(self.limit_px, "Signal.limit_px")
        require_text(self.reason, "Signal.reason")


class QuoteIntent(Event):
    """The two-sided quote that a strategy wants to have working; quantity 0 means no quote.

    A side with a quantity needs a price. What no strategy can mean raises ValueError where it is
    made, so that the strategy fails and nobody after it.
    """

    key = ("strategy", "instrument")
    request = True
    emitted_by = ASKING

    strategy: str
    instrument: str
    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int

    def __post_init__(self) -> None:
        require_text(self.strategy, "QuoteIntent.strategy")
        require_text(self.instrument, "QuoteIntent.instrument")
        require_whole(self.bid_qty, "QuoteIntent.bid_qty")
        require_whole(self.ask_qty, "QuoteIntent.ask_qty")
        require_whole(self.bid_px, "QuoteIntent.bid_px", 1 if self.bid_qty else 0)
        require_whole(self.ask_px, "QuoteIntent.ask_px", 1 if self.ask_qty else 0)


class IntentRefused(Event):
    """Execution did not act on a signal or a quote, and why."""

    strategy: str
    """Name that the intent bore."""
    instrument: str
    emitter: str
    """Actor that emitted it."""
    text: str
    code: str = ""
    """INTENT_RATE where there were too many; else empty."""


class SubmitOrder(Event):
    """A request for a new order; `limit_px` is 0 for MARKET."""

    request = True
    emitted_by = (Role.EXECUTION, *ASKING)

    client_order_id: str
    strategy: str
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


class CancelOrder(Event):
    """A request to cancel one order; needs no approval."""

    request = True

    client_order_id: str
    strategy: str
    instrument: str


class CancelAll(Event):
    """A request to cancel every open order, of one instrument or (empty) of all."""

    request = True

    reason: str
    instrument: str = ""


class CancelAllVerified(Event):
    """Of what a halt covers, the venue lists nothing as open any more, and nothing is in doubt."""

    emitted_by = (Role.GATEWAY,)

    halt_id: str


class OrderApproved(Event):
    """Risk reserved exposure for this order; the only way into the OMS."""

    emitted_by = (Role.APPROVER,)

    order: SubmitOrder


class OrderDenied(Event):
    """Our own refusal; no venue ever saw the order."""

    emitted_by = (Role.APPROVER, Role.OMS)

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    qty: int
    code: str
    """First check that failed, such as ``MAX_POSITION``."""
    text: str
    value: int = 0
    """What was compared with `limit`, in the units that `code` implies; both 0 for nothing."""
    limit: int = 0
    codes: tuple[str, ...] = ()
    """All checks that failed, in their order, where they were asked for."""


class OrderSubmitted(Event):
    """The OMS recorded the order and hands it to the gateway."""

    emitted_by = (Role.OMS,)

    order: SubmitOrder


class OrderPendingCancel(Event):
    """The OMS recorded a cancel request and hands it to the gateway."""

    emitted_by = (Role.OMS,)

    client_order_id: str
    strategy: str
    instrument: str
    venue_order_id: str = ""


class OrderUnknown(Event):
    """What became of an order is not known; the gateway asks its venue."""

    emitted_by = (Role.OMS,)

    client_order_id: str
    strategy: str
    instrument: str
    queries: int
    """How often the venue was asked by now, this time included."""


class OrderAccepted(Event):
    """The order works at the venue."""

    emitted_by = (Role.OMS,)

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    qty: int
    limit_px: int
    venue_order_id: str


class OrderRejected(Event):
    """The venue refused the order."""

    emitted_by = (Role.OMS,)

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    qty: int
    text: str


class OrderFilled(Event):
    """One execution, whole or partial; `leaves_qty` 0 means that the order is done.

    `fee` is a cost in smallest units of `fee_currency`: negative for a rebate.
    """

    emitted_by = (Role.OMS,)

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    last_qty: int
    last_px: int
    cum_qty: int
    leaves_qty: int
    exec_id: str
    fee: int
    fee_currency: str
    liquidity: Liquidity
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
    amount: int = 0
    """What an inferred fill amounts to, in settle units; 0 where quantity and price say it."""
    late: bool = False
    """Whether the order had ended before; it is not this fill that ended it."""


class FillCorrected(Event):
    """A fill is another than was said before: `fill` stands in the place of the one it `replaces`.

    So comes the real one for a fill that was inferred, a venue's correction, and with a `last_qty`
    of 0 its word that there was no such trade. What is booked is the difference of the two.
    """

    emitted_by = (Role.OMS,)

    replaces: str
    """`exec_id` of the fill that counts no more."""
    fill: OrderFilled


class OrderCanceled(Event):
    """The order is out of the market; `leaves_qty` is what was not filled."""

    emitted_by = (Role.OMS,)

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    cum_qty: int
    leaves_qty: int
    """Quantity that will not trade any more: what a reservation gives back."""
    text: str = ""


class OrderExpired(Event):
    """The venue ended the order: the rest of an IOC, an FOK that could not fill, and so on."""

    emitted_by = (Role.OMS,)

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    cum_qty: int
    leaves_qty: int
    """Quantity that will not trade any more: what a reservation gives back."""
    text: str = ""


class CancelRejected(Event):
    """The venue or the OMS could not cancel; the order is as it was."""

    emitted_by = (Role.OMS,)

    client_order_id: str
    strategy: str
    instrument: str
    text: str


class TransitionFailed(Event):
    """A report that the order's state does not allow; a trade is booked all the same."""

    emitted_by = (Role.OMS,)

    client_order_id: str
    status: str
    exec_type: ExecType
    exec_id: str
    text: str


class ReportRepeated(Event):
    """A venue's report came again as it was before; dropped and counted."""

    emitted_by = (Role.OMS, Role.GATEWAY)

    client_order_id: str
    exec_id: str


class ReconciliationFailed(Event):
    """The venue's word about an order differs from ours; it is asked until both are alike."""

    emitted_by = (Role.OMS,)

    client_order_id: str
    instrument: str
    text: str


class ReconciliationCompleted(Event):
    """What is open here is what is open at the venue, but for the instruments `in_doubt`.

    Answers the `OrderMassStatusRequest` of the same `request_id`.
    """

    emitted_by = (Role.OMS,)

    request_id: str
    open_orders: int
    unexplained: int
    """Orders that the venue's list did not have as we did, and about which it was asked."""
    in_doubt: tuple[str, ...] = ()
    """Instruments of which this is not true yet; it is told again when there are fewer."""


EXTERNAL = "EXTERNAL"
"""Strategy of orders and fills of our account that none of ours asked for."""
