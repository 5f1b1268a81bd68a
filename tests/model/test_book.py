"""An order book from a snapshot and diffs: when it is usable, and when it must not be used."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.market import BookState, DepthDiff, DepthSnapshot, Level
from actors.model.book import Book
from actors.model.ladder import Ladder

BIDS = ((100, 5), (99, 7))
ASKS = ((101, 3), (102, 4))
FUTURES, SPOT = True, False
markets = pytest.mark.parametrize("futures", [SPOT, FUTURES], ids=["spot", "futures"])


def snapshot(
    last: int, bids: Sequence[Level] = BIDS, asks: Sequence[Level] = ASKS
) -> DepthSnapshot:
    return DepthSnapshot("X", last, tuple(bids), tuple(asks))


def spot(
    first: int, last: int, bids: Sequence[Level] = (), asks: Sequence[Level] = ()
) -> DepthDiff:
    return DepthDiff("X", first, last, -1, tuple(bids), tuple(asks))


def futures_diff(
    prev: int, first: int, last: int, bids: Sequence[Level] = (), asks: Sequence[Level] = ()
) -> DepthDiff:
    return DepthDiff("X", first, last, prev, tuple(bids), tuple(asks))


def step(n: int, *, futures: bool, bids: Sequence[Level] = ()) -> DepthDiff:
    """The n-th diff of a stream: ids 10n+1 to 10n+10 on spot, with holes between on futures."""
    if futures:
        return futures_diff(10 * n, 10 * n + 4, 10 * n + 10, bids)
    return spot(10 * n + 1, 10 * n + 10, bids)


def live(last: int = 10) -> Book:
    book = Book()
    assert book.restore(snapshot(last))
    return book


def state(book: Book) -> BookState:
    return book.state


def sides(book: Book) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    return book.bids.levels(), book.asks.levels()


def test_a_new_book_is_empty() -> None:
    book = Book()
    assert state(book) is BookState.EMPTY
    assert not book.needs_snapshot


@markets
def test_diffs_before_the_snapshot_are_kept_and_the_book_waits(futures: bool) -> None:
    book = Book()
    assert not book.apply(step(1, futures=futures))
    assert not book.apply(step(2, futures=futures))
    assert state(book) is BookState.BUFFERING
    assert book.needs_snapshot
    assert book.buffer == [step(1, futures=futures), step(2, futures=futures)]


@markets
def test_a_snapshot_amid_the_kept_diffs_makes_the_book_live_with_the_newer_ones(
    futures: bool,
) -> None:
    book = Book()
    for n in (1, 2, 3):
        book.apply(step(n, futures=futures, bids=[(90 + n, 1)]))
    assert book.restore(snapshot(27))
    assert state(book) is BookState.LIVE
    assert (book.applied, book.ignored, book.last_update_id) == (2, 1, 40)
    assert sides(book) == ((*BIDS, (93, 1), (92, 1)), ASKS)
    assert book.buffer == []


@markets
def test_a_snapshot_newer_than_all_kept_diffs_makes_the_book_live_alone(futures: bool) -> None:
    book = Book()
    book.apply(step(1, futures=futures, bids=[(91, 1)]))
    assert book.restore(snapshot(25))
    assert sides(book) == (BIDS, ASKS)
    assert book.apply(step(2, futures=futures))


@markets
def test_a_snapshot_older_than_the_kept_diffs_is_not_used(futures: bool) -> None:
    book = Book()
    book.apply(step(3, futures=futures))
    assert not book.restore(snapshot(20))
    assert state(book) is BookState.BUFFERING
    assert book.needs_snapshot
    assert book.restore(snapshot(35))


def test_the_first_spot_diff_may_begin_right_after_the_snapshot() -> None:
    assert live(10).apply(spot(11, 20))
    assert live(10).apply(spot(5, 20))
    assert not live(10).apply(spot(12, 20))


def test_the_first_futures_diff_must_contain_the_snapshot_or_name_it() -> None:
    assert live(10).apply(futures_diff(3, 5, 20))
    assert live(10).apply(futures_diff(10, 14, 20))
    assert not live(10).apply(futures_diff(9, 14, 20))


def test_later_futures_diffs_must_name_the_one_before() -> None:
    book = live(10)
    assert book.apply(futures_diff(3, 5, 20))
    assert not book.apply(futures_diff(19, 20, 30))
    assert state(book) is BookState.GAP


@markets
def test_a_gap_in_the_diffs_makes_the_book_unusable(futures: bool) -> None:
    book = live(10)
    assert book.apply(step(1, futures=futures))
    assert not book.apply(step(3, futures=futures))
    assert state(book) is BookState.GAP
    assert book.gaps == 1
    assert book.needs_snapshot
    assert sides(book) == ((), ())


@markets
def test_a_gap_ends_with_a_snapshot_that_covers_the_missing_diff(futures: bool) -> None:
    book = live(10)
    for n in (1, 3, 4):
        book.apply(step(n, futures=futures, bids=[(90 + n, 1)]))
    assert not book.restore(snapshot(29))
    assert book.restore(snapshot(35))
    assert state(book) is BookState.LIVE
    assert book.last_update_id == 50


@markets
def test_diffs_that_were_seen_before_change_nothing(futures: bool) -> None:
    book = live(10)
    book.apply(step(1, futures=futures, bids=[(98, 1)]))
    before = sides(book)
    assert not book.apply(step(1, futures=futures, bids=[(98, 9)]))
    assert state(book) is BookState.LIVE
    assert sides(book) == before
    assert book.ignored == 1


def test_a_live_book_takes_a_newer_snapshot_and_not_an_older_one() -> None:
    book = live(10)
    assert not book.restore(snapshot(10, bids=[(50, 1)]))
    assert book.restore(snapshot(12, bids=[(50, 1)]))
    assert sides(book) == (((50, 1),), ASKS)


def test_a_quantity_is_absolute_and_zero_removes_the_level_even_if_absent() -> None:
    book = live(10)
    book.apply(spot(11, 20, [(100, 0), (99, 8), (98, 2), (1, 0)], [(101, 0), (103, 9)]))
    assert sides(book) == (((99, 8), (98, 2)), ((102, 4), (103, 9)))
    assert book.top == (99, 8, 102, 4)


def test_an_empty_side_shows_as_zeros_in_the_top() -> None:
    book = live(10)
    book.apply(spot(11, 20, [(100, 0), (99, 0)]))
    assert book.top == (0, 0, 101, 3)
    assert state(book) is BookState.LIVE


@pytest.mark.parametrize(
    "damaged",
    [
        spot(11, 20, [(101, 1)]),
        spot(11, 20, [(105, 1)]),
        spot(11, 20, [(100, 0), (99, -1)]),
        spot(11, 20, (), [(0, 1)]),
        spot(11, 20, (), [(-5, 1)]),
    ],
    ids=["locked", "crossed", "negative quantity", "price of zero", "negative price"],
)
def test_a_diff_with_impossible_levels_makes_a_gap(damaged: DepthDiff) -> None:
    book = live(10)
    assert not book.apply(damaged)
    assert state(book) is BookState.GAP
    assert "damaged" in book.reason


@pytest.mark.parametrize(
    "damaged",
    [
        snapshot(10, bids=[(101, 1)]),
        snapshot(10, bids=[(99, 0)]),
        snapshot(10, asks=[(-1, 5)]),
    ],
    ids=["locked", "quantity of zero", "negative price"],
)
def test_an_impossible_snapshot_is_not_used(damaged: DepthSnapshot) -> None:
    book = Book()
    book.apply(spot(5, 12))
    assert not book.restore(damaged)
    assert state(book) is BookState.GAP
    assert book.restore(snapshot(10))


def test_an_impossible_diff_among_the_kept_ones_is_found_when_the_snapshot_comes() -> None:
    book = Book()
    book.apply(spot(5, 12, [(99, -1)]))
    assert not book.restore(snapshot(10))
    assert state(book) is BookState.GAP


@markets
def test_a_book_in_doubt_is_live_again_with_a_diff_that_follows(futures: bool) -> None:
    book = live(10)
    book.apply(step(1, futures=futures))
    book.doubt("line 7 damaged")
    assert (state(book), book.reason, book.gaps) == (BookState.GAP, "line 7 damaged", 1)
    assert book.apply(step(2, futures=futures, bids=[(98, 1)]))
    assert state(book) is BookState.LIVE
    assert sides(book) == ((*BIDS, (98, 1)), ASKS)


@markets
def test_a_book_in_doubt_that_missed_a_diff_needs_a_snapshot(futures: bool) -> None:
    book = live(10)
    book.doubt("line 7 damaged")
    assert not book.apply(step(2, futures=futures))
    assert state(book) is BookState.GAP
    assert book.gaps == 1
    assert book.restore(snapshot(25))


def test_a_book_in_doubt_does_not_go_back_to_an_older_snapshot() -> None:
    book = live(10)
    book.apply(spot(11, 20))
    book.doubt("line 7 damaged")
    assert not book.restore(snapshot(19))
    assert book.restore(snapshot(20))


def test_after_a_reset_of_the_stream_a_snapshot_with_lower_ids_is_used() -> None:
    book = live(1_000)
    book.reset("publisher restarted")
    assert state(book) is BookState.GAP
    assert book.restore(snapshot(1))
    assert book.last_update_id == 1


def test_doubt_about_a_book_that_waits_for_a_snapshot_changes_nothing() -> None:
    book = Book()
    book.doubt("line 1 damaged")
    assert state(book) is BookState.EMPTY
    book.apply(spot(1, 2))
    book.doubt("line 3 damaged")
    assert state(book) is BookState.BUFFERING


def test_silence_makes_a_live_book_stale_until_a_diff_that_follows() -> None:
    book = live(10)
    book.silence("no diff for 10s")
    assert state(book) is BookState.STALE
    assert not book.needs_snapshot
    assert book.apply(spot(11, 20))
    assert state(book) is BookState.LIVE


def test_silence_in_which_a_diff_was_lost_ends_in_a_gap() -> None:
    book = live(10)
    book.silence("no diff for 10s")
    assert not book.apply(spot(12, 20))
    assert state(book) is BookState.GAP


def test_a_lost_connection_makes_the_book_stale_until_it_is_back_and_a_snapshot_came() -> None:
    book = live(10)
    book.disconnect("connection lost")
    assert state(book) is BookState.STALE
    assert sides(book) == ((), ())
    assert not book.apply(spot(11, 20))
    assert not book.restore(snapshot(20))
    assert state(book) is BookState.STALE
    book.reconnect("connection restored")
    assert state(book) is BookState.BUFFERING
    assert book.needs_snapshot
    book.apply(spot(31, 40))
    assert book.restore(snapshot(35))
    assert state(book) is BookState.LIVE


def test_kept_diffs_that_do_not_follow_each_other_begin_anew() -> None:
    book = Book()
    for diff in (spot(1, 10), spot(11, 20), spot(31, 40), spot(41, 50)):
        book.apply(diff)
    assert book.buffer == [spot(31, 40), spot(41, 50)]


def test_the_buffer_is_bounded_and_drops_the_oldest_diffs() -> None:
    book = Book(buffer_limit=4)
    for n in range(100):
        book.apply(spot(10 * n + 1, 10 * n + 10))
        assert len(book.buffer) <= 4
    assert book.buffer[-1].last_update_id == 1_000
    assert book.restore(snapshot(995))
    assert book.last_update_id == 1_000


def test_the_state_of_a_book_survives_messagepack() -> None:
    book = live(10)
    book.apply(spot(11, 20, [(98, 1)]))
    book.apply(spot(31, 40))
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(book), type=Book)
    assert copy == book
    assert copy.restore(snapshot(35)) == book.restore(snapshot(35))
    assert copy == book


prices = st.integers(1, 30)
changes = st.lists(st.tuples(prices, st.integers(0, 3)), max_size=8)


@given(st.sampled_from([1, -1]), st.lists(changes, max_size=20))
def test_a_ladder_holds_the_last_quantity_of_every_price_best_first(
    sign: int, diffs: list[list[Level]]
) -> None:
    ladder = Ladder(sign)
    expected: dict[int, int] = {}
    for diff in diffs:
        assert ladder.change(diff)
        expected.update(diff)
        levels = [(px, qty) for px, qty in expected.items() if qty]
        levels.sort(reverse=sign > 0)
        assert ladder.levels() == tuple(levels)
        assert ladder.best() == (levels[0] if levels else (0, 0))


def test_a_ladder_whose_levels_come_and_go_does_not_grow() -> None:
    ladder = Ladder(1)
    ladder.change([(1_000_000, 1)])
    for px in range(1, 10_000):
        ladder.change([(px, 1)])
        ladder.change([(px, 0)])
    assert ladder.levels() == ((1_000_000, 1),)
    assert len(ladder.ranks) < 100


@given(
    futures=st.booleans(),
    arrivals=st.lists(st.sampled_from(["next", "skip", "repeat", "doubt", "snapshot"])),
    data=st.data(),
)
def test_a_live_book_always_equals_the_venues(
    futures: bool, arrivals: list[str], data: st.DataObject
) -> None:
    venue, book = {100: 5}, Book()
    n, sent = 1, step(0, futures=futures)
    for arrival in arrivals:
        if arrival in ("next", "skip"):
            bids = data.draw(changes)
            venue.update(bids)
            sent = step(n, futures=futures, bids=bids)
            n += 1
        if arrival in ("next", "repeat"):
            book.apply(sent)
        elif arrival == "doubt":
            book.doubt("a line was damaged")
        elif arrival == "snapshot":
            levels = [(px, qty) for px, qty in venue.items() if qty]
            book.restore(snapshot(10 * n, levels, asks=[(1_000, 1)]))
        at_venue = {px: qty for px, qty in venue.items() if qty}
        if book.state is BookState.LIVE and book.last_update_id == 10 * n:
            assert book.bids.quantities == at_venue
        assert state(book) is BookState.LIVE or arrival != "snapshot"
