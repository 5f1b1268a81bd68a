"""Order management: what every order is, from approval to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from pydantic import Field

from actors.events.durations import SECOND
from actors.events.event import Event
from actors.events.order_words import ExecType, OrdStatus
from actors.events.orders import (
    CancelOrder,
    CancelRejected,
    FillCorrected,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    ReconciliationCompleted,
    ReconciliationFailed,
    ReportRepeated,
    SubmitOrder,
    TransitionFailed,
)
from actors.events.role import Role
from actors.events.system import (
    HaltLifted,
    HaltTrading,
    ResumeTrading,
    StreamReset,
    TimerFired,
)
from actors.events.venue import ExecutionReport, OrderMassStatus
from actors.model.answers import take_answer
from actors.model.order_facts import denied
from actors.model.order_record import OrderRecord, ask_about, ask_to_cancel, doubt
from actors.model.order_table import OrderTable
from actors.model.questions import QUESTIONS_AT_ONCE, sweep
from actors.model.reconciliation import Reconciliation
from actors.model.risk_order import RiskCode
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Duration
from actors.runtime.stream_name import owner_of
from actors.runtime.trading_state import (
    HaltEntries,
    is_halted,
    lift_of,
    lift_streams,
    lifts_of,
)

INSTRUMENT_HALTED = "INSTRUMENT_HALTED"
"""The code of a refusal where something traded that should not have."""
NAMED = 10
"""Orders left open that are named at the end of a run."""


class OrderManagement(Actor):
    """Keep the state of every order, and turn the venue's reports into facts for all others.

    A report that repeats another becomes `ReportRepeated`, one that the order's state does not
    allow `TransitionFailed`. Whatever traded is booked, allowed or not; what was not allowed halts
    its instrument until an operator resumes. A fill of an order that nobody knows halts too, and is
    booked as EXTERNAL once the venue says that it has the order.

    An order whose outcome is not known is UNKNOWN: it stays open, is asked about until the venue
    says what it is, and is never sent again. A list of what is open at the venue begins a
    reconciliation; it holds up instruments with an order in doubt, and no others.
    """

    class Settings(Actor.Settings):
        """How long to wait for the venue, and how much of the past to keep."""

        ack_timeout: Duration = Field(default=5 * SECOND, gt=0)
        """How long the venue may take to answer a request before the order is UNKNOWN."""
        query_interval: Duration = Field(default=2 * SECOND, gt=0)
        """Between the first two questions about an order; it doubles with each, up to a minute."""
        closed_orders: int = Field(default=1_000, ge=1)
        """Ended orders kept for reports that are still late; twice as many at most."""

    class State(msgspec.Struct):
        """Open orders and the last closed ones, and what is in doubt of them."""

        table: OrderTable = msgspec.field(default_factory=OrderTable)
        reconciliations: dict[str, Reconciliation] = {}
        """Those not completed, by the stream that the list came from."""
        halts: HaltEntries = msgspec.field(default_factory=HaltEntries)
        """The trading state, with the instruments in which traded what should not have."""
        sweep_timer: int = 0
        """Pending timer of the next look at orders in flight; 0 for none."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "requests": (
            OrderSubmitted,
            OrderPendingCancel,
            OrderUnknown,
            ReconciliationCompleted,
            HaltLifted,
        ),
        "orders": (
            OrderAccepted,
            OrderDenied,
            OrderRejected,
            OrderFilled,
            FillCorrected,
            OrderCanceled,
            OrderExpired,
            CancelRejected,
        ),
        "failures": (TransitionFailed, ReportRepeated, ReconciliationFailed),
        "halts": (HaltTrading, ResumeTrading),
    }
    role = Role.OMS
    order_path = True

    settings: OrderManagement.Settings
    state: State

    @handles(OrderApproved)
    def on_order_approved(self, approval: OrderApproved) -> None:
        """Record the order, then hand it to the gateway.

        It is denied if its id is another order's, or where trading was halted since the approval.
        """
        order = approval.order
        level, halt = self.state.halts.strictest(
            account=order.account, instrument=order.instrument, strategy=order.strategy
        )
        if halt is not None and is_halted(level):
            code = INSTRUMENT_HALTED if halt.instrument else RiskCode.TRADING_HALTED.value
            self.emit(denied(order, code, halt.reason))
            return
        self.emit(self.state.table.submit(order, self.now))
        self._watch()

    @handles(CancelOrder)
    def on_cancel_order(self, cancel: CancelOrder) -> None:
        """Record the request, then hand it to the gateway; refuse it if no such order is open.

        Only execution cancels in the names of others.
        """
        stream = self.envelope.id[0]
        if self.roles.get(stream, Role.EXECUTION) != Role.EXECUTION:
            cancel = replace(cancel, strategy=owner_of(stream))
        self.emit(self.state.table.request_cancel(cancel, self.now))
        self._watch()

    @handles(ExecutionReport)
    def on_execution_report(self, report: ExecutionReport) -> None:
        """Apply what the venue says, and tell what follows from it."""
        state = self.state
        known = state.table.open.get(report.client_order_id)
        held = known is not None and bool(known.held)
        if report.exec_type is ExecType.ORDER_STATUS:
            events = take_answer(state.table, report, self.now, self.instruments)
        else:
            events = state.table.apply(report, self.now)
        for event in events:
            if isinstance(event, HaltTrading):
                self._halt(event)
            else:
                self.emit(event)
        if held and known is not None and not known.held:
            self._resume(known)
        if any(isinstance(event, OrderUnknown) for event in events):
            self._watch()
        if state.reconciliations:
            self._complete()
        state.table.forget_closed(self.settings.closed_orders)

    @handles(HaltTrading)
    def on_halt_trading(self, halt: HaltTrading) -> None:
        """Deny from now on what was approved before; cancels pass."""
        self.state.halts.take(halt)

    @handles(ResumeTrading)
    def on_resume_trading(self, resume: ResumeTrading) -> None:
        """Wait for the lift behind all that risk approved before; say it where risk does not."""
        streams = lift_streams(self.heard)
        lifted = self.state.halts.expect_lift(resume, streams)
        if not streams:
            for lift in lifts_of(resume, lifted, self.node_name):
                self.emit(lift)

    @handles(HaltLifted)
    def on_halt_lifted(self, lift: HaltLifted) -> None:
        """Let orders through again where nothing else halts them, and pass the lift on."""
        if self.state.halts.take_lift(
            lift, self.node_name, self.envelope.id[0], lift_streams(self.heard)
        ):
            self.emit(lift)

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
        for number, record in enumerate(table.open.values()):
            if ExecutionReport not in classes:
                if classes:
                    self.emit(ask_to_cancel(record, self.now))
            elif number < QUESTIONS_AT_ONCE:
                self.emit(ask_about(record, self.now))
            else:
                doubt(record, self.now)
        if classes and table.open:
            self._watch()

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        """Ask about orders for whose answer the venue takes too long."""
        self.state.sweep_timer = 0
        self._sweep()

    def busy(self) -> bool:
        """Return True while an order of ours is open that a stop does not leave open."""
        return any(self._is_ours_to_end(record) for record in self.state.table.open.values())

    def open_orders(self) -> Mapping[str, SubmitOrder]:
        """Return all orders that have not ended, whoever placed them."""
        return {name: record.order for name, record in self.state.table.open.items()}

    def left_open(self) -> str:
        """Return which of our orders are open, and of which it is not known."""
        unknown, known = list[str](), list[str]()
        for order_id, record in self.state.table.open.items():
            if self._is_ours_to_end(record):
                (unknown if record.status is OrdStatus.UNKNOWN else known).append(order_id)
        texts = (_counted(known, "open"), _counted(unknown, "of unknown fate"))
        return "; ".join(text for text in texts if text)

    def _is_ours_to_end(self, record: OrderRecord) -> bool:
        """Tell whether an order has to end with the run: ours, unless it works and is left so."""
        if record.external:
            return False
        return not (
            self.leaves_orders and record.status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
        )

    def _complete(self) -> None:
        reconciliations = self.state.reconciliations
        for source, reconciliation in list(reconciliations.items()):
            completed = reconciliation.progress(self.state.table)
            if completed is not None:
                self.emit(completed)
                if not completed.in_doubt:
                    del reconciliations[source]

    def _halt(self, halt: HaltTrading) -> None:
        """Stop an instrument until somebody lifts it; the same cause stops it once."""
        halt_id = f"{self.name}-{self.session}-{halt.halt_id}"
        halt = replace(halt, halt_id=halt_id, owner=self.name, since=self.now)
        if self.state.halts.take(halt):
            self.emit(halt)

    def _resume(self, record: OrderRecord) -> None:
        """Lift the halt of a fill of nobody's order once the venue confirmed the order."""
        halt_id = f"{self.name}-{self.session}-{record.order.client_order_id}"
        halt = self.state.halts.entries.get(halt_id)
        if halt is not None:
            reason = f"{record.order.client_order_id} is an order at the venue, kept as EXTERNAL"
            resume = lift_of(halt, reason)
            self.state.halts.expect_lift(resume, lift_streams(self.heard))
            self.emit(resume)

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


def _counted(order_ids: Sequence[str], what: str) -> str:
    if not order_ids:
        return ""
    shown, more = ", ".join(order_ids[:NAMED]), len(order_ids) - NAMED
    noun = "1 order is" if len(order_ids) == 1 else f"{len(order_ids)} orders are"
    return f"{noun} {what}: {shown}" + (f" and {more} more" if more > 0 else "")
