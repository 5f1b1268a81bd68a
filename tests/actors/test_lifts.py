"""A halt is heard at once; what lifts it comes behind all that was approved before."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pytest

from actors.events.accounts import TradingState
from actors.events.event import Event
from actors.events.market import Side, TopOfBook
from actors.events.orders import (
    IntentRefused,
    OrderApproved,
    OrderDenied,
    OrderSubmitted,
    QuoteIntent,
    Signal,
)
from actors.events.system import (
    ConnectionEstablished,
    HaltLifted,
    HaltTrading,
    ResumeTrading,
    TimerFired,
)
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderMassStatus,
    OrderMassStatusRequest,
)
from actors.execution import Execution
from actors.order_management import OrderManagement
from actors.risk import Risk
from actors.runtime.actor import Actor, handles
from actors.runtime.node.halts import Halts
from actors.runtime.trading_state import FLATTEN, HaltEntries
from actors.testing import SECOND, START, ActorTest, SystemTest
from gateways.gateway import Gateway
from tests.kit.builders import (
    BTCUSDT,
    CURRENCIES,
    INSTRUMENTS,
    buy,
    order,
    quote,
    signal,
    top,
)
from tests.kit.risk_kit import risk

BTC = BTCUSDT.instrument
HALT = HaltTrading("by hand", "core-0-1")
RESUME = ResumeTrading("seen", "core-0-1", by="an operator")
LIFT = HaltLifted("node test: core-0-1", "seen", "an operator")


class Desk(Actor):
    """Wants three trades at once, and one more a second later."""

    outputs: ClassVar = {"signals": (Signal,), "top": (TopOfBook,)}

    def on_start(self) -> None:
        self.emit(top())
        self.set_timer("three", SECOND)
        self.set_timer("one", 2 * SECOND)

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        for _ in range(3 if timer.name == "three" else 1):
            self.emit(signal(Side.BUY, 1, strategy=self.name))


class Doors(Actor):
    """A venue that is connected, has nothing open and answers no order."""

    outputs: ClassVar = {"reports": (OrderMassStatus,), "connection": (ConnectionEstablished,)}

    def on_start(self) -> None:
        self.emit(ConnectionEstablished("venue"))

    @handles(OrderMassStatusRequest)
    def on_request(self, request: OrderMassStatusRequest) -> None:
        self.emit(OrderMassStatus(request.request_id, ()))


class Switch(Actor):
    """Halts its node and resumes it, before anybody behind it read what it reads."""

    class State(msgspec.Struct):
        """Whether it has done so."""

        done: bool = False

    halts: Halts
    state: State

    @handles(OrderApproved, OrderSubmitted)
    def on_order(self, _order: Event) -> None:
        if not self.state.done:
            self.state.done = True
            self.halts.halt("by hand")
            self.halts.resume("seen")


def trading(watched: str) -> SystemTest:
    system = SystemTest(instruments=INSTRUMENTS, currencies=CURRENCIES)
    switch = system.add("switch", Switch, inputs=[watched])
    assert isinstance(switch, Switch)
    switch.halts = system.node.halts
    system.add("desk", Desk)
    system.add("execution", Execution, inputs=["desk.signals", "risk.decisions", "oms.requests"])
    system.add("risk", Risk, inputs=["execution.orders", "desk.top", "oms.orders"])
    system.add("oms", OrderManagement, inputs=["risk.decisions", "gateway.reports"])
    system.add("gateway", Gateway, inputs=["oms.requests", "venue.reports", "venue.connection"])
    system.add("venue", Doors, inputs=["gateway.venue"])
    system.run(3 * SECOND)
    return system


@pytest.mark.parametrize("watched", ["risk.decisions", "oms.requests"])
def test_what_was_approved_before_a_halt_is_refused_though_it_is_lifted_at_once(
    watched: str,
) -> None:
    system = trading(watched)
    sent = [e for e in system.emitted("gateway.venue") if isinstance(e, NewOrderSingle)]

    assert system.node.halts.reason == ""
    assert [order.client_order_id for order in sent] == ["0-execution-4"]


def test_a_lift_goes_the_way_of_orders_from_risk_to_execution_and_gateway() -> None:
    system = trading("risk.decisions")
    [lift] = [e for e in system.emitted("risk.decisions") if isinstance(e, HaltLifted)]

    assert (lift.reason, lift.by) == ("seen", "an operator")
    assert [e for e in system.emitted("oms.requests") if isinstance(e, HaltLifted)] == [lift]
    for name in ("execution", "risk", "oms", "gateway"):
        state = system.node.actors[name].state
        assert state.halts.entries == state.halts.leaving == {}


def oms(*streams: str) -> ActorTest:
    kit = ActorTest(OrderManagement, name="oms", instruments=INSTRUMENTS)
    kit.actor.heard = dict.fromkeys(streams, (OrderApproved, HaltLifted))
    return kit


def test_where_risk_says_no_lifts_order_management_does() -> None:
    kit = oms()

    assert kit.given(HALT, RESUME) == [LIFT]
    assert kit.state.halts == HaltEntries()


def test_order_management_waits_for_the_lift() -> None:
    kit = oms("oms.inbox")

    assert kit.given(HALT, RESUME) == []
    assert isinstance(kit.given(OrderApproved(buy(1)))[0], OrderDenied)
    assert kit.given(LIFT) == [LIFT]
    assert isinstance(kit.given(OrderApproved(buy(1)))[0], OrderSubmitted)


def test_with_two_approvers_the_lift_of_both_is_needed() -> None:
    kit = oms("oms.inbox", "another.decisions")
    kit.given(HALT, RESUME)

    assert kit.given(LIFT) == []
    assert isinstance(kit.given(OrderApproved(buy(1)))[0], OrderDenied)
    kit.actor.heard.pop("another.decisions")
    assert kit.given(LIFT) == [LIFT]


def test_a_halt_that_comes_between_is_not_lifted() -> None:
    kit = oms("oms.inbox")
    kit.given(HALT, RESUME, HaltTrading("again", "core-0-2"), LIFT)

    assert isinstance(kit.given(OrderApproved(buy(1)))[0], OrderDenied)


def test_a_lift_on_its_way_does_not_lift_the_same_halt_raised_again() -> None:
    kit = oms("oms.inbox")
    kit.given(HALT, RESUME, HALT, LIFT)
    assert isinstance(kit.given(OrderApproved(buy(1)))[0], OrderDenied)
    kit.given(RESUME, LIFT)

    assert isinstance(kit.given(OrderApproved(buy(1)))[0], OrderSubmitted)
    assert kit.state.halts == HaltEntries()


def test_one_id_on_two_nodes_is_two_halts_with_a_lift_each() -> None:
    own = HaltTrading("ann asked for it", "operator-1", "operator")
    copy = HaltTrading("node md: ann asked for it", "node md: operator-1", "node md")
    kit = oms("oms.inbox")
    kit.given(own, copy)
    there = HaltLifted("node md: operator-1", "seen", "ann")

    assert kit.given(there) == [there]
    assert kit.state.halts.entries == {"operator-1": own}
    kit.given(HaltLifted("node test: operator-1", "seen", "ann"))
    assert kit.state.halts.entries == {}


def test_risk_says_of_a_copy_where_it_began() -> None:
    kit = risk()
    kit.given(HaltTrading("node md: by hand", "node md: operator-1", "node md"))
    resume = ResumeTrading("seen", "node md: operator-1", "node md", by="node md")
    lifts = [event for event in kit.given(resume) if isinstance(event, HaltLifted)]

    assert lifts == [HaltLifted("node md: operator-1", "seen", "node md")]


def test_a_lift_that_was_lost_is_made_up_for_by_resuming_again() -> None:
    kit, fresh = oms("oms.inbox"), HaltTrading("again", "core-0-2")
    kit.given(HALT, RESUME, fresh)
    kit.given(HaltLifted("", "seen", "an operator"))

    assert kit.state.halts.entries == {"core-0-2": fresh}


def test_a_halt_of_an_older_version_has_no_id_and_is_lifted_at_once() -> None:
    kit = oms("oms.inbox")
    kit.given(HaltTrading("by hand"), ResumeTrading("seen"))

    assert isinstance(kit.given(OrderApproved(buy(1)))[0], OrderSubmitted)


def execution() -> ActorTest:
    kit = ActorTest(Execution, name="execution")
    kit.actor.heard = {"execution.inbox": (HaltLifted,)}
    return kit


def bid_and_ask(number: int, px: int) -> list[Event]:
    def quoted(n: int, side: Side, px: int) -> Event:
        return order(
            side, 5, px, client_order_id=f"0-execution-{n}", post_only=True, decided_at=START
        )

    return [quoted(number, Side.BUY, px), quoted(number + 1, Side.SELL, px + 20)]


def wanted(px: int) -> QuoteIntent:
    return quote(px, 5, px + 20, 5)


def test_a_quote_that_is_wanted_before_the_lift_came_is_placed_with_it() -> None:
    kit = execution()
    kit.given(HALT, RESUME)

    assert kit.given(wanted(9_980), wanted(9_990)) == []
    assert kit.given(LIFT) == bid_and_ask(1, 9_990)


def test_a_quote_waits_for_no_lift_where_another_halt_holds() -> None:
    kit = execution()
    kit.given(HALT, RESUME, wanted(9_980))
    kit.given(HaltTrading("again", "core-0-2"))

    assert [type(event) for event in kit.given(wanted(9_990))] == [IntentRefused]
    assert kit.given(LIFT) == []


def test_a_quote_waits_for_no_lift_while_an_operator_closes_all_positions() -> None:
    kit = execution()
    flat = HaltTrading("flat", f"{FLATTEN}-1", "operator", TradingState.REDUCING)
    kit.given(HALT, flat, RESUME)

    assert [type(event) for event in kit.given(wanted(9_990))] == [IntentRefused]
    assert kit.given(LIFT) == []


def test_a_signal_waits_for_no_lift() -> None:
    kit = execution()
    kit.given(HALT, RESUME)

    assert [type(event) for event in kit.given(signal(Side.BUY, 1))] == [IntentRefused]


def test_the_gateway_waits_for_the_lift() -> None:
    kit = ActorTest(Gateway, name="gateway")
    kit.actor.heard = {"gateway.inbox": (OrderSubmitted, HaltLifted)}
    kit.given(ConnectionEstablished("venue"), HALT, RESUME)

    [refused] = kit.given(OrderSubmitted(buy(1)))
    assert isinstance(refused, ExecutionReport)
    assert refused.text == "trading is halted: by hand"
    kit.given(LIFT)
    assert kit.state.halted == ""
