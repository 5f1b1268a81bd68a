"""Order management: what every order is, from approval to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
from pydantic import Field

from actors.events.event import Event
from actors.events.orders import (
    CancelOrder,
    CancelRejected,
    ExecutionReport,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    ReportRepeated,
    TransitionFailed,
)
from actors.model.order_table import OrderTable
from actors.runtime.actor import Actor, handles


class OrderManagement(Actor):
    """Keep the state of every order, and turn the venue's reports into facts for all others.

    A report that repeats another becomes `ReportRepeated`, one that the order's state does not
    allow `TransitionFailed`; neither changes anything.
    """

    class Settings(Actor.Settings):
        """How much of the past to keep."""

        closed_orders: int = Field(default=1_000, ge=1)
        """Ended orders kept for reports that are still late; twice as many at most."""

    class State(msgspec.Struct):
        """Open orders and the last closed ones."""

        table: OrderTable = msgspec.field(default_factory=OrderTable)

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "requests": (OrderSubmitted, OrderPendingCancel),
        "orders": (
            OrderAccepted,
            OrderDenied,
            OrderRejected,
            OrderFilled,
            OrderCanceled,
            OrderExpired,
            CancelRejected,
        ),
        "failures": (TransitionFailed, ReportRepeated),
    }
    order_path = True

    settings: OrderManagement.Settings
    state: State

    @handles(OrderApproved)
    def on_order_approved(self, approval: OrderApproved) -> None:
        """Record the order, then hand it to the gateway; deny it if its id is another order's."""
        self.emit(self.state.table.submit(approval.order))

    @handles(CancelOrder)
    def on_cancel_order(self, cancel: CancelOrder) -> None:
        """Record the request, then hand it to the gateway; refuse it if no such order is open."""
        self.emit(self.state.table.request_cancel(cancel))

    @handles(ExecutionReport)
    def on_execution_report(self, report: ExecutionReport) -> None:
        """Apply what the venue says, and tell what follows from it."""
        table = self.state.table
        fact = table.apply(report)
        if fact is not None:
            self.emit(fact)
        table.forget_closed(self.settings.closed_orders)

    def busy(self) -> bool:
        """Return True while an order is open."""
        return bool(self.state.table.open)
