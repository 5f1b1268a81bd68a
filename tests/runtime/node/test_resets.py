"""A stream that begins anew, and an actor that goes on: nothing is traded on what is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.events.event import Event
from actors.events.market import (
    BookState,
    BookStateChanged,
    DepthSnapshot,
    RequestSnapshot,
    Side,
    TopOfBook,
)
from actors.events.orders import (
    CancelAll,
    CancelOrder,
    IntentRefused,
    OrderAccepted,
    OrderApproved,
    OrderFilled,
    OrderPendingCancel,
    OrderSubmitted,
    OrderUnknown,
    QuoteIntent,
    ReconciliationCompleted,
    SubmitOrder,
)
from actors.events.system import (
    ActorRecovered,
    ConnectionEstablished,
    HaltTrading,
    ResumeTrading,
    StopRequested,
    StreamReset,
)
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
)
from actors.execution import Execution
from actors.order_management import OrderManagement
from actors.positions import PositionKeeper
from actors.runtime.actor import Actor
from actors.runtime.clock import VirtualClock
from actors.strategies.maker import Maker
from actors.strategies.taker import Taker
from actors.testing import SECOND, ActorTest
from gateways.gateway import Gateway
from gateways.simulated.exchange import SimulatedExchange
from gateways.simulated.session.server import VenueServer
from kaiju.record.record import Record
from kaiju.run.build import compose
from kaiju.run.local import VIRTUAL_START
from tests.kit.builders import (
    BTCUSDT,
    INSTRUMENTS,
    STRATEGY,
    book_is,
    buy,
    cancel,
    filled,
    order,
    position,
    quote,
    report_new,
    sell,
    signal,
    top,
)
from tests.kit.risk_kit import an_order, code_of, risk
from tests.kit.small_system import TOPOLOGY, write_topology
from topology.check.check import check_file
from topology.config.class_loader import known_actors

BTC = BTCUSDT.instrument
WHY = "publisher restarted"
BID = order(Side.BUY, 5, 9_990, post_only=True)
ASK = order(Side.SELL, 5, 10_010, client_order_id="0-execution-2", post_only=True)
CANCELS = [cancel(BID), cancel(ASK)]
CLASSES = dict(known_actors())
QUOTE = quote(9_990, 5, 10_010, 5)
FLOW = {"start_price": "60000", "spread": "2", "depth": "15", "min_qty": "1", "max_qty": "2"}


def reset(kit: ActorTest, stream: str, *classes: type[Event]) -> list[Event]:
    """Let a stream begin anew that carries these classes to the actor."""
    kit.actor.heard[stream] = classes
    return kit.given(StreamReset(stream, 2, 1, WHY))


def quoting() -> ActorTest:
    kit = ActorTest(Execution, name="execution")
    kit.given(QUOTE, OrderSubmitted(BID), OrderSubmitted(ASK))
    return kit


def test_quotes_of_a_strategy_that_forgot_them_are_withdrawn() -> None:
    kit = quoting()

    assert reset(kit, "taker.signals", QuoteIntent) == []
    assert reset(kit, f"{STRATEGY}.intents", QuoteIntent) == CANCELS


def test_quotes_in_books_whose_state_was_missed_are_withdrawn() -> None:
    assert reset(quoting(), "book.state", BookStateChanged) == CANCELS


def test_execution_that_missed_what_became_of_its_orders_cancels_and_sends_nothing() -> None:
    kit = quoting()

    *canceled, halt = reset(kit, "oms.orders", OrderAccepted, OrderFilled)
    assert canceled == CANCELS
    assert isinstance(halt, HaltTrading)
    assert halt.owner == "execution"
    [refused] = kit.given(signal(Side.BUY, 1))
    assert isinstance(refused, IntentRefused)
    [sent] = kit.given(ResumeTrading("looked at by hand"), signal(Side.BUY, 1))
    assert isinstance(sent, SubmitOrder)


def test_execution_goes_on_after_the_stop_of_the_process_before() -> None:
    kit = quoting()
    assert kit.given(StopRequested("SIGTERM")) == CANCELS

    assert [type(e) for e in kit.given(ActorRecovered("execution"), signal(Side.BUY, 1))] == [
        SubmitOrder
    ]


def managed() -> ActorTest:
    kit = ActorTest(OrderManagement, name="oms")
    kit.given(OrderApproved(BID), OrderApproved(ASK), report_new(ASK))
    return kit


def test_orders_whose_reports_were_missed_are_asked_about() -> None:
    asked = reset(managed(), "gateway.reports", ExecutionReport, OrderMassStatus)

    assert asked == [
        OrderUnknown(of.client_order_id, of.strategy, of.instrument, 1) for of in (BID, ASK)
    ]


@pytest.mark.parametrize("missed", [OrderApproved, CancelOrder])
def test_orders_of_somebody_who_may_not_know_them_any_more_are_canceled(
    missed: type[Event],
) -> None:
    canceled = reset(managed(), "execution.cancels", missed)

    assert [type(event) for event in canceled] == [OrderPendingCancel] * 2


def connected() -> ActorTest:
    kit = ActorTest(Gateway, name="gateway")
    kit.given(ConnectionEstablished("market"), ReconciliationCompleted("0-gateway-1", 0, 0))
    return kit


def test_a_gateway_that_missed_requests_cancels_everything_and_reconciles() -> None:
    kit = connected()

    assert reset(kit, "oms.requests", OrderSubmitted, OrderPendingCancel) == [
        OrderMassCancelRequest(),
        OrderMassStatusRequest("0-gateway-2"),
    ]
    [refusal] = kit.given(OrderSubmitted(buy(1)))
    assert not isinstance(refusal, NewOrderSingle)


@pytest.mark.parametrize(
    ("missed", "done"),
    [
        ([CancelAll], [OrderMassCancelRequest()]),
        ([ExecutionReport, OrderMassStatus], [OrderMassStatusRequest("0-gateway-2")]),
        ([ConnectionEstablished], []),
    ],
)
def test_a_gateway_does_what_was_missed_requires(
    missed: list[type[Event]], done: list[Event]
) -> None:
    assert reset(connected(), "x.y", *missed) == done


def test_a_position_keeper_that_may_have_missed_fills_stops() -> None:
    kit = ActorTest(PositionKeeper, instruments=INSTRUMENTS, name="positions")

    assert reset(kit, "oms.other", OrderAccepted) == []
    with pytest.raises(ValueError, match=r"fills on oms.orders may have been missed \(publisher"):
        reset(kit, "oms.orders", OrderFilled)


@pytest.mark.parametrize("missed", [TopOfBook, BookStateChanged])
def test_risk_uses_no_book_of_which_something_was_missed(missed: type[Event]) -> None:
    kit = risk()
    kit.given(top())

    assert reset(kit, "book.x", missed) == []
    assert code_of(kit.given(an_order(1, Side.BUY, 1))) == "EMPTY_BOOK"
    assert isinstance(kit.given(top(), an_order(2, Side.BUY, 1))[0], OrderApproved)


def test_risk_keeps_its_books_where_nothing_of_them_was_missed() -> None:
    kit = risk()
    kit.given(top())

    assert reset(kit, "execution.orders", SubmitOrder) == []
    assert isinstance(kit.given(an_order(1, Side.BUY, 1))[0], OrderApproved)


def test_a_maker_withdraws_until_the_next_top() -> None:
    settings = {"quote_amount": "0.1", "max_position_amount": "0.5"}
    kit = ActorTest(Maker, settings, instruments=INSTRUMENTS, name="maker")
    kit.given(book_is(BookState.LIVE), top())

    assert reset(kit, "book.top", TopOfBook) == [quote(0, 0, 0, 0)]
    assert kit.given(position(10)) == []
    assert kit.advance(SECOND) == []
    [again] = kit.given(top())
    assert isinstance(again, QuoteIntent)
    assert again.bid_qty


def test_a_taker_that_hears_of_no_fills_counts_its_own_signals() -> None:
    def traded(*heard: type[Event]) -> Any:
        settings = {"trade_amount": "0.1", "max_position_amount": "0.5", "cooldown": "1s"}
        kit = ActorTest(Taker, settings, instruments=INSTRUMENTS, name="taker")
        kit.actor.heard["positions.positions"] = heard
        kit.given(book_is(BookState.LIVE), top(bid_qty=100_000, ask_qty=1))
        return kit.state.positions.get(BTC, 0)

    assert traded() > 0
    assert traded(type(position(1))) == 0


def exchange() -> ActorTest:
    settings = {"flow": {BTC: FLOW}}
    return ActorTest(SimulatedExchange, settings, instruments=INSTRUMENTS, name="market")


def test_background_orders_that_ended_come_back_after_a_recovery() -> None:
    kit = exchange()
    assert kit.advance(SECOND)
    kit.given(StopRequested("SIGTERM"))
    assert kit.advance(SECOND) == []

    kit.given(ActorRecovered("market"))
    assert kit.advance(SECOND)


def test_background_orders_stay_as_they_are_after_a_recovery() -> None:
    recovered, other = exchange(), exchange()
    for kit in (recovered, other):
        kit.advance(SECOND)

    assert recovered.given(ActorRecovered("market")) == []
    assert recovered.advance(SECOND) == other.advance(SECOND)


def test_an_exchange_that_missed_a_request_for_a_snapshot_publishes_all_books() -> None:
    kit = exchange()

    published = reset(kit, "book.requests", RequestSnapshot)

    assert [type(event) for event in published] == [DepthSnapshot]
    assert reset(kit, "gateway.venue", NewOrderSingle) == []


def test_a_fill_before_a_reset_of_another_stream_still_counts() -> None:
    kit = ActorTest(PositionKeeper, instruments=INSTRUMENTS, name="positions")
    kit.given(filled(sell(2), 2))

    assert reset(kit, "book.top", TopOfBook) == []
    assert kit.state.positions[STRATEGY][BTC].qty == -2


@pytest.mark.parametrize("actor_class", CLASSES.values(), ids=CLASSES)
def test_every_actor_of_ours_says_what_a_reset_means(actor_class: type[Actor]) -> None:
    # What a venue's door reads is the venue, which must not forget either.
    assert (StreamReset in actor_class.handlers) is (actor_class is not VenueServer)


def test_a_record_says_where_something_may_be_missing(tmp_path: Path) -> None:
    text = TOPOLOGY.replace("Metronome\n", "Metronome\n    settings: {breaks_after: 3}\n")
    checked = check_file(write_topology(tmp_path, text))
    node = compose(checked, clock=VirtualClock(VIRTUAL_START), directory=tmp_path)
    node.run(2 * SECOND)

    with Record(tmp_path) as record:
        resets = [event for _, event in record.events(StreamReset)]
    assert resets == [
        StreamReset("metronome.signals", epoch, seq, WHY) for epoch, seq in ((2, 3), (3, 5))
    ]
