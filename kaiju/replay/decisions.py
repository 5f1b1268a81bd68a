"""The decisions of a run: what strategies wanted, and what execution and risk made of it.

A venue's answers are left out, and so is everything that follows from them alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from actors.events.event import Event, tag_of
from actors.events.market import Side
from actors.events.orders import (
    CancelOrder,
    IntentRefused,
    OrderApproved,
    OrderDenied,
    QuoteIntent,
    Signal,
    SubmitOrder,
)
from kaiju.record.record import Record, Recorded
from kaiju.record.scales import Scales
from kaiju.replay.differences import Mismatch, match

UNDECIDED, APPROVED, DENIED = "undecided", "approved", "denied"


class DesiredSide(NamedTuple):
    """One side of a signal, quote or order; quantity and price in units, price 0 at market."""

    side: Side
    qty: int
    px: int


class Decision(msgspec.Struct):
    """A signal, a quote, a refusal of one, an order, or a cancel."""

    time: int
    strategy: str
    instrument: str
    sides: tuple[DesiredSide, ...] = ()
    """Both sides of a quote, one of a signal or order; none of a refusal or a cancel."""
    terms: str = ""
    """Terms of an order, such as ``LIMIT GTC post-only``."""
    state: str = ""
    """State of an order: approved, denied or undecided."""
    reason: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What identifies the decision in two runs; ids do not, because they are counters."""
        return (self.strategy, self.instrument, self.time, self.sides)

    @property
    def outcome(self) -> tuple[object, ...]:
        """What may differ between two runs of the same decision."""
        return (self.terms, self.state, self.reason)


class Decisions:
    """Collects the decisions of a run from the events of its record, in order.

    Attributes:
        signals: to trade now.
        quotes: to keep working.
        refusals: of signals and quotes, by execution.
        orders: submitted, and whether they were approved.
        cancels: requested.
    """

    def __init__(self) -> None:
        self.signals: list[Decision] = []
        self.quotes: list[Decision] = []
        self.refusals: list[Decision] = []
        self.orders: list[Decision] = []
        self.cancels: list[Decision] = []
        self._order: dict[str, Decision] = {}
        self._add: dict[str, tuple[type[Event], Callable[[Any, int], None]]] = {
            tag_of(event_class): (event_class, add)
            for event_class, add in (
                (Signal, self._add_signal),
                (QuoteIntent, self._add_quote),
                (IntentRefused, self._add_refusal),
                (SubmitOrder, self._add_order),
                (OrderApproved, self._add_approved),
                (OrderDenied, self._add_denied),
                (CancelOrder, self._add_cancel),
            )
        }

    @classmethod
    def of(cls, record: Record) -> Decisions:
        """Return the decisions of a run.

        Raises:
            DamagedFileError: the record is damaged.
        """
        decisions = cls()
        for recorded in record:
            decisions.add(recorded)
        return decisions

    def add(self, recorded: Recorded) -> None:
        """Add one event, if it is a decision or the approval of one."""
        if found := self._add.get(recorded.event[0]):
            event_class, add = found
            add(recorded.as_event(event_class), recorded.time)

    def by_kind(self) -> dict[str, list[Decision]]:
        """Return the decisions of each kind, in order."""
        return {
            "signals": self.signals,
            "quotes": self.quotes,
            "refusals": self.refusals,
            "orders": self.orders,
            "cancels": self.cancels,
        }

    def counts(self) -> dict[str, int]:
        """Return the number of each kind, and of approved and denied orders."""
        states = [order.state for order in self.orders]
        kinds = {kind: len(decisions) for kind, decisions in self.by_kind().items()}
        return kinds | {state: states.count(state) for state in (APPROVED, DENIED)}

    def _add_signal(self, signal: Signal, time: int) -> None:
        side = DesiredSide(signal.side, signal.qty, signal.limit_px)
        about = (time, signal.strategy, signal.instrument)
        self.signals.append(Decision(*about, (side,), reason=signal.reason))

    def _add_quote(self, quote: QuoteIntent, time: int) -> None:
        bid = DesiredSide(Side.BUY, quote.bid_qty, quote.bid_px)
        ask = DesiredSide(Side.SELL, quote.ask_qty, quote.ask_px)
        self.quotes.append(Decision(time, quote.strategy, quote.instrument, (bid, ask)))

    def _add_refusal(self, refusal: IntentRefused, time: int) -> None:
        about = (time, refusal.strategy, refusal.instrument)
        self.refusals.append(Decision(*about, reason=refusal.text))

    def _add_order(self, order: SubmitOrder, time: int) -> None:
        terms = f"{order.order_type} {order.time_in_force}"
        self._order[order.client_order_id] = decision = Decision(
            time,
            order.strategy,
            order.instrument,
            (DesiredSide(order.side, order.qty, order.limit_px),),
            terms=f"{terms} post-only" if order.post_only else terms,
            state=UNDECIDED,
        )
        self.orders.append(decision)

    def _add_approved(self, approved: OrderApproved, _time: int) -> None:
        if (order := self._order.get(approved.order.client_order_id)) is not None:
            order.state = APPROVED

    def _add_denied(self, denied: OrderDenied, _time: int) -> None:
        if (order := self._order.get(denied.client_order_id)) is not None:
            order.state, order.reason = DENIED, f"{denied.code}: {denied.text}"

    def _add_cancel(self, cancel: CancelOrder, time: int) -> None:
        order = self._order.get(cancel.client_order_id)
        sides = () if order is None else order.sides
        self.cancels.append(Decision(time, cancel.strategy, cancel.instrument, sides))


class DecisionDifferences(msgspec.Struct, frozen=True):
    """The decisions in which two runs differ."""

    counts: dict[str, dict[str, int]]
    """`Decisions.counts` of the recorded run and of the two that are compared."""
    kinds: dict[str, Mismatch[Decision]]
    scales: Scales

    @property
    def compared(self) -> int:
        """Number of decisions of the run before."""
        return sum(self.counts["before"][kind] for kind in self.kinds)

    def __bool__(self) -> bool:
        return any(self.kinds.values())


def decision_differences(recorded: Record, before: Record, after: Record) -> DecisionDifferences:
    """Compare the decisions of two runs.

    Args:
        recorded: the run that both repeat; it is only counted.
        before: the first run.
        after: the run compared with it.

    Raises:
        DamagedFileError: a record is damaged.
    """
    sides = {"recorded": recorded, "before": before, "after": after}
    decided = {name: Decisions.of(record) for name, record in sides.items()}
    kinds = decided["after"].by_kind()
    return DecisionDifferences(
        counts={name: decisions.counts() for name, decisions in decided.items()},
        kinds={kind: match(decided["before"].by_kind()[kind], kinds[kind]) for kind in kinds},
        scales=before.scales,
    )
