"""The trading state: entries, raised by whoever sees cause and lifted by their owners alone."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.events.accounts import TradingState
from actors.events.system import HaltTrading, ResumeTrading
from actors.runtime.trading_state import HaltEntries, covers, key_of, lift_of, severity

NAMES = st.sampled_from(["", "a", "b"])
SCOPES = st.fixed_dictionaries(
    {"venue": NAMES, "account": NAMES, "instrument": NAMES, "strategy": NAMES}
)
ENTRIES = st.builds(
    lambda number, owner, level, scope: HaltTrading(
        f"reason {number}", f"{owner}-{number}" if owner else "", owner, level, **scope
    ),
    st.integers(1, 4),
    st.sampled_from(["", "risk", "oms"]),
    st.sampled_from(TradingState),
    SCOPES,
)
STEPS = st.lists(st.tuples(st.booleans(), ENTRIES), max_size=30)


def folded(steps: list[tuple[bool, HaltTrading]]) -> HaltEntries:
    entries = HaltEntries()
    for raises, halt in steps:
        if raises:
            entries.take(halt)
        else:
            entries.lift(lift_of(halt, "over"))
    return entries


@given(STEPS, SCOPES)
def test_what_is_in_force_is_the_strictest_of_what_was_raised_and_not_lifted(
    steps: list[tuple[bool, HaltTrading]], place: dict[str, str]
) -> None:
    raised: dict[str, HaltTrading] = {}
    for raises, halt in steps:
        if raises:
            raised.setdefault(key_of(halt), halt)
        else:
            raised.pop(key_of(halt), None)
    there = [halt for halt in raised.values() if covers(halt, **place)]
    level, entry = folded(steps).strictest(**place)

    assert level == max((h.level for h in there), key=severity, default=TradingState.ACTIVE)
    assert entry == next((h for h in there if h.level is level), None)


@given(STEPS)
def test_what_is_halted_as_a_whole_is_halted_everywhere(
    steps: list[tuple[bool, HaltTrading]],
) -> None:
    entries = folded(steps)
    whole, _ = entries.strictest()

    for instrument in ("a", "b", "c"):
        assert severity(entries.strictest(instrument=instrument)[0]) >= severity(whole)


@given(STEPS)
def test_a_halt_that_comes_again_changes_nothing(steps: list[tuple[bool, HaltTrading]]) -> None:
    entries = folded(steps)
    before = msgspec.msgpack.encode(entries)

    assert [entries.take(halt) for halt in list(entries.entries.values())] == [False] * len(
        entries.entries
    )
    assert msgspec.msgpack.encode(entries) == before


@given(STEPS)
def test_a_person_who_names_no_entry_lifts_all(steps: list[tuple[bool, HaltTrading]]) -> None:
    entries = folded(steps)
    entries.lift(ResumeTrading("seen"))

    assert entries.strictest() == (TradingState.ACTIVE, None)
    assert entries.entries == {}


@given(STEPS)
def test_an_owner_who_names_no_entry_lifts_its_own_and_no_others(
    steps: list[tuple[bool, HaltTrading]],
) -> None:
    entries = folded(steps)
    others = {k: h for k, h in entries.entries.items() if h.owner != "risk"}
    entries.lift(ResumeTrading("over", owner="risk"))

    assert entries.entries == others


@given(STEPS)
def test_entries_survive_a_snapshot(steps: list[tuple[bool, HaltTrading]]) -> None:
    entries = folded(steps)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(entries), type=HaltEntries) == entries


def test_another_owner_cannot_lift_an_entry_by_its_name() -> None:
    entries = folded([(True, HaltTrading("loss", "risk-0-1", "risk"))])
    entries.lift(ResumeTrading("over", "risk-0-1", "oms"))

    assert entries.strictest()[0] is TradingState.HALTED


def test_a_state_that_only_lets_reducing_orders_through_halts_nothing() -> None:
    halt = HaltTrading("loss", "risk-0-1", "risk", TradingState.REDUCING)
    entries = folded([(True, halt)])

    assert entries.strictest() == (TradingState.REDUCING, halt)
    assert entries.reason() == ""
