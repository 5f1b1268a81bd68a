"""One side of a quote: at most one order at a time, replaced by cancel, then new."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from actors.events.market import Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.orders import SubmitOrder


class Action(StrEnum):
    """What a side of a quote needs done now."""

    NOTHING = "NOTHING"
    PLACE = "PLACE"
    CANCEL = "CANCEL"
    LATER = "LATER"
    """Something, but not before `QuoteSide.retry_at`."""


class OwnOrder(msgspec.Struct):
    """An order that execution sent and that has not ended."""

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    qty: int
    px: int = 0
    submitted: bool = False
    """True once the OMS recorded it; a cancel sent earlier would be refused."""
    canceling: bool = False

    @property
    def cancelable(self) -> bool:
        """True if a cancel can be sent and was not."""
        return self.submitted and not self.canceling

    def as_quote(self, decided_at: int) -> SubmitOrder:
        """Return what asks for it as one side of a quote, decided at a time (UTC ns)."""
        return self._order(OrderType.LIMIT, TimeInForce.GTC, decided_at, post_only=True)

    def as_taker(self, decided_at: int) -> SubmitOrder:
        """Return what asks for it at once: up to its limit, or at market where it has none."""
        order_type = OrderType.LIMIT if self.px else OrderType.MARKET
        return self._order(order_type, TimeInForce.IOC, decided_at, post_only=False)

    def _order(
        self, kind: OrderType, time_in_force: TimeInForce, decided_at: int, *, post_only: bool
    ) -> SubmitOrder:
        return SubmitOrder(
            self.client_order_id,
            self.strategy,
            self.instrument,
            self.side,
            self.qty,
            kind,
            time_in_force,
            self.px,
            post_only,
            decided_at=decided_at,
        )


class QuoteSide(msgspec.Struct):
    """What is wanted on one side of a quote, and the order that works there.

    Each intent is worked once: a side that filled, was refused or ended unasked stays empty until
    the next intent, so that nothing is sent on a decision that no longer knows the position.
    """

    px: int = 0
    """Wanted price."""
    qty: int = 0
    """Wanted quantity; 0 for no order."""
    pending: bool = False
    """True while the wanted price and quantity were not worked yet."""
    order: OwnOrder | None = None
    retry_at: int = 0
    """UTC nanoseconds before which nothing is sent, after a refusal."""
    refused: bool = False
    """True where what is wanted was sent and rejected, and nothing else was wanted since."""

    def want(self, px: int, qty: int) -> None:
        """Take the newest intent; one that equals what works is worked already."""
        self.px, self.qty = (px, qty) if qty else (0, 0)
        order = self.order
        self.pending = order is None or order.canceling or (order.px, order.qty) != (px, qty)
        self.refused = False

    def next_action(self, now: int) -> Action:
        """Return what to do at `now`, UTC nanoseconds."""
        order = self.order
        if not self.pending or (order is None and not self.qty):
            return Action.NOTHING
        if order is not None and not order.cancelable:
            return Action.NOTHING
        if now < self.retry_at:
            return Action.LATER
        return Action.PLACE if order is None else Action.CANCEL

    def place(self, order: OwnOrder) -> None:
        """Note that the wanted order was sent."""
        self.order = order
        self.pending = False

    def end(self, retry_at: int, *, refused: bool) -> None:
        """Note that the order ended; `retry_at` 0 allows the next one at once."""
        self.order = None
        self.retry_at = retry_at
        self.refused = refused and not self.pending

    def want_again(self) -> None:
        """Want what was rejected once more: the reason may be gone."""
        if self.refused:
            self.pending, self.refused, self.retry_at = True, False, 0

    def keep(self, retry_at: int) -> None:
        """Note that a cancel was refused, so the order still works."""
        if self.order is not None:
            self.order.canceling = False
            self.retry_at = retry_at
            self.want(self.px, self.qty)


class WorkingQuote(msgspec.Struct):
    """Both sides of one strategy's quote in one instrument."""

    bid: QuoteSide = msgspec.field(default_factory=QuoteSide)
    ask: QuoteSide = msgspec.field(default_factory=QuoteSide)

    def side(self, side: Side) -> QuoteSide:
        """Return the bid for BUY, the ask for SELL."""
        return self.bid if side > 0 else self.ask
