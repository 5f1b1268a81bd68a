"""What a run's own record says about orders, fills and positions, added up independently.

The position keeper and the PnL actor are checked against this, so nothing here uses their model:
amounts are exact fractions, rounded half-even once a fill (docs/design.md, "Money").
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import msgspec

from actors.events.accounts import FeePaid, PnlUpdated, PositionUpdated
from actors.events.event import Event, tag_of
from actors.events.market import Side
from actors.events.order_words import ExecType
from actors.events.orders import (
    CancelRejected,
    FillCorrected,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    TransitionFailed,
)
from actors.events.reference import Contract, Instrument
from actors.events.venue import ExecutionReport
from kaiju.record.record import Recorded

Key = tuple[str, str]
"""(strategy, instrument)."""

ORDER_STATES: dict[type[Event], str] = {
    OrderSubmitted: "submitted",
    OrderDenied: "denied",
    OrderAccepted: "accepted",
    OrderRejected: "rejected",
    OrderFilled: "filled",
    OrderCanceled: "canceled",
    OrderExpired: "expired",
    CancelRejected: "cancel rejected",
    OrderUnknown: "unknown",
}
"""What happened to an order, by event class; a partial fill is ``partly filled``."""
PARTLY_FILLED = "partly filled"


class Execution(msgspec.Struct, frozen=True):
    """What must be the same in a fill and in the venue's report of it."""

    side: Side
    qty: int
    px: int
    fee: int
    fee_currency: str

    def differences(self, reported: Execution) -> str:
        """Return what differs in a report, in words; empty for nothing."""
        pairs = (
            ("side", self.side.name, reported.side.name),
            ("qty", self.qty, reported.qty),
            ("px", self.px, reported.px),
            ("fee", _fee(self), _fee(reported)),
        )
        return ", ".join(f"{n} was {one}, reported {two}" for n, one, two in pairs if one != two)


class Filled(msgspec.Struct):
    """All fills of one strategy in one instrument."""

    fills: int = 0
    bought_qty: int = 0
    sold_qty: int = 0
    cash_flow: int = 0
    """Signed amounts in settle units, as `PositionUpdated` counts them."""
    fees: Counter[str] = msgspec.field(default_factory=Counter)
    """Smallest units by currency."""

    @property
    def qty(self) -> int:
        """The position that follows from the fills."""
        return self.bought_qty - self.sold_qty


class RunTotals:
    """Adds up a record.

    Args:
        instruments: definitions by id; fills in others count without amounts.
    """

    def __init__(self, instruments: dict[str, Instrument]) -> None:
        self.instruments = instruments
        self.filled: dict[Key, Filled] = {}
        self.positions: dict[Key, PositionUpdated] = {}
        """The last positions that the position keeper published."""
        self.other_fees: dict[Key, Counter[str]] = {}
        """Its `FeePaid` events: smallest units by currency."""
        self.orders: Counter[tuple[str, str]] = Counter()
        """Events by (strategy, state)."""
        self.failed_transitions = 0
        self.duplicate_fills: list[str] = []
        """Executions that the OMS passed on twice."""
        self.inferred: dict[str, OrderFilled] = {}
        """Fills that only the venue's totals told, and for which no report came; by exec_id."""
        self._pnl: dict[Key, list[Any]] = {}
        self.contradictions: list[str] = []
        """Executions that the venue reported in two ways."""
        self._venue_executions: dict[str, Execution] = {}
        self._own_executions: dict[str, Execution] = {}
        self._add = {
            tag_of(event_class): add
            for event_class, add in (
                (OrderFilled, self._add_fill),
                (FillCorrected, self._add_correction),
                (OrderUnknown, self._add_unknown),
                (PositionUpdated, self._add_position),
                (FeePaid, self._add_fee),
                (PnlUpdated, self._add_pnl),
                (ExecutionReport, self._add_report),
                (TransitionFailed, self._add_failure),
            )
        }
        for event_class in ORDER_STATES:
            self._add.setdefault(tag_of(event_class), self._add_order)
        self._states = {tag_of(event_class): state for event_class, state in ORDER_STATES.items()}

    def add(self, recorded: Recorded) -> None:
        """Take one event; those that do not concern money or orders are ignored."""
        add = self._add.get(recorded.event[0])
        if add is not None:
            add(recorded)

    @property
    def pnl(self) -> dict[Key, PnlUpdated]:
        """The last PnL that the PnL actor published."""
        return {key: msgspec.convert(event, PnlUpdated) for key, event in self._pnl.items()}

    @property
    def missing_executions(self) -> list[str]:
        """Trades that the venue reported and the OMS never passed on."""
        return sorted(self._venue_executions.keys() - self._own_executions.keys())

    @property
    def invented_executions(self) -> list[str]:
        """Fills that the venue never reported."""
        return sorted(self._own_executions.keys() - self._venue_executions.keys())

    @property
    def altered_executions(self) -> list[str]:
        """Fills that differ from the venue's report, with what differs."""
        shared = sorted(self._own_executions.keys() & self._venue_executions.keys())
        found = (
            (name, self._own_executions[name].differences(self._venue_executions[name]))
            for name in shared
        )
        return [f"{name}: {differences}" for name, differences in found if differences]

    @property
    def saw_reports(self) -> bool:
        """Whether the record holds the venue's reports at all."""
        return bool(self._venue_executions)

    def _add_order(self, recorded: Recorded) -> None:
        event = recorded.event
        strategy = event[1][2] if event[0] == "OrderSubmitted" else event[2]
        self.orders[strategy, self._states[event[0]]] += 1

    def _add_unknown(self, recorded: Recorded) -> None:
        if recorded.as_event(OrderUnknown).queries == 1:
            self._add_order(recorded)

    def _add_fill(self, recorded: Recorded) -> None:
        fill = recorded.as_event(OrderFilled)
        partly = fill.leaves_qty or fill.late
        self.orders[fill.strategy, PARTLY_FILLED if partly else "filled"] += 1
        if fill.inferred:
            self.inferred[fill.exec_id] = fill
        else:
            self._note_execution(fill)
        self._book(fill, 1)

    def _add_correction(self, recorded: Recorded) -> None:
        corrected = recorded.as_event(FillCorrected)
        if (replaced := self.inferred.pop(corrected.replaces, None)) is not None:
            self._book(replaced, -1)
        if corrected.fill.last_qty:
            self._note_execution(corrected.fill)
            self._book(corrected.fill, 1)

    def _note_execution(self, fill: OrderFilled) -> None:
        execution = f"{fill.instrument} {fill.exec_id}"
        if execution in self._own_executions:
            self.duplicate_fills.append(execution)
        self._own_executions.setdefault(execution, _execution_of(fill))

    def _book(self, fill: OrderFilled, times: int) -> None:
        """Count a fill once, or (-1) take it back."""
        filled = self.filled.setdefault((fill.strategy, fill.instrument), Filled())
        filled.fills += times
        filled.fees[fill.fee_currency] += times * fill.fee
        if fill.side > 0:
            filled.bought_qty += times * fill.last_qty
        else:
            filled.sold_qty += times * fill.last_qty
        if instrument := self.instruments.get(fill.instrument):
            exact = amount(instrument, fill.last_qty, fill.last_px) if not fill.inferred else 0
            paid = times * (exact or fill.amount)
            filled.cash_flow -= fill.side * gain_sign(instrument) * paid

    def _add_position(self, recorded: Recorded) -> None:
        position = recorded.as_event(PositionUpdated)
        self.positions[position.strategy, position.instrument] = position

    def _add_fee(self, recorded: Recorded) -> None:
        fee = recorded.as_event(FeePaid)
        fees = self.other_fees.setdefault((fee.strategy, fee.instrument), Counter())
        fees[fee.currency] += fee.amount

    def _add_pnl(self, recorded: Recorded) -> None:
        event = recorded.event
        self._pnl[event[1], event[2]] = event

    def _add_report(self, recorded: Recorded) -> None:
        if recorded.event[4] == ExecType.TRADE:
            report = recorded.as_event(ExecutionReport)
            name, execution = f"{report.instrument} {report.exec_id}", _execution_of(report)
            first = self._venue_executions.setdefault(name, execution)
            if differences := first.differences(execution):
                self.contradictions.append(f"{name}: {differences}")

    def _add_failure(self, _recorded: Recorded) -> None:
        self.failed_transitions += 1


def _execution_of(event: OrderFilled | ExecutionReport) -> Execution:
    return Execution(event.side, event.last_qty, event.last_px, event.fee, event.fee_currency)


def _fee(execution: Execution) -> str:
    return f"{execution.fee} {execution.fee_currency}" if execution.fee else "0"


def amount(instrument: Instrument, qty: int, px: int) -> int:
    """Return what `qty` at `px` amounts to in settle units, rounded half-even."""
    quantity = Fraction(qty, 10**instrument.qty_scale)
    price = Fraction(px, 10**instrument.price_scale)
    rate = price if instrument.contract is Contract.LINEAR else 1 / price
    units = Fraction(10) ** instrument.settle_scale
    return round(quantity * instrument.contract_size * rate * units)


def gain_sign(instrument: Instrument) -> int:
    """Return 1 where buying costs cash (linear) and -1 where it brings it in (inverse)."""
    return 1 if instrument.contract is Contract.LINEAR else -1
