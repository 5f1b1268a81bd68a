from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.market import BookState, DepthDiff, DepthSnapshot, RequestSnapshot, Side, Trade
from actors.events.order_words import (
    ExecType,
    Liquidity,
    OrderType,
    OrdRejReason,
    OrdStatus,
    TimeInForce,
)
from actors.events.orders import OrderPendingCancel, OrderSubmitted, ReconciliationCompleted
from actors.events.reference import Instrument
from actors.events.system import ConnectionEstablished, StopRequested, TimerFired
from actors.events.venue import (
    ExecutionReport,
    NewOrderSingle,
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
    OrderStatus,
    OrderStatusRequest,
    TradeCaptureReport,
    TradeCaptureReportRequest,
)
from actors.model.book import Book
from actors.model.money import fee, fee_rate, notional
from actors.runtime.actor import Actor, handles
from actors.testing import SECOND, ActorTest, SystemTest
from gateways.gateway import Gateway
from gateways.simulated.base import VenueSettings
from gateways.simulated.engine.matching_venue import BackgroundCancel, BackgroundOrder, Venue
from gateways.simulated.engine.venue_orders import Listing, VenueReport, VenueRequest
from gateways.simulated.exchange import SimulatedExchange
from tests.kit.builders import (
    BTCUSD_INVERSE,
    BTCUSDT,
    ETHUSDT,
    buy,
    pending_cancel,
    with_filters,
)
from tests.kit.venue_builders import NAME, cancel, draw, executions, limit, market, table, told

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def venue() -> Venue:
    venue = venue_for(BTCUSDT)
    for side, px, qty in [(SELL, 102, 4), (SELL, 101, 3), (SELL, 101, 2), (BUY, 99, 5)]:
        venue.arrive(NAME, BackgroundOrder(side, qty, px), now=0)
    return venue


def venue_for(
    instrument: Instrument, maker_fee: str = "0.0002", taker_fee: str = "0.0005"
) -> Venue:
    venue = Venue()
    venue.desk.prefix = "x"
    venue.list_instrument(Listing(instrument, fee_rate(maker_fee), fee_rate(taker_fee)))
    return venue


def reports(venue: Venue, *requests: VenueRequest, now: int = 0) -> list[str]:
    """Send requests one after the other and return the reports as lines."""
    return [line for request in requests for line in told(venue.handle(request, now).reports)]


def test_a_limit_order_that_does_not_cross_rests_among_the_others(venue: Venue) -> None:
    assert reports(venue, limit("a", BUY, 7, 99), limit("b", SELL, 1, 100)) == ["a NEW", "b NEW"]
    assert draw(venue.markets[NAME].book) == table("""
                  |  102 | 4
                  |  101 | 3 2
                  |  100 | [1]
            5 [7] |   99 |
    """)


def test_a_limit_order_trades_up_to_its_price_and_its_rest_stays(venue: Venue) -> None:
    outcome = venue.handle(limit("a", BUY, 8, 101), now=7)

    assert told(outcome.reports) == [
        "a NEW",
        "a PARTIALLY_FILLED 3@101 TAKER",
        "a PARTIALLY_FILLED 2@101 TAKER",
    ]
    assert told(outcome.market_data) == ["trade 3@101", "trade 2@101", "quote 3@101 4@102"]
    assert draw(venue.markets[NAME].book) == table("""
                  |  102 | 4
              [3] |  101 |
                5 |   99 |
    """)


def test_a_report_of_a_trade_says_everything_about_it(venue: Venue) -> None:
    first, second, third = executions(venue.handle(limit("a", BUY, 5, 101), now=7).reports)

    assert (first.exec_id, second.exec_id, third.exec_id) == ("x1", "x2", "x3")
    assert third == ExecutionReport(
        client_order_id="a",
        venue_order_id=first.venue_order_id,
        exec_id="x3",
        exec_type=ExecType.TRADE,
        ord_status=OrdStatus.FILLED,
        instrument=NAME,
        side=BUY,
        last_qty=2,
        last_px=101,
        cum_qty=5,
        leaves_qty=0,
        fee=1,
        fee_currency="USDT",
        liquidity=Liquidity.TAKER,
        transact_time=7,
        cum_amount=5_050,
    )


def test_a_market_order_takes_every_price_and_never_rests(venue: Venue) -> None:
    assert reports(venue, market("a", BUY, 10)) == [
        "a NEW",
        "a PARTIALLY_FILLED 3@101 TAKER",
        "a PARTIALLY_FILLED 2@101 TAKER",
        "a PARTIALLY_FILLED 4@102 TAKER",
        "a EXPIRED: no liquidity left for a MARKET order",
    ]
    assert reports(venue, market("b", BUY, 1)) == [
        "b NEW",
        "b EXPIRED: no liquidity left for a MARKET order",
    ]


def test_the_rest_of_an_ioc_order_expires(venue: Venue) -> None:
    ioc = limit("a", SELL, 8, 99, time_in_force=TimeInForce.IOC)
    *_, last = executions(venue.handle(ioc, now=0).reports)

    assert told([last]) == ["a EXPIRED: rest of an IOC"]
    assert (last.ord_status, last.cum_qty, last.leaves_qty) == (OrdStatus.EXPIRED, 5, 0)
    assert draw(venue.markets[NAME].book) == table("""
                  |  102 | 4
                  |  101 | 3 2
    """)


def test_an_fok_order_fills_whole_or_not_at_all(venue: Venue) -> None:
    fok = TimeInForce.FOK
    assert reports(venue, limit("a", BUY, 6, 101, time_in_force=fok)) == [
        "a NEW",
        "a EXPIRED: FOK: 5 of 6 units could be filled",
    ]
    assert reports(venue, limit("b", BUY, 5, 101, time_in_force=fok)) == [
        "b NEW",
        "b PARTIALLY_FILLED 3@101 TAKER",
        "b FILLED 2@101 TAKER",
    ]


def test_a_post_only_order_is_rejected_if_it_would_trade(venue: Venue) -> None:
    assert reports(
        venue,
        limit("a", BUY, 1, 101, post_only=True),
        limit("b", BUY, 1, 100, post_only=True),
        limit("c", SELL, 1, 100, post_only=True),
    ) == [
        "a REJECTED: a post-only order would trade at once",
        "b NEW",
        "c REJECTED: a post-only order would trade at once",
    ]


def test_the_others_fill_our_resting_order_as_maker_after_those_before_it(venue: Venue) -> None:
    reports(venue, limit("a", BUY, 7, 99))
    outcome = venue.arrive(NAME, BackgroundOrder(SELL, 6), now=0)

    assert told(outcome.reports) == ["a PARTIALLY_FILLED 1@99 MAKER"]
    assert told(outcome.market_data) == ["trade 5@99", "trade 1@99", "quote 6@99 5@101"]
    filled = venue.arrive(NAME, BackgroundOrder(SELL, 9, 98), now=0)
    assert told(filled.reports) == ["a FILLED 6@99 MAKER"]
    assert draw(venue.markets[NAME].book).splitlines()[-1] == table("| 98 | 3")


def test_a_canceled_order_is_out_of_the_book(venue: Venue) -> None:
    reports(venue, limit("a", BUY, 7, 99))
    [report] = executions(venue.handle(cancel("a"), now=3).reports)

    assert report == ExecutionReport(
        "a", report.venue_order_id, "x2", ExecType.CANCELED, OrdStatus.CANCELED, NAME, BUY,
        0, 0, 0, 0, transact_time=3,
    )  # fmt: skip
    assert draw(venue.markets[NAME].book).splitlines()[-1] == table("5 | 99 |")


def test_a_cancel_that_comes_after_the_fill_is_rejected(venue: Venue) -> None:
    reports(venue, limit("a", BUY, 3, 101))
    [report] = executions(venue.handle(cancel("a"), now=0).reports)

    assert told([report]) == ["a CANCEL_REJECTED: too late to cancel: the order is FILLED"]
    assert (report.ord_status, report.side, report.cum_qty) == (OrdStatus.FILLED, BUY, 3)


def test_a_cancel_of_an_order_that_the_venue_never_saw_is_rejected(venue: Venue) -> None:
    reports(venue, limit("a", BUY, 3, 99))

    assert reports(venue, cancel("b"), cancel("a", "ETHUSDT.SIM")) == [
        "b CANCEL_REJECTED: unknown order",
        "a CANCEL_REJECTED: unknown order",
    ]


def test_asked_about_an_order_the_venue_says_how_it_stands_open_or_ended(venue: Venue) -> None:
    reports(venue, limit("a", BUY, 7, 101), limit("b", BUY, 3, 98), cancel("b"))
    executed, book = venue.desk.executions, draw(venue.markets[NAME].book)
    open_one, ended = (venue.handle(OrderStatusRequest(name, NAME), now=3).reports for name in "ab")

    assert open_one == [
        ExecutionReport(
            "a", "5", "", ExecType.ORDER_STATUS, OrdStatus.PARTIALLY_FILLED, NAME, BUY,
            0, 0, 5, 2, transact_time=3, cum_amount=5_050,
        )
    ]  # fmt: skip
    assert ended == [
        ExecutionReport(
            "b", "6", "", ExecType.ORDER_STATUS, OrdStatus.CANCELED, NAME, BUY,
            0, 0, 0, 0, transact_time=3,
        )
    ]  # fmt: skip
    assert (venue.desk.executions, draw(venue.markets[NAME].book)) == (executed, book)


def test_asked_for_trades_the_venue_tells_those_after_the_one_that_is_named(venue: Venue) -> None:
    made = executions(
        venue.handle(limit("a", BUY, 5, 101), now=7).reports
        + venue.handle(limit("b", BUY, 1, 102), now=7).reports
    )
    trades = [report for report in made if report.exec_type is ExecType.TRADE]
    known, others = trades[0], tuple(trades[1:])

    def asked(instrument: str = NAME, **about: str) -> list[VenueReport]:
        return venue.handle(TradeCaptureReportRequest("q", instrument, **about), now=9).reports

    assert asked(after=known.exec_id) == [TradeCaptureReport("q", NAME, others)]
    assert (
        asked()
        == asked(after="of another ledger")
        == [TradeCaptureReport("q", NAME, tuple(trades))]
    )
    assert asked(client_order_id="b") == [TradeCaptureReport("q", NAME, (trades[-1],))]
    assert asked("ETHUSDT.SIM") == [TradeCaptureReport("q", "ETHUSDT.SIM", ())]


def test_asked_about_an_order_that_it_never_saw_the_venue_says_so(venue: Venue) -> None:
    reports(venue, limit("a", BUY, 3, 99))

    for request in (OrderStatusRequest("b", NAME), OrderStatusRequest("a", "ETHUSDT.SIM")):
        assert venue.handle(request, now=3).reports == [
            ExecutionReport(
                request.client_order_id, "", "", ExecType.ORDER_STATUS, OrdStatus.REJECTED,
                request.instrument, BUY, 0, 0, 0, 0, text="unknown order", transact_time=3,
                ord_rej_reason=OrdRejReason.NEVER_RECEIVED,
            )
        ]  # fmt: skip


def test_the_venue_lists_our_working_orders_of_all_or_of_some_instruments() -> None:
    venue, ether = venue_for(BTCUSDT), ETHUSDT.instrument
    venue.list_instrument(Listing(ETHUSDT))
    reports(venue, limit("a", BUY, 7, 99), limit("b", SELL, 1, 101, instrument=ether))
    reports(venue, limit("c", BUY, 2, 90), cancel("c"))
    venue.arrive(NAME, BackgroundOrder(SELL, 2, 99), now=0)
    bitcoin = OrderStatus("a", "1", NAME, BUY, 7, OrdStatus.PARTIALLY_FILLED, 2, 5)
    ethers = OrderStatus("b", "2", ether, SELL, 1, OrdStatus.NEW, 0, 1)

    assert venue.handle(OrderMassStatusRequest("r"), now=3).reports == [
        OrderMassStatus("r", (bitcoin, ethers))
    ]
    assert venue.handle(OrderMassStatusRequest("r", (ether,)), now=3).reports == [
        OrderMassStatus("r", (ethers,), (ether,))
    ]


def test_a_mass_cancel_takes_all_our_orders_of_an_instrument_or_of_all(venue: Venue) -> None:
    venue.list_instrument(Listing(ETHUSDT))
    orders = [
        limit("a", BUY, 3, 99),
        limit("b", BUY, 3, 99, instrument=ETHUSDT.instrument),
        limit("c", SELL, 3, 103),
    ]
    reports(venue, *orders)

    assert reports(venue, OrderMassCancelRequest(ETHUSDT.instrument)) == ["b CANCELED"]
    assert reports(venue, OrderMassCancelRequest()) == ["a CANCELED", "c CANCELED"]
    assert reports(venue, OrderMassCancelRequest()) == []


def test_a_client_order_id_is_taken_once_accepted(venue: Venue) -> None:
    assert reports(
        venue,
        limit("a", BUY, 3, 99),
        limit("a", BUY, 3, 98),
        cancel("a"),
        limit("a", BUY, 3, 99),
    ) == [
        "a NEW",
        "a REJECTED: duplicate client order id a",
        "a CANCELED",
        "a REJECTED: duplicate client order id a",
    ]


def test_our_orders_never_trade_with_each_other(venue: Venue) -> None:
    assert reports(venue, limit("a", SELL, 3, 101), market("b", BUY, 9)) == [
        "a NEW",
        "b NEW",
        "b PARTIALLY_FILLED 3@101 TAKER",
        "b PARTIALLY_FILLED 2@101 TAKER",
        "b EXPIRED: self-trade prevention: the rest would meet an order of our own",
    ]
    assert draw(venue.markets[NAME].book) == table("""
                  |  102 | 4
                  |  101 | [3]
                5 |   99 |
    """)


FILTERED = with_filters(
    BTCUSDT,
    tick_size=10,
    lot_size=5,
    min_qty=10,
    max_qty=1_000,
    min_px=50,
    max_px=500_000,
    min_notional=100_000_000,
    max_open_orders=1,
)


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (limit("a", BUY, 12, 100_000), "LOT_SIZE: qty was 0.00012, allowed are steps of 0.00005"),
        (limit("a", BUY, 5, 100_000), "LOT_SIZE: qty was 0.00005, allowed is at least 0.00010"),
        (limit("a", BUY, 1_005, 100_000), "LOT_SIZE: qty was 0.01005, allowed is at most 0.01000"),
        (limit("a", BUY, 0, 100_000), "LOT_SIZE: qty was 0.00000, allowed is above 0"),
        (limit("a", BUY, 500, 10_001), "PRICE_FILTER: price was 100.01, allowed are steps of 0.10"),
        (limit("a", BUY, 500, 40), "PRICE_FILTER: price was 0.40, allowed is at least 0.50"),
        (
            limit("a", BUY, 500, 500_010),
            "PRICE_FILTER: price was 5000.10, allowed is at most 5000.00",
        ),
        (limit("a", BUY, 500, 0), "PRICE_FILTER: price was 0.00, allowed is above 0"),
        (
            limit("a", BUY, 500, 10_000),
            "NOTIONAL: amount was 0.50000000 USDT, allowed is at least 1.00000000",
        ),
        (
            market("a", BUY, 10),
            "NOTIONAL: amount was 0.20000000 USDT, allowed is at least 1.00000000",
        ),
        (limit("a", BUY, 500, 20_000, instrument="X.SIM"), "unknown instrument X.SIM"),
        (
            msgspec.structs.replace(market("a", BUY, 500), limit_px=7),
            "limit_px was 7 units, a MARKET order has none",
        ),
        (
            msgspec.structs.replace(market("a", BUY, 500), post_only=True),
            "order_type was MARKET, a post-only order must be LIMIT",
        ),
        (
            limit("a", BUY, 500, 20_000, post_only=True, time_in_force=TimeInForce.IOC),
            "time_in_force was IOC, a post-only order must be GTC",
        ),
        (
            msgspec.structs.replace(limit("a", BUY, 500, 20_000), order_type=OrderType.STOP),
            "order_type was STOP, allowed are LIMIT and MARKET",
        ),
        (
            limit("a", BUY, 500, 20_000, time_in_force=TimeInForce.DAY),
            "time_in_force was DAY, allowed are GTC, IOC, FOK",
        ),
        (
            msgspec.structs.replace(limit("a", BUY, 500, 20_000), reduce_only=True),
            "reduce_only was True, this venue has no such orders",
        ),
    ],
)
def test_an_order_that_breaks_a_rule_of_the_venue_is_rejected_with_the_reason(
    order: NewOrderSingle, text: str
) -> None:
    venue = venue_for(FILTERED)
    venue.arrive(NAME, BackgroundOrder(SELL, 500, 200_000), now=0)

    assert reports(venue, order) == [f"a REJECTED: {text}"]


def test_only_so_many_orders_may_be_open_at_once() -> None:
    venue = venue_for(FILTERED)

    assert reports(
        venue,
        limit("a", BUY, 500, 100_000),
        limit("b", BUY, 500, 100_000),
        cancel("a"),
        limit("c", BUY, 500, 100_000),
    ) == [
        "a NEW",
        "b REJECTED: MAX_NUM_ORDERS: 1 orders were open, allowed are 1",
        "a CANCELED",
        "c NEW",
    ]


def test_an_ended_order_is_remembered_long_enough_and_not_for_ever(venue: Venue) -> None:
    for n in range(10_000):
        venue.handle(limit(f"o{n}", BUY, 1, 98), now=0)
        venue.handle(cancel(f"o{n}"), now=0)

    assert reports(venue, cancel("o6000")) == [
        "o6000 CANCEL_REJECTED: too late to cancel: the order is CANCELED"
    ]
    assert len(venue.desk.ended) < 10_000


def test_makers_and_takers_pay_their_own_fee_and_a_negative_one_is_a_rebate() -> None:
    venue = venue_for(BTCUSDT, maker_fee="-0.0001", taker_fee="0.00075")
    venue.handle(limit("maker", BUY, 100_000, 6_000_000), now=0)
    [made] = executions(venue.arrive(NAME, BackgroundOrder(SELL, 50_000), now=0).reports)
    venue.arrive(NAME, BackgroundOrder(SELL, 30_000, 6_000_100), now=0)
    *_, taken = executions(venue.handle(limit("taker", BUY, 20_000, 6_000_100), now=0).reports)

    usdt = 10**8
    assert (made.fee, made.fee_currency) == (-3 * usdt, "USDT")
    assert (taken.fee, taken.fee_currency) == (9_000_150_00, "USDT")


def test_the_fee_of_an_inverse_contract_is_charged_in_the_base_currency() -> None:
    venue = venue_for(BTCUSD_INVERSE)
    name = BTCUSD_INVERSE.instrument
    venue.arrive(name, BackgroundOrder(SELL, 7, 300_000), now=0)
    *_, taken = executions(venue.handle(market("a", BUY, 7, name), now=0).reports)

    assert (taken.fee, taken.fee_currency) == (1_167, "BTC")  # 700 USD / 30,000 * 0.0005


background = st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 9), st.integers(95, 105))
own_order = st.builds(
    lambda side, qty, px, kind: (
        market("", side, qty)
        if kind == "MARKET"
        else limit(
            "",
            side,
            qty,
            px,
            post_only=kind == "POST_ONLY",
            time_in_force=TimeInForce.GTC if kind == "POST_ONLY" else TimeInForce(kind),
        )
    ),
    st.sampled_from([BUY, SELL]),
    st.integers(1, 9),
    st.integers(95, 105),
    st.sampled_from(["GTC", "IOC", "FOK", "MARKET", "POST_ONLY"]),
)
session = st.lists(
    st.one_of(background, own_order, st.integers(0, 30), st.just("mass cancel")), max_size=40
)


def play(venue: Venue, actions: list[object]) -> tuple[dict[str, NewOrderSingle], list[Event]]:
    """Play a session; return our orders by id, and all reports and market data."""
    orders: dict[str, NewOrderSingle] = {}
    happened: list[Event] = []
    for number, action in enumerate(actions):
        match action:
            case (Side() as side, int(qty), int(px)):
                outcome = venue.arrive(NAME, BackgroundOrder(side, qty, px), number)
            case NewOrderSingle():
                order = msgspec.structs.replace(action, client_order_id=f"o{number}")
                orders[order.client_order_id] = order
                outcome = venue.handle(order, number)
            case int():
                venue.arrive(NAME, BackgroundCancel(action), number)
                outcome = venue.handle(cancel(f"o{action}"), number)
            case _:
                outcome = venue.handle(OrderMassCancelRequest(), number)
        happened += [*outcome.reports, *outcome.market_data]
    return orders, happened


@given(session)
@settings(max_examples=200, deadline=None)
def test_whatever_happens_every_order_adds_up_and_ends_once(actions: list[object]) -> None:
    venue = venue_for(BTCUSDT)
    orders, happened = play(venue, actions)
    told_ids = [e.exec_id for e in happened if isinstance(e, ExecutionReport)]
    assert len(set(told_ids)) == len(told_ids)
    for client_order_id, order in orders.items():
        ours = [
            e
            for e in happened
            if isinstance(e, ExecutionReport)
            and e.client_order_id == client_order_id
            and e.exec_type is not ExecType.CANCEL_REJECTED
        ]
        assert ours[0].exec_type in (ExecType.NEW, ExecType.REJECTED)
        fills = [e for e in ours if e.exec_type is ExecType.TRADE]
        cum = 0
        for fill in fills:
            cum += fill.last_qty
            assert (fill.cum_qty, fill.leaves_qty) == (cum, order.qty - cum)
            assert not order.limit_px or fill.last_px * order.side <= order.limit_px * order.side
            rate = fee_rate("0.0002" if fill.liquidity == "MAKER" else "0.0005")
            assert fill.fee == fee(notional(BTCUSDT, fill.last_qty, fill.last_px), rate)
        ended = [e for e in ours if not e.leaves_qty]
        assert ended == ours[-1:] * len(ended)
        assert (client_order_id in venue.desk.working) == (not ended)
        if order.time_in_force is TimeInForce.FOK:
            assert cum in {0, order.qty}


@given(session)
@settings(max_examples=100, deadline=None)
def test_the_published_depth_rebuilds_the_venues_book(actions: list[object]) -> None:
    venue, book = venue_for(BTCUSDT), Book()
    venue.take_diff(NAME, 0)
    book.restore(venue.snapshot(NAME, 0))
    for number, action in enumerate(actions):
        play(venue, [action])
        if number % 3 == 0 and (diff := venue.take_diff(NAME, number)):
            assert book.apply(diff)
    last = venue.take_diff(NAME, 0)
    assert last is None or book.apply(last)
    snapshot = venue.snapshot(NAME, 0)

    assert (book.bids.levels(), book.asks.levels()) == (snapshot.bids, snapshot.asks)
    assert book.last_update_id == snapshot.last_update_id
    assert not snapshot.bids or not snapshot.asks or snapshot.bids[0][0] < snapshot.asks[0][0]


@given(session)
@settings(max_examples=50, deadline=None)
def test_the_same_requests_give_the_same_reports_also_after_the_venue_was_stored(
    actions: list[object],
) -> None:
    first, second = venue_for(BTCUSDT), venue_for(BTCUSDT)
    assert play(first, actions) == play(second, actions)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(first), type=Venue)

    assert stored == first
    more: list[VenueRequest] = [
        limit("more", BUY, 30, 105),
        limit("again", SELL, 30, 95),
        OrderMassCancelRequest(),
    ]
    assert [stored.handle(r, 1) for r in more] == [first.handle(r, 1) for r in more]


def flow(**changes: object) -> dict[str, object]:
    return {
        "start_price": "60000",
        "spread": "2",
        "depth": "20",
        "min_qty": "0.001",
        "max_qty": "0.5",
        **changes,
    }


def exchange(seed: int = 0, **options: object) -> ActorTest:
    return ActorTest(
        SimulatedExchange,
        {"flow": {NAME: flow()}, **options},
        instruments=[BTCUSDT, ETHUSDT],
        name="market",
        seed=seed,
    )


def of(events: list[Event], *classes: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, classes)]


def test_the_exchange_opens_with_a_connection_and_a_whole_book() -> None:
    kit = exchange()
    connection, snapshot, first = kit.started

    assert connection == ConnectionEstablished("market")
    assert isinstance(snapshot, DepthSnapshot)
    assert snapshot.bids
    assert snapshot.asks
    assert told([first]) == ["quote {1}@{0} {3}@{2}".format(*snapshot.bids[0], *snapshot.asks[0])]


def test_diffs_are_published_in_batches_and_follow_one_another() -> None:
    kit = exchange(depth_interval="100ms")
    book = Book()
    book.restore(next(e for e in kit.started if isinstance(e, DepthSnapshot)))
    emitted = kit.advance(10 * SECOND)
    diffs = [e for e in emitted if isinstance(e, DepthDiff)]

    assert 80 <= len(diffs) <= 100
    assert all(book.apply(diff) for diff in diffs)
    assert book.state is BookState.LIVE
    kit.given(RequestSnapshot(NAME))
    snapshot = kit.state.venue.snapshot(NAME, kit.now)
    assert len(of(emitted, Trade)) > 10
    assert snapshot.last_update_id >= book.last_update_id


def test_without_an_interval_every_change_is_published_at_once() -> None:
    kit = exchange(depth_interval=0)
    book = Book()
    book.restore(next(e for e in kit.started if isinstance(e, DepthSnapshot)))
    for diff in of(kit.advance(SECOND), DepthDiff):
        assert isinstance(diff, DepthDiff)
        assert book.apply(diff)
    snapshot = kit.state.venue.snapshot(NAME, kit.now)

    assert (book.bids.levels(), book.asks.levels()) == (snapshot.bids, snapshot.asks)


def test_a_snapshot_on_request_continues_the_diffs() -> None:
    kit = exchange(depth_interval="10s")
    kit.advance(SECOND)
    diff, snapshot = kit.given(RequestSnapshot(NAME))

    assert isinstance(diff, DepthDiff)
    assert isinstance(snapshot, DepthSnapshot)
    assert diff.last_update_id == snapshot.last_update_id
    following = of(kit.advance(10 * SECOND), DepthDiff)[0]
    assert isinstance(following, DepthDiff)
    assert following.first_update_id == snapshot.last_update_id + 1
    assert kit.given(RequestSnapshot("OTHER.SIM")) == []


def test_a_new_reader_gets_whole_books_quotes_and_the_connection() -> None:
    kit = exchange()
    assert [*kit.actor.snapshot("connection")] == [ConnectionEstablished("market")]
    assert [*kit.actor.snapshot("depth"), *kit.actor.snapshot("quotes")] == kit.started[1:]
    assert [*kit.actor.snapshot("trades"), *kit.actor.snapshot("reports")] == []


def test_without_latency_the_report_comes_in_the_same_step() -> None:
    assert told(of(exchange().given(limit("a", BUY, 100, 100)), ExecutionReport)) == ["a NEW"]


def test_a_report_takes_the_orders_latency_and_its_own() -> None:
    kit = exchange(order_latency="2ms", report_latency="3ms")

    assert of(kit.given(limit("a", BUY, 100, 100)), ExecutionReport) == []
    assert of(kit.advance(5 * MILLISECOND - 1), ExecutionReport) == []
    [report] = of(kit.advance(1), ExecutionReport)
    assert isinstance(report, ExecutionReport)
    assert told([report]) == ["a NEW"]
    assert report.transact_time == kit.now - 3 * MILLISECOND


def test_a_cancel_loses_the_race_against_a_fill_that_is_already_on_its_way() -> None:
    kit = exchange(order_latency="2ms", report_latency="3ms")
    kit.given(StopRequested("background orders would move the price"), market("a", BUY, 100))
    kit.advance(MILLISECOND)
    kit.given(cancel("a"))

    assert told(of(kit.advance(SECOND), ExecutionReport)) == [
        "a NEW",
        f"a FILLED 100@{best_ask(kit)} TAKER",
        "a CANCEL_REJECTED: too late to cancel: the order is FILLED",
    ]


def best_ask(kit: ActorTest) -> int:
    [snapshot] = [e for e in kit.started if isinstance(e, DepthSnapshot)]
    return snapshot.asks[0][0]


@pytest.mark.parametrize("seed", range(5))
def test_jitter_varies_latency_and_keeps_the_order(seed: int) -> None:
    kit = exchange(seed, order_latency="1ms", report_latency="1ms", latency_jitter="5ms")
    emitted: list[Event] = []
    for number in range(50):
        emitted += kit.given(limit(f"o{number}", BUY, 100, 100))
        emitted += kit.advance(MILLISECOND // 2)
    emitted += kit.advance(SECOND)
    accepted = [e for e in emitted if isinstance(e, ExecutionReport)]

    assert [e.client_order_id for e in accepted] == [f"o{n}" for n in range(50)]
    assert len({e.transact_time for e in accepted}) > 10
    assert not kit.actor.busy()


def test_a_stop_ends_the_background_orders_and_lets_our_requests_arrive() -> None:
    kit = exchange(order_latency="2ms", report_latency="2ms")
    kit.given(limit("a", BUY, 100, 100))
    kit.given(StopRequested("test"))
    assert kit.actor.busy()
    kit.given(cancel("a"))
    rest = kit.advance(4 * MILLISECOND)

    assert told(of(rest, ExecutionReport)) == ["a NEW", "a CANCELED"]
    assert [e.bids for e in rest if isinstance(e, DepthDiff)] == [((100, 100),), ((100, 0),)]
    assert of(rest, Trade) == []
    assert not kit.actor.busy()
    assert kit.advance(SECOND) == []
    assert kit.state.venue.take_diff(NAME, 0) is None


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    first, again, other = (exchange(seed).advance(5 * SECOND) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_the_state_of_the_exchange_survives_storage() -> None:
    kit = exchange(order_latency="2ms", report_latency="2s")
    kit.given(limit("a", BUY, 100, 100), limit("b", BUY, 100, 9_000_000))
    kit.advance(SECOND)
    kit.given(limit("c", BUY, 100, 101))
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(kit.state), type=type(kit.state))

    assert state == kit.state
    assert kit.state.requests
    assert kit.state.reports


class Requester(Actor):
    """Has nothing open, then asks for an order every ten milliseconds and cancels every third."""

    class State(Actor.State):
        number: int = 0

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "requests": (OrderSubmitted, OrderPendingCancel, ReconciliationCompleted)
    }
    state: State

    @handles(OrderMassStatus)
    def on_order_mass_status(self, listing: OrderMassStatus) -> None:
        self.emit(ReconciliationCompleted(listing.request_id, 0, 0))

    def on_start(self) -> None:
        self.set_timer("next", 10 * MILLISECOND)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        number = self.state.number = self.state.number + 1
        side, qty = (BUY, 5_000) if number % 2 else (SELL, 300)
        px = 0 if number % 5 else 6_000_000 - 5_000 * side
        order = buy(qty, px, client_order_id=f"o{number}")
        order_type = OrderType.LIMIT if px else OrderType.MARKET
        self.emit(OrderSubmitted(msgspec.structs.replace(order, side=side, order_type=order_type)))
        if number % 3 == 0:
            self.emit(pending_cancel(order))
        self.on_start()


def chain(slice_steps: int = 1024) -> SystemTest:
    """Return a finished run of a requester, a gateway and the exchange."""
    system = SystemTest(instruments=[BTCUSDT, ETHUSDT], seed=3, slice_steps=slice_steps)
    flows = {NAME: flow(), ETHUSDT.instrument: flow(start_price="3000", depth="2")}
    system.add(
        "market",
        SimulatedExchange,
        settings={"flow": flows, "order_latency": "1ms", "latency_jitter": "1ms"},
        inputs=["gateway.venue"],
    )
    system.add(
        "gateway",
        Gateway,
        inputs=["oms.requests", "market.reports", "market.connection"],
    )
    system.add("oms", Requester, inputs=["gateway.reports"])
    system.run(3 * SECOND)
    return system


def test_behind_a_gateway_every_order_is_answered_and_no_report_is_lost() -> None:
    system = chain()
    requests = system.emitted("gateway.venue")
    sent = {e.client_order_id for e in requests if isinstance(e, NewOrderSingle)}
    answers = [e for e in system.emitted("gateway.reports") if isinstance(e, ExecutionReport)]

    assert len(sent) == 300
    assert system.emitted("gateway.reports") == system.emitted("market.reports")
    assert {e.client_order_id for e in answers} == sent
    assert {e.exec_type for e in answers} >= {
        ExecType.NEW,
        ExecType.TRADE,
        ExecType.CANCELED,
        ExecType.CANCEL_REJECTED,
    }
    assert not any(actor.busy() for actor in system.node.actors.values())


def test_a_run_is_the_same_however_the_node_slices_it() -> None:
    streams = ["market.depth", "market.trades", "market.quotes", "gateway.reports"]
    first, second = chain(), chain(slice_steps=7)

    for stream in streams:
        assert first.envelopes(stream) == second.envelopes(stream)


def test_a_fee_with_too_many_decimals_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 8 decimals"):
        VenueSettings(maker_fee="0.000000001")  # type: ignore[arg-type]
