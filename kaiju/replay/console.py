"""Prints the differences of two runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.events.durations import SECOND
from actors.events.reference import from_units
from kaiju.record.record import Recorded
from kaiju.record.scales import Scales
from kaiju.record.trades import Amounts, Fill, Order
from kaiju.replay.decisions import Decision, DecisionDifferences, DesiredSide
from kaiju.replay.differences import Compared, Differences, Divergence, Mismatch, PnlChange

C = TypeVar("C", bound=Compared)
MAX_SHOWN = 20
"""Rows printed of each kind, unless all are asked for."""
COLUMNS = ("time", "strategy", "instrument", "side", "qty", "price")


def print_differences(found: Differences, console: Console, *, everything: bool = False) -> None:
    """Print how two runs differ: all counts, and the first rows of each kind.

    Args:
        found: the differences.
        console: where to print.
        everything: print all of each kind.
    """
    if found.divergence is None:
        console.print(Text(f"nothing differs: {found.events[0]:,} events are the same", "green"))
        return
    _print_divergence(found.divergence, found, console)
    show = _Show(console, None if everything else MAX_SHOWN)
    scales = found.scales
    show.mismatch("orders", found.orders, lambda order: _order(order, scales))
    show.mismatch("fills", found.fills, lambda fill: _fill(fill, scales))
    show.pnl(found.pnl, scales)


def print_decisions(
    found: DecisionDifferences, console: Console, *, everything: bool = False
) -> None:
    """Print how the decisions of two runs differ: all counts, and the first rows of each kind.

    Args:
        found: the differences.
        console: where to print.
        everything: print all of each kind.
    """
    show = _Show(console, None if everything else MAX_SHOWN)
    show.counts(found.counts)
    if not found:
        console.print(Text(f"nothing differs: {found.compared:,} decisions are the same", "green"))
        return
    scales = found.scales
    for kind, decisions in found.kinds.items():
        show.mismatch(kind, decisions, lambda decision: _decision(decision, scales))


class _Show:
    def __init__(self, console: Console, most: int | None) -> None:
        self._console = console
        self._most = most

    def mismatch(
        self, what: str, found: Mismatch[C], cells: Callable[[C], tuple[Sequence[str], str]]
    ) -> None:
        if not found:
            self._console.print(Text(f"{what}: the same in both", "bold"))
            return
        for where, only in (("before", found.only_before), ("after", found.only_after)):
            rows = ((*terms, outcome) for terms, outcome in map(cells, only))
            self._table(f"{what} only {where}", len(only), (*COLUMNS, "outcome"), rows)
        pairs = ((cells(before), cells(after)) for before, after in found.changed)
        rows = ((*before[0], before[1], after[1]) for before, after in pairs)
        title = f"{what} with another outcome"
        self._table(title, len(found.changed), (*COLUMNS, "before", "after"), rows)

    def counts(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        columns = ("", *next(iter(counts.values())))
        rows = [(name, *(f"{n:,}" for n in each.values())) for name, each in counts.items()]
        self._print(columns, columns[1:], rows)

    def pnl(self, changes: Sequence[PnlChange], scales: Scales) -> None:
        if not changes:
            self._console.print(Text("PnL: the same in both", "bold"))
            return
        columns = ("strategy", "instrument", "currency", "", *Amounts._fields)
        rows = (_pnl(change, scales) for change in changes)
        self._table("PnL that differs", len(changes), columns, rows)

    def _table(
        self, title: str, count: int, columns: Iterable[str], rows: Iterable[Sequence[str]]
    ) -> None:
        self._console.print(Text(f"{title}: {count:,}", "bold"))
        if not count:
            return
        self._print(columns, ("qty", "price", *Amounts._fields), islice(rows, self._most))
        if self._most is not None and count > self._most:
            self._console.print(f"... and {count - self._most:,} more; --all shows them")

    def _print(
        self, columns: Iterable[str], right: Collection[str], rows: Iterable[Sequence[str]]
    ) -> None:
        table = Table(pad_edge=False, box=None)
        for column in columns:
            table.add_column(column, justify="right" if column in right else "left")
        for row in rows:
            table.add_row(*map(Text, row))
        self._console.print(table)


def _print_divergence(divergence: Divergence, found: Differences, console: Console) -> None:
    sides = (divergence.before, divergence.after)
    streams = dict.fromkeys(side.stream for side in sides if side is not None)
    place = f"at {when(divergence.time)} on {' and '.join(streams)}"
    text = f"the runs diverge after {divergence.equal:,} equal events, {place}:"
    console.print(Text(text, "bold"), soft_wrap=True)
    for name, side in zip(("before", "after"), sides, strict=True):
        text = "nothing: the run was over" if side is None else _event(side, found)
        console.print(Text(f"  {name:<7} {text}"), soft_wrap=True)


def when(nanoseconds: int) -> str:
    """Return a time to the nanosecond, UTC."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d}"


def _event(recorded: Recorded, found: Differences) -> str:
    cause = _position(recorded.cause) if recorded.cause else "outside"
    place = _position((recorded.stream, recorded.epoch, recorded.seq))
    return f"{place} {when(recorded.time)} from {cause}: {_text(recorded.event, found)}"


def _position(position: Sequence[Any]) -> str:
    stream, epoch, seq = position
    return f"{stream} {epoch}/{seq}"


def _text(value: Any, found: Differences) -> str:
    if not isinstance(value, list):
        return repr(value)
    if value and isinstance(value[0], str) and value[0] in found.fields:
        named = zip(found.fields[value[0]], value[1:], strict=False)
        return f"{value[0]}({', '.join(f'{name}={_text(v, found)}' for name, v in named)})"
    return f"[{', '.join(_text(item, found) for item in value)}]"


def _order(order: Order, scales: Scales) -> tuple[Sequence[str], str]:
    outcome = f"{order.terms} {order.state}"
    if order.filled_qty:
        outcome += "" if order.state.endswith("filled") else ", filled"
        outcome += f" {_decimal(order.filled_qty, scales.quantities, order.instrument)}"
    return _terms(order, scales), f"{outcome}: {order.reason}" if order.reason else outcome


def _fill(fill: Fill, scales: Scales) -> tuple[Sequence[str], str]:
    fee = _decimal(fill.fee, scales.currencies, fill.fee_currency)
    return _terms(fill, scales), f"{fill.liquidity} fee {fee} {fill.fee_currency}"


def _terms(order: Order | Fill, scales: Scales) -> Sequence[str]:
    instrument = order.instrument
    return (
        when(order.time),
        order.strategy,
        instrument,
        order.side.name,
        _decimal(order.qty, scales.quantities, instrument),
        _decimal(order.px, scales.prices, instrument) if order.px else "market",
    )


def _decision(decision: Decision, scales: Scales) -> tuple[Sequence[str], str]:
    instrument = decision.instrument
    sides = [
        (
            desired.side.name,
            _decimal(desired.qty, scales.quantities, instrument),
            _price(desired, scales, instrument),
        )
        for desired in decision.sides
    ]
    columns = [" / ".join(column) for column in zip(*sides, strict=True)] or ["", "", ""]
    outcome = " ".join(filter(None, (decision.terms, decision.state)))
    return (
        (when(decision.time), decision.strategy, instrument, *columns),
        ": ".join(filter(None, (outcome, decision.reason))),
    )


def _price(desired: DesiredSide, scales: Scales, instrument: str) -> str:
    if desired.px:
        return _decimal(desired.px, scales.prices, instrument)
    return "market" if desired.qty else "none"


def _pnl(change: PnlChange, scales: Scales) -> Sequence[str]:
    _, instrument, currency = change.account
    rows = (change.before, change.after, change.difference)
    columns = [
        "\n".join(
            _decimal(units, *(known if field else (scales.quantities, instrument)))
            for units in (row[field] for row in rows)
        )
        for known in [(scales.currencies, currency)]
        for field in range(len(Amounts._fields))
    ]
    return (*change.account, "before\nafter\ndifference", *columns)


def _decimal(units: int, scales: Any, name: str) -> str:
    return f"{from_units(units, scales.get(name, 0)):f}"
