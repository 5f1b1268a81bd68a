"""Order management: what every order is, from approval to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
from pydantic import Field

from actors.events.durations import SECOND
from actors.events.event import Event
from actors.events.orders import (
    CancelOrder,
    CancelRejected,
    ExecType,
    ExecutionReport,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderMassStatus,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    ReconciliationCompleted,
    ReconciliationFailed,
    ReportRepeated,
    TransitionFailed,
)
from actors.events.system import StreamReset, TimerFired
from actors.model.order_table import OrderTable, ask_about, ask_to_cancel
from actors.model.reconciliation import Reconciliation, sweep, take_answer
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Duration


class OrderManagement(Actor):
    """Keep the state of every order, and turn the venue's reports into facts for all others.

    A report that repeats another becomes `ReportRepeated`, one that the order's state does not
    allow `TransitionFailed`; neither changes anything.

    An order whose outcome is not known is UNKNOWN: it stays open, is asked about until the venue
    says what it is, and is never sent again. A list of what is open at the venue begins a
    reconciliation, which is completed once no order that it concerns is in doubt.
    """

    class Settings(Actor.Settings):
        """How long to wait for the venue, and how much of the past to keep."""

        ack_timeout: Duration = Field(default=5 * SECOND, gt=0)
        """How long the venue may take to answer a request before the order is UNKNOWN."""
        query_interval: Duration = Field(default=2 * SECOND, gt=0)
        """Between two questions about an UNKNOWN order."""
        closed_orders: int = Field(default=1_000, ge=1)
        """Ended orders kept for reports that are still late; twice as many at most."""

    class State(msgspec.Struct):
        """Open orders and the last closed ones, and what is in doubt of them."""

        table: OrderTable = msgspec.field(default_factory=OrderTable)
        reconciliations: dict[str, Reconciliation] = {}
        """Those not completed, by the stream that the list came from."""
        sweep_timer: int = 0
        """Pending timer of the next look at orders in flight; 0 for none."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "requests": (
            OrderSubmitted,
            OrderPendingCancel,
            OrderUnknown,
            ReconciliationCompleted,
        ),
        "orders": (
            OrderAccepted,
            OrderDenied,
            OrderRejected,
            OrderFilled,
            OrderCanceled,
            OrderExpired,
            CancelRejected,
        ),
        "failures": (TransitionFailed, ReportRepeated, ReconciliationFailed),
    }
    order_path = True

    settings: OrderManagement.Settings
    state: State

    @handles(OrderApproved)
    def on_order_approved(self, approval: OrderApproved) -> None:
        """Record the order, then hand it to the gateway; deny it if its id is another order's."""
        self.emit(self.state.table.submit(approval.order, self.now))
        self._watch()

    @handles(CancelOrder)
    def on_cancel_order(self, cancel: CancelOrder) -> None:
        """Record the request, then hand it to the gateway; refuse it if no such order is open."""
        self.emit(self.state.table.request_cancel(cancel, self.now))
        self._watch()

    @handles(ExecutionReport)
    def on_execution_report(self, report: ExecutionReport) -> None:
        """Apply what the venue says, and tell what follows from it."""
        state = self.state
        if report.exec_type is ExecType.ORDER_STATUS:
            for event in take_answer(state.table, report, self.now):
                self.emit(event)
        else:
            fact = state.table.apply(report)
            if fact is not None:
                self.emit(fact)
        if state.reconciliations:
            self._complete()
        state.table.forget_closed(self.settings.closed_orders)

    @handles(OrderMassStatus)
    def on_order_mass_status(self, listing: OrderMassStatus) -> None:
        """Compare what is open here with what is open at the venue, and ask about the rest."""
        state, source = self.state, self.envelope.id[0]
        reconciliation = Reconciliation(listing.request_id, listing.instruments)
        known = state.reconciliations.get(source)
        if known is not None and known.request_id == listing.request_id:
            reconciliation = known
        state.reconciliations[source] = reconciliation
        for event in reconciliation.take(state.table, listing, self.now):
            self.emit(event)
        self._complete()
        self._sweep()

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Ask about every open order where reports were missed, cancel them where requests were.

        Whoever sent requests that were missed does not know any more what works.
        """
        classes, table = self.heard.get(reset.stream, ()), self.state.table
        for record in table.open.values():
            if ExecutionReport in classes:
                self.emit(ask_about(record, self.now))
            elif classes:
                self.emit(ask_to_cancel(record, self.now))
        if classes and table.open:
            self._watch()

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        """Ask about orders for whose answer the venue takes too long."""
        self.state.sweep_timer = 0
        self._sweep()

    def busy(self) -> bool:
        """Return True while an order is open."""
        return bool(self.state.table.open)

    def _complete(self) -> None:
        reconciliations = self.state.reconciliations
        for source, reconciliation in list(reconciliations.items()):
            completed = reconciliation.completed(self.state.table)
            if completed is not None:
                del reconciliations[source]
                self.emit(completed)

    def _watch(self) -> None:
        """See to it that a request without an answer is noticed; an answered one costs nothing."""
        if not self.state.sweep_timer:
            self.state.sweep_timer = self.set_timer("sweep", self.settings.ack_timeout)

    def _sweep(self) -> None:
        state, settings = self.state, self.settings
        if state.sweep_timer:
            self.cancel_timer(state.sweep_timer)
        asked, wait = sweep(state.table, self.now, settings.ack_timeout, settings.query_interval)
        for question in asked:
            self.emit(question)
        state.sweep_timer = self.set_timer("sweep", wait) if wait else 0
