"""An order or a cancel that names another's order changes nothing of it."""

from __future__ import annotations

from typing import ClassVar

import pytest

from actors.events.event import Event
from actors.events.market import Side, TopOfBook
from actors.events.orders import (
    CancelOrder,
    CancelRejected,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderPendingCancel,
    OrderSubmitted,
    SubmitOrder,
)
from actors.execution import Execution
from actors.order_management import OrderManagement
from actors.risk import Risk
from actors.runtime.actor import Actor, handles
from actors.testing import SECOND, ActorTest, SystemTest
from tests.kit.builders import (
    BTCUSDT,
    CURRENCIES,
    ETHUSDT,
    INSTRUMENTS,
    ORDER_ID,
    buy,
    cancel,
    denied,
    order,
    quote,
    top,
)
from tests.kit.risk_kit import risk

BTC = BTCUSDT.instrument
BID = order(Side.BUY, 5, 9_990, client_order_id=ORDER_ID, post_only=True)


def quoting() -> ActorTest:
    kit = ActorTest(Execution, name="execution")
    kit.given(quote(9_990, 5, 0, 0))
    return kit


@pytest.mark.parametrize("code", ["DUPLICATE_ORDER_ID", "MAX_ORDER_QTY", "FOREIGN_ORDER_ID"])
def test_the_denial_of_an_order_that_bears_its_id_does_not_end_an_order_that_works(
    code: str,
) -> None:
    kit = quoting()
    kit.given(OrderSubmitted(BID), denied(BID, code))

    assert kit.given(quote(9_991, 5, 0, 0)) == [cancel(BID)]


@pytest.mark.parametrize("code", ["FOREIGN_STRATEGY", "FOREIGN_ORDER_ID"])
def test_the_denial_of_a_forged_order_does_not_end_one_that_is_on_its_way(code: str) -> None:
    kit = quoting()
    kit.given(denied(BID, code), OrderSubmitted(BID))

    assert kit.given(quote(9_991, 5, 0, 0)) == [cancel(BID)]


def test_the_refusal_of_another_s_cancel_does_not_end_an_own_one() -> None:
    kit = quoting()
    kit.given(OrderSubmitted(BID), quote(9_991, 5, 0, 0))

    kit.given(CancelRejected(ORDER_ID, "taker", BTC, "the order is of maker, not of taker"))
    assert kit.advance(SECOND) == []
    placed = kit.given(OrderCanceled(ORDER_ID, "maker", BTC, Side.BUY, 0, 5))
    assert [type(event) for event in placed] == [SubmitOrder]


class Forger(Actor):
    """Asks for an order under an id that a setting gives it."""

    class Settings(Actor.Settings):
        order_id: str

    outputs: ClassVar = {"orders": (SubmitOrder,), "top": (TopOfBook,)}
    settings: Forger.Settings

    def on_start(self) -> None:
        self.emit(top())
        order_id = self.settings.order_id
        self.emit(order(Side.BUY, 6, strategy=self.name, client_order_id=order_id))


@pytest.mark.parametrize(
    ("order_id", "answer"),
    [
        ("0-execution-1", "FOREIGN_ORDER_ID"),
        ("0-another-7", "FOREIGN_ORDER_ID"),
        ("0-forger-1", "approved"),
        ("mine", "approved"),
    ],
)
def test_an_order_id_that_names_another_actor_is_denied(order_id: str, answer: str) -> None:
    system = SystemTest(instruments=INSTRUMENTS, currencies=CURRENCIES)
    system.add("forger", Forger, settings={"order_id": order_id})
    system.add("another", Forger, settings={"order_id": "0-another-1"})
    system.add("execution", Execution)
    inputs = ["forger.top", "execution.orders", "forger.orders", "another.orders"]
    system.add("risk", Risk, inputs=inputs)
    system.run(SECOND)

    first, _ = system.emitted("risk.decisions")
    assert (first.code if isinstance(first, OrderDenied) else "approved") == answer


def test_the_denial_of_another_order_with_the_same_id_gives_back_no_reserve() -> None:
    kit = risk()
    kit.given(buy(1))
    kit.given(denied(order(Side.BUY, 1, instrument=ETHUSDT.instrument)))
    assert ORDER_ID in kit.state.exposures.reservations
    kit.given(denied(buy(1)))

    assert kit.state.exposures.reservations == {}


def test_a_cancel_in_another_strategy_s_name_is_refused() -> None:
    kit = ActorTest(OrderManagement, name="oms", instruments=INSTRUMENTS)
    kit.given(OrderApproved(buy(1)))
    text = "the order is of maker, not of taker"

    assert kit.given(CancelOrder(ORDER_ID, "taker", BTC)) == [
        CancelRejected(ORDER_ID, "taker", BTC, text)
    ]
    assert [type(e) for e in kit.given(cancel(buy(1)))] == [OrderPendingCancel]


class Saboteur(Actor):
    """Asks for the end of each order in the name that a setting gives it."""

    class Settings(Actor.Settings):
        strategy: str

    outputs: ClassVar = {"cancels": (CancelOrder,)}
    settings: Saboteur.Settings

    @handles(OrderSubmitted)
    def on_order_submitted(self, submitted: OrderSubmitted) -> None:
        order = submitted.order
        self.emit(CancelOrder(order.client_order_id, self.settings.strategy, order.instrument))


class Approver(Actor):
    """Approves one order of the maker's."""

    outputs: ClassVar = {"decisions": (OrderApproved,)}
    role = "approver"

    def on_start(self) -> None:
        self.emit(OrderApproved(buy(1)))


@pytest.mark.parametrize(
    ("name", "role", "result"),
    [
        ("taker", "", CancelRejected),
        ("maker", "", OrderPendingCancel),
        ("agent", "execution", OrderPendingCancel),
    ],
)
def test_only_execution_cancels_in_the_names_of_others(
    name: str, role: str, result: type[Event]
) -> None:
    system = SystemTest(instruments=INSTRUMENTS)
    canceler = type("Canceler", (Saboteur,), {"role": role, "__module__": __name__})
    system.add(name, canceler, settings={"strategy": "maker"}, inputs=["oms.requests"])
    system.add("approver", Approver)
    system.add("oms", OrderManagement, inputs=["approver.decisions", f"{name}.cancels"])
    system.run(SECOND)

    told = [*system.emitted("oms.requests"), *system.emitted("oms.orders")]
    answers = [type(e) for e in told if isinstance(e, CancelRejected | OrderPendingCancel)]
    assert answers == [result]
