"""Whether a run added up: nothing lost between actors, and money exact to the last unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from actors.events.accounts import PositionUpdated
from actors.runtime.statistics import EdgeRecord, NodeStatistics
from kaiju.record.totals import Filled, RunTotals, gain_sign

MAX_NAMED = 5


class Check(msgspec.Struct, frozen=True):
    """A condition that must hold at the end of every run."""

    name: str
    holds: bool | None
    """None where the run gave nothing to check."""
    detail: str


def dropped_by(actor: str, statistics: NodeStatistics) -> str:
    """Return what `actor` and its ports dropped, and why; empty for nothing."""
    reasons: Counter[str] = Counter()
    for edge in statistics.edges:
        if edge.reader == actor:
            reasons.update(edge.dropped)
    if not reasons.total():
        return ""
    why = ", ".join(sorted(reasons))
    return f"{actor} dropped {reasons.total():,} events ({why})"


def audit(statistics: NodeStatistics, ledger: RunTotals | None, cut: str = "") -> tuple[Check, ...]:
    """Return every check of a finished run.

    Args:
        statistics: the node's counters after it stopped.
        ledger: the record added up; None where nothing was recorded.
        cut: why the record is not whole; empty where it is.
    """
    edges = (_events_conserved(statistics), _nothing_queued(statistics))
    if ledger is None or cut:
        why = f"the record is not whole: {cut}" if cut else "the topology has no recorder"
        return (*edges, *(Check(name, None, why) for name in MONEY_CHECKS))
    money = (Check(name, *find(ledger)) for name, find in MONEY_CHECKS.items())
    return (*edges, *money)


def _events_conserved(statistics: NodeStatistics) -> Check:
    broken = [_accounting(edge) for edge in statistics.edges if not edge.conserved]
    sent = sum(edge.sent for edge in statistics.edges)
    good = f"{sent:,} events on {len(statistics.edges)} edges"
    return Check(
        "sent = handled + unhandled + conflated + dropped + queued on every edge",
        *_verdict(broken, good),
    )


def _nothing_queued(statistics: NodeStatistics) -> Check:
    waiting = [
        f"{edge.stream} -> {edge.reader}: {edge.queued}" for edge in statistics.edges if edge.queued
    ]
    return Check("nothing queued at the end", *_verdict(waiting, "every mailbox is empty"))


def _accounting(edge: EdgeRecord) -> str:
    dropped = sum(edge.dropped.values())
    return (
        f"{edge.stream} -> {edge.reader}: sent {edge.sent}, handled {edge.handled}, unhandled"
        f" {edge.unhandled}, conflated {edge.conflated}, dropped {dropped}, queued {edge.queued}"
    )


def _fills_are_reports(ledger: RunTotals) -> tuple[bool | None, str]:
    if not ledger.saw_reports and not ledger.filled:
        return None, "no trade was reported"
    broken = [f"reported, never passed on: {i}" for i in ledger.missing_executions]
    broken += [f"passed on, never reported: {i}" for i in ledger.invented_executions]
    broken += [f"passed on otherwise: {i}" for i in ledger.altered_executions]
    broken += [f"passed on twice: {i}" for i in ledger.duplicate_fills]
    broken += [f"reported in two ways: {i}" for i in ledger.contradictions]
    fills = sum(filled.fills for filled in ledger.filled.values())
    inferred = f", {len(ledger.inferred):,} of them inferred" if ledger.inferred else ""
    return _verdict(broken, f"{fills:,} fills{inferred}")


def _fills_are_positions(ledger: RunTotals) -> tuple[bool | None, str]:
    if not ledger.positions:
        return _without_positions(ledger)
    keys = sorted(ledger.filled.keys() | ledger.positions.keys())
    broken = []
    for key in keys:
        filled, position = ledger.filled.get(key, Filled()), ledger.positions.get(key)
        found = (position.bought_qty, position.sold_qty, position.qty) if position else (0, 0, 0)
        expected = (filled.bought_qty, filled.sold_qty, filled.qty)
        if found != expected:
            broken.append(
                f"{_name(key)}: (bought, sold, position) was {found}, fills give {expected}"
            )
    return _verdict(broken, f"{len(keys)} positions")


def _cash_flow_is_exact(ledger: RunTotals) -> tuple[bool | None, str]:
    if not ledger.positions:
        return _without_positions(ledger)
    broken = [
        f"{_name(key)}: {problem}"
        for key, position in sorted(ledger.positions.items())
        for problem in _cash_flow_problems(ledger, key, position)
    ]
    return _verdict(broken, "cash = realized - cost of what is open, to the last unit")


def _cash_flow_problems(
    ledger: RunTotals, key: tuple[str, str], position: PositionUpdated
) -> Iterator[str]:
    filled = ledger.filled.get(key, Filled())
    instrument = ledger.instruments.get(position.instrument)
    if instrument is None:
        yield "the instrument is not in the topology"
        return
    if position.cash_flow != filled.cash_flow:
        yield f"cash flow was {position.cash_flow}, fills give {filled.cash_flow}"
    realized = filled.cash_flow + gain_sign(instrument) * position.cost
    if position.realized != realized:
        yield (
            f"realized was {position.realized}, cash flow {filled.cash_flow} and cost"
            f" {position.cost} give {realized}"
        )


def _fees_are_exact(ledger: RunTotals) -> tuple[bool | None, str]:
    if not ledger.positions:
        return _without_positions(ledger)
    broken = []
    for key, filled in sorted(ledger.filled.items()):
        position, instrument = ledger.positions.get(key), ledger.instruments.get(key[1])
        found = dict(ledger.other_fees.get(key, {}))
        if position is not None and instrument is not None:
            found[instrument.settle] = found.get(instrument.settle, 0) + position.fees
        if _nonzero(found) != _nonzero(filled.fees):
            broken.append(f"{_name(key)}: fees were {found}, fills give {dict(filled.fees)}")
    return _verdict(broken, "fees by currency, to the last unit")


def _pnl_follows_positions(ledger: RunTotals) -> tuple[bool | None, str]:
    if not ledger.pnl:
        return None, "no PnlUpdated was recorded: the topology has no PnL actor, or no position"
    broken = []
    for key, pnl in sorted(ledger.pnl.items()):
        position = ledger.positions.get(key)
        kept = (position.qty, position.realized, position.fees) if position else (0, 0, 0)
        if kept != (pnl.qty, pnl.realized, pnl.fees):
            found = (pnl.qty, pnl.realized, pnl.fees)
            broken.append(f"{_name(key)}: (qty, realized, fees) was {found}, position has {kept}")
        if pnl.net != pnl.realized + pnl.unrealized - pnl.fees:
            broken.append(f"{_name(key)}: net was {pnl.net}, not realized + unrealized - fees")
    return _verdict(broken, "net = realized + unrealized - fees, on the same positions")


MONEY_CHECKS = {
    "fills = the venue's reports": _fills_are_reports,
    "fills = positions": _fills_are_positions,
    "cash-flow identity": _cash_flow_is_exact,
    "fees = sum over fills": _fees_are_exact,
    "PnL = positions": _pnl_follows_positions,
}


def _without_positions(ledger: RunTotals) -> tuple[bool | None, str]:
    if ledger.filled:
        return None, "no PositionUpdated was recorded: the topology has no position keeper"
    return None, "nothing was filled"


def _verdict(broken: list[str], good: str) -> tuple[bool, str]:
    if not broken:
        return True, good
    more = len(broken) - MAX_NAMED
    return False, "; ".join(islice(broken, MAX_NAMED)) + (f"; and {more} more" * (more > 0))


def _nonzero(fees: dict[str, int]) -> dict[str, int]:
    return {currency: units for currency, units in fees.items() if units}


def _name(key: Iterable[str]) -> str:
    return " ".join(key)
