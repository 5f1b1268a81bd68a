"""One trading state: whoever is on the order path refuses what a halt covers, and says why."""

from __future__ import annotations

import pytest

from actors.events.accounts import TradingState
from actors.events.market import Side
from actors.events.orders import (
    CancelOrder,
    IntentRefused,
    OrderApproved,
    OrderDenied,
    OrderPendingCancel,
    OrderSubmitted,
    SubmitOrder,
)
from actors.events.system import HaltTrading, ResumeTrading
from actors.execution import Execution
from actors.order_management import OrderManagement
from actors.testing import ActorTest
from tests.kit.builders import BTCUSDT, INSTRUMENTS, ORDER_ID, buy, denied, pnl, signal
from tests.kit.risk_kit import risk

LOSS = HaltTrading("the day's loss", "risk-0-1", owner="risk")
REDUCED = HaltTrading("the day's loss", "risk-0-1", owner="risk", level=TradingState.REDUCING)


def oms() -> ActorTest:
    return ActorTest(OrderManagement, name="oms", instruments=INSTRUMENTS)


def test_risk_raises_what_it_halts_by_as_an_entry_of_its_own() -> None:
    kit = risk(max_daily_loss={"USDT": "0.0001"}, loss_confirmations=1)
    [entry] = [event for event in kit.given(pnl(-10_001)) if isinstance(event, HaltTrading)]

    assert (entry.halt_id, entry.owner, entry.level) == ("risk-0-1", "risk", TradingState.HALTED)
    assert entry.reason == "day's loss 0.00010001 USDT exceeds limit 0.00010000; 1 in a row"
    assert entry.since == kit.now
    assert kit.given(entry) == []  # everybody hears it, risk too


def test_each_halt_of_risk_is_another_entry() -> None:
    kit = risk(max_daily_loss={"USDT": "0.0001"}, loss_confirmations=1)
    told = kit.given(pnl(-10_001), ResumeTrading("accepted"), pnl(-10_001))

    ids = [event.halt_id for event in told if isinstance(event, HaltTrading)]
    assert ids == ["risk-0-1", "risk-0-2"]


def test_the_oms_denies_what_was_approved_before_the_halt_and_lets_cancels_pass() -> None:
    kit = oms()
    kit.given(OrderApproved(buy(1)))
    kit.given(LOSS)
    another = buy(2, client_order_id="0-execution-2")

    assert kit.given(OrderApproved(another)) == [
        denied(another, "TRADING_HALTED", "the day's loss")
    ]
    [passed] = kit.given(CancelOrder(ORDER_ID, "maker", BTCUSDT.instrument))
    assert isinstance(passed, OrderPendingCancel)


def test_the_oms_lets_orders_through_again_once_the_entry_is_lifted() -> None:
    kit = oms()
    kit.given(LOSS, ResumeTrading("accepted", "risk-0-1", owner="risk"))

    assert kit.given(OrderApproved(buy(1))) != [denied(buy(1), "TRADING_HALTED", "the day's loss")]


def test_where_risk_lets_only_reducing_orders_through_the_oms_passes_them_on() -> None:
    kit = oms()
    kit.given(REDUCED)

    assert kit.given(OrderApproved(buy(1))) != [denied(buy(1), "TRADING_HALTED", "the day's loss")]


AT_SIM = HaltTrading("the venue is odd", "core-0-1", venue="SIM")
ELSEWHERE = HaltTrading("the venue is odd", "core-0-2", venue="OTHER")


@pytest.mark.parametrize(("halt", "refused"), [(AT_SIM, True), (ELSEWHERE, False)])
def test_a_halt_of_a_venue_covers_its_instruments(halt: HaltTrading, refused: bool) -> None:
    order = buy(1)
    management, gate = oms(), risk()
    execution = ActorTest(Execution, name="execution")
    for kit in (management, gate, execution):
        kit.given(halt)

    [decision] = gate.given(order)
    assert isinstance(decision, OrderDenied) is refused
    assert isinstance(management.given(OrderApproved(order))[0], OrderDenied) is refused
    assert isinstance(execution.given(signal(Side.BUY, 1))[0], IntentRefused) is refused


def test_where_a_venue_is_halted_execution_cancels_what_works_there() -> None:
    kit = ActorTest(Execution, name="execution")
    [taken] = kit.given(signal(Side.BUY, 1))
    assert isinstance(taken, SubmitOrder)
    kit.given(OrderSubmitted(taken))

    assert [type(event) for event in kit.given(ELSEWHERE)] == []
    assert [type(event) for event in kit.given(AT_SIM)] == [CancelOrder]
