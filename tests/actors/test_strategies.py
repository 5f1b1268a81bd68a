from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import Event
from actors.events.market import BookState, Side, TopOfBook
from actors.events.orders import QuoteIntent, Signal
from actors.events.system import ResumeTrading, StreamLive, StreamStale, TimerFired
from actors.positions import PositionKeeper
from actors.runtime.actor import Actor, handles
from actors.strategies.maker import Maker
from actors.strategies.taker import Taker
from actors.testing import SECOND, ActorTest, SystemTest
from tests.kit.builders import (
    BTCUSD_INVERSE,
    BTCUSDT,
    ETHUSDT,
    INSTRUMENTS,
    book_is,
    position,
    quote,
    signal,
    top,
    with_filters,
)

BTC = BTCUSDT.instrument
INTERVAL = SECOND // 10
LIVE = book_is(BookState.LIVE)
WITHDRAWN = quote(0, 0, 0, 0)

FIXED = {
    "quote_amount": "0.1",
    "max_position_amount": "0.5",
    "half_spread_bps": "20",
    "volatility_factor": 0,
    "reprice_bps": 0,
}
"""Quotes of 0.00100 at a price of 100, 0.2 (20 price units) either side of the mid."""
SIZE, LARGEST = 100, 500


def maker(instruments: tuple[Any, ...] = INSTRUMENTS, **settings: Any) -> ActorTest:
    return ActorTest(Maker, {**FIXED, **settings}, instruments=instruments, name="maker")


def mid_at(px: int, update_id: int = 1) -> Event:
    return top(px - 1, px + 1, update_id=update_id)


def test_a_maker_quotes_both_sides_at_its_half_spread_from_the_mid() -> None:
    assert maker().given(LIVE, mid_at(10_000)) == [quote(9_980, SIZE, 10_020, SIZE)]


def test_a_quote_that_did_not_change_is_not_said_again() -> None:
    kit = maker()
    kit.given(mid_at(10_000))
    kit.advance(INTERVAL)

    assert kit.given(mid_at(10_000, 2)) == []


def test_a_long_maker_quotes_lower_on_both_sides() -> None:
    kit = maker()
    kit.given(mid_at(10_000))

    assert kit.given(position(LARGEST // 2)) == [quote(9_970, SIZE, 10_010, SIZE)]


def test_a_short_maker_quotes_higher_on_both_sides() -> None:
    kit = maker()
    kit.given(mid_at(10_000))

    assert kit.given(position(-LARGEST // 2)) == [quote(9_990, SIZE, 10_030, SIZE)]


def test_a_full_position_is_only_reduced() -> None:
    kit = maker()
    kit.given(mid_at(10_000))

    assert kit.given(position(LARGEST)) == [quote(0, 0, 10_000, SIZE)]
    assert kit.given(position(-LARGEST)) == [quote(10_000, SIZE, 0, 0)]


def test_a_quote_shrinks_to_the_room_that_is_left() -> None:
    kit = maker(skew=0)
    kit.given(mid_at(10_000))

    assert kit.given(position(LARGEST - 30)) == [quote(9_980, 30, 10_020, SIZE)]


def test_a_side_below_the_venues_least_amount_is_left_out() -> None:
    kit = maker((with_filters(BTCUSDT, min_notional=31 * 9_980 * 10),), skew=0)
    kit.given(mid_at(10_000))

    assert kit.given(position(LARGEST - 30)) == [quote(0, 0, 10_020, SIZE)]


def test_quotes_never_cross_the_book() -> None:
    kit = maker(skew=5)
    kit.given(mid_at(10_000))

    assert kit.given(position(LARGEST // 2)) == [quote(9_930, SIZE, 10_000, SIZE)]
    assert kit.given(position(-LARGEST // 2)) == [quote(10_000, SIZE, 10_070, SIZE)]


def test_prices_are_rounded_outward_to_ticks() -> None:
    kit = maker((with_filters(BTCUSDT, tick_size=7),))

    assert kit.given(top(9_996, 10_003)) == [quote(9_975, SIZE, 10_024, SIZE)]


def test_a_fill_makes_the_same_quote_worth_saying_again() -> None:
    kit = maker(skew=0)
    first = kit.given(mid_at(10_000))

    assert kit.given(position(1)) == first


def test_positions_of_other_strategies_do_not_matter() -> None:
    kit = maker()
    kit.given(mid_at(10_000))

    assert kit.given(position(LARGEST, strategy="taker")) == []


def test_a_newer_top_waits_for_the_interval() -> None:
    kit = maker()
    kit.given(mid_at(10_000))

    assert kit.given(mid_at(10_100), mid_at(10_200)) == []
    assert kit.advance(INTERVAL - 1) == []
    assert kit.advance(1) == [quote(10_180, SIZE, 10_220, SIZE)]


def test_each_instrument_waits_for_its_own_interval() -> None:
    kit = maker()
    kit.given(mid_at(10_000))
    kit.advance(INTERVAL // 2)
    ether = top(9_999, 10_001, instrument=ETHUSDT.instrument)
    kit.given(ether, mid_at(10_100), top(10_099, 10_101, instrument=ETHUSDT.instrument))

    assert [e.instrument for e in kit.advance(INTERVAL // 2) if isinstance(e, QuoteIntent)] == [BTC]
    assert [e.instrument for e in kit.advance(INTERVAL // 2) if isinstance(e, QuoteIntent)] == [
        ETHUSDT.instrument
    ]


def test_a_small_move_leaves_the_quote_in_its_queue() -> None:
    kit = maker(reprice_bps="5")
    kit.given(mid_at(10_000))
    kit.advance(INTERVAL)

    assert kit.given(mid_at(10_005)) == []
    kit.advance(INTERVAL)
    assert kit.given(mid_at(10_006)) == [quote(9_986, SIZE, 10_026, SIZE)]


def test_a_moving_market_widens_the_spread() -> None:
    kit = maker(volatility_factor=1)
    kit.given(mid_at(10_000))
    widths = []
    for px in (10_200, 10_000, 10_200):
        kit.advance(INTERVAL)
        [intent] = kit.given(mid_at(px))
        assert isinstance(intent, QuoteIntent)
        widths.append(intent.ask_px - intent.bid_px)

    assert widths == sorted(widths)
    assert widths[0] > 40


@pytest.mark.parametrize("state", [s for s in BookState if s is not BookState.LIVE])
def test_a_maker_withdraws_once_from_a_book_that_is_not_live(state: BookState) -> None:
    kit = maker()
    kit.given(LIVE, mid_at(10_000))

    assert kit.given(book_is(state), book_is(state), mid_at(10_100)) == [WITHDRAWN]


def test_a_maker_is_back_with_the_first_top_of_a_live_book() -> None:
    kit = maker()
    kit.given(mid_at(10_000), book_is(BookState.GAP))
    kit.advance(INTERVAL)

    assert kit.given(LIVE) == []
    assert kit.given(mid_at(10_000, 2)) == [quote(9_980, SIZE, 10_020, SIZE)]


def test_a_maker_withdraws_from_a_book_with_one_side() -> None:
    kit = maker()
    kit.given(mid_at(10_000))
    kit.advance(INTERVAL)

    assert kit.given(top(9_999, 0)) == [WITHDRAWN]


def test_a_maker_withdraws_while_an_input_is_stale() -> None:
    kit = maker()
    kit.given(mid_at(10_000))

    assert kit.given(StreamStale("positions.positions", "no link")) == [WITHDRAWN]
    kit.advance(INTERVAL)
    assert kit.given(mid_at(10_100)) == []
    assert kit.given(StreamLive("positions.positions"), mid_at(10_000)) == [
        quote(9_980, SIZE, 10_020, SIZE)
    ]


def test_a_maker_quotes_anew_after_a_halt() -> None:
    kit = maker()
    first = kit.given(mid_at(10_000))

    assert kit.given(ResumeTrading("all clear")) == first


def test_an_inverse_instrument_is_quoted_in_contracts() -> None:
    perpetual = BTCUSD_INVERSE.instrument
    kit = maker(quote_amount="0.01", max_position_amount="0.1")

    assert kit.given(top(399_999, 400_001, instrument=perpetual)) == [
        quote(399_200, 4, 400_800, 4, instrument=perpetual)
    ]


@given(st.lists(st.tuples(st.integers(5_000, 15_000), st.integers(-600, 600)), max_size=20))
def test_a_maker_never_quotes_through_the_book_or_beyond_its_position(
    moves: list[tuple[int, int]],
) -> None:
    kit = maker(volatility_factor=2, skew=3)
    for px, held in moves:
        kit.advance(INTERVAL)
        for event in [*kit.given(mid_at(px)), *kit.given(position(held))]:
            assert isinstance(event, QuoteIntent)
            if event.bid_qty:
                assert 0 < event.bid_px <= px
            if event.ask_qty:
                assert event.ask_px >= px
        intent = kit.state.desks[BTC].quote
        largest = kit.state.desks[BTC].max_position
        assert held + intent.bid_qty <= max(largest, held)
        assert held - intent.ask_qty >= min(-largest, held)


def test_a_makers_state_survives_a_snapshot() -> None:
    kit = maker(volatility_factor=1)
    kit.given(LIVE, mid_at(10_000), mid_at(10_100), position(5))
    encoded = msgspec.msgpack.encode(kit.state)

    assert msgspec.msgpack.decode(encoded, type=Maker.State) == kit.state


PRESSURE = {"trade_amount": "0.1", "max_position_amount": "0.3", "cooldown": "1s"}


def taker(**settings: Any) -> ActorTest:
    return ActorTest(Taker, {**PRESSURE, **settings}, instruments=INSTRUMENTS, name="taker")


def bids_outweigh(percent: int) -> Event:
    return top(9_999, 10_000, bid_qty=100 + percent, ask_qty=100 - percent)


def offers_outweigh(percent: int) -> Event:
    return bids_outweigh(-percent)


def test_a_taker_buys_when_bids_outweigh() -> None:
    assert taker().given(bids_outweigh(80)) == [
        signal(Side.BUY, SIZE, reason="bids outweigh by 80 %")
    ]


def test_a_taker_sells_when_offers_outweigh() -> None:
    assert taker().given(offers_outweigh(90)) == [
        signal(Side.SELL, SIZE, reason="offers outweigh by 90 %")
    ]


def test_a_taker_lets_a_weak_imbalance_pass() -> None:
    assert taker().given(bids_outweigh(79), offers_outweigh(79)) == []


def test_a_taker_pauses_after_a_signal() -> None:
    kit = taker()
    kit.given(bids_outweigh(80))

    assert kit.given(offers_outweigh(80)) == []
    kit.advance(SECOND)
    assert len(kit.given(offers_outweigh(80))) == 1


def test_a_taker_without_positions_counts_its_own_signals() -> None:
    kit = taker()
    signals = []
    for _ in range(5):
        signals += kit.given(bids_outweigh(80))
        kit.advance(SECOND)

    assert len(signals) == 3
    assert len(kit.given(offers_outweigh(80))) == 1


def test_a_taker_with_positions_goes_by_what_was_filled() -> None:
    kit = taker()
    for _ in range(3):
        kit.given(bids_outweigh(80), position(0, strategy="taker"))
        kit.advance(SECOND)

    assert len(kit.given(bids_outweigh(80))) == 1


def test_a_position_from_before_the_first_top_counts() -> None:
    kit = taker()
    kit.given(position(300, strategy="taker"))

    assert kit.given(bids_outweigh(80)) == []
    assert len(kit.given(offers_outweigh(80))) == 1


class Pressure(Actor):
    """Publishes a book whose bids outweigh, every second."""

    outputs = {"top": (TopOfBook,)}

    def on_start(self) -> None:
        self.set_timer("top", SECOND)

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        self.set_timer("top", SECOND)
        self.emit(top(9_999, 10_000, bid_qty=9, ask_qty=1, update_id=timer.timer_id))


@pytest.mark.parametrize(("inputs", "signals"), [([], 3), (["positions.positions"], 10)])
def test_a_taker_believes_to_hold_what_it_signaled_only_while_nobody_tells_what_was_filled(
    inputs: list[str], signals: int
) -> None:
    system = SystemTest(instruments=INSTRUMENTS)
    system.add("pressure", Pressure)
    system.add("positions", PositionKeeper)
    system.add("taker", Taker, settings=PRESSURE, inputs=["pressure.top", *inputs])
    system.run(10 * SECOND)

    assert len(system.emitted("taker.signals")) == signals


def test_a_taker_may_limit_what_it_pays() -> None:
    kit = taker(limit_ticks=2)
    kit.given(bids_outweigh(80))
    kit.advance(SECOND)

    assert taker(limit_ticks=2).given(bids_outweigh(80)) == [
        signal(Side.BUY, SIZE, 10_002, reason="bids outweigh by 80 %")
    ]
    assert kit.given(offers_outweigh(80)) == [
        signal(Side.SELL, SIZE, 9_997, reason="offers outweigh by 80 %")
    ]


def test_a_taker_does_nothing_on_a_book_that_is_not_live_or_one_sided_or_stale() -> None:
    kit = taker()
    kit.given(book_is(BookState.STALE))
    assert kit.given(bids_outweigh(80)) == []

    kit.given(LIVE)
    assert kit.given(top(9_999, 0)) == []

    kit.given(StreamStale("book.top", "no link"))
    assert kit.given(bids_outweigh(80)) == []


def test_a_taker_trades_instruments_apart() -> None:
    kit = taker()
    ether = msgspec.structs.replace(top(), instrument=ETHUSDT.instrument, bid_qty=10**6)
    signals = kit.given(bids_outweigh(80), ether)

    assert [s.instrument for s in signals if isinstance(s, Signal)] == [BTC, ETHUSDT.instrument]
