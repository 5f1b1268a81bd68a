"""The gateway: the last actor before a venue, and the first to hear from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, TypeAlias

import msgspec
from pydantic import Field

from actors.events.durations import MILLISECOND, SECOND
from actors.events.event import Event
from actors.events.order_words import ExecType
from actors.events.orders import (
    CancelAll,
    CancelAllVerified,
    OrderPendingCancel,
    OrderSubmitted,
    OrderUnknown,
    ReconciliationCompleted,
    ReportRepeated,
    SubmitOrder,
)
from actors.events.reference import venue_of
from actors.events.role import Role
from actors.events.system import (
    ActorRecovered,
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    HaltLifted,
    HaltTrading,
    ResumeTrading,
    StreamReset,
    TimerFired,
)
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
    OrderStatusRequest,
    TradeCaptureReport,
    TradeCaptureReportRequest,
)
from actors.model.cancel_all import ALL, CancelAllProgress
from actors.model.fills import ExecutionMemory, content_of, key_of
from actors.model.rejection import rejection
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Duration
from actors.runtime.trading_state import HaltEntries, is_halted, lift_streams
from gateways.ages import too_old

CANCEL_ALL = "cancel all"
"""Name of the timer after which everything is canceled again."""

Connection: TypeAlias = ConnectionEstablished | ConnectionLost | ConnectionRestored


class Gateway(Actor):
    """Send orders and cancels to the venue, and pass on what it reports, each report once.

    A new order is refused while an input of the gateway is stale, the venue cannot be reached, our
    orders there are not reconciled, or trading is halted: in doubt, nothing that could increase
    exposure is sent. Cancels always are.

    After each connection, and after its own recovery, the gateway asks the venue for trades since
    the last that it knows, then for open orders; a trade is told once, however it was heard of.
    Order management compares them with its own; new orders are sent once it has said which
    instruments are in doubt, in all others.

    What a halt covers is canceled again, all together and each order that is listed, after each
    connection and until the venue lists nothing of it as open.
    """

    class Settings(Actor.Settings):
        """When to ask the venue again."""

        status_interval: Duration = Field(default=5_000_000_000, gt=0)
        """The venue is asked again after this long without a completed reconciliation."""
        on_stop: Literal["cancel", "leave"] = "cancel"
        """What becomes of open orders at an ordinary stop, if all gateways say so; a halt cancels
        them all the same."""
        cancel_interval: Duration = Field(default=500 * MILLISECOND, gt=0)
        """Between two times that a halt has everything canceled, while something is open."""
        max_order_age: Duration = Field(default=SECOND, gt=0)
        """Since the intent: an older order is rejected instead of sent; cancels never are."""
        max_tick_age: Duration = Field(default=2 * SECOND, gt=0)
        """Since our feed had what began the order's chain; judged where the order leaves a node."""

    class State(Actor.State):
        """The connection, the halt, the reconciliation and the reports seen."""

        connection: Connection | None = None
        """The last news of the connection to the venue; None before the first."""
        halted: str = ""
        """Why trading as a whole is halted; empty while it is not."""
        refused: int = 0
        reconciliations: int = 0
        awaited: str = ""
        """Request id of the reconciliation in progress; empty if none is."""
        status_timer: int = 0
        """Timer after which the venue is asked again; 0 for none."""
        in_doubt: tuple[str, ...] = ()
        """Instruments of which something is not explained since the newest reconciliation."""
        halts: HaltEntries = msgspec.field(default_factory=HaltEntries)
        """The trading state."""
        executions: ExecutionMemory = msgspec.field(default_factory=ExecutionMemory)
        """What was reported."""
        cancel_all: CancelAllProgress = msgspec.field(default_factory=CancelAllProgress)
        """What halts had canceled."""
        newest_trades: dict[str, str] = msgspec.field(default_factory=dict)
        """`exec_id` of the newest trade, by instrument."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "venue": (
            NewOrderSingle,
            OrderCancelRequest,
            OrderMassCancelRequest,
            OrderStatusRequest,
            OrderMassStatusRequest,
            TradeCaptureReportRequest,
        ),
        "reports": (ExecutionReport, OrderMassStatus),
        "repeats": (ReportRepeated,),
        "connection": (ConnectionEstablished, ConnectionLost, ConnectionRestored),
        "verified": (CancelAllVerified,),
    }
    role = Role.GATEWAY
    order_path = True

    settings: Gateway.Settings
    state: State

    @handles(OrderSubmitted)
    def on_order_submitted(self, submitted: OrderSubmitted) -> None:
        """Send the order, or reject it in the venue's place."""
        order, reason = submitted.order, self._refusal(submitted.order)
        if reason:
            self.emit(self._rejection(order, reason))
            return
        self.emit(
            NewOrderSingle(
                order.client_order_id,
                order.instrument,
                order.side,
                order.qty,
                order.order_type,
                order.time_in_force,
                order.limit_px,
                order.post_only,
                order.account,
                order.intent_id,
                order.decided_at,
                order.stop_px,
                order.expire_time,
                order.reduce_only,
                order.display_qty,
                order.parent_id,
            )
        )

    @handles(OrderPendingCancel)
    def on_order_pending_cancel(self, cancel: OrderPendingCancel) -> None:
        """Ask the venue to cancel the order."""
        self.emit(OrderCancelRequest(cancel.client_order_id, cancel.instrument))

    @handles(OrderUnknown)
    def on_order_unknown(self, unknown: OrderUnknown) -> None:
        """Ask the venue what became of the order, its trades first, if it can be reached."""
        if not self._connected():
            return
        if self.tells_trades():
            about = (unknown.client_order_id, unknown.instrument)
            self.emit(TradeCaptureReportRequest(*about, client_order_id=unknown.client_order_id))
        self.emit(OrderStatusRequest(unknown.client_order_id, unknown.instrument))

    @handles(CancelAll)
    def on_cancel_all(self, cancel: CancelAll) -> None:
        """Ask the venue to cancel everything that the request covers."""
        self.emit(OrderMassCancelRequest(cancel.instrument))

    @handles(HaltTrading)
    def on_halt_trading(self, halt: HaltTrading) -> None:
        """Refuse new orders from now on, and ask the venue to cancel all that the halt covers."""
        state = self.state
        if not state.halts.take(halt) and halt.owner:
            return
        state.halted = state.halts.reason()
        for instrument in self._await_cancels(halt):
            self.emit(OrderMassCancelRequest(instrument))
        if state.cancel_all.scopes and self._connected():
            self._ask_what_is_open()

    @handles(ResumeTrading)
    def on_resume_trading(self, resume: ResumeTrading) -> None:
        """Wait for the lift behind all orders approved before."""
        self.state.halts.expect_lift(resume, lift_streams(self.heard))
        self._note_lifted()

    @handles(HaltLifted)
    def on_halt_lifted(self, lift: HaltLifted) -> None:
        """Send new orders again, where what is lifted was all that kept them back."""
        self.state.halts.take_lift(
            lift, self.node_name, self.envelope.id[0], lift_streams(self.heard)
        )
        self._note_lifted()

    @handles(ExecutionReport)
    def on_execution_report(self, report: ExecutionReport) -> None:
        """Pass a report on; one that came before with the same content is only told of.

        Where an id comes again with another content, order management has to know of both.
        """
        if report.exec_id and not self._is_news(report):
            self.emit(ReportRepeated(report.client_order_id, report.exec_id))
        else:
            self.emit(report)

    @handles(TradeCaptureReport)
    def on_trade_capture_report(self, answer: TradeCaptureReport) -> None:
        """Pass on the trades of which no report came."""
        for trade in answer.trades:
            if self._is_news(trade):
                self.emit(trade)

    @handles(ConnectionEstablished, ConnectionLost, ConnectionRestored)
    def on_connection(self, connection: Connection) -> None:
        """Pass the news on, and reconcile if the venue can be reached from now on."""
        self.state.connection = connection
        self.emit(connection)
        if self._connected():
            self._reconcile()

    @handles(ActorRecovered)
    def on_actor_recovered(self, _recovered: ActorRecovered) -> None:
        """Reconcile: while we were away, anything may have happened."""
        if self._connected():
            self._reconcile()

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Cancel everything if cancels were missed; reconcile if orders or reports were."""
        classes = self.heard.get(reset.stream, ())
        if CancelAll in classes or OrderPendingCancel in classes:
            self.emit(OrderMassCancelRequest())
        if self._connected() and (OrderSubmitted in classes or ExecutionReport in classes):
            self._reconcile()

    @handles(OrderMassStatus)
    def on_order_mass_status(self, listing: OrderMassStatus) -> None:
        """Pass on the list that was asked for last; any other is outdated."""
        if listing.request_id in (self.state.awaited, self.state.cancel_all.request_id):
            self.state.cancel_all.take(listing)
            self.emit(listing)
        else:
            self.emit(ReportRepeated("", listing.request_id))

    @handles(ReconciliationCompleted)
    def on_reconciliation_completed(self, completed: ReconciliationCompleted) -> None:
        """Send new orders again where nothing is in doubt, if it was the newest reconciliation."""
        state = self.state
        if completed.request_id != self._newest_request():
            return
        state.awaited, state.in_doubt = "", completed.in_doubt
        state.cancel_all.request_id = ""
        for halt_id in state.cancel_all.verify(completed.in_doubt):
            self.emit(CancelAllVerified(halt_id))
        if state.cancel_all.scopes and not state.cancel_all.timer:
            state.cancel_all.timer = self.set_timer(CANCEL_ALL, self.settings.cancel_interval)

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        """Ask again if the reconciliation has not completed; cancel again what is still open."""
        if timer.name == CANCEL_ALL:
            self._cancel_again()
            return
        self.state.status_timer = 0
        if (self.state.awaited or self.state.cancel_all.request_id) and self._connected():
            self._ask_for_open_orders()

    def tells_trades(self) -> bool:
        """Return whether the venue answers what our trades were."""
        return any(TradeCaptureReport in classes for classes in self.heard.values())

    def snapshot(self, output: str) -> Iterable[Event]:
        """Return the last news of the connection; orders and reports are never repeated."""
        connection = self.state.connection
        return (connection,) if output == "connection" and connection else ()

    def _refusal(self, order: SubmitOrder) -> str:
        halted = self.state.halted or self.state.halts.reason(
            account=order.account, instrument=order.instrument, strategy=order.strategy
        )
        if halted:
            return f"trading is halted: {halted}"
        oldest = self.now - self.settings.max_order_age
        if order.decided_at < oldest and order.decided_at:
            return too_old(self.settings.max_order_age)
        connection = self.state.connection
        if connection is None:
            return "no connection to the venue: none was established yet"
        if isinstance(connection, ConnectionLost):
            return f"no connection to the venue: {connection.reason}"
        return self._doubt(order.instrument)

    def _doubt(self, instrument: str) -> str:
        if self.state.awaited:
            return "not reconciled with the venue yet"
        if instrument in self.state.in_doubt:
            return f"not reconciled with the venue yet: an order in {instrument} is in doubt"
        for stream, reason in self.stale.items():
            return f"input {stream} is stale: {reason}"
        return ""

    def _is_news(self, report: ExecutionReport) -> bool:
        content = f"{report.client_order_id} {report.exec_type} {content_of(report)}"
        if self.state.executions.remember(key_of(report), content, self.now) == content:
            return False
        if report.exec_type is ExecType.TRADE:
            self.state.newest_trades[report.instrument] = report.exec_id
        return True

    def _connected(self) -> bool:
        return not isinstance(self.state.connection, ConnectionLost | None)

    def _reconcile(self) -> None:
        state = self.state
        state.reconciliations += 1
        state.awaited, state.in_doubt = self._newest_request(), ()
        scopes = [self._await_cancels(halt) for halt in state.halts.entries.values()]
        for instrument in sorted({each for scope in scopes for each in scope}):
            self.emit(OrderMassCancelRequest(instrument))
        if self.tells_trades():
            for instrument, newest in state.newest_trades.items():
                self.emit(TradeCaptureReportRequest(state.awaited, instrument, after=newest))
        if state.cancel_all.scopes:
            state.cancel_all.request_id = state.awaited
        self._ask_for_open_orders()

    def _await_cancels(self, halt: HaltTrading) -> tuple[str, ...]:
        """Return what a halt has canceled, and see to it that this is verified."""
        if not is_halted(halt.level) or halt.strategy:
            return ()  # execution knows what a strategy has open
        scope = self._scope_of(halt)
        if halt.halt_id and scope:
            self.state.cancel_all.scopes[halt.halt_id] = scope
        return scope

    def _scope_of(self, halt: HaltTrading) -> tuple[str, ...]:
        """Return the instruments of this gateway that a halt covers; `ALL` for all."""
        if halt.instrument:
            ours = self.accepts is None or halt.instrument in self.accepts
            return (halt.instrument,) if ours else ()
        traded = self.instruments if self.accepts is None else self.accepts
        found = tuple(sorted(name for name in traded if halt.venue in ("", venue_of(name))))
        return ALL if len(found) == len(traded) else found

    def _cancel_again(self) -> None:
        cancel_all = self.state.cancel_all
        cancel_all.timer = 0
        if not cancel_all.scopes or not self._connected():
            return  # the next connection begins anew
        for instrument in cancel_all.instruments():
            self.emit(OrderMassCancelRequest(instrument))
        for order_id, instrument in cancel_all.orders():
            self.emit(OrderCancelRequest(order_id, instrument))
        self._ask_what_is_open()

    def _ask_what_is_open(self) -> None:
        """Reconcile, while orders that no halt covers are sent all the same."""
        state = self.state
        state.reconciliations += 1
        newest = self._newest_request()
        state.awaited = newest if state.awaited else ""
        state.cancel_all.request_id = newest
        self._ask_for_open_orders()

    def _note_lifted(self) -> None:
        state = self.state
        state.halted = state.halts.reason()
        state.cancel_all.keep(state.halts.entries)

    def _newest_request(self) -> str:
        return f"{self.session}-{self.name}-{self.state.reconciliations}"

    def _ask_for_open_orders(self) -> None:
        instruments = tuple(sorted(self.accepts or ()))
        self.emit(OrderMassStatusRequest(self._newest_request(), instruments))
        if not self.state.status_timer:
            self.state.status_timer = self.set_timer("status", self.settings.status_interval)

    def _rejection(self, order: SubmitOrder | NewOrderSingle, reason: str) -> ExecutionReport:
        self.state.refused += 1
        exec_id = f"{self.session}-{self.name}-{self.state.refused}"
        return rejection(order, reason, exec_id=exec_id, now=self.now)
