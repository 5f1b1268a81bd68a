"""What a venue should not say: nothing that traded is lost, and nothing is believed blindly."""

from __future__ import annotations

import msgspec
import pytest

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import ExecType, OrdRejReason, OrdStatus
from actors.events.orders import (
    FillCorrected,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
    ReconciliationCompleted,
    ReconciliationFailed,
    SubmitOrder,
    TransitionFailed,
)
from actors.events.system import HaltTrading, ResumeTrading
from actors.events.venue import ExecutionReport, OrderMassStatus, OrderStatus
from actors.order_management import OrderManagement
from actors.testing import SECOND, ActorTest
from tests.kit.builders import (
    BTCUSDT,
    ETHUSDT,
    INSTRUMENTS,
    ORDER_ID,
    buy,
    order,
    report,
    report_canceled,
    report_fill,
    report_new,
    sell,
)

ORDER = buy(10)
BTC, ETH = BTCUSDT.instrument, ETHUSDT.instrument
UNIT = BTCUSDT.settle_scale - BTCUSDT.price_scale - BTCUSDT.qty_scale
FILLED = OrdStatus.FILLED


def oms(*events: Event) -> ActorTest:
    kit = ActorTest(OrderManagement, name="oms", instruments=INSTRUMENTS)
    kit.given(*events)
    return kit


def of_type(events: list[Event], *classes: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, classes)]


def booked(events: list[Event]) -> list[tuple[str, Side, int]]:
    return [(e.strategy, e.side, e.last_qty) for e in events if isinstance(e, OrderFilled)]


def halted(events: list[Event]) -> list[str]:
    return [e.instrument for e in events if isinstance(e, HaltTrading)]


def status_of(kit: ActorTest, client_order_id: str = ORDER_ID) -> OrdStatus:
    record = kit.state.table.find(client_order_id)
    status: OrdStatus = record.status
    return status


def answer(
    status: OrdStatus, cum_qty: int = 0, *, of: SubmitOrder = ORDER, cum_amount: int = 0
) -> ExecutionReport:
    said = report(of, ExecType.ORDER_STATUS, "", ord_status=status, cum_qty=cum_qty)
    return msgspec.structs.replace(said, cum_amount=cum_amount)


NOT_FOUND = msgspec.structs.replace(
    answer(OrdStatus.REJECTED), ord_rej_reason=OrdRejReason.UNKNOWN_ORDER
)


@pytest.mark.parametrize(
    ("before", "cum_qty"),
    [
        ([report_fill(ORDER, 8, "E-1")], 16),
        ([report_fill(ORDER, 10, "E-1")], 18),
        ([report(ORDER, ExecType.REJECTED, "E-1")], 8),
        ([report_fill(ORDER, 8, "E-1"), report_canceled(ORDER, cum_qty=8)], 16),
    ],
)
def test_a_fill_that_was_not_allowed_is_booked_and_stops_its_instrument(
    before: list[Event], cum_qty: int
) -> None:
    kit = oms(OrderApproved(ORDER), *before)
    told = kit.given(report_fill(ORDER, 8, "E-2", cum_qty=cum_qty))

    assert booked(told) == [("maker", Side.BUY, 8)]
    assert len(of_type(told, TransitionFailed)) == 1
    assert halted(told) == [BTC]


def test_in_a_halted_instrument_orders_are_denied_until_an_operator_resumes() -> None:
    kit = oms(OrderApproved(ORDER), report_fill(ORDER, 8, "E-1"))
    kit.given(report_fill(ORDER, 8, "E-2", cum_qty=16))
    again = buy(1, client_order_id="0-execution-2")
    ether = order(Side.BUY, 1, client_order_id="0-execution-3", instrument=ETH)

    [denial] = kit.given(OrderApproved(again))
    assert isinstance(denial, OrderDenied)
    assert (denial.code, denial.text) == ("INSTRUMENT_HALTED", "overfill: 8 + 8 of 10")
    assert not of_type(kit.given(OrderApproved(ether)), OrderDenied)
    kit.given(ResumeTrading("seen"))
    assert not of_type(kit.given(OrderApproved(again)), OrderDenied)


def test_a_crossed_fill_behind_a_cancel_is_booked_and_stops_nothing() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), report_canceled(ORDER))
    told = kit.given(report_fill(ORDER, 4))

    assert booked(told) == [("maker", Side.BUY, 4)]
    assert len(told) == 1


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_fill_of_an_order_that_nobody_knows_is_booked_once_the_venue_confirms_it(
    forgotten: bool,
) -> None:
    kit = ActorTest(OrderManagement, {"closed_orders": 1}, name="oms", instruments=INSTRUMENTS)
    if forgotten:
        kit.given(OrderApproved(ORDER), report_new(ORDER), report_canceled(ORDER))
        for number in range(2, 5):
            other = buy(1, client_order_id=f"0-execution-{number}")
            kit.given(OrderApproved(other), report_fill(other, 1, f"E-{number}"))
    told = kit.given(report_fill(ORDER, 4))

    assert (booked(told), halted(told)) == ([], [BTC])
    assert of_type(told, OrderUnknown) == [OrderUnknown(ORDER_ID, "EXTERNAL", BTC, 1)]
    assert of_type(kit.given(OrderApproved(buy(1, client_order_id="x"))), OrderDenied)

    confirmed = kit.given(answer(OrdStatus.PARTIALLY_FILLED, 4))
    assert booked(confirmed) == [("EXTERNAL", Side.BUY, 4)]
    assert [type(e) for e in of_type(confirmed, ResumeTrading, OrderAccepted)] == [
        OrderAccepted,
        ResumeTrading,
    ]
    assert not of_type(kit.given(OrderApproved(buy(1, client_order_id="y"))), OrderDenied)
    assert booked(kit.given(report_fill(ORDER, 4))) == []


def test_a_fill_of_an_order_that_nobody_knows_either_at_the_venue_stays_unbooked_and_halted() -> (
    None
):
    kit = oms(report_fill(ORDER, 4))

    assert booked(kit.given(NOT_FOUND, NOT_FOUND, *kit.advance(60 * SECOND), NOT_FOUND)) == []
    assert of_type(kit.given(OrderApproved(buy(1, client_order_id="x"))), OrderDenied)


@pytest.mark.parametrize(
    ("said", "filled"),
    [
        (report_fill(ORDER, 6, cum_qty=10), 6),
        (report_fill(ORDER, 6, ord_status=FILLED), 6),
        (report_canceled(ORDER, cum_qty=5), 0),
        (report(ORDER, ExecType.EXPIRED, "E-x", cum_qty=1), 0),
        (report(ORDER, ExecType.CANCEL_REJECTED, "E-x", ord_status=FILLED, cum_qty=10), 0),
        (report(ORDER, ExecType.CANCEL_REJECTED, "E-x", ord_status=OrdStatus.REJECTED), 0),
        (report_new(sell(10)), 0),
        (report_new(order(Side.BUY, 10, instrument=ETH)), 0),
        (report_new(buy(11)), 0),
        (report_new(buy(9)), 0),
        (report(ORDER, ExecType.NEW, "E-new", ord_status=FILLED), 0),
        (report(ORDER, ExecType.CANCELED, "E-c", ord_status=OrdStatus.EXPIRED), 0),
    ],
)
def test_an_order_of_which_the_venue_says_otherwise_is_unknown_and_asked_about(
    said: ExecutionReport, filled: int
) -> None:
    kit = oms(OrderApproved(ORDER))
    told = kit.given(said)

    assert status_of(kit) is OrdStatus.UNKNOWN
    assert [type(e) for e in told] == [OrderFilled] * bool(filled) + [
        ReconciliationFailed,
        OrderUnknown,
    ]
    assert kit.state.table.open[ORDER_ID].leaves_qty == 10 - filled


def test_what_is_missing_behind_an_end_keeps_the_order_open_until_it_is_known() -> None:
    kit = oms(OrderApproved(ORDER), report_fill(ORDER, 3, "E-1"))

    assert not of_type(kit.given(report_canceled(ORDER, cum_qty=5)), OrderCanceled)
    assert booked(kit.given(report_fill(ORDER, 2, "E-2", cum_qty=5))) == [("maker", Side.BUY, 2)]
    [end] = kit.given(answer(OrdStatus.CANCELED, 5))
    assert isinstance(end, OrderCanceled)
    assert (end.cum_qty, end.leaves_qty) == (5, 5)


def test_two_fills_of_sixty_of_a_hundred_end_the_order_and_halt() -> None:
    of = buy(100)
    kit = oms(OrderApproved(of), report_fill(of, 60, "E-1"))
    told = kit.given(report_fill(of, 60, "E-2", cum_qty=120))

    assert (booked(told), halted(told)) == ([("maker", Side.BUY, 60)], [BTC])
    assert status_of(kit) is FILLED


def test_a_trade_reported_under_two_ids_is_in_doubt() -> None:
    kit = oms(OrderApproved(ORDER), report_fill(ORDER, 4, "E-1"))
    kit.given(report_fill(ORDER, 4, "E-2", cum_qty=4))

    assert status_of(kit) is OrdStatus.UNKNOWN


def test_a_fill_that_overtook_another_is_in_doubt_until_the_other_came() -> None:
    kit = oms(OrderApproved(ORDER), report_fill(ORDER, 3, "E-2", cum_qty=7))

    assert status_of(kit) is OrdStatus.UNKNOWN
    kit.given(report_fill(ORDER, 4, "E-1", cum_qty=4))
    kit.given(answer(OrdStatus.PARTIALLY_FILLED, 7))
    assert (status_of(kit), kit.state.table.open[ORDER_ID].cum_qty) == (
        OrdStatus.PARTIALLY_FILLED,
        7,
    )


AMOUNT = 10_000 * 10**UNIT
"""Of one unit at the order's price."""


def inferring() -> tuple[ActorTest, list[Event]]:
    """Return order management that inferred 4 of 10 behind a real fill of 6."""
    kit = oms(OrderApproved(ORDER), report_fill(ORDER, 6, "E-1", cum_qty=10))
    said = answer(FILLED, 10, cum_amount=10 * AMOUNT - 7)
    assert booked(kit.given(said)) == []
    kit.advance(2 * SECOND)
    return kit, kit.given(said)


def test_what_the_venue_cannot_report_is_inferred_with_its_amount_and_no_price() -> None:
    kit, told = inferring()

    [fill] = told
    assert isinstance(fill, OrderFilled)
    assert (fill.last_qty, fill.last_px, fill.amount) == (4, 0, 4 * AMOUNT - 7)
    assert (fill.inferred, fill.exec_id) == (True, "0544fb60936cc97c")
    assert status_of(kit) is FILLED


def test_without_an_amount_nothing_is_inferred() -> None:
    kit = oms(OrderApproved(ORDER), report_fill(ORDER, 6, "E-1", cum_qty=10))

    for _ in range(5):
        assert booked(kit.given(answer(FILLED, 10))) == []
        kit.advance(60 * SECOND)
    assert status_of(kit) is OrdStatus.UNKNOWN


def test_the_real_fill_takes_the_place_of_the_inferred_one() -> None:
    kit, [inferred] = inferring()
    assert isinstance(inferred, OrderFilled)

    # The missing four came first: the fill of six behind them was the second.
    [corrected] = kit.given(report_fill(ORDER, 4, "E-2", px=9_998))
    assert isinstance(corrected, FillCorrected)
    assert (corrected.replaces, corrected.fill.exec_id) == (inferred.exec_id, "E-2")
    assert (corrected.fill.last_qty, corrected.fill.last_px) == (4, 9_998)
    assert kit.state.table.closed[ORDER_ID].cum_qty == 10


def test_a_part_of_an_inferred_fill_leaves_the_rest_inferred() -> None:
    kit, _ = inferring()

    corrected, rest = kit.given(report_fill(ORDER, 1, "E-2"))
    assert isinstance(corrected, FillCorrected)
    assert isinstance(rest, OrderFilled)
    assert (corrected.fill.last_qty, rest.last_qty, rest.inferred) == (1, 3, True)


def test_not_found_is_believed_after_three_answers_over_five_seconds() -> None:
    kit = oms(OrderApproved(ORDER))
    kit.advance(5 * SECOND)

    assert kit.given(NOT_FOUND, NOT_FOUND, NOT_FOUND) == []
    kit.advance(5 * SECOND)
    [rejection] = kit.given(NOT_FOUND)
    assert isinstance(rejection, OrderRejected)


def test_an_answer_that_finds_the_order_makes_not_found_count_from_the_beginning() -> None:
    kit = oms(OrderApproved(ORDER))
    kit.advance(5 * SECOND)
    kit.given(NOT_FOUND, NOT_FOUND, answer(OrdStatus.PENDING_NEW))
    kit.advance(5 * SECOND)

    assert kit.given(NOT_FOUND, NOT_FOUND) == []


@pytest.mark.parametrize("arrival", [report_new(ORDER), report_fill(ORDER, 4)])
def test_an_order_that_arrives_after_it_was_not_found_is_open_again_and_canceled(
    arrival: ExecutionReport,
) -> None:
    kit = oms(OrderApproved(ORDER))
    kit.advance(5 * SECOND)
    kit.given(NOT_FOUND, NOT_FOUND)
    kit.advance(5 * SECOND)
    kit.given(NOT_FOUND)
    told = kit.given(arrival)

    assert [type(e).__name__ for e in told[:3]] == [
        "ReconciliationFailed",
        "OrderAccepted",
        "OrderPendingCancel",
    ]
    assert booked(told) == ([("maker", Side.BUY, 4)] if arrival.last_qty else [])
    assert status_of(kit) is OrdStatus.PENDING_CANCEL


def test_a_venue_that_lies_closes_one_instrument_and_is_asked_ever_more_rarely() -> None:
    ether = order(Side.BUY, 5, client_order_id="0-execution-2", instrument=ETH)
    kit = oms(OrderApproved(ORDER), report_new(ORDER), OrderApproved(ether), report_new(ether))
    lie = OrderStatus(ORDER_ID, "V-1", BTC, Side.BUY, 11, OrdStatus.NEW, 0, 11)
    truth = OrderStatus("0-execution-2", "V-1", ETH, Side.BUY, 5, OrdStatus.NEW, 0, 5)
    listing = OrderMassStatus("0-gateway-1", (lie, truth))

    assert kit.given(listing)[-1] == ReconciliationCompleted("0-gateway-1", 2, 1, (BTC,))
    assert kit.given(listing) == []
    questions = of_type(kit.advance(900 * SECOND), OrderUnknown)
    assert len(questions) == 18


def test_a_hundred_orders_in_doubt_are_asked_about_a_few_at_once() -> None:
    kit = oms()
    for number in range(100):
        of = buy(1, client_order_id=f"o{number}")
        kit.given(OrderApproved(of), report_new(of, f"E-{number}"))

    assert len(of_type(kit.given(OrderMassStatus("0-gateway-1", ())), OrderUnknown)) == 10
    for _ in range(5):
        assert len(of_type(kit.advance(2 * SECOND), OrderUnknown)) <= 10
    kit.advance(60 * SECOND)
    assert all(record.queries for record in kit.state.table.open.values())
