from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, Side, Trade
from actors.events.order_words import ExecType, TimeInForce
from actors.events.system import ConnectionEstablished, StreamReset
from actors.events.venue import ExecutionReport, NewOrderSingle, OrderMassCancelRequest
from actors.model.money import fee_rate
from actors.testing import ActorTest
from gateways.simulated.engine.recorded_venue import RecordedVenue
from gateways.simulated.engine.venue_orders import Listing
from gateways.simulated.recorded_exchange import RecordedExchange
from tests.kit.builders import BTCUSDT, ETHUSDT
from tests.kit.venue_builders import NAME, cancel, executions, limit, market, quote, told, trade

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def kit() -> ActorTest:
    return ActorTest(RecordedExchange, instruments=[BTCUSDT, ETHUSDT], name="market")


def happens(kit: ActorTest, *events: Event) -> list[str]:
    return told(kit.given(*events))


def ahead(kit: ActorTest) -> list[int]:
    """Return the quantity ahead of each of our resting orders, bids first."""
    return [order.ahead_qty for order in kit.state.venue.markets[NAME].resting]


def snapshot(
    bids: tuple[tuple[int, int], ...], asks: tuple[tuple[int, int], ...], update_id: int = 10
) -> DepthSnapshot:
    return DepthSnapshot(NAME, update_id, bids, asks)


def diff(
    update_id: int,
    bids: tuple[tuple[int, int], ...] = (),
    asks: tuple[tuple[int, int], ...] = (),
    time: int = 0,
) -> DepthDiff:
    return DepthDiff(NAME, update_id, update_id, -1, bids, asks, time)


DEPTH = snapshot(((99, 5), (98, 7)), ((101, 3), (102, 4), (104, 9)))


def test_the_exchange_says_that_it_is_connected(kit: ActorTest) -> None:
    assert kit.started == [ConnectionEstablished("market")]
    assert [*kit.actor.snapshot("connection")] == kit.started


def test_a_market_order_takes_the_quote_and_no_more_than_it_shows(kit: ActorTest) -> None:
    assert happens(kit, quote((99, 5), (101, 3)), market("a", BUY, 2), market("b", SELL, 9)) == [
        "a NEW",
        "a FILLED 2@101 TAKER",
        "b NEW",
        "b PARTIALLY_FILLED 5@99 TAKER",
        "b EXPIRED: no liquidity left for a MARKET order",
    ]


def test_what_one_quote_shows_cannot_be_taken_twice(kit: ActorTest) -> None:
    happens(kit, quote((99, 5), (101, 3)), market("a", BUY, 2))

    assert happens(kit, market("b", BUY, 2))[1:] == [
        "b PARTIALLY_FILLED 1@101 TAKER",
        "b EXPIRED: no liquidity left for a MARKET order",
    ]
    assert happens(kit, quote((98, 5), (101, 3)), market("c", BUY, 1))[1:] == [
        "c EXPIRED: no liquidity left for a MARKET order"
    ]
    assert happens(kit, quote((98, 5), (101, 4)), market("d", BUY, 4))[1:] == [
        "d FILLED 4@101 TAKER"
    ]


def test_without_any_data_a_market_order_expires_and_a_limit_order_waits(kit: ActorTest) -> None:
    assert happens(kit, market("a", BUY, 2), limit("b", BUY, 2, 100)) == [
        "a NEW",
        "a EXPIRED: no liquidity left for a MARKET order",
        "b NEW",
    ]
    assert ahead(kit) == [-1]


def test_a_live_book_is_preferred_to_the_quote_and_taken_level_by_level(kit: ActorTest) -> None:
    assert happens(kit, quote((99, 1), (101, 1)), DEPTH, limit("a", BUY, 10, 102)) == [
        "a NEW",
        "a PARTIALLY_FILLED 3@101 TAKER",
        "a PARTIALLY_FILLED 4@102 TAKER",
    ]


def test_a_book_with_a_gap_is_not_used(kit: ActorTest) -> None:
    happens(kit, DEPTH, quote((99, 1), (101, 1)), diff(99, asks=((101, 8),)))

    assert happens(kit, limit("a", BUY, 8, 101))[1:] == ["a PARTIALLY_FILLED 1@101 TAKER"]


def test_a_level_that_was_taken_comes_back_when_it_changes(kit: ActorTest) -> None:
    happens(kit, DEPTH, market("a", BUY, 3))

    assert happens(kit, diff(11, bids=((98, 1),)), limit("b", BUY, 1, 101, post_only=True)) == [
        "b REJECTED: a post-only order would trade at once"
    ]
    assert happens(kit, market("c", BUY, 1))[1:] == ["c FILLED 1@102 TAKER"]
    assert happens(kit, diff(12, asks=((101, 2),)), market("d", BUY, 3))[1:] == [
        "d PARTIALLY_FILLED 2@101 TAKER",
        "d FILLED 1@102 TAKER",
    ]


def test_what_was_taken_from_the_book_stays_taken_while_quotes_fill_us(kit: ActorTest) -> None:
    happens(kit, DEPTH, limit("a", BUY, 7, 102), limit("b", BUY, 4, 99))
    assert happens(kit, quote((98, 1), (99, 2))) == ["b PARTIALLY_FILLED 2@99 MAKER"]

    assert happens(kit, market("c", BUY, 1))[1:] == ["c FILLED 1@104 TAKER"]


@pytest.mark.parametrize(
    ("time_in_force", "expected"),
    [
        (TimeInForce.IOC, ["a PARTIALLY_FILLED 3@101 TAKER", "a EXPIRED: rest of an IOC"]),
        (TimeInForce.FOK, ["a EXPIRED: FOK: 3 of 5 units could be filled"]),
        (TimeInForce.GTC, ["a PARTIALLY_FILLED 3@101 TAKER"]),
    ],
)
def test_time_in_force_decides_what_becomes_of_the_rest(
    kit: ActorTest, time_in_force: TimeInForce, expected: list[str]
) -> None:
    order = limit("a", BUY, 5, 101, time_in_force=time_in_force)

    assert happens(kit, DEPTH, order)[1:] == expected


def test_an_order_that_could_not_fill_takes_nothing(kit: ActorTest) -> None:
    happens(kit, DEPTH, limit("a", BUY, 5, 101, time_in_force=TimeInForce.FOK))

    assert happens(kit, market("b", BUY, 3))[1:] == ["b FILLED 3@101 TAKER"]


def test_a_resting_order_waits_until_trades_have_passed_its_queue(kit: ActorTest) -> None:
    happens(kit, quote((99, 5), (101, 3)), limit("a", BUY, 4, 99))
    assert ahead(kit) == [5]

    assert happens(kit, trade(SELL, 3, 99), trade(SELL, 2, 99)) == []
    assert happens(kit, trade(SELL, 1, 99)) == ["a PARTIALLY_FILLED 1@99 MAKER"]
    assert happens(kit, trade(BUY, 9, 101), trade(SELL, 9, 99)) == ["a FILLED 3@99 MAKER"]
    assert happens(kit, trade(SELL, 9, 99)) == []


def test_one_large_trade_passes_the_queue_and_fills_with_what_is_left_of_it(
    kit: ActorTest,
) -> None:
    happens(kit, quote((99, 5), (101, 3)), limit("a", SELL, 4, 101))

    assert happens(kit, trade(BUY, 5, 101)) == ["a PARTIALLY_FILLED 2@101 MAKER"]


def test_a_level_that_shrinks_below_the_queue_shortens_it(kit: ActorTest) -> None:
    happens(kit, quote((99, 5), (101, 3)), limit("a", BUY, 4, 99))

    happens(kit, quote((99, 7), (101, 3)))
    assert ahead(kit) == [5]
    happens(kit, quote((99, 2), (101, 3)))
    assert ahead(kit) == [2]
    happens(kit, quote((99, 8), (101, 3)))
    assert ahead(kit) == [2]
    happens(kit, quote((98, 8), (101, 3)))
    assert ahead(kit) == [0]


def test_behind_the_best_quote_the_queue_is_unknown_until_the_price_is_shown(
    kit: ActorTest,
) -> None:
    happens(kit, quote((99, 5), (101, 3)), limit("a", BUY, 4, 98))
    assert ahead(kit) == [-1]
    assert happens(kit, trade(SELL, 50, 98)) == []

    happens(kit, quote((98, 6), (101, 3)))
    assert ahead(kit) == [6]


def test_in_a_live_book_the_queue_is_known_at_every_level(kit: ActorTest) -> None:
    happens(kit, DEPTH, limit("a", BUY, 4, 98), limit("b", SELL, 4, 103), limit("c", BUY, 4, 1))

    assert ahead(kit) == [7, -1, 0]
    happens(kit, diff(11, bids=((98, 3),)))
    assert ahead(kit) == [3, -1, 0]


def test_a_better_price_is_first_in_its_queue(kit: ActorTest) -> None:
    happens(kit, quote((99, 5), (101, 3)), limit("a", BUY, 4, 100))

    assert happens(kit, trade(SELL, 3, 99)) == ["a PARTIALLY_FILLED 3@100 MAKER"]


def test_a_trade_through_our_price_fills_us_at_our_price(kit: ActorTest) -> None:
    happens(kit, quote((99, 5), (101, 3)), limit("a", BUY, 4, 99))

    assert happens(kit, trade(SELL, 3, 98)) == ["a PARTIALLY_FILLED 3@99 MAKER"]


def test_the_opposite_side_coming_to_our_price_fills_us_with_what_it_shows(
    kit: ActorTest,
) -> None:
    happens(kit, quote((99, 5), (101, 3)), limit("a", BUY, 4, 99))

    assert happens(kit, quote((97, 5), (98, 3))) == ["a PARTIALLY_FILLED 3@99 MAKER"]
    assert happens(kit, quote((96, 5), (98, 3))) == []
    assert happens(kit, quote((96, 5), (98, 2))) == ["a FILLED 1@99 MAKER"]


def test_two_of_our_orders_share_what_comes_in_their_order(kit: ActorTest) -> None:
    happens(kit, quote((99, 5), (101, 3)), limit("a", BUY, 3, 99))
    happens(kit, quote((99, 9), (101, 3)), limit("b", BUY, 3, 99), limit("c", BUY, 1, 100))
    assert ahead(kit) == [0, 5, 9]

    # One for c; then five of others, three for a, and two of the four between a and b.
    assert happens(kit, trade(SELL, 11, 99)) == ["c FILLED 1@100 MAKER", "a FILLED 3@99 MAKER"]
    assert ahead(kit) == [2]
    assert happens(kit, trade(SELL, 4, 99)) == ["b PARTIALLY_FILLED 2@99 MAKER"]


def printed(trade_id: int, qty: int, px: int = 99, time: int = 0) -> Trade:
    return Trade(NAME, trade_id, px, qty, SELL, time)


def shown(update_id: int, bid: tuple[int, int], time: int = 0) -> Quote:
    return Quote(NAME, update_id, *bid, 101, 3, time)


@pytest.mark.parametrize("seen", [shown(11, (99, 2), 7), diff(11, bids=((99, 2),), time=7)])
def test_a_trade_that_the_depth_has_shown_already_is_no_progress_in_the_queue(
    kit: ActorTest, seen: Event
) -> None:
    happens(kit, DEPTH, limit("a", BUY, 4, 99), seen)
    assert ahead(kit) == [2]

    assert happens(kit, printed(1, 3, time=6)) == []
    assert ahead(kit) == [2]
    assert happens(kit, printed(2, 3, time=8)) == ["a PARTIALLY_FILLED 1@99 MAKER"]


def test_of_a_trade_that_was_shown_in_part_the_rest_is_progress(kit: ActorTest) -> None:
    happens(kit, DEPTH, limit("a", BUY, 4, 99), shown(11, (99, 2), 7))

    assert happens(kit, printed(1, 6, time=7)) == ["a PARTIALLY_FILLED 1@99 MAKER"]


def test_what_left_the_queue_by_cancels_explains_no_later_trade(kit: ActorTest) -> None:
    happens(kit, DEPTH, limit("a", BUY, 4, 99), shown(11, (99, 2), 7))

    assert happens(kit, printed(1, 3, time=9)) == ["a PARTIALLY_FILLED 1@99 MAKER"]


def test_a_trade_that_is_printed_twice_or_behind_a_newer_one_fills_once(kit: ActorTest) -> None:
    happens(kit, quote((99, 5), (101, 3)), limit("a", BUY, 4, 99))

    assert happens(kit, printed(7, 6), printed(7, 6)) == ["a PARTIALLY_FILLED 1@99 MAKER"]
    assert happens(kit, printed(6, 6)) == []
    assert happens(kit, printed(8, 1)) == ["a PARTIALLY_FILLED 1@99 MAKER"]


def test_a_quote_that_is_older_than_the_book_or_the_last_quote_fills_nobody(
    kit: ActorTest,
) -> None:
    happens(kit, DEPTH, limit("a", SELL, 4, 103))

    assert happens(kit, Quote(NAME, 9, 104, 5, 105, 5)) == []
    assert happens(kit, Quote(NAME, 12, 99, 5, 101, 3), Quote(NAME, 11, 104, 5, 105, 5)) == []
    assert happens(kit, Quote(NAME, 13, 104, 3, 105, 5)) == ["a PARTIALLY_FILLED 3@103 MAKER"]


def test_a_resting_order_meets_a_book_that_crosses_it(kit: ActorTest) -> None:
    happens(kit, DEPTH, limit("a", SELL, 6, 100))
    crossing = diff(11, bids=((100, 2),), asks=())

    assert happens(kit, crossing) == ["a PARTIALLY_FILLED 2@100 MAKER"]


def test_our_orders_never_trade_with_each_other(kit: ActorTest) -> None:
    happens(kit, DEPTH, limit("a", SELL, 6, 102))

    assert happens(kit, limit("b", BUY, 9, 103), market("c", BUY, 1), limit("d", BUY, 9, 101)) == [
        "b NEW",
        "b PARTIALLY_FILLED 3@101 TAKER",
        "b EXPIRED: self-trade prevention: the rest would meet an order of our own",
        "c NEW",
        "c EXPIRED: self-trade prevention: the rest would meet an order of our own",
        "d NEW",
    ]


def test_a_post_only_order_is_rejected_if_it_would_trade_with_the_market_or_with_us(
    kit: ActorTest,
) -> None:
    happens(kit, DEPTH, limit("a", SELL, 6, 100))

    assert happens(
        kit, limit("b", BUY, 9, 100, post_only=True), limit("c", SELL, 9, 99, post_only=True)
    ) == [
        "b REJECTED: a post-only order would trade at once",
        "c REJECTED: a post-only order would trade at once",
    ]


def test_cancels_end_orders_once(kit: ActorTest) -> None:
    happens(kit, DEPTH, limit("a", BUY, 6, 99), limit("b", BUY, 6, 98), market("c", BUY, 1))

    assert happens(kit, cancel("a"), cancel("a"), cancel("c"), cancel("x")) == [
        "a CANCELED",
        "a CANCEL_REJECTED: too late to cancel: the order is CANCELED",
        "c CANCEL_REJECTED: too late to cancel: the order is FILLED",
        "x CANCEL_REJECTED: unknown order",
    ]
    assert happens(kit, OrderMassCancelRequest(NAME), OrderMassCancelRequest()) == ["b CANCELED"]
    assert happens(kit, trade(SELL, 100, 1)) == []


def test_rejects_say_why(kit: ActorTest) -> None:
    happens(kit, DEPTH, limit("a", BUY, 6, 99))

    assert happens(
        kit, limit("a", BUY, 6, 99), limit("b", BUY, -1, 99), market("c", BUY, 1, "X.SIM")
    ) == [
        "a REJECTED: duplicate client order id a",
        "b REJECTED: LOT_SIZE: qty was -0.00001, allowed is above 0",
        "c REJECTED: unknown instrument X.SIM",
    ]


def test_missed_data_is_forgotten_and_our_orders_stay(kit: ActorTest) -> None:
    happens(kit, DEPTH, quote((99, 1), (101, 1)), limit("a", BUY, 6, 99))

    kit.actor.heard["feed.depth"] = (DepthDiff,)
    assert happens(kit, StreamReset("feed.depth", 2, 1, "restarted"), market("b", BUY, 1))[1:] == [
        "b EXPIRED: no liquidity left for a MARKET order"
    ]
    assert happens(kit, trade(SELL, 7, 99)) == ["a PARTIALLY_FILLED 2@99 MAKER"]


def test_instruments_do_not_touch_each_other(kit: ActorTest) -> None:
    other = ETHUSDT.instrument
    happens(kit, quote((99, 5), (101, 3)), limit("a", BUY, 4, 99))

    assert happens(kit, quote((10, 5), (11, 3), other), trade(SELL, 99, 1, other)) == []
    assert happens(kit, market("b", BUY, 1, other))[1:] == ["b FILLED 1@11 TAKER"]


def test_orders_meet_the_market_as_it_is_after_their_latency() -> None:
    kit = ActorTest(
        RecordedExchange,
        {"order_latency": "2ms", "report_latency": "1ms"},
        instruments=[BTCUSDT],
    )
    kit.given(quote((99, 5), (101, 3)), market("a", BUY, 1))
    kit.advance(MILLISECOND)
    kit.given(quote((99, 5), (103, 3)))

    assert told(kit.advance(2 * MILLISECOND)) == ["a NEW", "a FILLED 1@103 TAKER"]
    assert not kit.actor.busy()


levels = st.tuples(st.integers(1, 9), st.integers(1, 9))
data = st.one_of(
    st.builds(
        lambda mid, gap, qty: quote((mid, qty[0]), (mid + gap, qty[1])),
        st.integers(95, 105),
        st.integers(1, 3),
        levels,
    ),
    st.builds(trade, st.sampled_from([BUY, SELL]), st.integers(1, 9), st.integers(95, 108)),
)
order = st.builds(
    lambda side, qty, px: market("", side, qty) if px == 95 else limit("", side, qty, px),
    st.sampled_from([BUY, SELL]),
    st.integers(1, 9),
    st.integers(95, 108),
)


def in_their_turn(
    venue: RecordedVenue, fill: ExecutionReport, orders: dict[str, NewOrderSingle]
) -> bool:
    """Tell whether no older order of ours at its price and side still waits behind a fill."""
    of = orders[fill.client_order_id]
    return not any(
        (o.px, o.side) == (of.limit_px, of.side)
        and int(o.client_order_id[1:]) < int(of.client_order_id[1:])
        for o in venue.markets[NAME].resting
    )


@given(st.lists(st.one_of(data, data, order, st.integers(0, 40)), max_size=60))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_we_trade_no_more_than_the_market_shows_or_trades(
    actions: list[Event | int],
) -> None:
    venue = RecordedVenue()
    venue.list_instrument(Listing(BTCUSDT, fee_rate("0.0002"), fee_rate("0.0005")))
    orders: dict[str, NewOrderSingle] = {}
    filled: dict[str, int] = {}
    offered = 0
    for number, action in enumerate(actions):
        reports: list[ExecutionReport] = []
        match action:
            case Quote():
                offered += action.bid_qty + action.ask_qty
                reports = venue.on_quote(action, number)
            case Trade():
                offered += action.qty
                reports = venue.on_trade(action, number)
            case NewOrderSingle():
                sent = msgspec.structs.replace(action, client_order_id=f"o{number}")
                orders[sent.client_order_id] = sent
                reports = executions(venue.handle(sent, number))
            case int():
                reports = executions(venue.handle(cancel(f"o{action}"), number))
        for report in reports:
            if report.exec_type is ExecType.TRADE:
                sent = orders[report.client_order_id]
                assert in_their_turn(venue, report, orders)
                cum = filled.get(sent.client_order_id, 0) + report.last_qty
                filled[sent.client_order_id] = cum
                assert (report.cum_qty, report.leaves_qty) == (cum, sent.qty - cum)
                limit_px = sent.limit_px or report.last_px
                assert report.last_px * sent.side <= limit_px * sent.side
        assert sum(filled.values()) <= offered
        resting = venue.markets[NAME].resting
        assert {o.client_order_id: o.leaves_qty for o in resting} == {
            own.client_order_id: own.leaves_qty for own in venue.desk.working.values()
        }
        assert all(o.leaves_qty > 0 for o in resting)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(venue), type=RecordedVenue)
    assert stored == venue
