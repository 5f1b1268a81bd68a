from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.events.event import Event
from actors.events.order_words import ExecType, OrdRejReason, OrdStatus
from actors.events.orders import (
    OrderApproved,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    ReconciliationCompleted,
    ReconciliationFailed,
    ReportRepeated,
    SubmitOrder,
)
from actors.events.system import ActorRecovered, HaltTrading
from actors.events.venue import ExecutionReport, NewOrderSingle, OrderMassStatus, OrderStatus
from actors.order_management import OrderManagement
from actors.testing import SECOND, ActorTest
from tests.kit.builders import (
    BTCUSDT,
    ETHUSDT,
    ORDER_ID,
    VENUE_ID,
    accepted,
    buy,
    cancel,
    cancel_rejected,
    canceled,
    expired,
    filled,
    order,
    pending_cancel,
    rejected,
    report,
    report_canceled,
    report_fill,
    report_new,
)
from tests.kit.venue_network import QTY, Line

NEW, PARTIALLY_FILLED = OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED
PENDING_NEW, PENDING_CANCEL = OrdStatus.PENDING_NEW, OrdStatus.PENDING_CANCEL
UNKNOWN = OrdStatus.UNKNOWN
NEVER_RECEIVED = "never received by the venue, or never accepted: it knows no such order"
ORDER = buy(10)


def oms(*events: Event) -> ActorTest:
    kit = ActorTest(OrderManagement, name="oms")
    kit.given(*events)
    return kit


def listed(of: SubmitOrder, cum_qty: int = 0, status: OrdStatus = NEW) -> OrderStatus:
    return OrderStatus(
        of.client_order_id, VENUE_ID, of.instrument, of.side, of.qty, status, cum_qty,
        of.qty - cum_qty,
    )  # fmt: skip


def listing(*orders: OrderStatus, number: int = 1, instrument: str = "") -> OrderMassStatus:
    return OrderMassStatus(f"0-gateway-{number}", orders, (instrument,) if instrument else ())


def completed(open_orders: int = 0, unexplained: int = 0, number: int = 1) -> Event:
    return ReconciliationCompleted(f"0-gateway-{number}", open_orders, unexplained)


def in_doubt(unexplained: int = 1, number: int = 1) -> Event:
    """Return what is said of a list while the one open order is in doubt."""
    return ReconciliationCompleted(f"0-gateway-{number}", 1, unexplained, (ORDER.instrument,))


def answer(status: OrdStatus, cum_qty: int = 0, text: str = "") -> ExecutionReport:
    return report(ORDER, ExecType.ORDER_STATUS, "", ord_status=status, cum_qty=cum_qty, text=text)


def unknown(of: SubmitOrder = ORDER, queries: int = 1) -> OrderUnknown:
    return OrderUnknown(of.client_order_id, of.strategy, of.instrument, queries)


def failed(text: str, of: SubmitOrder = ORDER) -> ReconciliationFailed:
    return ReconciliationFailed(of.client_order_id, of.instrument, text)


UNKNOWN_ORDER = msgspec.structs.replace(
    answer(OrdStatus.REJECTED, text="unknown order"),
    venue_order_id="",
    ord_rej_reason=OrdRejReason.UNKNOWN_ORDER,
)
NEVER = msgspec.structs.replace(UNKNOWN_ORDER, ord_rej_reason=OrdRejReason.NEVER_RECEIVED)
"""The same from a venue that takes nothing more of sessions before this one."""


def status_of(kit: ActorTest, client_order_id: str = ORDER_ID) -> OrdStatus:
    record = kit.state.table.find(client_order_id)
    status: OrdStatus = record.status
    return status


def test_with_nothing_open_on_either_side_reconciliation_is_completed_at_once() -> None:
    assert oms().given(listing()) == [completed()]


def test_an_order_that_is_the_same_on_both_sides_stays_as_it_is() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), report_fill(ORDER, 4))

    assert kit.given(listing(listed(ORDER, 4, PARTIALLY_FILLED))) == [completed(open_orders=1)]
    assert status_of(kit) is PARTIALLY_FILLED


@pytest.mark.parametrize("filled_qty", [0, 4])
def test_an_acknowledgment_that_was_missed_is_made_up_for(filled_qty: int) -> None:
    kit = oms(OrderApproved(ORDER))
    if filled_qty:
        kit.given(report_fill(ORDER, filled_qty))
    status = PARTIALLY_FILLED if filled_qty else NEW

    assert kit.given(listing(listed(ORDER, filled_qty, status))) == [
        accepted(ORDER),
        completed(open_orders=1),
    ]
    assert status_of(kit) is status


def test_an_acknowledgment_that_comes_after_all_is_only_a_repetition() -> None:
    kit = oms(OrderApproved(ORDER), listing(listed(ORDER)))

    assert kit.given(report_new(ORDER)) == [ReportRepeated(ORDER_ID, "E-new")]
    assert kit.given(report_new(ORDER)) == [ReportRepeated(ORDER_ID, "E-new")]


def test_an_order_that_is_to_be_canceled_and_still_works_is_canceled_again() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), cancel(ORDER))

    assert kit.given(listing(listed(ORDER))) == [
        pending_cancel(ORDER, VENUE_ID),
        completed(open_orders=1),
    ]
    assert status_of(kit) is PENDING_CANCEL


def test_an_order_that_the_venue_does_not_list_is_unknown_and_asked_about() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER))

    assert kit.given(listing()) == [unknown(), in_doubt()]
    assert status_of(kit) is UNKNOWN
    assert kit.actor.busy()


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        (answer(OrdStatus.CANCELED, 4, "by hand"), canceled(ORDER, cum_qty=4, text="by hand")),
        (answer(OrdStatus.EXPIRED, 4), expired(ORDER, cum_qty=4)),
        (answer(OrdStatus.REJECTED, 4, "late"), rejected(ORDER, "late")),
    ],
)
def test_an_unknown_order_that_ended_at_the_venue_ends_here(
    said: ExecutionReport, fact: Event
) -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), report_fill(ORDER, 4), listing())

    assert kit.given(said) == [fact, completed(unexplained=1)]
    assert not kit.actor.busy()


def test_the_report_of_an_end_that_comes_after_all_is_only_a_repetition() -> None:
    kit = oms(OrderApproved(ORDER), listing(), answer(OrdStatus.CANCELED))

    assert kit.given(report_canceled(ORDER)) == [ReportRepeated(ORDER_ID, "E-canceled")]


def test_an_order_that_the_venue_never_received_is_rejected() -> None:
    kit = oms(OrderApproved(ORDER), listing())

    assert kit.given(NEVER) == [
        rejected(ORDER, NEVER_RECEIVED),
        completed(unexplained=1),
    ]


def test_an_unknown_order_that_works_is_what_the_venue_says() -> None:
    kit = oms(OrderApproved(ORDER), listing())

    assert kit.given(answer(NEW)) == [
        accepted(ORDER),
        completed(open_orders=1, unexplained=1),
    ]
    assert status_of(kit) is NEW


def test_no_answer_says_nothing_and_the_venue_is_asked_again() -> None:
    kit = oms(OrderApproved(ORDER), listing())

    assert kit.advance(6 * SECOND) == [unknown(queries=2), unknown(queries=3)]
    assert status_of(kit) is UNKNOWN


def test_an_answer_that_decides_nothing_leaves_the_order_unknown() -> None:
    kit = oms(OrderApproved(ORDER), listing())

    assert kit.given(answer(PENDING_NEW)) == []
    assert kit.advance(2 * SECOND) == [unknown(queries=2)]


def test_fills_that_no_report_told_are_not_made_up() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), report_fill(ORDER, 1))

    assert kit.given(listing(listed(ORDER, 4, PARTIALLY_FILLED))) == [
        failed(
            "BUY 10 BTCUSDT.SIM with 4 filled at the venue, BUY 10 BTCUSDT.SIM with 1 filled here"
        ),
        unknown(),
        in_doubt(),
    ]
    assert kit.given(answer(PARTIALLY_FILLED, 4)) == [
        failed("asked, the venue says PARTIALLY_FILLED with 4 filled, 1 here")
    ]
    assert kit.given(answer(PARTIALLY_FILLED, 4)) == []
    assert kit.advance(2 * SECOND) == [unknown(queries=2)]


def test_an_order_with_missed_fills_is_unknown_until_the_last_of_them_came() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), listing(listed(ORDER, 4, PARTIALLY_FILLED)))

    assert kit.given(report_fill(ORDER, 1, "E-1")) == [filled(ORDER, 1, exec_id="E-1")]
    assert status_of(kit) is UNKNOWN
    assert kit.given(report_fill(ORDER, 3, "E-2", cum_qty=4)) == [
        filled(ORDER, 3, cum_qty=4, exec_id="E-2")
    ]
    assert kit.given(answer(PARTIALLY_FILLED, 4)) == [completed(open_orders=1, unexplained=1)]
    assert status_of(kit) is PARTIALLY_FILLED


def test_missed_fills_that_complete_the_order_end_the_doubt() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), listing())
    answered = kit.given(answer(OrdStatus.FILLED, 10))

    assert answered == [failed("asked, the venue says FILLED with 10 filled, 0 here")]
    assert kit.given(report_fill(ORDER, 10)) == [filled(ORDER, 10), completed(unexplained=1)]


def test_an_order_that_the_venue_had_and_does_not_know_any_more_stays_in_doubt() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), listing())

    assert kit.given(UNKNOWN_ORDER) == [failed("the venue had this order, and now knows no such")]
    assert kit.given(UNKNOWN_ORDER) == []
    assert status_of(kit) is UNKNOWN


def test_another_order_of_the_same_id_at_the_venue_stays_in_doubt() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER))

    assert kit.given(listing(listed(buy(11)))) == [
        failed(
            "BUY 11 BTCUSDT.SIM with 0 filled at the venue, BUY 10 BTCUSDT.SIM with 0 filled here"
        ),
        unknown(),
        in_doubt(),
    ]


def test_an_order_of_nobody_is_kept_as_external_and_its_end_is_told() -> None:
    external = msgspec.structs.replace(ORDER, strategy="EXTERNAL", limit_px=0)
    kit = oms()

    assert kit.given(listing(listed(ORDER))) == [
        failed("NEW at the venue, unknown here; it is kept as EXTERNAL"),
        accepted(external),
        completed(open_orders=1),
    ]
    assert not kit.actor.busy()
    assert kit.given(listing(listed(ORDER))) == [completed(open_orders=1)]
    assert kit.given(report_fill(ORDER, 4), report_canceled(ORDER, cum_qty=4)) == [
        filled(external, 4, px=ORDER.limit_px),
        canceled(external, cum_qty=4),
    ]


def test_an_order_that_ended_here_and_works_at_the_venue_is_open_again_and_canceled() -> None:
    kit = oms(OrderApproved(ORDER), report(ORDER, ExecType.REJECTED, "E-r"))
    doubt = ReconciliationCompleted("0-gateway-1", 0, 1, (ORDER.instrument,))

    assert kit.given(listing(listed(ORDER))) == [
        failed("listed as NEW at the venue, REJECTED here"),
        unknown(),
        doubt,
    ]
    assert kit.given(answer(NEW)) == [failed("NEW at the venue, REJECTED here")]
    assert kit.given(answer(NEW)) == [
        failed("NEW at the venue, REJECTED here; it is canceled"),
        accepted(ORDER),
        pending_cancel(ORDER, VENUE_ID),
        completed(open_orders=1, unexplained=1),
    ]
    assert kit.given(report_canceled(ORDER)) == [canceled(ORDER)]


def test_a_list_from_before_an_end_changes_nothing() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), report_canceled(ORDER))
    kit.given(listing(listed(ORDER)))

    assert kit.given(answer(OrdStatus.CANCELED)) == [completed(unexplained=1)]
    assert status_of(kit) is OrdStatus.CANCELED


def test_an_answer_about_an_order_that_is_not_in_doubt_changes_nothing() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), report_fill(ORDER, 4))
    before = msgspec.msgpack.encode(kit.state)

    assert kit.given(answer(OrdStatus.CANCELED), UNKNOWN_ORDER) == []
    assert msgspec.msgpack.encode(kit.state) == before
    kit.given(report_canceled(ORDER))
    assert kit.given(answer(NEW)) == []


def test_an_answer_from_before_a_fill_changes_nothing() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), report_fill(ORDER, 4), listing())

    assert kit.given(answer(OrdStatus.CANCELED, 0)) == []


def test_an_order_without_an_answer_becomes_unknown_and_is_never_sent_again() -> None:
    kit = oms(OrderApproved(ORDER))

    assert kit.advance(5 * SECOND - 1) == []
    assert kit.advance(1) == [unknown()]
    assert kit.advance(6 * SECOND) == [unknown(queries=2), unknown(queries=3)]


def test_a_cancel_without_an_answer_is_asked_for_again_if_the_order_still_works() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), cancel(ORDER))

    assert kit.advance(5 * SECOND) == [unknown()]
    assert kit.given(answer(NEW)) == [pending_cancel(ORDER, VENUE_ID)]
    assert status_of(kit) is PENDING_CANCEL
    assert kit.advance(5 * SECOND) == [unknown()]


def test_an_order_that_was_answered_in_time_is_not_asked_about() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER))

    assert kit.advance(60 * SECOND) == []
    assert kit.state.sweep_timer == 0


def test_each_order_in_flight_has_its_own_time() -> None:
    second = buy(1, client_order_id="0-execution-2")
    kit = oms(OrderApproved(ORDER))
    kit.advance(3 * SECOND)
    kit.given(OrderApproved(second), report_new(ORDER))

    assert kit.advance(5 * SECOND - 1) == []
    assert kit.advance(1) == [unknown(second)]


def test_an_unknown_order_may_be_canceled() -> None:
    kit = oms(OrderApproved(ORDER), listing())

    assert kit.given(cancel(ORDER)) == [pending_cancel(ORDER)]
    assert status_of(kit) is UNKNOWN
    assert kit.given(report_new(ORDER)) == [
        accepted(ORDER),
        completed(open_orders=1, unexplained=1),
    ]
    assert status_of(kit) is PENDING_CANCEL


def test_a_rejected_cancel_does_not_say_what_an_unknown_order_is() -> None:
    kit = oms(OrderApproved(ORDER), listing(), cancel(ORDER))
    refusal = report(ORDER, ExecType.CANCEL_REJECTED, "E-c", text="unknown order")

    assert kit.given(refusal) == [cancel_rejected(ORDER, "unknown order")]
    assert status_of(kit) is UNKNOWN


@pytest.mark.parametrize(
    ("said", "fact", "status"),
    [
        (report_new(ORDER), accepted(ORDER), NEW),
        (report_fill(ORDER, 4), filled(ORDER, 4), PARTIALLY_FILLED),
        (report_fill(ORDER, 10), filled(ORDER, 10), OrdStatus.FILLED),
        (report_canceled(ORDER), canceled(ORDER), OrdStatus.CANCELED),
        (report(ORDER, ExecType.EXPIRED, "E-x"), expired(ORDER), OrdStatus.EXPIRED),
        (report(ORDER, ExecType.REJECTED, "E-r"), rejected(ORDER, ""), OrdStatus.REJECTED),
    ],
)
def test_any_report_of_the_venue_ends_the_doubt(
    said: ExecutionReport, fact: Event, status: OrdStatus
) -> None:
    kit = oms(OrderApproved(ORDER))
    kit.advance(5 * SECOND)

    assert kit.given(said) == [fact]
    assert status_of(kit) is status


def test_a_list_of_some_instruments_says_nothing_about_others() -> None:
    ether = order(ORDER.side, 5, client_order_id="0-execution-2", instrument=ETHUSDT.instrument)
    kit = oms(OrderApproved(ORDER), OrderApproved(ether))
    bitcoins = listing(listed(ORDER), instrument=BTCUSDT.instrument)

    assert kit.given(bitcoins) == [accepted(ORDER), completed(open_orders=1)]
    assert status_of(kit, "0-execution-2") is PENDING_NEW


def test_a_newer_list_takes_the_place_of_an_older_one() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), listing())

    assert kit.given(listing(number=2), answer(OrdStatus.CANCELED)) == [
        unknown(queries=2),
        in_doubt(0, number=2),
        canceled(ORDER),
        completed(number=2),
    ]


def test_orders_in_doubt_survive_a_snapshot() -> None:
    kit = oms(OrderApproved(ORDER), report_new(ORDER), listing(listed(ORDER, 4, PARTIALLY_FILLED)))
    encoded = msgspec.msgpack.encode(kit.state)

    assert msgspec.msgpack.decode(encoded, type=OrderManagement.State) == kit.state


def test_an_order_that_the_connection_lost_is_found_out_and_not_sent_again() -> None:
    line = Line()
    line.settle()
    line.submit()
    line.lose()
    line.settle()

    assert [type(e) for e in line.told[-5:]] == [
        OrderSubmitted,
        OrderUnknown,
        ReconciliationCompleted,
        OrderRejected,
        ReconciliationCompleted,
    ]
    assert line.told[-2] == OrderRejected(
        "o1", "maker", BTCUSDT.instrument, ORDER.side, QTY, NEVER_RECEIVED
    )
    assert sum(isinstance(request, NewOrderSingle) for request in line.sent) == 1


def test_a_fill_during_an_outage_comes_before_the_list() -> None:
    line = Line()
    line.settle()
    line.submit()
    line.serve()
    line.lose()
    line.trade(2)
    line.settle()

    assert line.open() == line.working() == {"o1": (PARTIALLY_FILLED, 2)}
    assert not [e for e in line.told if isinstance(e, OrderUnknown | ReconciliationFailed)]


def test_a_halt_during_an_outage_cancels_everything_at_the_next_connection() -> None:
    line = Line()
    line.settle()
    line.submit()
    line.serve()
    line.lose()
    line.gateway.given(HaltTrading("operator"))
    line.settle()

    assert line.open() == line.working() == {}


def test_an_order_that_was_in_the_hands_of_a_crashed_gateway_is_found_out() -> None:
    line = Line()
    line.settle()
    line.submit()
    line.drop()
    for event in line.gateway.given(ActorRecovered("gateway")):
        line.sent.append(event)  # type: ignore[arg-type]
        line.requests.append((line.session, event))  # type: ignore[arg-type]
    line.settle()

    assert (line.open(), status_of(line.oms, "o1")) == ({}, OrdStatus.REJECTED)


ENDS = (OrderCanceled, OrderExpired, OrderRejected)
Action = tuple[str, *tuple[Any, ...]]
ACTIONS: list[Action] = [
    *4 * [("submit",)],
    *4 * [("serve", 1), ("serve", 9)],
    *4 * [("deliver",)],
    *2 * [("deliver", fate) for fate in ("lost", "gone", "late")],
    *(("cancel", number) for number in range(1, 9)),
    *(("trade", qty) for qty in (1, 2, QTY, 2 * QTY)),
    *(("repeat", number) for number in range(1, 5)),
    *(("wait", seconds) for seconds in (1, 3, 6)),
    *3 * [("connect",)],
    *2 * [("arrive_late",)],
    ("drop",),
    ("lose",),
    ("settle",),
]
SESSIONS = st.lists(st.sampled_from(ACTIONS), min_size=20, max_size=80)


def after(actions: list[Action]) -> Line:
    line = Line()
    line.settle()
    for name, *arguments in actions:
        getattr(line, name)(*arguments)
    line.settle()
    return line


@pytest.mark.slow
@settings(max_examples=500)
@given(SESSIONS)
def test_whatever_the_line_does_in_the_end_all_is_as_at_the_venue(actions: list[Action]) -> None:
    line = after(actions)
    desk = line.venue.desk
    at_venue = {own.client_order_id: own for own in [*desk.working.values(), *desk.ended.values()]}
    fills = [event for event in line.told if isinstance(event, OrderFilled)]
    filled_qty = Counter[str]()
    for fill in fills:
        filled_qty[fill.client_order_id] += fill.last_qty

    assert line.open() == line.working()
    assert len({fill.exec_id for fill in fills}) == len(fills)
    for number in range(1, line.submitted + 1):
        record, own = line.table.find(f"o{number}"), at_venue.get(f"o{number}")
        assert record is not None
        if own is None:
            assert (record.status, record.cum_qty) == (OrdStatus.REJECTED, 0)
        else:
            assert (record.status, record.cum_qty) == (own.status, own.cum_qty)
            assert filled_qty[f"o{number}"] == own.cum_qty
    sent = [request.client_order_id for request in line.sent if isinstance(request, NewOrderSingle)]
    assert len(set(sent)) == len(sent)
    ends = [e.client_order_id for e in line.told if isinstance(e, ENDS)]
    assert len(set(ends)) == len(ends)


@given(SESSIONS)
def test_reconciling_once_more_changes_nothing(actions: list[Action]) -> None:
    line = after(actions)
    before, told = msgspec.msgpack.encode(line.table), len(line.told)
    line.settle()

    assert msgspec.msgpack.encode(line.table) == before
    assert [type(event) for event in line.told[told:]] == [ReconciliationCompleted]


@given(SESSIONS)
def test_nothing_is_sent_while_anything_is_in_doubt(actions: list[Action]) -> None:
    line = Line()
    line.settle()
    for name, *arguments in actions:
        may_send, before = line.reconciled, len(line.sent)
        getattr(line, name)(*arguments)
        if name == "submit":
            sent = [type(request) for request in line.sent[before:]]
            assert sent == ([NewOrderSingle] if may_send else [])
        if line.reconciled and not may_send and name != "wait":
            assert UNKNOWN not in [status for status, _ in line.open().values()]
