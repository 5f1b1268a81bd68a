"""Execution while an operator closes all positions."""

from __future__ import annotations

from actors.events.accounts import TradingState
from actors.events.market import Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.orders import CancelOrder, IntentRefused, OrderSubmitted, SubmitOrder
from actors.events.system import HaltTrading, OperatorCommand
from actors.execution import Execution
from actors.runtime.trading_state import FLATTEN
from actors.testing import ActorTest
from tests.kit.builders import BTCUSDT, quote

REDUCING = HaltTrading(
    "ann asked for it", f"{FLATTEN}-1", owner="operator", level=TradingState.REDUCING
)
BTC = BTCUSDT.instrument


def test_quotes_are_withdrawn_strategies_wait_and_each_position_is_closed_once() -> None:
    execution = ActorTest(Execution, name="execution")
    (order,) = execution.given(quote(100, 5, 0, 0))
    assert isinstance(order, SubmitOrder)
    execution.given(OrderSubmitted(order))
    (withdrawn,) = execution.given(REDUCING)
    assert isinstance(withdrawn, CancelOrder)
    assert withdrawn.client_order_id == order.client_order_id
    (refused,) = execution.given(quote(100, 5, 0, 0))
    assert isinstance(refused, IntentRefused)
    assert refused.text == "an operator closes all positions"

    command = OperatorCommand("2", "flatten", ((f"maker {BTC}", "12"),), "ann", "")
    (closing,) = execution.given(command)
    assert isinstance(closing, SubmitOrder)
    assert (closing.side, closing.qty, closing.order_type, closing.time_in_force) == (
        Side.SELL,
        12,
        OrderType.MARKET,
        TimeInForce.IOC,
    )
