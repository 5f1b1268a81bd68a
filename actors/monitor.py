"""The monitor: figures of what became of orders, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
from pydantic import Field

from actors.events.accounts import RiskLimitExceeded, TradingStateChanged
from actors.events.durations import SECOND
from actors.events.event import Event
from actors.events.orders import (
    CancelRejected,
    FillCorrected,
    IntentRefused,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    ReconciliationCompleted,
    ReconciliationFailed,
    ReportRepeated,
    TransitionFailed,
)
from actors.events.system import HaltTrading, Heartbeat, StreamReset, TimerFired
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Duration


class Monitor(Actor):
    """Count orders, fills, denials and broken limits by name and by strategy.

    Wire whatever is to be counted. Figures are told as one `Heartbeat`, at most once an interval
    and only when one changed; names with a dot are of one strategy, as in ``maker.filled``.
    """

    class Settings(Actor.Settings):
        """How often figures are told."""

        interval: Duration = Field(default=SECOND, gt=0)

    class State(msgspec.Struct):
        """All counts so far."""

        counts: dict[str, int] = {}
        timer: int = 0
        """Pending timer; 0 for none."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"figures": (Heartbeat,)}

    settings: Monitor.Settings
    state: State

    @handles(IntentRefused)
    def on_intent_refused(self, refusal: IntentRefused) -> None:
        """Count an intent that execution did not act on."""
        self._count("intents_refused", refusal.emitter)
        if refusal.code:
            self._count(f"intents_refused[{refusal.code}]", refusal.emitter)

    @handles(OrderApproved)
    def on_order_approved(self, approval: OrderApproved) -> None:
        """Count an order that risk let through."""
        self._count("approved", approval.order.strategy)

    @handles(OrderSubmitted)
    def on_order_submitted(self, submitted: OrderSubmitted) -> None:
        """Count an order that went to the gateway."""
        self._count("submitted", submitted.order.strategy)

    @handles(OrderDenied)
    def on_order_denied(self, denial: OrderDenied) -> None:
        """Count an order that risk refused, and why."""
        self._count("denied", denial.strategy)
        self._count(f"denied[{denial.code}]", denial.strategy)

    @handles(OrderUnknown)
    def on_order_unknown(self, order: OrderUnknown) -> None:
        """Count an order of which it is not known what became, once until it is."""
        if order.queries == 1:
            self._count("unknown", order.strategy)

    @handles(OrderAccepted)
    def on_order_accepted(self, order: OrderAccepted) -> None:
        """Count an order that works at the venue."""
        self._count("accepted", order.strategy)

    @handles(OrderRejected)
    def on_order_rejected(self, order: OrderRejected) -> None:
        """Count an order that the venue refused."""
        self._count("rejected", order.strategy)

    @handles(OrderFilled)
    def on_order_filled(self, fill: OrderFilled) -> None:
        """Count a fill, and the order if the fill ended it."""
        self._count("fills", fill.strategy)
        if fill.inferred:
            self._count("fills_inferred", fill.strategy)
        if fill.leaves_qty == 0 and not fill.late:
            self._count("filled", fill.strategy)

    @handles(FillCorrected)
    def on_fill_corrected(self, corrected: FillCorrected) -> None:
        """Count a real fill that came for an inferred one."""
        self._count("fills_corrected", corrected.fill.strategy)

    @handles(HaltTrading)
    def on_halt_trading(self, halt: HaltTrading) -> None:
        """Count a halt, and which instrument it stopped."""
        self._count("halts", "")
        if halt.instrument:
            self._count(f"halts[{halt.instrument}]", "")

    @handles(OrderCanceled)
    def on_order_canceled(self, order: OrderCanceled) -> None:
        """Count an order that was canceled."""
        self._count("canceled", order.strategy)

    @handles(OrderExpired)
    def on_order_expired(self, order: OrderExpired) -> None:
        """Count an order that the venue ended."""
        self._count("expired", order.strategy)

    @handles(CancelRejected)
    def on_cancel_rejected(self, refusal: CancelRejected) -> None:
        """Count a cancel that was refused."""
        self._count("cancels_rejected", refusal.strategy)

    @handles(TransitionFailed)
    def on_transition_failed(self, _failure: TransitionFailed) -> None:
        """Count a report that its order did not allow."""
        self._count("transitions_failed", "")

    @handles(ReconciliationCompleted)
    def on_reconciliation_completed(self, _completed: ReconciliationCompleted) -> None:
        """Count that all was found to be as it is at the venue."""
        self._count("reconciliations", "")

    @handles(ReconciliationFailed)
    def on_reconciliation_failed(self, _failure: ReconciliationFailed) -> None:
        """Count a difference to the venue that nothing explains."""
        self._count("reconciliations_failed", "")

    @handles(ReportRepeated)
    def on_report_repeated(self, _report: ReportRepeated) -> None:
        """Count a report that the venue sent again."""
        self._count("reports_repeated", "")

    @handles(RiskLimitExceeded)
    def on_risk_limit_exceeded(self, breach: RiskLimitExceeded) -> None:
        """Count a limit that was hit."""
        self._count("limits_exceeded", breach.strategy)

    @handles(TradingStateChanged)
    def on_trading_state_changed(self, change: TradingStateChanged) -> None:
        """Count a change of the trading state."""
        self._count(f"became_{change.state}", "")

    @handles(StreamReset)
    def on_stream_reset(self, _reset: StreamReset) -> None:
        """Count that something was not counted."""
        self._count("streams_reset", "")

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        """Tell all figures."""
        self.state.timer = 0
        self.emit(Heartbeat(self.name, tuple(sorted(self.state.counts.items()))))

    def _count(self, what: str, strategy: str) -> None:
        counts = self.state.counts
        counts[what] = counts.get(what, 0) + 1
        if strategy:
            name = f"{strategy}.{what}"
            counts[name] = counts.get(name, 0) + 1
        if not self.state.timer:
            self.state.timer = self.set_timer("figures", self.settings.interval)
