from __future__ import annotations

import msgspec

from actors.events.market import Side
from actors.events.order_words import ExecType
from actors.events.orders import (
    OrderApproved,
    OrderSubmitted,
    ReportRepeated,
    SubmitOrder,
    TransitionFailed,
)
from actors.execution import Execution
from actors.order_management import OrderManagement
from actors.testing import ActorTest
from tests.kit.builders import (
    ETHUSDT,
    accepted,
    buy,
    cancel,
    cancel_rejected,
    canceled,
    denied,
    expired,
    filled,
    order,
    pending_cancel,
    rejected,
    report,
    report_canceled,
    report_fill,
    report_new,
    sell,
    signal,
)


def oms(**settings: int) -> ActorTest:
    return ActorTest(OrderManagement, settings, name="oms")


def test_an_approved_order_is_submitted() -> None:
    assert oms().given(OrderApproved(buy(10))) == [OrderSubmitted(buy(10))]


def test_reports_become_facts_with_the_orders_strategy() -> None:
    of = buy(10)

    assert oms().given(
        OrderApproved(of),
        report_new(of),
        report_fill(of, 4, "E-1"),
        report_fill(of, 6, "E-2", cum_qty=10),
    ) == [
        OrderSubmitted(of),
        accepted(of),
        filled(of, 4, exec_id="E-1"),
        filled(of, 6, cum_qty=10, exec_id="E-2"),
    ]


def test_a_cancel_is_recorded_and_confirmed() -> None:
    of = buy(10)

    assert oms().given(OrderApproved(of), report_new(of), cancel(of), report_canceled(of))[2:] == [
        pending_cancel(of, "V-1"),
        canceled(of),
    ]


def test_a_cancel_of_an_unknown_order_is_rejected_here() -> None:
    assert oms().given(cancel(buy(10))) == [
        cancel_rejected(buy(10), "no open order: the OMS does not know this order")
    ]


def test_a_cancel_that_the_venue_rejects_is_told_and_the_order_stays_open() -> None:
    of, kit = buy(10), oms()
    kit.given(OrderApproved(of), report_new(of), cancel(of))

    assert kit.given(report(of, ExecType.CANCEL_REJECTED, "E-c", text="too late")) == [
        cancel_rejected(of, "too late")
    ]
    assert kit.actor.busy()


def test_expiries_and_rejects_are_told_with_their_reason() -> None:
    ioc, poor, kit = buy(10), sell(5, client_order_id="0-execution-2"), oms()
    kit.given(OrderApproved(ioc), OrderApproved(poor))

    assert kit.given(
        report(ioc, ExecType.EXPIRED, "E-x", text="IOC"),
        report(poor, ExecType.REJECTED, "E-r", text="no funds"),
    ) == [expired(ioc, text="IOC"), rejected(poor, "no funds")]


def test_a_report_that_comes_again_is_told_of_and_changes_nothing() -> None:
    of, kit = buy(10), oms()
    kit.given(OrderApproved(of), report_fill(of, 4))

    before = msgspec.msgpack.encode(kit.state)

    assert kit.given(report_fill(of, 4)) == [ReportRepeated(of.client_order_id, "E-fill")]
    assert msgspec.msgpack.encode(kit.state) == before


def test_an_illegal_report_is_a_failed_transition() -> None:
    of = buy(10)

    assert oms().given(report_canceled(of)) == [
        TransitionFailed(
            of.client_order_id,
            "NONE",
            ExecType.CANCELED,
            "E-canceled",
            "the OMS does not know this order",
        )
    ]


def test_an_id_that_is_known_already_is_denied_and_its_order_goes_on() -> None:
    of, kit = buy(10), oms()
    kit.given(OrderApproved(of), report_new(of))
    again = sell(3, 0)
    text = "client_order_id '0-execution-1' was used before, its order is NEW"

    assert kit.given(OrderApproved(again)) == [denied(again, "DUPLICATE_ORDER_ID", text)]
    assert kit.given(report_fill(of, 10)) == [filled(of, 10)]


def test_whoever_sent_an_id_a_second_time_is_done_with_it() -> None:
    kit, execution = oms(), ActorTest(Execution, name="execution")
    kit.given(OrderApproved(buy(10)))
    [sent] = execution.given(signal(Side.SELL, 3))
    assert isinstance(sent, SubmitOrder)
    assert execution.actor.busy()

    assert execution.given(*kit.given(OrderApproved(sent))) == []
    assert not execution.actor.busy()


def test_it_is_busy_while_an_order_is_open() -> None:
    of, kit = buy(10), oms()

    assert not kit.actor.busy()
    kit.given(OrderApproved(of))
    assert kit.actor.busy()
    kit.given(report_fill(of, 10))
    assert not kit.actor.busy()


def test_orders_of_several_strategies_and_instruments_do_not_mix() -> None:
    kit = oms()
    bitcoin = order(Side.BUY, 10, client_order_id="0-execution-1", strategy="maker")
    ether = order(
        Side.SELL,
        5,
        client_order_id="0-execution-2",
        strategy="taker",
        instrument=ETHUSDT.instrument,
    )
    kit.given(OrderApproved(bitcoin), OrderApproved(ether))

    assert kit.given(report_fill(ether, 5, "E-1"), report_fill(bitcoin, 3, "E-2")) == [
        filled(ether, 5, exec_id="E-1"),
        filled(bitcoin, 3, exec_id="E-2"),
    ]


def test_closed_orders_are_kept_within_bounds() -> None:
    kit = oms(closed_orders=2)
    for n in range(9):
        of = buy(1, client_order_id=f"0-execution-{n}")
        kit.given(OrderApproved(of), report_fill(of, 1))

    assert len(kit.state.table.closed) < 4


def test_the_state_survives_a_snapshot() -> None:
    of, kit = buy(10), oms()
    kit.given(OrderApproved(of), report_new(of), report_fill(of, 4), cancel(of))
    encoded = msgspec.msgpack.encode(kit.state)

    assert msgspec.msgpack.decode(encoded, type=OrderManagement.State) == kit.state
