"""The order book actor: what it says of its books, when, and when it is silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from actors.events.event import Event
from actors.events.market import (
    BookDelta,
    BookReset,
    BookState,
    BookStateChanged,
    DepthDiff,
    DepthSnapshot,
    Level,
    RequestSnapshot,
    TopOfBook,
)
from actors.events.system import (
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    MessageDiscarded,
    StreamReset,
    StreamStale,
)
from actors.order_book import OrderBook
from actors.testing import SECOND, ActorTest
from tests.kit.builders import BTCUSDT, ETHUSDT

BTC, ETH = BTCUSDT.instrument, ETHUSDT.instrument
BIDS, ASKS = ((100, 5), (99, 7)), ((101, 3), (102, 4))


def snapshot(last: int = 10, instrument: str = BTC, bids: Sequence[Level] = BIDS) -> DepthSnapshot:
    return DepthSnapshot(instrument, last, tuple(bids), ASKS, venue_time=1)


def diff(n: int, instrument: str = BTC, bids: Sequence[Level] = ((98, 1),)) -> DepthDiff:
    """The n-th diff after ``snapshot(10)``; each is ten ids long."""
    return DepthDiff(instrument, 10 * n + 1, 10 * n + 10, -1, tuple(bids), (), venue_time=n)


def kit(**settings: Any) -> ActorTest:
    return ActorTest(OrderBook, settings, instruments=[BTCUSDT, ETHUSDT])


def live(*instruments: str, **settings: Any) -> ActorTest:
    test = kit(**settings)
    test.given(*[snapshot(instrument=instrument) for instrument in instruments or (BTC,)])
    return test


def changed(state: BookState, reason: str, instrument: str = BTC) -> BookStateChanged:
    return BookStateChanged(instrument, state, reason)


def states(emitted: Sequence[Event]) -> list[tuple[str, BookState]]:
    return [(e.instrument, e.state) for e in emitted if isinstance(e, BookStateChanged)]


def test_a_snapshot_makes_the_book_live_and_says_state_levels_and_top_in_this_order() -> None:
    assert kit().given(snapshot()) == [
        changed(BookState.LIVE, "snapshot 10"),
        BookReset(BTC, 10, BIDS, ASKS, 1),
        TopOfBook(BTC, 10, 100, 5, 101, 3, 1),
    ]


def test_a_diff_without_a_snapshot_asks_for_one_and_says_nothing_of_the_book() -> None:
    assert kit().given(diff(1), diff(2)) == [
        changed(BookState.BUFFERING, "first diff, no snapshot yet"),
        RequestSnapshot(BTC),
    ]


def test_every_applied_diff_is_a_delta_and_only_a_changed_top_is_a_top() -> None:
    test = live()
    assert test.given(diff(1)) == [BookDelta(BTC, 20, ((98, 1),), (), 1)]
    assert test.given(diff(2, bids=[(100, 6)])) == [
        BookDelta(BTC, 30, ((100, 6),), (), 2),
        TopOfBook(BTC, 30, 100, 6, 101, 3, 2),
    ]


def test_a_gap_in_the_diffs_is_said_at_once_and_nothing_more_until_a_snapshot() -> None:
    test = live()
    assert test.given(diff(2, bids=[(100, 9)])) == [
        changed(BookState.GAP, "diff 21..30 (previous -1) does not follow 10"),
        RequestSnapshot(BTC),
    ]
    assert test.given(diff(3), diff(4)) == []
    assert test.given(snapshot(25)) == [
        changed(BookState.LIVE, "snapshot 25"),
        BookReset(BTC, 50, ((100, 9), (99, 7), (98, 1)), ASKS, 4),
        TopOfBook(BTC, 50, 100, 9, 101, 3, 4),
    ]


def test_a_top_is_said_again_after_a_gap_even_if_it_did_not_change() -> None:
    test = live()
    test.given(diff(2))
    assert TopOfBook(BTC, 30, 100, 5, 101, 3, 2) in test.given(snapshot(25))


def test_a_live_book_with_both_sides_empty_says_so() -> None:
    empty = DepthSnapshot(BTC, 10, (), ())
    assert kit().given(empty)[-1] == TopOfBook(BTC, 10, 0, 0, 0, 0)


def test_a_requested_snapshot_that_does_not_come_is_asked_for_again_ever_more_rarely() -> None:
    test = live(snapshot_retry="1s")
    test.given(diff(2))
    asked = [second for second in range(1, 200) if test.advance(SECOND) == [RequestSnapshot(BTC)]]
    assert asked == [1, 3, 7, 15, 31, 63, 123, 183]


def test_a_snapshot_ends_the_asking() -> None:
    test = live(stale_after="1h")
    test.given(diff(2), snapshot(35))
    assert test.advance(1_000 * SECOND) == []


def test_a_snapshot_too_old_to_help_is_not_asked_for_again_before_its_time() -> None:
    test = live(snapshot_retry="1s")
    test.given(diff(3))
    assert test.given(snapshot(11)) == []
    assert test.advance(SECOND) == [RequestSnapshot(BTC)]


def test_a_book_that_hears_nothing_for_too_long_is_stale() -> None:
    test = live(stale_after="5s")
    assert test.advance(5 * SECOND - 1) == []
    assert test.advance(1) == [changed(BookState.STALE, "no diff for 5s")]
    assert test.advance(60 * SECOND) == []


def test_a_diff_postpones_staleness_without_a_timer_of_its_own() -> None:
    test = live(stale_after="5s")
    for n in range(1, 9):
        assert states(test.advance(4 * SECOND)) == []
        test.given(diff(n))
    assert states(test.advance(5 * SECOND)) == [(BTC, BookState.STALE)]
    assert test.actor.state.books[BTC].stale_timer == 0


def test_a_diff_that_follows_ends_staleness() -> None:
    test = live(stale_after="5s")
    test.advance(5 * SECOND)
    assert states(test.given(diff(1))) == [(BTC, BookState.LIVE)]
    assert states(test.advance(5 * SECOND)) == [(BTC, BookState.STALE)]


def test_a_diff_that_does_not_follow_turns_staleness_into_a_gap() -> None:
    test = live(stale_after="5s")
    test.advance(5 * SECOND)
    assert states(test.given(diff(2))) == [(BTC, BookState.GAP)]


def test_a_lost_connection_makes_its_books_stale_and_a_restored_one_needs_new_snapshots() -> None:
    test = live(BTC, ETH)
    lost = test.given(ConnectionLost("SIM", "reset by peer"))
    assert lost == [
        changed(BookState.STALE, "connection SIM lost: reset by peer", instrument)
        for instrument in (BTC, ETH)
    ]
    assert test.given(diff(1), snapshot(30)) == []
    assert test.advance(60 * SECOND) == []
    assert test.given(ConnectionRestored("SIM")) == [
        changed(BookState.BUFFERING, "connection SIM restored"),
        RequestSnapshot(BTC),
        changed(BookState.BUFFERING, "connection SIM restored", ETH),
        RequestSnapshot(ETH),
    ]
    assert states(test.given(snapshot(40))) == [(BTC, BookState.LIVE)]


def test_a_connection_of_another_venue_concerns_only_its_own_books() -> None:
    other = msgspec.structs.replace(ETHUSDT, instrument="ETHUSDT.OTHER", venue="OTHER")
    test = ActorTest(OrderBook, instruments=[BTCUSDT, other])
    test.given(snapshot(), snapshot(instrument="ETHUSDT.OTHER"))
    assert states(test.given(ConnectionLost("OTHER", ""))) == [("ETHUSDT.OTHER", BookState.STALE)]


def test_a_connection_that_names_no_venue_concerns_all_books() -> None:
    test = live(BTC, ETH)
    lost = states(test.given(ConnectionLost("feed", "")))
    assert lost == [(BTC, BookState.STALE), (ETH, BookState.STALE)]


def test_a_first_connection_changes_nothing_unless_one_was_lost() -> None:
    test = live()
    assert test.given(ConnectionEstablished("SIM")) == []
    test.given(ConnectionLost("SIM", ""))
    assert states(test.given(ConnectionEstablished("SIM"))) == [(BTC, BookState.BUFFERING)]


def test_a_discarded_message_makes_a_gap_because_it_may_have_been_a_diff() -> None:
    test = live(BTC, ETH)
    assert test.given(MessageDiscarded("day1.gz", 7, "json", "truncated", BTC)) == [
        changed(BookState.GAP, "day1.gz line 7 discarded: json"),
        RequestSnapshot(BTC),
    ]


def test_a_gap_by_a_discarded_message_ends_when_the_next_diff_proves_that_nothing_is_missing() -> (
    None
):
    test = live()
    test.given(MessageDiscarded("day1.gz", 7, "json", "truncated", BTC))
    assert test.given(diff(1)) == [
        changed(BookState.LIVE, "diffs continue"),
        BookReset(BTC, 20, ((100, 5), (99, 7), (98, 1)), ASKS, 1),
        TopOfBook(BTC, 20, 100, 5, 101, 3, 1),
    ]


def test_after_a_discarded_diff_only_a_snapshot_makes_the_book_live() -> None:
    test = live()
    test.given(MessageDiscarded("day1.gz", 7, "json", "truncated", BTC))
    assert test.given(diff(2), diff(3)) == []
    assert states(test.given(snapshot(30))) == [(BTC, BookState.LIVE)]


def test_a_discarded_message_of_nobody_knows_which_instrument_concerns_all_books() -> None:
    test = live(BTC, ETH)
    emitted = test.given(MessageDiscarded("day1.gz", 7, "json", "truncated"))
    assert states(emitted) == [(BTC, BookState.GAP), (ETH, BookState.GAP)]


@pytest.mark.parametrize("first_id", [1, 1_000])
def test_a_reset_of_the_stream_makes_a_gap_until_the_snapshot_that_follows(first_id: int) -> None:
    test = live()
    reset = test.given(StreamReset("market.depth", 2, 1, "publisher restarted"))
    assert states(reset) == [(BTC, BookState.GAP)]
    assert states(test.given(snapshot(first_id))) == [(BTC, BookState.LIVE)]


def test_a_stale_stream_makes_its_books_stale() -> None:
    test = live()
    emitted = test.given(StreamStale("feed.depth", "actor stopped"))
    assert emitted == [changed(BookState.STALE, "stream feed.depth is stale: actor stopped")]


def test_a_newer_snapshot_of_a_live_book_is_said_to_those_who_follow_its_levels() -> None:
    test = live()
    assert test.given(snapshot(15, bids=[(90, 1)])) == [
        BookReset(BTC, 15, ((90, 1),), ASKS, 1),
        TopOfBook(BTC, 15, 90, 1, 101, 3, 1),
    ]


def test_books_of_several_instruments_do_not_touch_each_other() -> None:
    test = live(BTC, ETH)
    assert states(test.given(diff(2))) == [(BTC, BookState.GAP)]
    assert test.given(diff(1, ETH)) == [BookDelta(ETH, 20, ((98, 1),), (), 1)]


def test_a_new_reader_is_told_the_states_of_all_books_and_the_contents_of_live_ones() -> None:
    test = live(BTC, ETH)
    test.given(diff(2, ETH))
    actor = test.actor
    assert list(actor.snapshot("state")) == [
        changed(BookState.LIVE, "snapshot 10"),
        changed(BookState.GAP, "diff 21..30 (previous -1) does not follow 10", ETH),
    ]
    assert list(actor.snapshot("top")) == [TopOfBook(BTC, 10, 100, 5, 101, 3, 1)]
    assert list(actor.snapshot("deltas")) == [BookReset(BTC, 10, BIDS, ASKS, 1)]
    assert list(actor.snapshot("requests")) == []


def test_the_state_survives_messagepack_and_goes_on_alike() -> None:
    test = live(BTC, ETH)
    test.given(diff(2, ETH), diff(1))
    packed = msgspec.msgpack.encode(test.state)
    again = ActorTest(
        OrderBook,
        instruments=[BTCUSDT, ETHUSDT],
        state=msgspec.msgpack.decode(packed, type=OrderBook.State),
    )
    following = [diff(2, bids=[(100, 9)]), snapshot(25, ETH), diff(3, ETH)]
    assert again.given(*following) == test.given(*following)


def test_levels_rebuilt_from_what_is_said_equal_the_book() -> None:
    test = live()
    levels: dict[int, int] = {}
    given = [diff(1), diff(2, bids=[(100, 0)]), diff(4), snapshot(60), diff(6, bids=[(97, 2)])]
    for event in [*test.actor.snapshot("deltas"), *test.given(*given)]:
        if isinstance(event, BookReset):
            levels = dict(event.bids)
        elif isinstance(event, BookDelta):
            levels.update(event.bids)
    book = test.state.books[BTC].book
    assert {px: qty for px, qty in levels.items() if qty} == book.bids.quantities
    assert book.applied == 3
