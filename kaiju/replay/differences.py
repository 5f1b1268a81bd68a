"""The differences between the records of two runs: orders, fills, PnL, and where they diverge.

Ids are counters, so one order more or less shifts all later ids. Orders and fills are therefore
matched by time and terms, the first with the first, the second with the second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import zip_longest
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from actors.runtime.schema import Fields, as_known, earlier_of
from kaiju.record.record import Record, Recorded
from kaiju.record.scales import Scales
from kaiju.record.trades import Account, Amounts, Fill, Order, TradeHistory


class Compared(Protocol):
    """Something that two runs may both have, with different outcomes."""

    @property
    def key(self) -> tuple[object, ...]:
        """What identifies it in two runs."""

    @property
    def outcome(self) -> tuple[object, ...]:
        """What may differ between two runs."""


C = TypeVar("C", bound=Compared)


class Mismatch(msgspec.Struct, Generic[C], frozen=True):
    """Orders or fills that differ between two runs, in the order of their run."""

    only_before: tuple[C, ...] = ()
    only_after: tuple[C, ...] = ()
    changed: tuple[tuple[C, C], ...] = ()
    """(before, after) of what both runs have, with different outcomes."""

    def __bool__(self) -> bool:
        return bool(self.only_before or self.only_after or self.changed)


class Divergence(NamedTuple):
    """The first events in which two runs differ; None for a run that was over by then."""

    equal: int
    """Number of equal events before."""
    before: Recorded | None
    after: Recorded | None

    @property
    def time(self) -> int:
        """Time of the earlier of the two, UTC nanoseconds."""
        return min(side.time for side in (self.before, self.after) if side is not None)


class PnlChange(NamedTuple):
    """An account with different PnL; zeros for a run that did not have it."""

    account: Account
    before: Amounts
    after: Amounts

    @property
    def difference(self) -> Amounts:
        """The amounts after minus those before."""
        return Amounts(*(b - a for a, b in zip(self.before, self.after, strict=True)))


class Differences(msgspec.Struct, frozen=True):
    """All differences between two runs, before and after."""

    events: tuple[int, int]
    """Number of events recorded in each run."""
    divergence: Divergence | None
    """None if the records are equal."""
    orders: Mismatch[Order]
    fills: Mismatch[Fill]
    pnl: tuple[PnlChange, ...]
    scales: Scales
    """Scales of both runs."""
    fields: dict[str, tuple[str, ...]]
    """Names of the fields of every event, by tag."""


def differences(before: Record, after: Record) -> Differences:
    """Compare two runs of the same instruments.

    Args:
        before: the first run.
        after: the run compared with it.

    Raises:
        DamagedFileError: a record is damaged.
    """
    sides = TradeHistory(), TradeHistory()
    counts = [0, 0]
    divergence = None
    schema = earlier_of(before.schema, after.schema)
    for pair in zip_longest(before, after):
        if divergence is None and pair[0] != pair[1] and not _same(*pair, schema):
            divergence = Divergence(counts[0], *pair)
        for side, recorded in enumerate(pair):
            if recorded is not None:
                sides[side].add(recorded)
                counts[side] += 1
    first, second = sides
    return Differences(
        events=(counts[0], counts[1]),
        divergence=divergence,
        orders=match(first.orders.values(), second.orders.values()),
        fills=match(first.fills, second.fills),
        pnl=_pnl(first, second),
        scales=before.scales,
        fields={
            tag: tuple(field[0] for field in fields)
            for tag, fields in (before.schema | after.schema).items()
        },
    )


def _same(before: Recorded | None, after: Recorded | None, schema: Fields) -> bool:
    """Tell whether two events differ by no more than fields that were appended since."""
    if before is None or after is None:
        return False
    one, other = (each._replace(event=as_known(each.event, schema)) for each in (before, after))
    return one == other


def match(before: Iterable[C], after: Iterable[C]) -> Mismatch[C]:
    """Match items of the same key in order; return those unmatched or with another outcome."""
    before, after = tuple(before), tuple(after)
    waiting: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index in reversed(range(len(after))):
        waiting[after[index].key].append(index)
    only_before, changed, matched = [], [], set()
    for each in before:
        if not (same := waiting[each.key]):
            only_before.append(each)
            continue
        matched.add(same[-1])
        other = after[same.pop()]
        if each.outcome != other.outcome:
            changed.append((each, other))
    only_after = tuple(each for index, each in enumerate(after) if index not in matched)
    return Mismatch(tuple(only_before), only_after, tuple(changed))


def _pnl(before: TradeHistory, after: TradeHistory) -> tuple[PnlChange, ...]:
    none = Amounts()
    changes = (
        PnlChange(account, before.pnl.get(account, none), after.pnl.get(account, none))
        for account in sorted(before.pnl.keys() | after.pnl.keys())
    )
    return tuple(change for change in changes if change.before != change.after)
