"""The end of a run: it adds up, or the report says exactly what does not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.events.accounts import FeePaid, PnlUpdated, PositionUpdated
from actors.events.event import Event
from actors.events.market import Side, TopOfBook
from actors.events.order_words import ExecType, Liquidity, OrdStatus
from actors.events.orders import FillCorrected, OrderFilled, OrderUnknown
from actors.events.venue import ExecutionReport
from actors.runtime.statistics import EdgeRecord, Histogram, NodeStatistics
from kaiju.record.record import Recorded
from kaiju.record.series import MAX_POINTS, Curve
from kaiju.record.totals import RunTotals, amount
from kaiju.report.audit import Check, audit
from kaiju.report.charts import draw_equity
from kaiju.report.html import render_html
from kaiju.report.report import Report, RunFacts, RunHistory, build_report, load_history, write_json
from tests.kit.builders import BTCUSD_INVERSE, BTCUSDT
from tests.kit.recording import Player, record

INSTRUMENT = BTCUSDT.instrument
FACTS = RunFacts(
    topology="small",
    file="small.yaml",
    started="2024-01-01T00:00:00+00:00",
    clock="virtual",
    seed=0,
    recorder="",
    seconds=2.0,
    stopped="end of data",
    failures=(),
    unfired_timers=0,
    version="0.1.0",
)


class Books(Player):
    """Plays what concerns money."""

    outputs = {
        "played": (
            OrderFilled,
            FillCorrected,
            PositionUpdated,
            PnlUpdated,
            FeePaid,
            ExecutionReport,
            TopOfBook,
        )
    }
    handlers = dict.fromkeys(outputs["played"], "on_played")


def fill(exec_id: str = "e1", **changes: Any) -> OrderFilled:
    """A purchase of 0.02 at 50,000.50, which amounts to 1,000.01."""
    fields: dict[str, Any] = {
        "client_order_id": "0-taker-1",
        "strategy": "taker",
        "instrument": INSTRUMENT,
        "side": Side.BUY,
        "last_qty": 2_000,
        "last_px": 5_000_050,
        "cum_qty": 2_000,
        "leaves_qty": 0,
        "exec_id": exec_id,
        "fee": 75_000_750,
        "fee_currency": "USDT",
        "liquidity": Liquidity.TAKER,
    }
    return OrderFilled(**(fields | changes))


def report_of(filled: OrderFilled) -> ExecutionReport:
    return ExecutionReport(
        client_order_id=filled.client_order_id,
        venue_order_id="v1",
        exec_id=filled.exec_id,
        exec_type=ExecType.TRADE,
        ord_status=OrdStatus.FILLED,
        instrument=filled.instrument,
        side=filled.side,
        last_qty=filled.last_qty,
        last_px=filled.last_px,
        cum_qty=filled.cum_qty,
        leaves_qty=0,
        fee=filled.fee,
        fee_currency=filled.fee_currency,
    )


def position(**changes: Any) -> PositionUpdated:
    """The position that `fill` makes."""
    fields: dict[str, Any] = {
        "strategy": "taker",
        "instrument": INSTRUMENT,
        "qty": 2_000,
        "cost": 100_001_000_000,
        "realized": 0,
        "fees": 75_000_750,
        "exec_id": "e1",
        "bought_qty": 2_000,
        "sold_qty": 0,
        "cash_flow": -100_001_000_000,
    }
    return PositionUpdated(**(fields | changes))


def pnl(**changes: Any) -> PnlUpdated:
    fields: dict[str, Any] = {
        "strategy": "taker",
        "instrument": INSTRUMENT,
        "currency": "USDT",
        "qty": 2_000,
        "mark_px": 10_000_100,
        "realized": 0,
        "unrealized": 1_000_000,
        "fees": 75_000_750,
        "net": -74_000_750,
    }
    return PnlUpdated(**(fields | changes))


GOOD: list[Event] = [report_of(fill()), fill(), position(), pnl()]


def story(directory: Path, events: Iterable[Event]) -> RunHistory:
    directory.mkdir(exist_ok=True)
    record(directory, events, Books).run()
    told = load_history(directory)
    assert told is not None
    return told


def statistics(*edges: EdgeRecord, halted: str = "") -> NodeStatistics:
    return NodeStatistics("small", 7, 5, (), edges, (), {}, 0, halted)


def edge(**changes: Any) -> EdgeRecord:
    fields: dict[str, Any] = {
        "reader": "oms",
        "stream": "risk.decisions",
        "delivery": "stream",
        "sent": 3,
        "handled": 3,
        "unhandled": 0,
        "conflated": 0,
        "dropped": {},
        "queued": 0,
        "since_arrival": Histogram(),
    }
    return EdgeRecord(**(fields | changes))


def violated(directory: Path, events: Iterable[Event]) -> dict[str, str]:
    checks = audit(statistics(), story(directory, events).ledger)
    return {check.name: check.detail for check in checks if check.holds is False}


def test_a_run_that_adds_up_passes_every_check(tmp_path: Path) -> None:
    assert violated(tmp_path / "run", GOOD) == {}


def test_an_event_that_is_not_accounted_for_is_named_with_its_edge() -> None:
    lost, queued, *_ = audit(statistics(edge(handled=2), edge(reader="pnl")), None)

    assert (lost.holds, queued.holds) == (False, True)
    assert lost.detail == (
        "risk.decisions -> oms: sent 3, handled 2, unhandled 0, conflated 0, dropped 0, queued 0"
    )


def test_dropped_events_are_accounted_for_but_queued_ones_must_not_remain() -> None:
    edges = edge(handled=1, dropped={"reset": 1}, queued=1)
    lost, queued, *_ = audit(statistics(edges), None)

    assert (lost.holds, queued.holds) == (True, False)
    assert queued.detail == "risk.decisions -> oms: 1"


def test_money_is_not_checked_without_a_record() -> None:
    checks = audit(statistics(), None)[2:]
    assert {(check.holds, check.detail) for check in checks} == {
        (None, "the topology has no recorder")
    }


@pytest.mark.parametrize("stream", ["oms.orders", "recorder.frames"])
@pytest.mark.parametrize("reason", ["port failed", "actor failed", "reset"])
def test_money_is_not_checked_against_a_record_that_is_not_whole(
    tmp_path: Path, stream: str, reason: str
) -> None:
    cut = edge(reader="recorder", stream=stream, handled=1, dropped={reason: 2})
    report = build_report(
        msgspec.structs.replace(FACTS, recorder="recorder"),
        statistics(cut),
        story(tmp_path / "run", GOOD),
    )

    assert report.cut == f"recorder dropped 2 events ({reason})"
    assert {(check.holds, check.detail) for check in report.checks[2:]} == {
        (None, f"the record is not whole: {report.cut}")
    }


def test_what_others_dropped_leaves_the_record_whole(tmp_path: Path) -> None:
    report = build_report(
        msgspec.structs.replace(FACTS, recorder="recorder"),
        statistics(edge(handled=1, dropped={"reset": 2})),
        story(tmp_path / "run", GOOD),
    )

    assert report.cut == ""
    assert {check.holds for check in report.checks} == {True}


def test_nothing_traded_is_nothing_violated(tmp_path: Path) -> None:
    assert violated(tmp_path / "run", []) == {}


def test_a_fill_that_the_position_keeper_missed_is_found(tmp_path: Path) -> None:
    second = fill("e2")
    found = violated(tmp_path / "run", [*GOOD, report_of(second), second])

    assert found["fills = positions"] == (
        f"taker {INSTRUMENT}: (bought, sold, position) was (2000, 0, 2000),"
        " fills give (4000, 0, 4000)"
    )
    assert found.keys() == {"fills = positions", "cash-flow identity", "fees = sum over fills"}


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (position(cash_flow=-100_001_000_001), "cash-flow identity"),
        (position(realized=1), "cash-flow identity"),
        (position(cost=100_000_999_999), "cash-flow identity"),
        (position(fees=0), "fees = sum over fills"),
        (position(sold_qty=1), "fills = positions"),
    ],
)
def test_one_unit_of_difference_is_found(
    tmp_path: Path, wrong: PositionUpdated, check: str
) -> None:
    events = [report_of(fill()), fill(), wrong]
    assert violated(tmp_path / "run", events).keys() == {check}


def test_pnl_that_does_not_follow_its_position_is_found(tmp_path: Path) -> None:
    found = violated(tmp_path / "run", [*GOOD, pnl(qty=0, net=0)])

    assert found["PnL = positions"].count(";") == 1
    assert "net was 0, not realized + unrealized - fees" in found["PnL = positions"]


def test_fees_in_other_currencies_are_compared_by_currency(tmp_path: Path) -> None:
    paid = fill(fee=7, fee_currency="BTC")
    fee = FeePaid("taker", INSTRUMENT, "BTC", 7, "e1")
    good = [report_of(paid), paid, position(fees=0), fee]

    assert violated(tmp_path / "a", good) == {}
    assert violated(tmp_path / "b", good[:-1]).keys() == {"fees = sum over fills"}


def test_executions_lost_invented_or_doubled_by_the_oms_are_found(tmp_path: Path) -> None:
    lost = [report_of(fill("e0")), *GOOD]
    invented = GOOD[1:]
    doubled = [*GOOD, fill(), position(qty=4_000)]

    name = "fills = the venue's reports"
    assert violated(tmp_path / "a", lost)[name] == f"reported, never passed on: {INSTRUMENT} e0"
    assert violated(tmp_path / "b", invented)[name] == f"passed on, never reported: {INSTRUMENT} e1"
    assert violated(tmp_path / "c", doubled)[name] == f"passed on twice: {INSTRUMENT} e1"


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"last_qty": 1_999}, "qty was 2000, reported 1999"),
        ({"last_px": 7_777_700}, "px was 5000050, reported 7777700"),
        ({"side": Side.SELL}, "side was BUY, reported SELL"),
        ({"fee": 1}, "fee was 75000750 USDT, reported 1 USDT"),
        ({"fee_currency": "BNB"}, "fee was 75000750 USDT, reported 75000750 BNB"),
    ],
)
def test_a_fill_that_is_not_what_the_venue_reported_is_found(
    tmp_path: Path, change: dict[str, Any], difference: str
) -> None:
    other = [report_of(fill(**change)), *GOOD[1:]]

    assert violated(tmp_path / "a", other) == {
        "fills = the venue's reports": f"passed on otherwise: {INSTRUMENT} e1: {difference}"
    }


def test_a_report_that_contradicts_one_before_it_is_found(tmp_path: Path) -> None:
    contradiction = [*GOOD, report_of(fill(last_px=7_777_700))]

    assert violated(tmp_path / "a", contradiction) == {
        "fills = the venue's reports": f"reported in two ways: {INSTRUMENT} e1:"
        " px was 5000050, reported 7777700"
    }


def test_an_inferred_fill_counts_until_its_real_one_takes_its_place(tmp_path: Path) -> None:
    guess = fill("i1", last_px=0, fee=0, fee_currency="", inferred=True, amount=100_001_000_000)
    inferred = [guess, position(fees=0, exec_id="i1"), pnl(fees=0, net=1_000_000)]
    corrected = [*inferred, report_of(fill()), FillCorrected("i1", fill()), position(), pnl()]
    forgotten = [*inferred, report_of(fill())]

    assert violated(tmp_path / "a", inferred) == {}
    assert violated(tmp_path / "b", corrected) == {}
    assert violated(tmp_path / "c", forgotten).keys() == {"fills = the venue's reports"}


def test_one_execution_id_in_two_instruments_names_two_executions(tmp_path: Path) -> None:
    ether = fill(instrument="ETHUSDT.SIM", last_px=3)
    both = [report_of(fill()), report_of(ether), fill(), position(), pnl()]

    assert violated(tmp_path / "a", both) == {
        "fills = the venue's reports": "reported, never passed on: ETHUSDT.SIM e1"
    }


def test_amounts_are_rounded_half_even_once_a_fill() -> None:
    coarse = msgspec.structs.replace(BTCUSDT, settle_scale=6)
    assert [amount(coarse, qty, 5) for qty in (1, 2, 3, 30)] == [0, 1, 2, 15]
    assert amount(BTCUSD_INVERSE, 3, 600_000) == 500_000


@pytest.mark.parametrize(("side", "cash_flow"), [(Side.BUY, 500_000), (Side.SELL, -500_000)])
def test_an_inverse_purchase_brings_cash_in(side: Side, cash_flow: int) -> None:
    name = BTCUSD_INVERSE.instrument
    filled = fill(instrument=name, side=side, last_qty=3, last_px=600_000)
    ledger = RunTotals({name: BTCUSD_INVERSE})

    ledger.add(Recorded("oms.orders", 1, 1, None, [], 0, msgspec.to_builtins(filled)))
    assert ledger.filled["taker", name].cash_flow == cash_flow


def test_an_order_in_doubt_counts_once_however_often_the_venue_is_asked() -> None:
    ledger = RunTotals({})
    for queries in (1, 2, 1):
        event = msgspec.to_builtins(OrderUnknown("0-execution-1", "maker", INSTRUMENT, queries))
        ledger.add(Recorded("oms.requests", 1, 1, None, [], 0, event))

    assert ledger.orders == {("maker", "unknown"): 2}


def test_the_report_says_what_the_run_did(tmp_path: Path) -> None:
    report = build_report(FACTS, statistics(edge()), story(tmp_path / "run", GOOD))
    write_json(report, tmp_path / "report.json")

    assert msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report) == report
    assert report.conserved
    assert report.orders == {"taker": {"filled": 1}}
    assert report.recorded == {
        "ExecutionReport": 1,
        "OrderFilled": 1,
        "PnlUpdated": 1,
        "PositionUpdated": 1,
    }
    [made] = report.pnl
    assert (made.position, made.realized, made.unrealized, made.fees, made.net) == (
        "0.02000",
        "0.00000000",
        "0.01000000",
        "0.75000750",
        "-0.74000750",
    )


def test_a_violated_check_makes_the_report_say_so(tmp_path: Path) -> None:
    report = build_report(FACTS, statistics(edge(queued=1)), None)

    assert not report.conserved
    assert Check("nothing queued at the end", False, "risk.decisions -> oms: 1") in report.checks
    assert "violated" in render_html(report, None)


def test_the_page_has_its_pictures_inside_and_asks_for_nothing_outside(tmp_path: Path) -> None:
    tops: list[Event] = [TopOfBook(INSTRUMENT, 1, 5_000_000, 1, 5_000_100, 1)]
    told = story(tmp_path / "run", [*tops, *GOOD])
    page = render_html(build_report(FACTS, statistics(edge()), told), told)

    assert re.findall(r'<img alt="([^"]+)"', page) == [
        "equity",
        "positions",
        "own fills",
        "latency by hop",
    ]
    assert set(re.findall(r'(?:src|href)="([^"]{1,26})', page)) == {"data:image/svg+xml;base64,"}
    assert "http" not in re.sub(r'src="[^"]*"', "", page)


def test_what_users_named_is_escaped_on_the_page() -> None:
    facts = msgspec.structs.replace(FACTS, failures=("<script>alert(1)</script>",))
    assert "<script>" not in render_html(build_report(facts, statistics(), None), None)


def test_the_same_story_gives_the_same_picture(tmp_path: Path) -> None:
    told = story(tmp_path / "run", GOOD)
    assert draw_equity(told.series, told.scales) == draw_equity(told.series, told.scales)


def test_a_long_curve_keeps_its_first_and_last_point_and_few_between() -> None:
    curve = Curve()
    for time in range(100_000):
        curve.add(time, float(time))
    curve.finished()

    assert (curve.times[0], curve.times[-1]) == (0, 99_999)
    assert MAX_POINTS <= len(curve.times) <= 2 * MAX_POINTS + 1
    assert curve.times == [int(value) for value in curve.values]
    assert curve.times == sorted(set(curve.times))


def test_a_histogram_in_short_gives_upper_bounds() -> None:
    histogram = Histogram()
    for nanoseconds in range(1_000, 2_000):
        histogram.observe(nanoseconds)

    assert 1_500 <= histogram.quantile(0.5) <= 1_700
