from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import Event
from actors.events.order_words import ExecType, OrdStatus
from actors.events.orders import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderSubmitted,
    OrderUnknown,
    ReconciliationFailed,
    ReportRepeated,
    TransitionFailed,
)
from actors.events.system import HaltTrading
from actors.events.venue import ExecutionReport
from actors.model.order_record import TERMINAL, OrderRecord
from actors.model.order_table import NEXT_STATUS, OrderTable
from tests.kit.builders import (
    ORDER_ID,
    accepted,
    buy,
    cancel,
    cancel_rejected,
    canceled,
    denied,
    expired,
    filled,
    pending_cancel,
    rejected,
    report,
    report_canceled,
    report_fill,
    report_new,
    sell,
)

ORDER = buy(10)
NOW = 1_700_000_000_000_000_000


def table_after(*reports: ExecutionReport) -> OrderTable:
    table = OrderTable()
    table.submit(ORDER, NOW)
    for each in reports:
        table.apply(each, NOW)
    return table


def status_of(table: OrderTable, client_order_id: str = ORDER_ID) -> OrdStatus:
    record = table.find(client_order_id)
    assert record is not None
    return record.status


def only(events: list[Event]) -> Event:
    [event] = events
    return event


def failed(status: str, exec_type: ExecType, exec_id: str, text: str) -> TransitionFailed:
    return TransitionFailed(ORDER_ID, status, exec_type, exec_id, text)


def test_an_approved_order_is_submitted_as_pending_new() -> None:
    table = OrderTable()

    assert table.submit(ORDER, NOW) == OrderSubmitted(ORDER)
    assert status_of(table) is OrdStatus.PENDING_NEW


def test_an_order_id_is_used_once() -> None:
    table = table_after()

    assert table.submit(ORDER, NOW) == failed(
        "PENDING_NEW", ExecType.NEW, "", "approved a second time; a client_order_id is used once"
    )


def test_another_order_with_the_id_of_an_open_one_is_denied() -> None:
    table = table_after(report_new(ORDER))
    text = f"client_order_id '{ORDER_ID}' was used before, its order is NEW"

    assert table.submit(sell(10), NOW) == denied(sell(10), "DUPLICATE_ORDER_ID", text)
    assert table.open[ORDER_ID].order == ORDER


def test_an_order_with_the_id_of_an_ended_one_is_denied() -> None:
    table = table_after(report_fill(ORDER, 10))
    text = f"client_order_id '{ORDER_ID}' was used before, its order is FILLED"

    assert table.submit(ORDER, NOW) == denied(ORDER, "DUPLICATE_ORDER_ID", text)


def test_an_acknowledged_order_is_new() -> None:
    table = table_after()

    assert only(table.apply(report_new(ORDER), NOW)) == accepted(ORDER)
    assert status_of(table) is OrdStatus.NEW


def test_fills_add_up_until_the_order_is_filled() -> None:
    table = table_after(report_new(ORDER))

    assert only(table.apply(report_fill(ORDER, 4, "E-1"), NOW)) == filled(ORDER, 4, exec_id="E-1")
    assert status_of(table) is OrdStatus.PARTIALLY_FILLED
    assert only(table.apply(report_fill(ORDER, 6, "E-2", cum_qty=10), NOW)) == filled(
        ORDER, 6, cum_qty=10, exec_id="E-2"
    )
    assert status_of(table) is OrdStatus.FILLED
    assert (table.open, list(table.closed)) == ({}, [ORDER_ID])


def test_a_fill_may_come_before_the_acknowledgment() -> None:
    table = table_after()

    assert only(table.apply(report_fill(ORDER, 4), NOW)) == filled(ORDER, 4)
    assert only(table.apply(report_new(ORDER), NOW)) == accepted(ORDER)
    assert status_of(table) is OrdStatus.PARTIALLY_FILLED


def test_an_acknowledgment_behind_the_end_changes_nothing() -> None:
    table = table_after(report_fill(ORDER, 10))

    assert table.apply(report_new(ORDER), NOW) == []
    assert status_of(table) is OrdStatus.FILLED


def test_an_acknowledgment_of_an_order_being_canceled_keeps_the_cancel_pending() -> None:
    table = table_after()
    table.request_cancel(cancel(ORDER), NOW)

    assert only(table.apply(report_new(ORDER), NOW)) == accepted(ORDER)
    assert status_of(table) is OrdStatus.PENDING_CANCEL


def test_a_repeated_report_is_only_told_of() -> None:
    table = table_after(report_new(ORDER), report_fill(ORDER, 4))

    assert only(table.apply(report_fill(ORDER, 4), NOW)) == ReportRepeated(ORDER_ID, "E-fill")
    assert only(table.apply(report_new(ORDER), NOW)) == ReportRepeated(ORDER_ID, "E-new")
    assert table.open[ORDER_ID].cum_qty == 4


def test_a_fill_is_recognized_again_after_the_order_ended() -> None:
    table = table_after(report_fill(ORDER, 10))

    assert only(table.apply(report_fill(ORDER, 10), NOW)) == ReportRepeated(ORDER_ID, "E-fill")


def test_one_exec_id_with_two_contents_is_a_failure_and_its_total_is_asked_about() -> None:
    table = table_after(report_new(ORDER), report_fill(ORDER, 4))

    assert table.apply(report_fill(ORDER, 5), NOW) == [
        failed(
            "PARTIALLY_FILLED",
            ExecType.TRADE,
            "E-fill",
            "exec_id came before as TRADE of 4 at 10000, now as TRADE of 5 at 10000",
        ),
        ReconciliationFailed(
            ORDER_ID, ORDER.instrument, "PARTIALLY_FILLED with 5 filled at the venue, 4 here"
        ),
        OrderUnknown(ORDER_ID, ORDER.strategy, ORDER.instrument, 1),
    ]
    assert table.open[ORDER_ID].cum_qty == 4


def test_a_cancel_request_makes_the_order_pending_cancel() -> None:
    table = table_after(report_new(ORDER))

    assert table.request_cancel(cancel(ORDER), NOW) == pending_cancel(ORDER, "V-1")
    assert status_of(table) is OrdStatus.PENDING_CANCEL


def test_a_cancel_may_be_asked_for_again() -> None:
    table = table_after()
    table.request_cancel(cancel(ORDER), NOW)

    assert table.request_cancel(cancel(ORDER), NOW) == pending_cancel(ORDER)


def test_a_cancel_of_an_unknown_order_is_refused() -> None:
    assert OrderTable().request_cancel(cancel(ORDER), NOW) == cancel_rejected(
        ORDER, "no open order: the OMS does not know this order"
    )


def test_a_cancel_of_an_ended_order_is_refused() -> None:
    table = table_after(report_fill(ORDER, 10))

    assert table.request_cancel(cancel(ORDER), NOW) == cancel_rejected(
        ORDER, "no open order: was FILLED"
    )


@pytest.mark.parametrize(
    ("reports", "status"),
    [
        ((), OrdStatus.PENDING_NEW),
        ((report_new(ORDER),), OrdStatus.NEW),
        ((report_new(ORDER), report_fill(ORDER, 3)), OrdStatus.PARTIALLY_FILLED),
    ],
)
def test_a_rejected_cancel_puts_the_order_back_to_what_it_was(
    reports: tuple[ExecutionReport, ...], status: OrdStatus
) -> None:
    table = table_after(*reports)
    table.request_cancel(cancel(ORDER), NOW)

    refusal = report(ORDER, ExecType.CANCEL_REJECTED, "E-c", text="too late")
    assert only(table.apply(refusal, NOW)) == cancel_rejected(ORDER, "too late")
    assert status_of(table) is status


def test_a_cancel_rejected_behind_the_end_changes_nothing() -> None:
    table = table_after(report_new(ORDER))
    table.request_cancel(cancel(ORDER), NOW)
    table.apply(report_fill(ORDER, 10), NOW)

    refusal = report(ORDER, ExecType.CANCEL_REJECTED, "E-c", text="too late")
    assert isinstance(only(table.apply(refusal, NOW)), CancelRejected)
    assert status_of(table) is OrdStatus.FILLED


def test_a_fill_wins_the_race_with_a_cancel() -> None:
    table = table_after(report_new(ORDER))
    table.request_cancel(cancel(ORDER), NOW)

    assert only(table.apply(report_fill(ORDER, 4), NOW)) == filled(ORDER, 4)
    assert status_of(table) is OrdStatus.PENDING_CANCEL
    assert only(table.apply(report_canceled(ORDER, cum_qty=4), NOW)) == canceled(ORDER, cum_qty=4)
    assert status_of(table) is OrdStatus.CANCELED


def test_a_late_fill_of_a_canceled_order_counts_and_leaves_nothing() -> None:
    table = table_after(report_new(ORDER), report_canceled(ORDER))

    assert only(table.apply(report_fill(ORDER, 4, "E-1"), NOW)) == filled(
        ORDER, 4, leaves_qty=0, exec_id="E-1", late=True
    )
    assert status_of(table) is OrdStatus.CANCELED
    assert only(table.apply(report_fill(ORDER, 6, "E-2", cum_qty=10), NOW)) == filled(
        ORDER, 6, cum_qty=10, exec_id="E-2", late=True
    )
    assert status_of(table) is OrdStatus.FILLED


def test_the_rest_of_an_ioc_expires() -> None:
    table = table_after(report_fill(ORDER, 4))

    assert only(
        table.apply(report(ORDER, ExecType.EXPIRED, "E-x", cum_qty=4, text="IOC"), NOW)
    ) == expired(ORDER, cum_qty=4, text="IOC")


def test_a_venue_may_reject() -> None:
    table = table_after()

    assert only(table.apply(report(ORDER, ExecType.REJECTED, "E-r", text="no"), NOW)) == rejected(
        ORDER
    )
    assert status_of(table) is OrdStatus.REJECTED


def test_an_unsolicited_cancel_ends_the_order() -> None:
    table = table_after(report_new(ORDER))

    assert only(table.apply(report_canceled(ORDER), NOW)) == canceled(ORDER)


def halted(text: str) -> HaltTrading:
    return HaltTrading(text, ORDER_ID, instrument=ORDER.instrument)


def test_an_overfill_counts_is_a_failure_and_halts_its_instrument() -> None:
    table = table_after(report_new(ORDER), report_fill(ORDER, 8, "E-1"))
    over = report_fill(ORDER, 8, "E-2", cum_qty=16)

    assert table.apply(over, NOW) == [
        filled(ORDER, 8, cum_qty=16, leaves_qty=0, exec_id="E-2"),
        failed("PARTIALLY_FILLED", ExecType.TRADE, "E-2", "overfill: 8 + 8 of 10"),
        halted("overfill: 8 + 8 of 10"),
    ]
    assert (status_of(table), table.closed[ORDER_ID].cum_qty) == (OrdStatus.FILLED, 16)


@pytest.mark.parametrize(
    ("end", "status", "text"),
    [
        (report(ORDER, ExecType.REJECTED, "E-r"), "REJECTED", "filled after it was REJECTED"),
        (report_fill(ORDER, 10, "E-1"), "FILLED", "overfill: 10 + 4 of 10"),
    ],
)
def test_a_fill_of_an_order_that_ended_for_good_counts_is_a_failure_and_halts(
    end: ExecutionReport, status: str, text: str
) -> None:
    table, cum_qty = table_after(end), end.cum_qty + 4
    late = report_fill(ORDER, 4, cum_qty=cum_qty)

    assert table.apply(late, NOW) == [
        filled(ORDER, 4, cum_qty=cum_qty, leaves_qty=0, late=True),
        failed(status, ExecType.TRADE, "E-fill", text),
        halted(text),
    ]
    assert (status_of(table), table.closed[ORDER_ID].cum_qty) == (OrdStatus(status), cum_qty)


def test_a_fill_beyond_the_limit_counts_is_a_failure_and_halts() -> None:
    table = table_after()
    text = "filled at 77777, beyond its limit 10000"

    assert table.apply(report_fill(ORDER, 4, px=77_777), NOW) == [
        filled(ORDER, 4, px=77_777),
        failed("PENDING_NEW", ExecType.TRADE, "E-fill", text),
        halted(text),
    ]


def test_an_order_is_accepted_once() -> None:
    table = table_after(report_fill(ORDER, 1), report_new(ORDER))

    assert only(table.apply(report_new(ORDER, "E-other"), NOW)) == failed(
        "PARTIALLY_FILLED", ExecType.NEW, "E-other", "accepted a second time"
    )


def test_a_report_of_an_unknown_order_is_a_failure_and_the_venue_is_asked_about_the_order() -> None:
    table = OrderTable()

    assert table.apply(report_new(ORDER), NOW) == [
        failed("NONE", ExecType.NEW, "E-new", "the OMS does not know this order"),
        OrderUnknown(ORDER_ID, "EXTERNAL", ORDER.instrument, 1),
    ]
    assert status_of(table) is OrdStatus.UNKNOWN


def test_a_fill_on_the_other_side_counts_is_a_failure_halts_and_is_asked_about() -> None:
    table, other = table_after(), sell(10)
    text = "filled as SELL BTCUSDT.SIM, the order is BUY BTCUSDT.SIM"
    difference = "SELL BTCUSDT.SIM at the venue, BUY BTCUSDT.SIM here"

    assert table.apply(report_fill(other, 4), NOW) == [
        filled(other, 4),
        failed("PENDING_NEW", ExecType.TRADE, "E-fill", text),
        halted(text),
        ReconciliationFailed(ORDER_ID, ORDER.instrument, difference),
        OrderUnknown(ORDER_ID, ORDER.strategy, ORDER.instrument, 1),
    ]


def test_a_venue_that_knows_no_such_order_need_not_know_its_side_to_reject_a_cancel() -> None:
    table = table_after(report(ORDER, ExecType.REJECTED, "E-r"))
    refusal = report(sell(10), ExecType.CANCEL_REJECTED, "E-c", text="unknown order")

    assert only(table.apply(refusal, NOW)) == cancel_rejected(ORDER, "unknown order")


def test_a_fill_without_a_price_is_a_failure() -> None:
    market = buy(10, 0)
    table = OrderTable()
    table.submit(market, NOW)

    assert isinstance(table.apply(report_fill(market, 4), NOW)[0], TransitionFailed)
    assert (table.open[ORDER_ID].cum_qty, status_of(table)) == (0, OrdStatus.UNKNOWN)


def test_the_oldest_closed_orders_are_forgotten() -> None:
    table = OrderTable()
    for n in range(6):
        order = buy(1, client_order_id=f"0-execution-{n}")
        table.submit(order, NOW)
        table.apply(report_fill(order, 1), NOW)
        table.forget_closed(keep=3)

    assert list(table.closed) == [f"0-execution-{n}" for n in (3, 4, 5)]


def test_every_status_but_denied_has_its_row() -> None:
    assert set(NEXT_STATUS) == set(OrdStatus) - {OrdStatus.DENIED}


def test_nothing_makes_an_ended_order_live() -> None:
    for status in TERMINAL - {OrdStatus.DENIED}:
        assert set(NEXT_STATUS[status].values()) <= TERMINAL


REPORTS = st.builds(
    report,
    st.just(ORDER),
    st.sampled_from([t for t in ExecType if t in NEXT_STATUS[OrdStatus.NEW] or t == "NEW"]),
    st.sampled_from(["", "1", "2", "3", "4", "5", "6"]),
    last_qty=st.integers(-1, 7),
    last_px=st.integers(0, 2),
    cum_qty=st.integers(0, 12),
)
ACTIONS = st.lists(st.one_of(st.just("cancel"), REPORTS), max_size=40)


def after_each(
    table: OrderTable, actions: list[str | ExecutionReport]
) -> Iterator[tuple[OrderRecord, list[Event]]]:
    for action in actions:
        if isinstance(action, ExecutionReport):
            events = table.apply(action, NOW)
        else:
            events = [table.request_cancel(cancel(ORDER), NOW)]
        record = table.find(ORDER_ID)
        assert record is not None
        yield record, events


def apply_all(table: OrderTable, actions: list[str | ExecutionReport]) -> list[Event]:
    return [event for _, events in after_each(table, actions) for event in events]


@given(ACTIONS)
def test_any_reports_in_any_order_keep_the_quantities_true(
    actions: list[str | ExecutionReport],
) -> None:
    table = table_after()
    filled_qty = 0
    was_terminal = False
    for record, events in after_each(table, actions):
        status, cum_qty = record.status, record.cum_qty
        for event in events:
            if isinstance(event, OrderFilled):
                filled_qty += event.last_qty
                assert event.cum_qty == cum_qty
                assert event.leaves_qty == max(0, 0 if event.late else ORDER.qty - cum_qty)
        assert cum_qty == filled_qty
        assert status is not OrdStatus.FILLED or cum_qty >= ORDER.qty
        assert cum_qty < ORDER.qty or status in {OrdStatus.FILLED, OrdStatus.UNKNOWN}
        assert not (was_terminal and status not in TERMINAL)
        was_terminal = status in TERMINAL
        assert (ORDER_ID in table.open) == (not was_terminal)


@given(ACTIONS)
def test_an_order_ends_once_and_is_accepted_once(actions: list[str | ExecutionReport]) -> None:
    events = apply_all(table_after(), actions)

    assert sum(isinstance(e, OrderAccepted) for e in events) <= 1
    assert sum(isinstance(e, (OrderCanceled, OrderExpired)) for e in events) <= 1


@given(ACTIONS)
def test_every_report_sent_twice_changes_nothing_more(
    actions: list[str | ExecutionReport],
) -> None:
    named = [a for a in actions if not isinstance(a, ExecutionReport) or a.exec_id]
    doubled = [each for a in named for each in ([a, a] if isinstance(a, ExecutionReport) else [a])]
    once, twice = table_after(), table_after()
    apply_all(once, named)
    apply_all(twice, doubled)

    assert (once.open, once.closed) == (twice.open, twice.closed)


@given(ACTIONS)
def test_a_table_survives_messagepack(actions: list[str | ExecutionReport]) -> None:
    table = table_after()
    apply_all(table, actions)

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(table), type=OrderTable) == table
