"""What a correct reader must find in the recorded captures, and what it does when one is torn."""

from __future__ import annotations

import functools
import hashlib
import random
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, pairwise

import msgspec
import pytest
from msgspec.structs import astuple

from actors.events.event import Event
from actors.events.market import (
    BookDelta,
    BookReset,
    BookState,
    BookStateChanged,
    DepthDiff,
    DepthSnapshot,
    Level,
    Quote,
    RequestSnapshot,
    Side,
    TopOfBook,
    Trade,
)
from actors.events.system import RawMessage
from actors.model.book import Book, Top
from actors.order_book import OrderBook, WatchedBook
from actors.testing import ActorTest, Probe, SystemTest
from gateways.binance.messages import MessageDecoder
from gateways.captures import parse_line
from gateways.recorded import RecordedFeed
from tests.kit.captures import SOURCES, Capture, load, skip_without_data, take
from tests.kit.reference_book import ReferenceBook, checksum, plain

pytestmark = pytest.mark.slow

NAMES = tuple(SOURCES)
PLACES = {"spot": 33, "usdm": 33, "coinm": 34}
SNAPSHOT_AFTER = 100

captures = pytest.mark.parametrize("name", NAMES)


class WitnessedBook(Book):
    """A book that remembers its top after every applied diff."""

    tops: list[tuple[int, Top]] = []

    def apply(self, diff: DepthDiff) -> bool:
        applied = super().apply(diff)
        if applied:
            self.tops.append((self.last_update_id, self.top))
        return applied


@functools.cache
def replayed(name: str) -> WitnessedBook:
    book = WitnessedBook()
    for event in load(name).depth:
        take(book, event)
    return book


def texts(capture: Capture, top: Top) -> list[str]:
    bid_px, bid_qty, ask_px, ask_qty = top
    return [
        plain(capture.price(bid_px)),
        plain(capture.qty(bid_qty)),
        plain(capture.price(ask_px)),
        plain(capture.qty(ask_qty)),
    ]


def checksum_of(capture: Capture, book: Book, depth: int | None = None) -> str:
    bids, asks = book.bids.levels()[:depth], book.asks.levels()[:depth]
    return checksum(capture.decimals(bids), capture.decimals(asks))


@captures
def test_every_message_of_a_capture_is_found(name: str) -> None:
    capture = load(name)
    kinds = Counter(type(event) for event in chain(capture.depth, capture.others))
    expected = {key.partition("@")[0]: n for key, n in capture.facts["counts"].items()}
    assert kinds == {
        DepthDiff: expected["depth"],
        DepthSnapshot: expected["snapshot"],
        Quote: expected["bookTicker"],
        Trade: expected["trade"],
    }
    assert [capture.first_received, capture.last_received] == capture.facts["local_ns"]


@captures
def test_the_snapshot_of_a_capture_is_the_one_recorded(name: str) -> None:
    capture = load(name)
    snapshot = capture.depth[capture.snapshot_at]
    assert isinstance(snapshot, DepthSnapshot)
    assert snapshot.last_update_id == capture.facts["snapshot_lastUpdateId"]
    assert [len(snapshot.bids), len(snapshot.asks)] == capture.facts["snapshot_levels"]
    assert texts(capture, snapshot.bids[0] + snapshot.asks[0]) == capture.facts["snapshot_top"]


@captures
def test_the_book_of_a_capture_is_the_one_in_the_facts(name: str) -> None:
    capture, book = load(name), replayed(name)
    facts = capture.facts["depth"]
    assert book.state is BookState.LIVE
    assert book.ignored == facts["dropped_before_sync"]
    assert book.applied == facts["applied"]
    assert book.gaps == facts["gaps"]
    assert book.last_update_id == facts["last_u"]
    assert [len(book.bids), len(book.asks)] == facts["levels"]
    assert texts(capture, book.top) == facts["final_top"]
    assert checksum_of(capture, book) == facts["sha256_all"]
    assert checksum_of(capture, book, depth=20) == facts["sha256_top20"]


@captures
def test_the_tops_of_a_capture_are_the_ones_in_the_facts(name: str) -> None:
    capture, book = load(name), replayed(name)
    facts = capture.facts["depth"]
    lines = ["|".join([str(u), *texts(capture, top)]) + "\n" for u, top in book.tops]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == facts["tops_sha256"]
    top_after = dict(book.tops)
    venue_time = {e.last_update_id: e.venue_time for e in capture.depth}
    for quarter in facts["top_at"].values():
        assert texts(capture, top_after[quarter["u"]]) == quarter["top"]
        assert venue_time[quarter["u"]] == quarter["E"] * 1_000_000


@captures
def test_the_trades_of_a_capture_add_up_to_the_facts(name: str) -> None:
    capture = load(name)
    facts = capture.facts["trades"]
    trades = [event for event in capture.others if isinstance(event, Trade)]
    qty = capture.qty(sum(t.qty for t in trades))
    notional = sum((capture.price(t.px) * capture.qty(t.qty) for t in trades), Decimal(0))
    sold = capture.qty(sum(t.qty for t in trades if t.aggressor is Side.SELL))
    prices = [t.px for t in trades]
    assert len(trades) == facts["n"]
    assert plain(qty) == facts["qty"]
    assert plain(notional) == facts["notional"]
    assert plain(round(notional / qty, 8)) == facts["vwap"]
    assert plain(sold) == facts["buyer_is_maker_qty"]
    assert plain(capture.price(max(prices))) == facts["high"]
    assert plain(capture.price(min(prices))) == facts["low"]
    assert [trades[0].trade_id, trades[-1].trade_id] == facts["ids"]


def drained(capture: Capture) -> int:
    """Count the diffs that came before the snapshot and are newer than it."""
    snapshot_id = capture.depth[capture.snapshot_at].last_update_id
    before = capture.depth[: capture.snapshot_at]
    return sum(1 for event in before if event.last_update_id > snapshot_id)


def changed_tops(instrument: str, tops: list[tuple[int, Top]]) -> list[tuple[object, ...]]:
    changed = [tops[0], *[new for old, new in pairwise(tops) if old[1] != new[1]]]
    return [(instrument, update_id, *top) for update_id, top in changed]


def test_all_captures_through_the_actors_at_once_give_the_same_books_and_tops() -> None:
    skip_without_data()
    system = SystemTest(instruments=[source.instrument for source in SOURCES.values()])
    recordings = {s.instrument.instrument: [str(f) for f in s.files()] for s in SOURCES.values()}
    settings = {"recordings": recordings}
    system.add("feed", RecordedFeed, settings=settings, inputs=["book.requests"])
    inputs = ["feed.depth", "feed.connection", "feed.discarded"]
    book = system.add("book", OrderBook, inputs=inputs)
    system.add("probe", Probe, inputs=["book.top", "book.deltas"])
    system.run()
    tops, deltas = system.emitted("book.top"), system.emitted("book.deltas")
    for name, source in SOURCES.items():
        capture, instrument, expected = load(name), source.instrument.instrument, replayed(name)
        kept = book.state.books[instrument].book
        assert (kept.bids, kept.asks, kept.top) == (expected.bids, expected.asks, expected.top)
        assert (kept.applied, kept.ignored, kept.gaps) == (expected.applied, expected.ignored, 0)
        own = [astuple(top)[:6] for top in tops if astuple(top)[0] == instrument]
        assert own == changed_tops(instrument, expected.tops[drained(capture) - 1 :])
        kinds = Counter(type(d) for d in deltas if astuple(d)[0] == instrument)
        assert kinds == {BookReset: 1, BookDelta: expected.applied - drained(capture)}
    assert system.emitted("feed.discarded") == []


@dataclass(frozen=True)
class KeyPath:
    """Where a capture is torn: at the diff ``depth[index]``."""

    index: int
    state: bytes
    """The book just before."""
    snapshot: bytes
    """The reference book 100 diffs later, as the venue would answer; empty near the end."""


@dataclass(frozen=True)
class Torn:
    places: list[KeyPath]
    bids: tuple[Level, ...]
    """What the reference book holds at the end."""
    asks: tuple[Level, ...]


@functools.cache
def torn(name: str) -> Torn:
    """Choose places among all diffs applied to a LIVE book but the last."""
    capture = load(name)
    depth = capture.depth
    rng = random.Random(f"torn {name}")  # noqa: S311 - reproducible on purpose
    candidates = range(capture.snapshot_at + 1, len(depth) - 1)
    chosen = set(rng.sample(candidates, PLACES[name]))
    book, states, snapshots = Book(), {}, {}
    reference = ReferenceBook(message_of(capture, capture.snapshot_at))
    for n, event in enumerate(depth):
        if n in chosen:
            states[n] = msgspec.msgpack.encode(book)
        take(book, event)
        if n != capture.snapshot_at:
            reference.apply(message_of(capture, n))
        if n - SNAPSHOT_AFTER in chosen and n + 1 < len(depth):
            snapshots[n - SNAPSHOT_AFTER] = reference.as_snapshot()
    final = MessageDecoder(capture.instrument).decode(reference.as_snapshot())
    assert isinstance(final, DepthSnapshot)
    places = [KeyPath(n, states[n], snapshots.get(n, b"")) for n in sorted(chosen)]
    return Torn(places, final.bids, final.asks)


def message_of(capture: Capture, index: int) -> bytes:
    return capture.depth_lines[index].partition(b" ")[2]


def damaged(line: bytes, rng: random.Random) -> bytes:
    """Tear a line as a full disk, a bad sector or a lost block would."""
    message_at = line.index(b" ") + 1
    place = rng.randrange(message_at, len(line) - 2)
    return rng.choice(
        [
            line[:place],
            line[:place] + b"\0" + line[place + 1 :],
            line[:message_at],
            b"\0" * message_at + line[message_at:],
            line[:place] + line[place + 1 + rng.randrange(1, 9) :] + b"}",
        ]
    )


class TornRun:
    """The feed and the book, each alone on its kit, from one place of a capture on."""

    def __init__(self, name: str, place: KeyPath) -> None:
        self.capture = load(name)
        instruments = [self.capture.instrument]
        self.instrument = instruments[0].instrument
        files = [str(file) for file in SOURCES[name].files()]
        self.feed = ActorTest(
            RecordedFeed, {"recordings": {self.instrument: files}}, instruments=instruments
        )
        watched = WatchedBook(msgspec.msgpack.decode(place.state, type=Book))
        watched.top = watched.book.top
        state = OrderBook.State({self.instrument: watched})
        self.kit = ActorTest(OrderBook, instruments=instruments, state=state)
        self.source = f"{self.instrument}/{SOURCES[name].files()[0].name}"

    @property
    def book(self) -> Book:
        book: Book = self.kit.state.books[self.instrument].book
        return book

    def read(self, line: bytes) -> list[Event]:
        """Let the feed read a line and the book what the feed says; return what it says."""
        number, stamp, payload = parse_line(self.source, 1, line)[1:4]
        said = self.feed.given(RawMessage(self.source, number, payload, stamp or 0))
        return self.kit.given(*said)


def assert_unusable_until_a_snapshot(run: TornRun, place: KeyPath) -> None:
    """Nothing is said of the book from the first diff after the place on; then all is right."""
    lines = run.capture.depth_lines[place.index + 2 : place.index + 1 + SNAPSHOT_AFTER]
    assert [run.read(line) for line in lines] == [[]] * len(lines)
    assert run.book.state is BookState.GAP
    if place.snapshot:
        state, reset, top = run.read(b"1 " + place.snapshot)
        assert isinstance(state, BookStateChanged)
        assert state.state is BookState.LIVE
        assert isinstance(reset, BookReset)
        assert isinstance(top, TopOfBook)
        delta, *tops = run.read(run.capture.depth_lines[place.index + 1 + SNAPSHOT_AFTER])
        assert isinstance(delta, BookDelta)
        assert all(isinstance(event, TopOfBook) for event in tops)


def assert_equal_to_the_reference_at_the_end(run: TornRun, name: str, place: KeyPath) -> None:
    rest = run.capture.depth[place.index + 2 + SNAPSHOT_AFTER :]
    assert all(take(run.book, event) for event in rest)
    assert (run.book.bids.levels(), run.book.asks.levels()) == (torn(name).bids, torn(name).asks)
    assert run.book.state is BookState.LIVE


def test_a_hundred_places_are_torn() -> None:
    assert sum(PLACES.values()) == 100


@captures
def test_a_removed_diff_makes_a_gap_at_the_next_one_and_only_a_snapshot_mends_it(name: str) -> None:
    for place in torn(name).places:
        run = TornRun(name, place)
        assert run.book.state is BookState.LIVE
        changed, request = run.read(run.capture.depth_lines[place.index + 1])
        assert isinstance(changed, BookStateChanged)
        assert changed.state is BookState.GAP
        assert request == RequestSnapshot(run.instrument)
        assert_unusable_until_a_snapshot(run, place)
        if place.snapshot:
            assert_equal_to_the_reference_at_the_end(run, name, place)


@captures
def test_a_damaged_diff_makes_a_gap_at_once_and_only_a_snapshot_mends_it(name: str) -> None:
    rng = random.Random(f"damage {name}")  # noqa: S311 - reproducible on purpose
    for place in torn(name).places:
        run = TornRun(name, place)
        line = damaged(run.capture.depth_lines[place.index], rng)
        changed, request = run.read(line)
        assert isinstance(changed, BookStateChanged), line
        assert changed.state is BookState.GAP
        assert request == RequestSnapshot(run.instrument)
        assert run.read(run.capture.depth_lines[place.index + 1]) == []
        assert not run.book.intact
        assert_unusable_until_a_snapshot(run, place)
        if place.snapshot:
            assert_equal_to_the_reference_at_the_end(run, name, place)


@captures
def test_a_diff_missing_between_buffer_and_snapshot_never_gives_a_live_book(name: str) -> None:
    capture = load(name)
    first = capture.snapshot_at - drained(capture)
    for missing in range(first, capture.snapshot_at):
        book = Book()
        for n, event in enumerate(capture.depth[: capture.snapshot_at + 50]):
            if n != missing:
                take(book, event)
        assert book.state is not BookState.LIVE
        assert book.applied <= missing - first
