from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import ExecType, OrderType, OrdStatus, TimeInForce
from actors.events.orders import (
    CancelAll,
    OrderSubmitted,
    OrderUnknown,
    ReconciliationCompleted,
    ReportRepeated,
)
from actors.events.system import (
    ActorRecovered,
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    HaltTrading,
    ResumeTrading,
    StreamLive,
    StreamStale,
)
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
    OrderStatusRequest,
    TradeCaptureReport,
    TradeCaptureReportRequest,
)
from actors.model.fills import ExecutionMemory
from actors.testing import SECOND, START, ActorTest
from gateways.gateway import Gateway
from tests.kit.builders import (
    BTCUSDT,
    ETHUSDT,
    ORDER_ID,
    buy,
    order,
    pending_cancel,
    report,
    report_canceled,
    report_fill,
    report_new,
    sell,
)

CONNECTED = ConnectionEstablished("market")
LOST = ConnectionLost("market", "timeout")
RESTORED = ConnectionRestored("market")
BTC, ETH = BTCUSDT.instrument, ETHUSDT.instrument
NOT_RECONCILED = "not reconciled with the venue yet"


@pytest.fixture
def kit() -> ActorTest:
    kit = ActorTest(Gateway, name="gateway")
    assert kit.given(CONNECTED) == [CONNECTED, OrderMassStatusRequest("0-gateway-1")]
    assert kit.given(completed(1)) == []
    return kit


def completed(number: int) -> ReconciliationCompleted:
    """Return what order management says when the list of that request was worked off."""
    return ReconciliationCompleted(f"0-gateway-{number}", open_orders=0, unexplained=0)


def sends_orders(kit: ActorTest, instrument: str = BTC) -> bool:
    sent = kit.given(OrderSubmitted(order(Side.BUY, 1, instrument=instrument)))
    return [type(event) for event in sent] == [NewOrderSingle]


def refusal(text: str, number: int = 1) -> ExecutionReport:
    """Return what the gateway answers in the venue's place."""
    return ExecutionReport(
        ORDER_ID, "", f"0-gateway-{number}", ExecType.REJECTED, OrdStatus.REJECTED,
        buy(1).instrument, Side.BUY, 0, 0, 0, 0, text=text, transact_time=START,
    )  # fmt: skip


def test_an_order_goes_to_the_venue_as_it_was_approved(kit: ActorTest) -> None:
    terms: dict[str, Any] = {
        "post_only": True, "account": "main", "intent_id": "i1", "decided_at": START,
        "stop_px": 98, "expire_time": START + 1, "reduce_only": True, "display_qty": 2,
        "parent_id": "p1",
    }  # fmt: skip
    order = msgspec.structs.replace(buy(3, 99), **terms)

    assert kit.given(OrderSubmitted(order)) == [
        NewOrderSingle(
            ORDER_ID, order.instrument, Side.BUY, 3, OrderType.LIMIT, TimeInForce.GTC, 99, **terms
        )
    ]


def test_an_order_older_than_a_second_is_rejected_and_a_cancel_is_not(kit: ActorTest) -> None:
    old = msgspec.structs.replace(buy(3), decided_at=START - SECOND - 1)
    young = msgspec.structs.replace(buy(3), decided_at=START - SECOND)

    assert kit.given(OrderSubmitted(old)) == [refusal("the order is more than 1 s old")]
    assert [type(event) for event in kit.given(OrderSubmitted(young))] == [NewOrderSingle]
    assert kit.given(pending_cancel(old)) == [OrderCancelRequest(ORDER_ID, BTC)]


def test_a_cancel_goes_to_the_venue(kit: ActorTest) -> None:
    order = buy(3)

    assert kit.given(pending_cancel(order)) == [OrderCancelRequest(ORDER_ID, order.instrument)]


def test_cancel_all_becomes_a_mass_cancel(kit: ActorTest) -> None:
    assert kit.given(CancelAll("limit"), CancelAll("limit", "BTCUSDT.SIM")) == [
        OrderMassCancelRequest(),
        OrderMassCancelRequest("BTCUSDT.SIM"),
    ]


def test_before_the_first_connection_an_order_is_refused() -> None:
    kit = ActorTest(Gateway, name="gateway")

    assert kit.given(OrderSubmitted(buy(1))) == [
        refusal("no connection to the venue: none was established yet")
    ]


def test_while_the_connection_is_lost_orders_are_refused_and_cancels_pass(kit: ActorTest) -> None:
    assert kit.given(LOST, OrderSubmitted(buy(1)), OrderSubmitted(buy(1))) == [
        LOST,
        refusal("no connection to the venue: timeout", 1),
        refusal("no connection to the venue: timeout", 2),
    ]
    assert kit.given(pending_cancel(buy(1)), CancelAll("limit")) == [
        OrderCancelRequest(ORDER_ID, buy(1).instrument),
        OrderMassCancelRequest(),
    ]


def test_after_the_first_connection_orders_are_refused_until_all_is_reconciled() -> None:
    kit = ActorTest(Gateway, name="gateway")
    kit.given(CONNECTED)

    assert kit.given(OrderSubmitted(buy(1))) == [refusal(NOT_RECONCILED)]
    assert kit.given(pending_cancel(buy(1)), CancelAll("limit")) == [
        OrderCancelRequest(ORDER_ID, buy(1).instrument),
        OrderMassCancelRequest(),
    ]
    kit.given(completed(1))
    assert sends_orders(kit)


def test_after_each_connection_and_its_own_recovery_the_gateway_reconciles_again(
    kit: ActorTest,
) -> None:
    assert kit.given(LOST, RESTORED) == [LOST, RESTORED, OrderMassStatusRequest("0-gateway-2")]
    kit.given(completed(2))
    assert sends_orders(kit)

    assert kit.given(ActorRecovered("gateway")) == [OrderMassStatusRequest("0-gateway-3")]
    assert not sends_orders(kit)


def test_a_gateway_that_recovers_without_a_connection_waits_for_one(kit: ActorTest) -> None:
    kit.given(LOST)

    assert kit.given(ActorRecovered("gateway")) == []
    assert ActorTest(Gateway).given(ActorRecovered("gateway")) == []


def test_only_the_newest_reconciliation_opens_the_gate(kit: ActorTest) -> None:
    kit.given(LOST, RESTORED, LOST, RESTORED)

    kit.given(completed(1), completed(2))
    assert not sends_orders(kit)
    kit.given(completed(3))
    assert sends_orders(kit)


def test_a_list_is_passed_on_while_it_is_awaited(kit: ActorTest) -> None:
    kit.given(LOST, RESTORED)
    old, new = (OrderMassStatus(f"0-gateway-{number}", ()) for number in (1, 2))

    assert kit.given(old, new) == [ReportRepeated("", "0-gateway-1"), new]
    kit.given(completed(2))
    assert kit.given(new) == [ReportRepeated("", "0-gateway-2")]


def test_a_venue_that_does_not_answer_is_asked_again_while_it_can_be_reached(
    kit: ActorTest,
) -> None:
    kit.given(LOST, RESTORED)

    assert kit.advance(12 * SECOND) == 2 * [OrderMassStatusRequest("0-gateway-2")]
    kit.given(LOST)
    assert kit.advance(12 * SECOND) == []
    assert kit.given(RESTORED) == [RESTORED, OrderMassStatusRequest("0-gateway-3")]
    kit.given(completed(3))
    assert kit.advance(12 * SECOND) == []


def test_a_gateway_that_takes_a_share_of_the_instruments_asks_for_its_own() -> None:
    kit = ActorTest(Gateway, name="gateway")
    kit.actor.accepts = frozenset({"B.SIM", "A.SIM"})

    assert kit.given(CONNECTED)[1:] == [OrderMassStatusRequest("0-gateway-1", ("A.SIM", "B.SIM"))]


def test_an_order_in_doubt_is_asked_about_while_the_venue_can_be_reached(kit: ActorTest) -> None:
    of = buy(3)
    unknown = OrderUnknown(ORDER_ID, of.strategy, of.instrument, 1)

    assert kit.given(unknown) == [OrderStatusRequest(ORDER_ID, of.instrument)]
    assert kit.given(LOST, unknown) == [LOST]


def test_after_each_connection_trades_since_the_last_known_one_are_asked_for_first(
    kit: ActorTest,
) -> None:
    kit.given(report_fill(buy(3), 1, exec_id="T-1"), report_fill(buy(3), 1, exec_id="T-2"), LOST)
    kit.actor.heard = {"market.reports": (ExecutionReport, TradeCaptureReport)}

    assert kit.given(RESTORED)[1:] == [
        TradeCaptureReportRequest("0-gateway-2", BTC, after="T-2"),
        OrderMassStatusRequest("0-gateway-2"),
    ]


def test_the_trades_of_an_order_in_doubt_are_asked_for_before_its_status(kit: ActorTest) -> None:
    of = buy(3)
    kit.actor.heard = {"market.reports": (ExecutionReport, TradeCaptureReport)}

    assert kit.given(OrderUnknown(ORDER_ID, of.strategy, of.instrument, 1)) == [
        TradeCaptureReportRequest(ORDER_ID, of.instrument, client_order_id=ORDER_ID),
        OrderStatusRequest(ORDER_ID, of.instrument),
    ]


def test_a_venue_that_does_not_tell_trades_is_not_asked_for_them(kit: ActorTest) -> None:
    kit.given(report_fill(buy(3), 1, exec_id="T-1"), LOST)

    assert kit.given(RESTORED)[1:] == [OrderMassStatusRequest("0-gateway-2")]


def test_a_trade_is_told_once_however_it_was_heard_of(kit: ActorTest) -> None:
    known, missed = (report_fill(buy(3), 1, exec_id=f"T-{n}") for n in (1, 2))
    answer = TradeCaptureReport("0-gateway-1", BTC, (known, missed))
    kit.given(known)

    assert kit.given(answer, answer) == [missed]
    assert kit.given(missed) == [ReportRepeated(ORDER_ID, "T-2")]


def test_an_answer_about_an_order_is_passed_on_every_time(kit: ActorTest) -> None:
    answer = report(buy(3), ExecType.ORDER_STATUS, "")

    assert kit.given(answer, answer) == [answer, answer]


def test_while_an_input_is_stale_orders_are_refused_and_cancels_pass(kit: ActorTest) -> None:
    assert kit.given(StreamStale("risk.control", "actor failed"), OrderSubmitted(buy(1))) == [
        refusal("input risk.control is stale: actor failed")
    ]
    assert kit.given(CancelAll("limit")) == [OrderMassCancelRequest()]

    kit.given(StreamLive("risk.control"))
    assert sends_orders(kit)


def test_a_halt_cancels_everything_and_refuses_orders_until_trading_resumes(
    kit: ActorTest,
) -> None:
    assert kit.given(HaltTrading("operator"), OrderSubmitted(buy(1))) == [
        OrderMassCancelRequest(),
        refusal("trading is halted: operator"),
    ]
    assert kit.given(pending_cancel(buy(1))) == [OrderCancelRequest(ORDER_ID, buy(1).instrument)]

    assert kit.given(ResumeTrading("operator")) == []
    assert sends_orders(kit)


def test_a_halt_of_one_instrument_leaves_the_others_alone(kit: ActorTest) -> None:
    halt = HaltTrading("overfill", "oms-0-1", instrument=ETH)
    ether = OrderSubmitted(order(Side.BUY, 1, instrument=ETH))

    assert kit.given(halt) == [OrderMassCancelRequest(ETH), OrderMassStatusRequest("0-gateway-2")]
    [refused] = kit.given(ether)
    assert isinstance(refused, ExecutionReport)
    assert refused.text == "trading is halted: overfill"
    assert sends_orders(kit)
    assert OrderMassCancelRequest(ETH) in kit.given(LOST, RESTORED)
    kit.given(completed(3), ResumeTrading("confirmed", "oms-0-2", instrument=ETH))
    assert not sends_orders(kit, ETH)
    kit.given(ResumeTrading("confirmed", "oms-0-1", instrument=ETH))
    assert sends_orders(kit, ETH)


def test_an_operator_who_resumes_lifts_the_halts_of_instruments_too(kit: ActorTest) -> None:
    kit.given(HaltTrading("overfill", "oms-0-1", instrument=ETH), ResumeTrading("operator"))

    assert sends_orders(kit, ETH)


def test_an_order_in_doubt_closes_its_instrument_and_no_other(kit: ActorTest) -> None:
    kit.given(LOST, RESTORED, ReconciliationCompleted("0-gateway-2", 2, 1, (ETH,)))

    assert sends_orders(kit)
    assert not sends_orders(kit, ETH)
    kit.given(completed(1))
    assert not sends_orders(kit, ETH)
    kit.given(completed(2))
    assert sends_orders(kit, ETH)


def test_a_venue_that_comes_back_during_a_halt_is_told_again_to_cancel_everything(
    kit: ActorTest,
) -> None:
    kit.given(HaltTrading("operator"), LOST)

    assert kit.given(RESTORED) == [
        RESTORED,
        OrderMassCancelRequest(),
        OrderMassStatusRequest("0-gateway-2"),
    ]


def test_reports_are_passed_on_once(kit: ActorTest) -> None:
    new, fill = report_new(buy(3)), report_fill(buy(3), 1)

    new_again, fill_again = (ReportRepeated(ORDER_ID, r.exec_id) for r in (new, fill))

    assert kit.given(new, fill) == [new, fill]
    assert kit.given(new, fill, fill) == [new_again, fill_again, fill_again]


def test_one_trade_id_in_two_instruments_names_two_trades(kit: ActorTest) -> None:
    fill, other = report_fill(buy(3), 1), report_fill(order(Side.BUY, 3, instrument=ETH), 1)

    assert kit.given(fill, other) == [fill, other]
    assert kit.given(other) == [ReportRepeated(ORDER_ID, "E-fill")]


@pytest.mark.parametrize(
    "other",
    [
        report_fill(buy(3), 2),
        report_fill(buy(3), 1, px=9_999),
        report_fill(sell(3), 1),
        report_fill(buy(3, client_order_id="0-execution-2"), 1),
        report_fill(buy(3), 1, fee=7),
        report_canceled(buy(3), "E-fill"),
    ],
)
def test_a_report_that_contradicts_one_of_the_same_id_is_passed_on(
    kit: ActorTest, other: ExecutionReport
) -> None:
    fill = report_fill(buy(3), 1)

    assert kit.given(fill, other) == [fill, other]


def test_reports_without_an_id_are_all_passed_on(kit: ActorTest) -> None:
    assert kit.given(report_new(buy(3), ""), report_new(buy(3), "")) == 2 * [report_new(buy(3), "")]


def test_a_hundred_thousand_reports_are_known_however_old(kit: ActorTest) -> None:
    reports: list[Event] = [report_new(buy(3), f"E-{n}") for n in range(100_000)]

    assert kit.given(*reports) == reports
    kit.advance(48 * 3_600 * SECOND)
    assert kit.given(report_new(buy(3), "next"), *reports[-3:]) == [
        report_new(buy(3), "next"),
        *(ReportRepeated(ORDER_ID, f"E-{n}") for n in range(99_997, 100_000)),
    ]


def test_reports_of_a_day_are_known_however_many_and_older_ones_are_forgotten() -> None:
    memory, day = ExecutionMemory(), 24 * 3_600 * SECOND
    for n in range(300_000):
        memory.remember(f"E-{n}", "", START + n)

    assert memory.remember("E-0", "", START + day) == ""
    for n in range(300_000, 500_000):
        memory.remember(f"E-{n}", "", START + day + n)
    assert memory.remember("E-0", "", START + day) == ""
    memory.remember("E-500000", "", START + 3 * day)
    assert memory.remember("E-299999", "", START + 3 * day) is None


def test_a_new_reader_hears_the_last_of_the_connection(kit: ActorTest) -> None:
    assert [*kit.actor.snapshot("connection")] == [CONNECTED]

    kit.given(LOST)
    assert [*kit.actor.snapshot("connection")] == [LOST]
    assert [*kit.actor.snapshot("reports")] == []


def test_the_state_survives_storage(kit: ActorTest) -> None:
    kit.given(HaltTrading("operator"), OrderSubmitted(buy(1)), report_new(buy(3)), RESTORED)

    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(kit.state), type=Gateway.State)
    assert stored == kit.state
