"""What a halt covers is canceled until the venue lists nothing of it, and only then verified."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from actors.events.accounts import TradingState
from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import OrderType, OrdStatus, TimeInForce
from actors.events.orders import CancelAllVerified, OrderSubmitted, ReconciliationCompleted
from actors.events.system import (
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    HaltLifted,
    HaltTrading,
    ResumeTrading,
)
from actors.events.venue import (
    NewOrderSingle,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
    OrderStatus,
)
from actors.runtime.node.halts import Halts
from actors.testing import SECOND, ActorTest
from gateways.gateway import Gateway
from tests.kit.builders import BTCUSDT, ETHUSDT, INSTRUMENTS, order
from tests.kit.venue_network import QTY, Line

BTC, ETH = BTCUSDT.instrument, ETHUSDT.instrument
HALT = HaltTrading("by hand", "core-0-1")
KILL = HaltTrading("by hand", "KILL-core-0-1", level=TradingState.KILL)
INTERVAL = SECOND // 2


@pytest.fixture
def kit() -> ActorTest:
    kit = ActorTest(Gateway, name="gateway")
    kit.given(ConnectionEstablished("market"), completed(1))
    return kit


def asked(number: int) -> OrderMassStatusRequest:
    return OrderMassStatusRequest(f"0-gateway-{number}")


def completed(number: int, *in_doubt: str) -> ReconciliationCompleted:
    return ReconciliationCompleted(f"0-gateway-{number}", 0, 0, in_doubt)


def listing(number: int, *instruments: str) -> OrderMassStatus:
    return OrderMassStatus(
        f"0-gateway-{number}",
        tuple(
            OrderStatus(f"o-{name}", "V", name, Side.BUY, 5, OrdStatus.NEW, 0, 5)
            for name in instruments
        ),
    )


def sends_orders(kit: ActorTest, instrument: str) -> bool:
    sent = kit.given(OrderSubmitted(order(Side.BUY, 1, instrument=instrument)))
    return [type(event) for event in sent] == [NewOrderSingle]


@pytest.mark.parametrize("halt", [HALT, KILL])
def test_a_halt_cancels_everything_and_asks_what_is_open(kit: ActorTest, halt: HaltTrading) -> None:
    assert kit.given(halt) == [OrderMassCancelRequest(), asked(2)]
    kit.given(listing(2))

    assert kit.given(completed(2)) == [CancelAllVerified(halt.halt_id)]
    assert kit.advance(60 * SECOND) == []


def test_what_is_still_listed_is_canceled_again_one_by_one_too(kit: ActorTest) -> None:
    kit.given(HALT, listing(2, BTC, ETH))

    assert kit.given(completed(2)) == []
    assert kit.advance(INTERVAL) == [
        OrderMassCancelRequest(),
        OrderCancelRequest(f"o-{BTC}", BTC),
        OrderCancelRequest(f"o-{ETH}", ETH),
        asked(3),
    ]
    kit.given(listing(3, BTC), completed(3))
    assert kit.advance(INTERVAL)[1:] == [OrderCancelRequest(f"o-{BTC}", BTC), asked(4)]
    kit.given(listing(4))
    assert kit.given(completed(4)) == [CancelAllVerified("core-0-1")]


def test_an_order_in_doubt_is_not_over_though_the_venue_does_not_list_it(kit: ActorTest) -> None:
    kit.given(HALT, listing(2))

    assert kit.given(completed(2, BTC)) == []
    assert kit.given(completed(2)) == [CancelAllVerified("core-0-1")]


def test_a_list_that_does_not_come_is_asked_for_again(kit: ActorTest) -> None:
    kit.given(HALT)

    assert kit.advance(5 * SECOND) == [asked(2)]


def test_a_halt_without_a_connection_begins_with_the_next_one() -> None:
    kit = ActorTest(Gateway, name="gateway")
    assert kit.given(HALT) == [OrderMassCancelRequest()]
    connected = ConnectionEstablished("market")

    assert kit.given(connected) == [connected, OrderMassCancelRequest(), asked(1)]
    kit.given(listing(1))
    assert kit.given(completed(1)) == [CancelAllVerified("core-0-1")]


def test_each_connection_begins_anew_also_where_it_was_verified(kit: ActorTest) -> None:
    kit.given(HALT, listing(2), completed(2), ConnectionLost("market", "gone"))
    restored = ConnectionRestored("market")

    assert kit.given(restored) == [restored, OrderMassCancelRequest(), asked(3)]
    kit.given(listing(3))
    assert kit.given(completed(3)) == [CancelAllVerified("core-0-1")]


def test_a_halt_of_one_instrument_holds_up_no_other(kit: ActorTest) -> None:
    halt = HaltTrading("overfill", "oms-0-1", "oms", instrument=ETH)

    assert kit.given(halt) == [OrderMassCancelRequest(ETH), asked(2)]
    assert sends_orders(kit, BTC)
    kit.given(listing(2, BTC))
    assert kit.given(completed(2)) == [CancelAllVerified("oms-0-1")]


@pytest.mark.parametrize(
    ("accepts", "venue", "canceled"),
    [
        (None, "SIM", [OrderMassCancelRequest(), asked(2)]),
        (None, "OTHER", []),
        (("BTCUSDT.SIM", "ETHUSDT.OTHER"), "SIM", [OrderMassCancelRequest(BTC), asked(2)]),
        (("ETHUSDT.OTHER",), "SIM", []),
    ],
)
def test_a_halt_of_a_venue_cancels_what_is_traded_there(
    accepts: tuple[str, ...] | None, venue: str, canceled: list[Event]
) -> None:
    kit = ActorTest(Gateway, name="gateway", instruments=INSTRUMENTS)
    kit.actor.accepts = None if accepts is None else frozenset(accepts)
    kit.given(ConnectionEstablished("market"), completed(1))
    told = kit.given(HaltTrading("by hand", "core-0-1", venue=venue))

    assert [replace(e, instruments=()) if hasattr(e, "instruments") else e for e in told] == (
        canceled
    )
    assert sends_orders(kit, BTC) is (venue != "SIM")


def test_a_halt_of_a_venue_cancels_at_each_connection() -> None:
    kit = ActorTest(Gateway, name="gateway", instruments=INSTRUMENTS)
    kit.given(HaltTrading("by hand", "core-0-1", venue="SIM"))

    assert OrderMassCancelRequest() in kit.given(ConnectionEstablished("market"))


def test_a_halt_of_an_instrument_that_others_trade_is_not_this_gateway_s(kit: ActorTest) -> None:
    kit.actor.accepts = frozenset({BTC})

    assert kit.given(HaltTrading("overfill", "oms-0-1", "oms", instrument=ETH)) == []


def test_what_was_lifted_is_canceled_no_longer(kit: ActorTest) -> None:
    kit.given(HALT, listing(2, BTC), completed(2), ResumeTrading("seen"))

    assert kit.advance(60 * SECOND) == []
    assert sends_orders(kit, BTC)


def test_a_lift_that_comes_the_slow_way_ends_it_too(kit: ActorTest) -> None:
    kit.actor.heard = {"gateway.inbox": (HaltLifted,)}
    kit.given(HALT, listing(2, BTC), completed(2), ResumeTrading("seen", "core-0-1", by="ann"))
    assert kit.advance(INTERVAL) != []
    kit.given(HaltLifted("node test: core-0-1", "seen", "ann"), listing(3, BTC), completed(3))

    assert kit.advance(60 * SECOND) == []


def test_a_halt_of_a_strategy_is_execution_s_to_cancel(kit: ActorTest) -> None:
    assert kit.given(HaltTrading("disabled", "operator-1", strategy="maker")) == []


def test_a_halt_of_an_older_version_is_canceled_once(kit: ActorTest) -> None:
    assert kit.given(HaltTrading("by hand")) == [OrderMassCancelRequest()]
    assert kit.advance(60 * SECOND) == []


def resting(line: Line, order_id: str) -> None:
    """Let an order rest at the venue that nobody here knows."""
    new = NewOrderSingle(
        order_id, BTC, Side.BUY, QTY, OrderType.LIMIT, TimeInForce.GTC, 100, post_only=False
    )
    line.venue.handle(new, now=0)


def test_resting_orders_and_those_of_adopted_positions_are_canceled_and_then_it_is_verified() -> (
    None
):
    line = Line()
    resting(line, "theirs")
    line.settle()
    line.submit()
    line.serve()
    line.deliver()
    assert set(line.open()) == {"theirs", "o1"}
    line.halt(HALT)
    assert line.verified == []
    line.settle()

    assert line.open() == line.working() == {}
    assert line.verified[-1] == "core-0-1"


def test_an_order_on_its_way_is_waited_for() -> None:
    line = Line()
    line.settle()
    line.submit()
    line.halt(HALT)
    line.requests.clear()  # the venue never hears of the order, nor of the cancel
    line.settle()

    assert line.open() == {}
    assert line.verified == ["core-0-1"]
    assert line.oms.state.table.find("o1").status is OrdStatus.REJECTED


def test_the_node_says_of_its_halt_which_gateway_verified_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    halts = Halts(lambda _event: None)
    halts.hear("risk", HaltTrading("the day's loss", "risk-0-1"))
    assert [record.verified_by for record in halts.records()] == [()]
    with caplog.at_level("WARNING"):
        halts.hear("gateway", CancelAllVerified("risk-0-1"))

    assert [record.verified_by for record in halts.records()] == [("gateway",)]
    assert caplog.messages[-1:] == ["verified: gateway lists nothing open of: the day's loss"]
    halts.resume("seen")
    halts.hear("gateway", CancelAllVerified("risk-0-1"))
    assert halts.records() == ()
