from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.events.market import Side
from gateways.simulated.engine.limit_order_book import LimitOrderBook, Match
from tests.kit.venue_builders import draw, table

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def book() -> LimitOrderBook:
    book = LimitOrderBook()
    for order_id, (side, px, qty) in enumerate(
        [(SELL, 102, 4), (SELL, 101, 3), (SELL, 101, 2), (BUY, 99, 5), (BUY, 98, 7), (BUY, 99, 1)]
    ):
        book.add(order_id, side, px, qty)
    return book


def test_orders_queue_by_price_and_then_by_arrival(book: LimitOrderBook) -> None:
    assert draw(book) == table("""
                  |  102 | 4
                  |  101 | 3 2
              5 1 |   99 |
                7 |   98 |
    """)


def test_an_incoming_order_takes_the_best_price_and_there_the_oldest_order(
    book: LimitOrderBook,
) -> None:
    matches, blocked = book.take(BUY, 4)

    assert matches == [Match(1, "", 101, 3), Match(2, "", 101, 1)]
    assert not blocked
    assert draw(book) == table("""
                  |  102 | 4
                  |  101 | 1
              5 1 |   99 |
                7 |   98 |
    """)


def test_an_incoming_order_walks_through_levels_up_to_its_limit(book: LimitOrderBook) -> None:
    matches, _ = book.take(SELL, 100, 99)

    assert matches == [Match(3, "", 99, 5), Match(5, "", 99, 1)]
    assert draw(book) == table("""
                  |  102 | 4
                  |  101 | 3 2
                7 |   98 |
    """)


def test_an_order_without_a_limit_takes_whatever_there_is(book: LimitOrderBook) -> None:
    matches, _ = book.take(SELL, 100)

    assert sum(match.qty for match in matches) == 13
    assert draw(book) == table("""
                  |  102 | 4
                  |  101 | 3 2
    """)


def test_a_removed_order_leaves_its_queue_and_the_others_keep_their_places(
    book: LimitOrderBook,
) -> None:
    assert book.remove(1)
    assert not book.remove(1)

    book.add(7, SELL, 101, 9)
    assert draw(book) == table("""
                  |  102 | 4
                  |  101 | 2 9
              5 1 |   99 |
                7 |   98 |
    """)


def test_a_partly_filled_order_keeps_its_place(book: LimitOrderBook) -> None:
    book.take(BUY, 1)
    book.add(7, SELL, 101, 9)

    assert draw(book).splitlines()[1] == table("| 101 | 2 2 9")


def test_an_order_of_ours_stops_before_another_of_ours(book: LimitOrderBook) -> None:
    book.remove(2)
    book.add(7, SELL, 101, 6, client_order_id="mine")
    book.add(8, SELL, 101, 1)

    assert book.available(BUY, 50) == 3
    assert book.take(BUY, 50, own=True) == ([Match(1, "", 101, 3)], True)
    assert draw(book) == table("""
                  |  102 | 4
                  |  101 | [6] 1
              5 1 |   99 |
                7 |   98 |
    """)


def test_the_others_take_our_order_like_any_other(book: LimitOrderBook) -> None:
    book.add(7, SELL, 100, 6, client_order_id="mine")

    assert book.take(BUY, 7)[0] == [Match(7, "mine", 100, 6), Match(1, "", 101, 1)]


def test_an_empty_side_has_no_price_and_nothing_to_take() -> None:
    book = LimitOrderBook()

    assert (book.bids.best_px(), book.bids.best_qty()) == (0, 0)
    assert book.take(BUY, 5) == ([], False)
    assert book.available(BUY, 5) == 0


class ObviousBook:
    """The same book as one unsorted list, searched from end to end for every unit traded."""

    def __init__(self) -> None:
        self.orders: list[tuple[int, str, Side, int, int]] = []

    def add(self, order_id: int, side: Side, px: int, qty: int, client_order_id: str) -> None:
        self.orders.append((order_id, client_order_id, side, px, qty))

    def remove(self, order_id: int) -> bool:
        before = len(self.orders)
        self.orders = [order for order in self.orders if order[0] != order_id]
        return len(self.orders) < before

    def take(self, side: Side, qty: int, limit_px: int, own: bool) -> tuple[dict[int, int], bool]:
        traded: dict[int, int] = {}
        for _ in range(qty):
            candidates = [
                (order[3] * side, place)
                for place, order in enumerate(self.orders)
                if order[2] != side and (not limit_px or order[3] * side <= limit_px * side)
            ]
            if not candidates:
                break
            _, place = min(candidates)
            order_id, client_order_id, rests, px, leaves = self.orders[place]
            if own and client_order_id:
                return traded, True
            traded[order_id] = traded.get(order_id, 0) + 1
            self.orders[place] = (order_id, client_order_id, rests, px, leaves - 1)
            if leaves == 1:
                del self.orders[place]
        return traded, False

    def depth(self, side: Side) -> tuple[tuple[int, int], ...]:
        levels: dict[int, int] = {}
        for _, _, rests, px, qty in self.orders:
            if rests == side:
                levels[px] = levels.get(px, 0) + qty
        return tuple(sorted(levels.items(), key=lambda level: -level[0] * side))


arrivals = st.tuples(
    st.just("arrive"),
    st.sampled_from([BUY, SELL]),
    st.integers(1, 9),
    st.one_of(st.just(0), st.integers(95, 105)),
    st.booleans(),
)
removals = st.tuples(st.just("remove"), st.integers(0, 30))
actions = st.lists(st.one_of(arrivals, arrivals, removals), max_size=40)


@given(actions)
@settings(max_examples=200, deadline=None)
def test_the_book_matches_like_an_obvious_slow_one(actions: list[tuple[object, ...]]) -> None:
    book, obvious = LimitOrderBook(), ObviousBook()
    shown: dict[Side, dict[int, int]] = {BUY: {}, SELL: {}}
    arrived = left = traded = 0
    for order_id, action in enumerate(actions):
        match action:
            case ("arrive", Side() as side, int(qty), int(px), bool(own)):
                available = book.available(side, qty, px) if own else None
                matches, blocked = book.take(side, qty, px, own=own)
                expected, expected_blocked = obvious.take(side, qty, px, own)
                assert {match.order_id: match.qty for match in matches} == expected
                filled = sum(expected.values())
                assert available in {None, filled}
                assert blocked == (expected_blocked and filled < qty)
                arrived, traded = arrived + qty, traded + 2 * filled
                if px and not blocked and filled < qty:
                    owner = "mine" if own else ""
                    book.add(order_id, side, px, qty - filled, client_order_id=owner)
                    obvious.add(order_id, side, px, qty - filled, owner)
                else:
                    left += qty - filled
            case ("remove", int(target)):
                left += sum(order[4] for order in obvious.orders if order[0] == target)
                assert book.remove(target) == obvious.remove(target)
        bids, asks = book.bids.depth(), book.asks.depth()
        assert (bids, asks) == (obvious.depth(BUY), obvious.depth(SELL))
        assert not bids or not asks or bids[0][0] < asks[0][0]
        assert arrived == traded + left + sum(qty for _, qty in bids + asks)
        assert book.bids.orders + book.asks.orders == len(book.places) == len(obvious.orders)
        for side in (BUY, SELL):
            for px, qty in book.side(side).take_changes():
                shown[side].pop(px, None)
                if qty:
                    shown[side][px] = qty
            assert shown[side] == dict(book.side(side).depth())


@given(actions)
@settings(max_examples=50, deadline=None)
def test_a_book_goes_on_the_same_after_it_was_stored(actions: list[tuple[object, ...]]) -> None:
    book = LimitOrderBook()
    for order_id, action in enumerate(actions):
        match action:
            case ("arrive", Side() as side, int(qty), int(px), bool()):
                filled = sum(match.qty for match in book.take(side, qty, px)[0])
                if px and filled < qty:
                    book.add(order_id, side, px, qty - filled)
            case ("remove", int(target)):
                book.remove(target)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(book), type=LimitOrderBook)

    assert stored == book
    assert stored.take(BUY, 20) == book.take(BUY, 20)
    assert stored.take(SELL, 20) == book.take(SELL, 20)
    assert draw(stored) == draw(book)
