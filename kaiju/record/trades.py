"""What was traded in a run: every order and how it ended, every fill, and the PnL at the end.

All of it is read off the record, event by event, so that two runs can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from actors.events.accounts import FeePaid, PnlUpdated
from actors.events.event import Event, tag_of
from actors.events.market import Side
from actors.events.order_words import Liquidity
from actors.events.orders import (
    FillCorrected,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    SubmitOrder,
)
from kaiju.record.record import Recorded
from kaiju.record.totals import ORDER_STATES, PARTLY_FILLED

UNDECIDED = "undecided"
"""State of an order of which only the request was recorded."""
UNKNOWN = "unknown"
"""State of an order about which the venue is being asked."""

Account = tuple[str, str, str]
"""(strategy, instrument, currency)."""


class Order(msgspec.Struct):
    """One order as its strategy requested it, and how it ended; quantities in units."""

    client_order_id: str
    strategy: str
    instrument: str
    time: int
    """When it was requested, by the node's clock."""
    side: Side
    qty: int
    px: int
    """Limit price in units; 0 at market."""
    terms: str
    """Such as ``LIMIT GTC post-only``."""
    state: str = UNDECIDED
    """As `kaiju.record.totals.ORDER_STATES` and `PARTLY_FILLED` name it."""
    filled_qty: int = 0
    reason: str = ""
    """Why it was denied, rejected, canceled or expired, where a reason was given."""

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same order in two runs; ids count and so shift."""
        return (self.strategy, self.instrument, self.time, self.side, self.qty, self.px)

    @property
    def outcome(self) -> tuple[object, ...]:
        """What may differ between two runs of the same order."""
        return (self.terms, self.state, self.filled_qty, self.reason)


class Fill(NamedTuple):
    """One execution; quantity and price in units of the instrument, the fee in its currency's."""

    strategy: str
    instrument: str
    time: int
    side: Side
    qty: int
    px: int
    client_order_id: str
    fee: int
    fee_currency: str
    liquidity: Liquidity

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same fill in two runs; ids count and so shift."""
        return self[:6]

    @property
    def outcome(self) -> tuple[object, ...]:
        """What may differ between two runs of the same fill."""
        return self[7:]


class Amounts(NamedTuple):
    """One strategy in one instrument at the end: position in units, money in smallest units."""

    position: int = 0
    realized: int = 0
    unrealized: int = 0
    fees: int = 0
    net: int = 0


class TradeHistory:
    """Collects what was traded, from a record's events in their order.

    Attributes:
        orders: by client order id, in the order in which they were asked for.
        fills: in their order.
        pnl: the last word on each account; fees in other currencies are accounts of their own.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self._inferred: dict[str, int] = {}
        self.pnl: dict[Account, Amounts] = {}
        self._add: dict[str, tuple[type[Event], Callable[[Any, int], None]]] = {
            tag_of(event_class): (event_class, add)
            for event_class, add in (
                (SubmitOrder, self._add_order),
                (OrderApproved, self._add_approved),
                (OrderDenied, self._add_denied),
                (OrderSubmitted, self._add_submitted),
                (OrderAccepted, self._add_accepted),
                (OrderFilled, self._add_filled),
                (FillCorrected, self._add_corrected),
                (OrderRejected, self._add_ended),
                (OrderCanceled, self._add_ended),
                (OrderExpired, self._add_ended),
                (PnlUpdated, self._add_pnl),
                (FeePaid, self._add_fee),
                (OrderUnknown, self._add_unknown),
            )
        }

    def add(self, recorded: Recorded) -> None:
        """Take one event; those that do not concern orders or money are ignored."""
        if found := self._add.get(recorded.event[0]):
            event_class, add = found
            add(recorded.as_event(event_class), recorded.time)

    def _add_order(self, wanted: SubmitOrder, time: int) -> None:
        self._see(wanted, time)

    def _add_approved(self, approved: OrderApproved, time: int) -> None:
        self._see(approved.order, time)

    def _add_submitted(self, submitted: OrderSubmitted, time: int) -> None:
        self._see(submitted.order, time).state = ORDER_STATES[OrderSubmitted]

    def _see(self, wanted: SubmitOrder, time: int) -> Order:
        if (known := self.orders.get(wanted.client_order_id)) is not None:
            return known
        terms = f"{wanted.order_type} {wanted.time_in_force}"
        self.orders[wanted.client_order_id] = order = Order(
            client_order_id=wanted.client_order_id,
            strategy=wanted.strategy,
            instrument=wanted.instrument,
            time=time,
            side=wanted.side,
            qty=wanted.qty,
            px=wanted.limit_px,
            terms=f"{terms} post-only" if wanted.post_only else terms,
        )
        return order

    def _add_denied(self, denied: OrderDenied, _time: int) -> None:
        if (order := self.orders.get(denied.client_order_id)) is not None:
            order.state = ORDER_STATES[OrderDenied]
            order.reason = f"{denied.code}: {denied.text}"

    def _add_accepted(self, accepted: OrderAccepted, _time: int) -> None:
        order = self.orders.get(accepted.client_order_id)
        if order is not None and not order.filled_qty:
            order.state = ORDER_STATES[OrderAccepted]

    def _add_unknown(self, unknown: OrderUnknown, _time: int) -> None:
        if (order := self.orders.get(unknown.client_order_id)) is not None:
            order.state = UNKNOWN

    def _add_ended(self, ended: OrderRejected | OrderCanceled | OrderExpired, _time: int) -> None:
        if (order := self.orders.get(ended.client_order_id)) is not None:
            order.state, order.reason = ORDER_STATES[type(ended)], ended.text

    def _add_filled(self, filled: OrderFilled, time: int) -> None:
        if filled.inferred:  # it has no price; the real one may still come
            self._inferred[filled.exec_id] = filled.last_qty
        else:
            self._add_fill(filled, time)
        if (order := self.orders.get(filled.client_order_id)) is not None:
            order.filled_qty += filled.last_qty
            partly = filled.leaves_qty or filled.late
            order.state = PARTLY_FILLED if partly else ORDER_STATES[OrderFilled]

    def _add_corrected(self, corrected: FillCorrected, time: int) -> None:
        fill = corrected.fill
        if fill.last_qty:
            self._add_fill(fill, time)
        if (order := self.orders.get(fill.client_order_id)) is not None:
            order.filled_qty += fill.last_qty - self._inferred.pop(corrected.replaces, 0)

    def _add_fill(self, filled: OrderFilled, time: int) -> None:
        fill = Fill(
            strategy=filled.strategy,
            instrument=filled.instrument,
            time=time,
            side=filled.side,
            qty=filled.last_qty,
            px=filled.last_px,
            client_order_id=filled.client_order_id,
            fee=filled.fee,
            fee_currency=filled.fee_currency,
            liquidity=filled.liquidity,
        )
        self.fills.append(fill)

    def _add_pnl(self, pnl: PnlUpdated, _time: int) -> None:
        account = (pnl.strategy, pnl.instrument, pnl.currency)
        self.pnl[account] = Amounts(pnl.qty, pnl.realized, pnl.unrealized, pnl.fees, pnl.net)

    def _add_fee(self, paid: FeePaid, _time: int) -> None:
        account = (paid.strategy, paid.instrument, paid.currency)
        fees = self.pnl.get(account, Amounts()).fees + paid.amount
        self.pnl[account] = Amounts(fees=fees, net=-fees)
