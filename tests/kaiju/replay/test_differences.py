"""What differs between two runs: matched by what was wanted and when, never by ids."""
# ruff: noqa: E501 - what is printed stands here as it is

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from actors.events.accounts import FeePaid, PnlUpdated
from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import Liquidity, OrderType, TimeInForce
from actors.events.orders import (
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    SubmitOrder,
)
from actors.testing import START
from kaiju.record.record import Record, Recorded
from kaiju.record.trades import Amounts, Order, TradeHistory
from kaiju.replay.console import MAX_SHOWN, print_differences
from kaiju.replay.differences import Differences, Mismatch, PnlChange, differences, match
from tests.kit.builders import BTCUSDT
from tests.kit.recording import Player, record

INSTRUMENT = BTCUSDT.instrument
PLAYED = (
    SubmitOrder,
    OrderApproved,
    OrderDenied,
    OrderSubmitted,
    OrderUnknown,
    OrderAccepted,
    OrderFilled,
    OrderCanceled,
    OrderExpired,
    OrderRejected,
    PnlUpdated,
    FeePaid,
)


class Trader(Player):
    """Plays what happens to orders."""

    outputs = {"played": PLAYED}
    handlers = dict.fromkeys(PLAYED, "on_played")


EXPECTED = """\
the runs diverge after 1 equal events, at 2023-11-14 22:13:20.000000001 on player.played:
  before  player.played 1/2 2023-11-14 22:13:20.000000001 from player.inbox 1/2: OrderAccepted(client_order_id='0-execution-1', strategy='maker', instrument='BTCUSDT.SIM', side=1, qty=2000, limit_px=5000050, venue_order_id='v1')
  after   player.played 1/2 2023-11-14 22:13:20.000000001 from player.inbox 1/2: OrderDenied(client_order_id='0-execution-1', strategy='maker', instrument='BTCUSDT.SIM', side=1, qty=2000, code='MAX_POSITION', text='too much', value=0, limit=0, codes=[])
orders only before: 0
orders only after: 0
orders with another outcome: 1
time                           strategy  instrument   side      qty     price  before                              after
2023-11-14 22:13:20.000000000  maker     BTCUSDT.SIM  BUY   0.02000  50000.50  LIMIT GTC post-only filled 0.02000  LIMIT GTC post-only denied: MAX_POSITION: too much
fills only before: 1
time                           strategy  instrument   side      qty     price  outcome
2023-11-14 22:13:20.000000002  maker     BTCUSDT.SIM  BUY   0.02000  50000.50  MAKER fee 0.75000750 USDT
fills only after: 0
fills with another outcome: 0
PnL: the same in both"""


PNL = """\
strategy  instrument   currency              position    realized             unrealized        fees                    net
maker     BTCUSDT.SIM  BTC       before       0.00000  0.00000000             0.00000000  0.00000000             0.00000000
                                 after        0.00000  0.00000000             0.00000000  0.00000006            -0.00000006
                                 difference   0.00000  0.00000000             0.00000000  0.00000006            -0.00000006
maker     BTCUSDT.SIM  USDT      before       0.02000  0.00000000   46116860184.27387909  0.00000005   46116860184.27387904
                                 after        0.02000  0.00000000             0.00000010  0.00000005             0.00000005
                                 difference   0.00000  0.00000000  -46116860184.27387899  0.00000000  -46116860184.27387899"""


def order(number: int = 1, **changes: Any) -> SubmitOrder:
    fields: dict[str, Any] = {
        "client_order_id": f"0-execution-{number}",
        "strategy": "maker",
        "instrument": INSTRUMENT,
        "side": Side.BUY,
        "qty": 2_000,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "limit_px": 5_000_050,
        "post_only": True,
    }
    return SubmitOrder(**(fields | changes))


def denied(number: int = 1) -> OrderDenied:
    wanted = order(number)
    return OrderDenied(
        wanted.client_order_id, "maker", INSTRUMENT, Side.BUY, 2_000, "MAX_POSITION", "too much"
    )


def accepted(number: int = 1) -> OrderAccepted:
    return OrderAccepted(
        f"0-execution-{number}", "maker", INSTRUMENT, Side.BUY, 2_000, 5_000_050, "v1"
    )


def filled(number: int = 1, **changes: Any) -> OrderFilled:
    fields: dict[str, Any] = {
        "client_order_id": f"0-execution-{number}",
        "strategy": "maker",
        "instrument": INSTRUMENT,
        "side": Side.BUY,
        "last_qty": 2_000,
        "last_px": 5_000_050,
        "cum_qty": 2_000,
        "leaves_qty": 0,
        "exec_id": f"e{number}",
        "fee": 75_000_750,
        "fee_currency": "USDT",
        "liquidity": Liquidity.MAKER,
    }
    return OrderFilled(**(fields | changes))


def pnl(net: int) -> PnlUpdated:
    return PnlUpdated("maker", INSTRUMENT, "USDT", 2_000, 10_000_100, 0, net + 5, 5, net)


def compared(folder: Path, before: Iterable[Event], after: Iterable[Event]) -> Differences:
    for name, events in (("before", before), ("after", after)):
        (folder / name).mkdir(exist_ok=True)
        record(folder / name, events, Trader).run()
    with Record(folder / "before") as first, Record(folder / "after") as second:
        return differences(first, second)


def printed(found: Differences, *, everything: bool = False) -> list[str]:
    file = StringIO()
    print_differences(found, Console(file=file, width=1_000), everything=everything)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def ended(*events: Event) -> tuple[str, int, str]:
    """Return state, filled quantity and reason of the one order of `events`."""
    traded = TradeHistory()
    for event in (order(), *events):
        traded.add(recorded(event))
    [one] = traded.orders.values()
    return one.state, one.filled_qty, one.reason


def recorded(event: Event, time: int = START) -> Recorded:
    return Recorded("oms.orders", 1, 1, None, [], time, msgspec.to_builtins(event))


ID = "0-execution-1"
WHO = (ID, "maker", INSTRUMENT)


def test_an_order_ends_as_its_last_event_says() -> None:
    part = filled(last_qty=500, cum_qty=500, leaves_qty=1_500)

    assert ended() == ("undecided", 0, "")
    assert ended(OrderApproved(order())) == ("undecided", 0, "")
    assert ended(denied()) == ("denied", 0, "MAX_POSITION: too much")
    assert ended(OrderSubmitted(order())) == ("submitted", 0, "")
    assert ended(OrderSubmitted(order()), OrderUnknown(*WHO, 1)) == ("unknown", 0, "")
    assert ended(OrderSubmitted(order()), accepted()) == ("accepted", 0, "")
    assert ended(part) == ("partly filled", 500, "")
    assert ended(part, accepted()) == ("partly filled", 500, "")
    assert ended(filled()) == ("filled", 2_000, "")
    assert ended(OrderRejected(*WHO, Side.BUY, 2_000, "no")) == ("rejected", 0, "no")
    assert ended(part, OrderCanceled(*WHO, Side.BUY, 500, 1_500)) == ("canceled", 500, "")
    assert ended(OrderExpired(*WHO, Side.BUY, 0, 2_000, "IOC")) == ("expired", 0, "IOC")


def test_an_order_of_which_only_the_approval_was_recorded_is_one_too(tmp_path: Path) -> None:
    found = compared(tmp_path, [], [OrderApproved(order())])
    assert [each.client_order_id for each in found.orders.only_after] == [ID]


def test_what_happens_to_orders_that_nobody_asked_for_changes_none(tmp_path: Path) -> None:
    strangers = [denied(), accepted(), OrderUnknown(*WHO, 1), OrderRejected(*WHO, Side.BUY, 1, "")]
    found = compared(tmp_path, [], strangers)

    assert (found.orders, found.fills, found.pnl) == (Mismatch(), Mismatch(), ())
    assert found.divergence is not None


def test_equal_runs_differ_in_nothing(tmp_path: Path) -> None:
    events = [order(), accepted(), filled(), pnl(7)]
    found = compared(tmp_path, events, events)

    assert found.events == (4, 4)
    assert (found.divergence, found.orders, found.fills, found.pnl) == (
        None,
        Mismatch(),
        Mismatch(),
        (),
    )
    assert printed(found) == ["nothing differs: 4 events are the same"]


def test_an_order_more_does_not_make_all_later_ones_differ(tmp_path: Path) -> None:
    after = [order(1), order(2, qty=7), order(3), accepted(3), filled(3)]
    before = [msgspec.structs.replace(each) for each in after]
    before[1], before[2:] = pnl(0), [order(2), accepted(2), filled(2)]
    found = compared(tmp_path, before, after)

    assert [each.qty for each in found.orders.only_after] == [7]
    assert (found.orders.only_before, found.orders.changed) == ((), ())
    assert found.fills == Mismatch()


def test_an_order_that_came_out_otherwise_is_shown_with_both_outcomes(tmp_path: Path) -> None:
    found = compared(tmp_path, [order(), accepted(), filled()], [order(), denied()])
    [(before, after)] = found.orders.changed

    assert before == Order(
        client_order_id=ID,
        strategy="maker",
        instrument=INSTRUMENT,
        time=START,
        side=Side.BUY,
        qty=2_000,
        px=5_000_050,
        terms="LIMIT GTC post-only",
        state="filled",
        filled_qty=2_000,
    )
    assert (after.state, after.reason) == ("denied", "MAX_POSITION: too much")
    assert "\n".join(printed(found)) == EXPECTED


def test_a_run_that_is_over_earlier_parts_where_it_ends(tmp_path: Path) -> None:
    found = compared(tmp_path, [order()], [order(), accepted()])

    assert found.divergence is not None
    assert (found.divergence.equal, found.divergence.time, found.divergence.before) == (
        1,
        START + 1,
        None,
    )
    assert printed(found)[1] == "  before  nothing: the run was over"


def test_a_fill_with_another_fee_came_out_otherwise(tmp_path: Path) -> None:
    found = compared(tmp_path, [filled()], [filled(fee=1, fee_currency="BTC")])

    assert (found.fills.only_before, found.fills.only_after) == ((), ())
    line = "  BUY   0.02000  50000.50  MAKER fee 0.75000750 USDT  MAKER fee 0.00000001 BTC"
    assert [row for row in printed(found) if row.endswith(line)]


def test_pnl_is_exact_before_after_and_in_the_difference(tmp_path: Path) -> None:
    fee = FeePaid("maker", INSTRUMENT, "BTC", 3, "e1")
    found = compared(tmp_path, [pnl(1), pnl(2**62)], [pnl(5), fee, fee])

    assert found.pnl == (
        PnlChange(("maker", INSTRUMENT, "BTC"), Amounts(), Amounts(fees=6, net=-6)),
        PnlChange(
            ("maker", INSTRUMENT, "USDT"),
            Amounts(2_000, 0, 2**62 + 5, 5, 2**62),
            Amounts(2_000, 0, 10, 5, 5),
        ),
    )
    assert found.pnl[1].difference == Amounts(0, 0, 5 - 2**62, 0, 5 - 2**62)
    assert "\n".join(printed(found)[-7:]) == PNL


def test_the_first_of_each_kind_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    found = compared(tmp_path, [], [order(number) for number in range(25)])
    few, all_of_them = printed(found), printed(found, everything=True)

    assert "orders only after: 25" in few
    assert "... and 5 more; --all shows them" in few
    rows = [line for line in all_of_them if line.startswith("2023")]
    assert len(rows) == 25
    assert [line for line in few if line.startswith("2023")] == rows[:MAX_SHOWN]
    assert not any("--all" in line for line in all_of_them)


class Thing(NamedTuple):
    """Something that two runs may have; `number` tells equal ones apart."""

    name: str
    result: int
    number: int

    @property
    def key(self) -> tuple[object, ...]:
        return (self.name,)

    @property
    def outcome(self) -> tuple[object, ...]:
        return (self.result,)


THINGS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=12).map(
    lambda drawn: [Thing(name, result, number) for number, (name, result) in enumerate(drawn)]
)


@given(THINGS, THINGS)
def test_each_is_matched_once_with_the_next_of_its_key(
    before: list[Thing], after: list[Thing]
) -> None:
    found = match(before, after)
    expected: dict[str, list[Any]] = {"before": [], "after": [], "changed": []}
    for name in "abc":
        mine = [each for each in before if each.name == name]
        theirs = [each for each in after if each.name == name]
        both = min(len(mine), len(theirs))
        expected["before"] += mine[both:]
        expected["after"] += theirs[both:]
        expected["changed"] += [
            (a, b) for a, b in zip(mine, theirs, strict=False) if a.result != b.result
        ]

    assert found == Mismatch(
        tuple(sorted(expected["before"], key=lambda thing: thing.number)),
        tuple(sorted(expected["after"], key=lambda thing: thing.number)),
        tuple(sorted(expected["changed"], key=lambda pair: pair[0].number)),
    )


@given(THINGS)
def test_nothing_is_unlike_itself(things: list[Thing]) -> None:
    assert not match(things, things)


@given(THINGS, THINGS)
def test_the_other_way_round_it_is_the_same_difference(
    before: list[Thing], after: list[Thing]
) -> None:
    one, other = match(before, after), match(after, before)

    assert (one.only_before, one.only_after) == (other.only_after, other.only_before)
    assert Counter(one.changed) == Counter((b, a) for a, b in other.changed)
