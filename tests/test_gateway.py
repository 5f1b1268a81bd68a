from __future__ import annotations

import msgspec
import pytest

from actors.events.event import Event
from actors.events.market import Side
from actors.events.orders import (
    CancelAll,
    ExecType,
    ExecutionReport,
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderSubmitted,
    OrderType,
    OrdStatus,
    ReportRepeated,
    TimeInForce,
)
from actors.events.system import (
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    HaltTrading,
    ResumeTrading,
    StreamLive,
    StreamStale,
)
from actors.testing import START, ActorTest
from gateways.gateway import Gateway
from tests.builders import ORDER_ID, buy, pending_cancel, report_fill, report_new

CONNECTED = ConnectionEstablished("market")


@pytest.fixture
def kit() -> ActorTest:
    kit = ActorTest(Gateway, name="gateway")
    assert kit.given(CONNECTED) == [CONNECTED]
    return kit


def refusal(text: str, number: int = 1) -> ExecutionReport:
    """Return what the gateway answers in the venue's place."""
    return ExecutionReport(
        ORDER_ID, "", f"0-gateway-{number}", ExecType.REJECTED, OrdStatus.REJECTED,
        buy(1).instrument, Side.BUY, 0, 0, 0, 0, text=text, transact_time=START,
    )  # fmt: skip


def test_an_order_goes_to_the_venue_as_it_was_approved(kit: ActorTest) -> None:
    order = msgspec.structs.replace(buy(3, 99), post_only=True)

    assert kit.given(OrderSubmitted(order)) == [
        NewOrderSingle(
            ORDER_ID, order.instrument, Side.BUY, 3, OrderType.LIMIT, TimeInForce.GTC, 99,
            post_only=True,
        )
    ]  # fmt: skip


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
    lost, restored = ConnectionLost("market", "timeout"), ConnectionRestored("market")

    assert kit.given(lost, OrderSubmitted(buy(1)), OrderSubmitted(buy(1))) == [
        lost,
        refusal("no connection to the venue: timeout", 1),
        refusal("no connection to the venue: timeout", 2),
    ]
    assert kit.given(pending_cancel(buy(1)), CancelAll("limit")) == [
        OrderCancelRequest(ORDER_ID, buy(1).instrument),
        OrderMassCancelRequest(),
    ]
    assert kit.given(restored) == [restored]
    assert isinstance(kit.given(OrderSubmitted(buy(1)))[0], NewOrderSingle)


def test_while_an_input_is_stale_orders_are_refused_and_cancels_pass(kit: ActorTest) -> None:
    assert kit.given(StreamStale("risk.control", "actor failed"), OrderSubmitted(buy(1))) == [
        refusal("input risk.control is stale: actor failed")
    ]
    assert kit.given(CancelAll("limit")) == [OrderMassCancelRequest()]

    kit.given(StreamLive("risk.control"))
    assert isinstance(kit.given(OrderSubmitted(buy(1)))[0], NewOrderSingle)


def test_a_halt_cancels_everything_and_refuses_orders_until_trading_resumes(
    kit: ActorTest,
) -> None:
    assert kit.given(HaltTrading("operator"), OrderSubmitted(buy(1))) == [
        OrderMassCancelRequest(),
        refusal("trading is halted: operator"),
    ]
    assert kit.given(pending_cancel(buy(1))) == [OrderCancelRequest(ORDER_ID, buy(1).instrument)]

    assert kit.given(ResumeTrading("operator")) == []
    assert isinstance(kit.given(OrderSubmitted(buy(1)))[0], NewOrderSingle)


def test_reports_are_passed_on_once(kit: ActorTest) -> None:
    new, fill = report_new(buy(3)), report_fill(buy(3), 1)

    new_again, fill_again = (ReportRepeated(ORDER_ID, r.exec_id) for r in (new, fill))

    assert kit.given(new, fill) == [new, fill]
    assert kit.given(new, fill, fill) == [new_again, fill_again, fill_again]


def test_memory_of_reports_is_bounded_and_long_enough(kit: ActorTest) -> None:
    reports: list[Event] = [report_new(buy(3), f"E-{n}") for n in range(35_000)]

    assert kit.given(*reports) == reports
    assert kit.given(*reports[-10_000:]) == [
        ReportRepeated(ORDER_ID, f"E-{n}") for n in range(25_000, 35_000)
    ]
    assert len(kit.state.seen) + len(kit.state.seen_before) <= 20_000


def test_a_new_reader_hears_the_last_of_the_connection(kit: ActorTest) -> None:
    lost = ConnectionLost("market", "timeout")
    assert [*kit.actor.snapshot("connection")] == [CONNECTED]

    kit.given(lost)
    assert [*kit.actor.snapshot("connection")] == [lost]
    assert [*kit.actor.snapshot("reports")] == []


def test_the_state_survives_storage(kit: ActorTest) -> None:
    kit.given(HaltTrading("operator"), OrderSubmitted(buy(1)), report_new(buy(3)))

    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(kit.state), type=Gateway.State)
    assert stored == kit.state
