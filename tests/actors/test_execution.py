from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import Event
from actors.events.market import BookState, Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.orders import (
    CancelOrder,
    IntentRefused,
    OrderSubmitted,
    QuoteIntent,
    ReconciliationCompleted,
    Signal,
    SubmitOrder,
)
from actors.events.system import (
    ActorFailed,
    HaltTrading,
    ResumeTrading,
    StopRequested,
    StreamStale,
    TimerFired,
)
from actors.execution import Execution
from actors.model.quoting import QuoteSide, WorkingQuote
from actors.runtime.actor import Actor, handles
from actors.runtime.recovery.configuration import configuration_of, configure
from actors.testing import SECOND, START, ActorTest, SystemTest
from tests.kit.builders import (
    BTCUSDT,
    ETHUSDT,
    book_is,
    cancel,
    cancel_rejected,
    canceled,
    denied,
    expired,
    filled,
    order,
    quote,
    rejected,
    signal,
)

BACKOFF = SECOND // 4
BTC = BTCUSDT.instrument
RECONCILED = ReconciliationCompleted("0-gateway-1", open_orders=0, unexplained=0)


def execution() -> ActorTest:
    return ActorTest(Execution, {"backoff": "250ms"}, name="execution")


def quoted(
    n: int,
    side: Side,
    qty: int,
    px: int,
    *,
    strategy: str = "maker",
    instrument: str = BTC,
    after: int = 0,
) -> SubmitOrder:
    """Return a quote's order that was decided `after` so many nanoseconds."""
    return order(
        side,
        qty,
        px,
        client_order_id=f"0-execution-{n}",
        strategy=strategy,
        instrument=instrument,
        post_only=True,
        decided_at=START + after,
    )


BID = quoted(1, Side.BUY, 5, 9_990)
ASK = quoted(2, Side.SELL, 5, 10_010)
QUOTE = quote(9_990, 5, 10_010, 5)


def quoting() -> ActorTest:
    kit = execution()
    kit.given(QUOTE, OrderSubmitted(BID), OrderSubmitted(ASK))
    return kit


def test_a_quote_becomes_a_post_only_order_on_each_side() -> None:
    assert execution().given(QUOTE) == [BID, ASK]


def test_quotes_are_limit_orders_good_till_canceled() -> None:
    assert (BID.order_type, BID.time_in_force) == (OrderType.LIMIT, TimeInForce.GTC)


def test_a_quote_is_a_limit_order_even_where_its_price_was_lost() -> None:
    kit = execution()
    kit.state.quotes["maker"] = {BTC: WorkingQuote(bid=QuoteSide(px=0, qty=5, pending=True))}

    [sent] = kit.given(TimerFired("retry", 1, kit.now))

    assert isinstance(sent, SubmitOrder)
    assert (sent.order_type, sent.post_only) == (OrderType.LIMIT, True)


def test_a_quote_that_did_not_change_is_left_alone() -> None:
    assert quoting().given(QUOTE) == []


def test_a_side_with_quantity_zero_has_no_order() -> None:
    assert execution().given(quote(0, 0, 10_010, 5)) == [quoted(1, Side.SELL, 5, 10_010)]


def test_a_changed_price_cancels_first_and_places_when_the_old_order_is_gone() -> None:
    kit = quoting()

    assert kit.given(quote(9_991, 5, 10_010, 5)) == [cancel(BID)]
    assert kit.given(canceled(BID)) == [quoted(3, Side.BUY, 5, 9_991)]


def test_a_changed_size_replaces_too() -> None:
    kit = quoting()

    assert kit.given(quote(9_990, 4, 10_010, 5), canceled(BID)) == [
        cancel(BID),
        quoted(3, Side.BUY, 4, 9_990),
    ]


def test_an_order_that_the_oms_does_not_know_yet_is_canceled_once_it_does() -> None:
    kit = execution()
    kit.given(QUOTE)

    assert kit.given(quote(9_991, 5, 10_010, 5)) == []
    assert kit.given(OrderSubmitted(BID)) == [cancel(BID)]


def test_only_the_newest_intent_is_placed_after_a_cancel() -> None:
    kit = quoting()
    kit.given(quote(9_991, 5, 10_010, 5), quote(9_992, 5, 10_010, 5))

    assert kit.given(canceled(BID)) == [quoted(3, Side.BUY, 5, 9_992)]


def test_an_intent_that_returns_to_a_price_being_canceled_is_placed_anew() -> None:
    kit = quoting()
    kit.given(quote(9_991, 5, 10_010, 5), QUOTE)

    assert kit.given(canceled(BID)) == [quoted(3, Side.BUY, 5, 9_990)]


def test_a_withdrawn_quote_cancels_both_sides() -> None:
    kit = quoting()

    assert kit.given(quote(0, 0, 0, 0)) == [cancel(BID), cancel(ASK)]
    assert kit.given(canceled(BID), canceled(ASK)) == []


def test_a_partial_fill_leaves_the_rest_working() -> None:
    kit = quoting()

    assert kit.given(filled(BID, 2), QUOTE) == []


def test_a_side_that_filled_stays_empty_until_the_next_intent() -> None:
    kit = quoting()

    assert kit.given(filled(BID, 5)) == []
    assert kit.given(QUOTE) == [quoted(3, Side.BUY, 5, 9_990)]


def test_a_side_that_filled_while_being_replaced_places_what_is_wanted() -> None:
    kit = quoting()
    kit.given(quote(9_991, 5, 10_010, 5))

    assert kit.given(filled(BID, 5)) == [quoted(3, Side.BUY, 5, 9_991)]


def test_a_denied_quote_is_not_tried_again_without_a_new_intent() -> None:
    kit = execution()
    kit.given(QUOTE)

    assert kit.given(denied(BID)) == []
    assert kit.advance(SECOND) == []


def test_a_new_intent_after_a_refusal_waits_for_the_backoff() -> None:
    kit = execution()
    kit.given(QUOTE, OrderSubmitted(BID), OrderSubmitted(ASK), rejected(BID))

    assert kit.given(quote(9_991, 5, 10_010, 5), quote(9_992, 5, 10_010, 5)) == []
    assert kit.advance(BACKOFF - 1) == []
    assert kit.advance(1) == [quoted(3, Side.BUY, 5, 9_992, after=BACKOFF)]


def test_a_rejected_quote_is_placed_at_once_after_a_reconciliation() -> None:
    kit = execution()
    kit.given(QUOTE, OrderSubmitted(BID), OrderSubmitted(ASK), rejected(BID), denied(ASK))

    assert kit.given(RECONCILED) == [quoted(3, Side.BUY, 5, 9_990)]
    assert kit.given(RECONCILED) == []


def test_a_rejected_quote_that_is_not_wanted_any_more_stays_away_after_a_reconciliation() -> None:
    kit = execution()
    kit.given(QUOTE, OrderSubmitted(BID), OrderSubmitted(ASK), rejected(BID))
    kit.given(quote(0, 0, 10_010, 5))

    assert kit.given(RECONCILED) == []


def test_a_quote_that_filled_stays_away_after_a_reconciliation() -> None:
    kit = quoting()
    kit.given(filled(BID, 5))

    assert kit.given(RECONCILED) == []


def test_a_denied_side_does_not_hold_the_other_back() -> None:
    kit = execution()
    kit.given(QUOTE, denied(BID), OrderSubmitted(ASK))

    assert kit.given(quote(9_991, 5, 10_011, 5)) == [cancel(ASK)]


def test_an_order_that_ended_unasked_backs_off() -> None:
    kit = quoting()

    assert kit.given(expired(BID, text="would cross"), quote(9_989, 5, 10_010, 5)) == []
    assert kit.advance(BACKOFF) == [quoted(3, Side.BUY, 5, 9_989, after=BACKOFF)]


def test_a_rejected_cancel_is_tried_again_later() -> None:
    kit = quoting()
    kit.given(quote(9_991, 5, 10_010, 5))

    assert kit.given(cancel_rejected(BID)) == []
    assert kit.advance(BACKOFF) == [cancel(BID)]


def test_a_rejected_cancel_of_an_order_that_is_wanted_again_is_left_at_that() -> None:
    kit = quoting()
    kit.given(quote(9_991, 5, 10_010, 5), QUOTE, cancel_rejected(BID))

    assert kit.advance(SECOND) == []
    assert kit.given(QUOTE) == []


def test_a_rejected_cancel_of_a_signals_order_is_tried_again_while_everything_must_go() -> None:
    kit = execution()
    taken = order(
        Side.BUY, 3, 0, client_order_id="0-execution-1", strategy="taker", decided_at=START
    )
    kit.given(signal(Side.BUY, 3), OrderSubmitted(taken))

    assert kit.given(HaltTrading("by hand"), cancel_rejected(taken)) == [cancel(taken)]
    assert kit.advance(BACKOFF - 1) == []
    assert kit.advance(1) == [cancel(taken)]


def test_a_rejected_cancel_of_a_signals_order_is_left_at_that_once_trading_resumed() -> None:
    kit = execution()
    taken = order(
        Side.BUY, 3, 0, client_order_id="0-execution-1", strategy="taker", decided_at=START
    )
    kit.given(signal(Side.BUY, 3), OrderSubmitted(taken), HaltTrading("by hand"))

    assert kit.given(ResumeTrading("all clear"), cancel_rejected(taken)) == []
    assert kit.advance(SECOND) == []
    assert kit.given(HaltTrading("again")) == [cancel(taken)]


def test_strategies_and_instruments_are_quoted_apart() -> None:
    kit = quoting()
    ether = quote(99, 1, 0, 0, instrument=ETHUSDT.instrument)
    other = quote(0, 0, 10_020, 7, strategy="second")

    assert kit.given(ether, other) == [
        quoted(3, Side.BUY, 1, 99, instrument=ETHUSDT.instrument),
        quoted(4, Side.SELL, 7, 10_020, strategy="second"),
    ]


def test_a_signal_becomes_a_market_order() -> None:
    assert execution().given(signal(Side.BUY, 3)) == [
        order(Side.BUY, 3, 0, client_order_id="0-execution-1", strategy="taker", decided_at=START)
    ]


def test_a_signal_with_a_limit_becomes_an_ioc_order() -> None:
    assert execution().given(signal(Side.SELL, 3, 9_980)) == [
        order(
            Side.SELL,
            3,
            9_980,
            client_order_id="0-execution-1",
            strategy="taker",
            time_in_force=TimeInForce.IOC,
            decided_at=START,
        )
    ]


def test_an_order_is_as_old_as_its_intent_however_late_execution_hears_of_it() -> None:
    system = SystemTest()
    system.add("careful", Careless, settings={"qty": 3})
    system.add("execution", Execution, inputs=["careful.signals"])
    system.run(SECOND)

    [intent], [sent] = system.envelopes("careful.signals"), system.emitted("execution.orders")
    assert isinstance(sent, SubmitOrder)
    assert sent.decided_at == intent.time


def test_a_strategy_that_wants_more_than_its_budget_is_refused_and_told() -> None:
    kit = ActorTest(Execution, {"intents_per_second": 10, "intent_burst": 2}, name="execution")
    two, another = [signal(Side.BUY, 1)] * 2, signal(Side.BUY, 1, strategy="other")
    text = "more than 10 intents a second after a burst of 2"
    refused = IntentRefused("taker", BTC, "execution", text, "INTENT_RATE")

    assert [type(event) for event in kit.given(*two)] == [SubmitOrder, SubmitOrder]
    assert kit.given(*two) == [refused, refused]
    assert [type(event) for event in kit.given(another)] == [SubmitOrder]
    kit.advance(SECOND // 10)
    assert [type(event) for event in kit.given(*two)] == [SubmitOrder, IntentRefused]


def test_by_default_two_hundred_intents_a_second_pass_after_a_burst_of_four_hundred() -> None:
    kit = execution()
    sent = kit.given(*[signal(Side.BUY, 1)] * 401)
    kit.advance(SECOND)
    sent += kit.given(*[signal(Side.BUY, 1)] * 201)

    assert sum(isinstance(event, SubmitOrder) for event in sent) == 600


def test_a_journal_of_before_the_budget_means_that_there_is_none() -> None:
    kit = ActorTest(Execution, {"backoff": "250ms"}, name="execution")
    header = configuration_of(kit.actor)
    header["settings"] = {"backoff": header["settings"]["backoff"]}
    configure(kit.actor, header | {"classes": {}})

    assert kit.actor.settings.intents_per_second == 0


def test_every_signal_is_an_order_of_its_own() -> None:
    kit = execution()

    assert len(kit.given(signal(Side.BUY, 3), signal(Side.BUY, 3))) == 2


def test_it_is_busy_until_every_order_ended() -> None:
    kit = quoting()
    kit.given(signal(Side.BUY, 3))
    taken = order(Side.BUY, 3, 0, client_order_id="0-execution-3", strategy="taker")

    assert kit.actor.busy()
    kit.given(canceled(BID), filled(ASK, 5), expired(taken))
    assert not kit.actor.busy()


def test_a_stop_cancels_everything_and_takes_nothing_more() -> None:
    kit = quoting()
    taken = order(Side.BUY, 3, 0, client_order_id="0-execution-3", strategy="taker")
    kit.given(signal(Side.BUY, 3), OrderSubmitted(taken))

    assert kit.given(StopRequested("end")) == [cancel(BID), cancel(ASK), cancel(taken)]
    assert kit.given(quote(9_991, 5, 10_011, 5), signal(Side.BUY, 1), canceled(BID)) == [
        IntentRefused("maker", BTC, "execution", "the run is ending"),
        IntentRefused("taker", BTC, "execution", "the run is ending"),
    ]


def test_a_stop_cancels_orders_on_their_way_once_the_oms_knows_them() -> None:
    kit = execution()
    kit.given(QUOTE, signal(Side.BUY, 3))
    taken = order(Side.BUY, 3, 0, client_order_id="0-execution-3", strategy="taker")

    assert kit.given(StopRequested("end")) == []
    assert kit.given(OrderSubmitted(BID), OrderSubmitted(taken)) == [cancel(BID), cancel(taken)]


def test_a_halt_cancels_and_a_resume_takes_intents_again() -> None:
    kit = quoting()

    assert kit.given(HaltTrading("by hand")) == [cancel(BID), cancel(ASK)]
    assert kit.given(canceled(BID), canceled(ASK), QUOTE) == [
        IntentRefused("maker", BTC, "execution", "trading is halted")
    ]
    assert kit.given(ResumeTrading("all clear"), quote(9_991, 5, 0, 0)) == [
        quoted(3, Side.BUY, 5, 9_991)
    ]


def test_a_halt_of_one_instrument_withdraws_its_orders_and_refuses_its_intents_only() -> None:
    kit = quoting()
    taken = kit.given(signal(Side.BUY, 3, strategy="maker"))[0]
    assert isinstance(taken, SubmitOrder)
    kit.given(OrderSubmitted(taken))
    halt = HaltTrading("overfill", "oms-0-1", instrument=BTC)
    elsewhere = quote(2_600, 5, 0, 0, instrument=ETHUSDT.instrument)

    assert kit.given(halt) == [cancel(BID), cancel(ASK), cancel(taken)]
    assert kit.given(QUOTE) == [
        IntentRefused("maker", BTC, "execution", f"trading in {BTC} is halted: overfill")
    ]
    assert len(kit.given(elsewhere)) == 1
    kit.given(canceled(BID), canceled(ASK), ResumeTrading("seen"))
    assert len(kit.given(QUOTE)) == 2


def test_a_book_that_is_not_live_withdraws_its_quotes_only() -> None:
    kit = quoting()
    kit.given(quote(99, 1, 0, 0, instrument=ETHUSDT.instrument))

    assert kit.given(book_is(BookState.STALE)) == [cancel(BID), cancel(ASK)]
    assert kit.given(book_is(BookState.LIVE)) == []


def test_a_strategy_that_is_not_heard_any_more_loses_its_quotes() -> None:
    assert quoting().given(StreamStale("maker.intents", "no link")) == [cancel(BID), cancel(ASK)]


def test_a_strategy_that_failed_loses_its_quotes() -> None:
    assert quoting().given(ActorFailed("maker", "KeyError", restarted=True)) == [
        cancel(BID),
        cancel(ASK),
    ]


def test_facts_about_the_orders_of_others_change_nothing() -> None:
    kit = quoting()
    foreign = order(Side.BUY, 5, client_order_id="0-other-1")

    assert kit.given(OrderSubmitted(foreign), filled(foreign, 5), denied(foreign)) == []


def test_the_state_survives_a_snapshot() -> None:
    kit = quoting()
    kit.given(quote(9_991, 5, 10_010, 5), signal(Side.BUY, 3))
    encoded = msgspec.msgpack.encode(kit.state)

    assert msgspec.msgpack.decode(encoded, type=Execution.State) == kit.state


class Careless(Actor):
    """Signals a quantity without looking at it, half a second after it starts."""

    class Settings(Actor.Settings):
        qty: int

    outputs = {"signals": (Signal,)}

    settings: Careless.Settings

    def on_start(self) -> None:
        self.set_timer("signal", SECOND // 2)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.emit(Signal(self.name, BTC, Side.BUY, self.settings.qty))


def test_a_strategy_that_says_what_cannot_be_meant_fails_alone() -> None:
    system = SystemTest()
    system.add("careless", Careless, settings={"qty": 0})
    system.add("careful", Careless, settings={"qty": 3})
    system.add("execution", Execution, inputs=["careless.signals", "careful.signals"])
    system.connect()
    system.node.run(SECOND)

    failures = system.node.supervisor.failures
    assert failures
    assert all(text.startswith("careless (Careless) raised ValueError: ") for text in failures)
    assert not system.node.halts.reason
    [intent] = system.envelopes("careful.signals")
    assert system.emitted("execution.orders") == [
        order(
            Side.BUY,
            3,
            0,
            client_order_id="0-execution-1",
            strategy="careful",
            decided_at=intent.time,
        )
    ]


class Impostor(Actor):
    """Quotes and signals under a name that a setting gives it."""

    class Settings(Actor.Settings):
        poses_as: str

    outputs = {"intents": (QuoteIntent,), "signals": (Signal,)}

    settings: Impostor.Settings

    def on_start(self) -> None:
        self.emit(quote(9_990, 5, 10_010, 5, strategy=self.settings.poses_as))
        self.emit(signal(Side.BUY, 3, strategy=self.settings.poses_as))


@pytest.mark.parametrize(("name", "refused"), [("maker", True), ("g", False)])
def test_a_strategy_trades_under_its_own_name_only(name: str, refused: bool) -> None:
    system = SystemTest()
    system.add("g", Impostor, settings={"poses_as": name})
    system.add("execution", Execution, inputs=["g.intents", "g.signals"])
    system.run(SECOND)
    refusal = IntentRefused("maker", BTC, "g", "g trades as g, not as maker")

    assert system.emitted("execution.refusals") == ([refusal, refusal] if refused else [])
    assert len(system.emitted("execution.orders")) == (0 if refused else 3)


class Venue:
    """OMS and venue at once: answers for every order, in an order that the test chooses."""

    def __init__(self) -> None:
        self.sent: dict[str, SubmitOrder] = {}
        self.submitted: set[str] = set()
        self.canceling: set[str] = set()

    def take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, SubmitOrder):
                assert not any(of.side == event.side for of in self.sent.values())
                self.sent[event.client_order_id] = event
            else:
                assert isinstance(event, CancelOrder)
                assert event.client_order_id in self.submitted
                assert event.client_order_id not in self.canceling
                self.canceling.add(event.client_order_id)

    def answer(self, kit: ActorTest, which: int, how: str) -> list[Event]:
        if not self.sent:
            return []
        order_id = sorted(self.sent)[which % len(self.sent)]
        of = self.sent[order_id]
        if order_id not in self.submitted:
            if how == "end":
                del self.sent[order_id]
                return kit.given(denied(of))
            self.submitted.add(order_id)
            return kit.given(OrderSubmitted(of))
        if order_id in self.canceling and how == "refuse":
            self.canceling.remove(order_id)
            return kit.given(cancel_rejected(of))
        del self.sent[order_id]
        if order_id in self.canceling:
            return kit.given(canceled(of))
        return kit.given(filled(of, of.qty) if how == "end" else expired(of))


ANSWERS = st.tuples(st.integers(0, 3), st.sampled_from(["go on", "end", "refuse"]))
INTENTS = st.tuples(st.integers(98, 100), st.integers(0, 2), st.integers(101, 103))
WAITS = st.integers(1, 2 * BACKOFF)


@given(st.lists(st.one_of(ANSWERS, INTENTS, WAITS), max_size=60))
def test_whatever_the_venue_answers_there_is_one_order_a_side_and_all_end_at_the_stop(
    steps: list[tuple[int, str] | tuple[int, int, int] | int],
) -> None:
    kit, venue = execution(), Venue()
    for step in steps:
        match step:
            case int(wait):
                venue.take(kit.advance(wait))
            case (int(which), str(how)):
                venue.take(venue.answer(kit, which, how))
            case (bid_px, int(qty), ask_px):
                venue.take(kit.given(quote(bid_px, qty, ask_px, qty)))
    venue.take(kit.given(StopRequested("end")))
    for _ in range(8):
        venue.take(venue.answer(kit, 0, "go on"))
    assert venue.sent == {}
    assert not kit.actor.busy()


@given(st.lists(INTENTS, min_size=1, max_size=20))
def test_once_the_venue_has_answered_the_last_intent_works(
    intents: list[tuple[int, int, int]],
) -> None:
    kit, venue = execution(), Venue()
    for bid_px, qty, ask_px in intents:
        venue.take(kit.given(quote(bid_px, qty, ask_px, qty)))
    for _ in range(4):
        for order_id in list(venue.sent):
            if order_id not in venue.submitted or order_id in venue.canceling:
                which = sorted(venue.sent).index(order_id)
                venue.take(venue.answer(kit, which, "go on"))
    bid_px, qty, ask_px = intents[-1]

    works = sorted((int(of.side), of.limit_px, of.qty) for of in venue.sent.values())
    assert works == ([(-1, ask_px, qty), (1, bid_px, qty)] if qty else [])
