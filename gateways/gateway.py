"""The gateway: the last actor before a venue, and the first that hears it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, TypeAlias

import msgspec

from actors.events.event import Event
from actors.events.orders import (
    CancelAll,
    ExecType,
    ExecutionReport,
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderPendingCancel,
    OrderSubmitted,
    OrdStatus,
    ReportRepeated,
    SubmitOrder,
)
from actors.events.system import (
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    HaltTrading,
    ResumeTrading,
)
from actors.runtime.actor import Actor, handles

REMEMBERED = 10_000
"""At least so many execution ids are known, so that a repeated report is recognized."""

Connection: TypeAlias = ConnectionEstablished | ConnectionLost | ConnectionRestored


class Gateway(Actor):
    """Send orders and cancels to the venue, and pass on what it reports, each report once.

    A new order is refused while anything that the gateway reads is not current, while the venue
    cannot be reached and while trading is halted: in doubt, nothing that could increase exposure
    leaves. Cancels always pass.
    """

    class State(Actor.State):
        """The connection, the halt, and which reports were seen."""

        connection: Connection | None = None
        """What was last heard of the connection to the venue."""
        halted: str = ""
        """Why trading is halted; empty while it is not."""
        refused: int = 0
        seen: dict[str, bool] = msgspec.field(default_factory=dict)
        """Execution ids, oldest first."""
        seen_before: dict[str, bool] = msgspec.field(default_factory=dict)

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "venue": (NewOrderSingle, OrderCancelRequest, OrderMassCancelRequest),
        "reports": (ExecutionReport,),
        "repeats": (ReportRepeated,),
        "connection": (ConnectionEstablished, ConnectionLost, ConnectionRestored),
    }
    order_path = True

    state: State

    @handles(OrderSubmitted)
    def on_order_submitted(self, submitted: OrderSubmitted) -> None:
        """Send the order, or answer in the venue's place that it was refused."""
        order, reason = submitted.order, self._refusal()
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
            )
        )

    @handles(OrderPendingCancel)
    def on_order_pending_cancel(self, cancel: OrderPendingCancel) -> None:
        """Ask the venue to cancel the order."""
        self.emit(OrderCancelRequest(cancel.client_order_id, cancel.instrument))

    @handles(CancelAll)
    def on_cancel_all(self, cancel: CancelAll) -> None:
        """Ask the venue to cancel everything that the request covers."""
        self.emit(OrderMassCancelRequest(cancel.instrument))

    @handles(HaltTrading)
    def on_halt_trading(self, halt: HaltTrading) -> None:
        """Refuse new orders from now on, and ask the venue to cancel all there are."""
        self.state.halted = halt.reason
        self.emit(OrderMassCancelRequest())

    @handles(ResumeTrading)
    def on_resume_trading(self, _resume: ResumeTrading) -> None:
        """Send new orders again."""
        self.state.halted = ""

    @handles(ExecutionReport)
    def on_execution_report(self, report: ExecutionReport) -> None:
        """Pass a report on; one that the venue sent before is only told of."""
        state, exec_id = self.state, report.exec_id
        if exec_id in state.seen or exec_id in state.seen_before:
            self.emit(ReportRepeated(report.client_order_id, exec_id))
            return
        if len(state.seen) >= REMEMBERED:
            state.seen, state.seen_before = {}, state.seen
        state.seen[exec_id] = True
        self.emit(report)

    @handles(ConnectionEstablished, ConnectionLost, ConnectionRestored)
    def on_connection(self, connection: Connection) -> None:
        """Send new orders while the venue can be reached, and pass the news on."""
        self.state.connection = connection
        self.emit(connection)

    def snapshot(self, output: str) -> Iterable[Event]:
        """Return what was last heard of the connection; orders and reports are never repeated."""
        connection = self.state.connection
        return (connection,) if output == "connection" and connection else ()

    def _refusal(self) -> str:
        if self.state.halted:
            return f"trading is halted: {self.state.halted}"
        connection = self.state.connection
        if connection is None:
            return "no connection to the venue: none was established yet"
        if isinstance(connection, ConnectionLost):
            return f"no connection to the venue: {connection.reason}"
        for stream, reason in self.stale.items():
            return f"input {stream} is stale: {reason}"
        return ""

    def _rejection(self, order: SubmitOrder, reason: str) -> ExecutionReport:
        self.state.refused += 1
        return ExecutionReport(
            client_order_id=order.client_order_id,
            venue_order_id="",
            exec_id=f"{self.session}-{self.name}-{self.state.refused}",
            exec_type=ExecType.REJECTED,
            ord_status=OrdStatus.REJECTED,
            instrument=order.instrument,
            side=order.side,
            last_qty=0,
            last_px=0,
            cum_qty=0,
            leaves_qty=0,
            text=reason,
            transact_time=self.now,
        )
