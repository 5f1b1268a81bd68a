"""The recorded feed: every line in time order, resumable; damage is counted and the run goes on."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.market import (
    BookState,
    BookStateChanged,
    DepthDiff,
    DepthSnapshot,
    Quote,
    RequestSnapshot,
    Trade,
)
from actors.events.system import ConnectionEstablished, MessageDiscarded, RawMessage
from actors.order_book import OrderBook
from actors.testing import ActorTest, SystemTest
from gateways.captures import Line, Recording, in_time_order
from gateways.recorded import RecordedFeed
from tests.kit.captures import SPOT, USDM
from tests.kit.recorded_lines import START, diff, line, quote, snapshot, trade, write

SOURCE = f"{SPOT.instrument}/day1.gz"


def feed(recordings: dict[str, Any], state: RecordedFeed.State | None = None) -> RecordedFeed:
    kit = ActorTest(RecordedFeed, {"recordings": recordings}, instruments=[SPOT, USDM], state=state)
    assert isinstance(kit.actor, RecordedFeed)
    return kit.actor


def places(items: Iterable[tuple[int, Event]]) -> list[tuple[int, str, int]]:
    """(milliseconds after the start, source, line) of each item."""
    return [
        ((time - START) // MILLISECOND, raw.source, raw.line)
        for time, raw in items
        if isinstance(raw, RawMessage)
    ]


def play(recordings: dict[str, Any]) -> SystemTest:
    system = SystemTest(instruments=[SPOT, USDM], start=START)
    settings = {"recordings": recordings}
    system.add("feed", RecordedFeed, settings=settings, inputs=["book.requests"])
    inputs = ["feed.depth", "feed.connection", "feed.discarded"]
    system.add("book", OrderBook, inputs=inputs)
    system.run()
    return system


def states(system: SystemTest) -> list[BookState]:
    emitted = system.emitted("book.state")
    return [event.state for event in emitted if isinstance(event, BookStateChanged)]


def numbers(lines: Sequence[Line]) -> list[tuple[int, int]]:
    return [(time, raw.line) for time, raw in in_time_order(iter(lines))]


@pytest.mark.parametrize("name", ["day1.gz", "day1.txt"])
def test_every_line_comes_at_the_time_at_which_it_was_received(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, diff(0, 1), snapshot(5, 15), quote(9, 16))
    source = f"{SPOT.instrument}/{name}"
    items = places(feed({SPOT.instrument: str(path)}).source())
    assert items == [(0, source, 1), (5, source, 2), (9, source, 3)]


def test_what_was_recorded_is_emitted_on_an_output_for_each_kind(tmp_path: Path) -> None:
    path = write(tmp_path / "day1.gz", diff(0, 1), snapshot(5, 15), quote(9, 16), trade(9, 7))
    system = play({SPOT.instrument: str(path)})
    assert [type(e) for e in system.emitted("feed.depth")] == [DepthDiff, DepthSnapshot]
    assert [type(e) for e in system.emitted("feed.quotes")] == [Quote]
    assert [type(e) for e in system.emitted("feed.trades")] == [Trade]
    assert system.emitted("feed.connection") == [ConnectionEstablished("BINANCE")]
    assert system.emitted("feed.discarded") == []
    times = [envelope.time for envelope in system.envelopes("feed.depth")]
    assert times == [START, START + 5 * MILLISECOND]


def test_files_of_several_instruments_are_merged_in_time_order(tmp_path: Path) -> None:
    one = write(tmp_path / "spot.gz", quote(0, 1), quote(4, 2), quote(4, 3))
    two = write(tmp_path / "usdm.gz", quote(1, 1), quote(4, 2), quote(9, 3))
    actor = feed({SPOT.instrument: str(one), USDM.instrument: str(two)})
    spot, usdm = f"{SPOT.instrument}/spot.gz", f"{USDM.instrument}/usdm.gz"
    assert places(actor.source()) == [
        (0, spot, 1),
        (1, usdm, 1),
        (4, spot, 2),
        (4, spot, 3),
        (4, usdm, 2),
        (9, usdm, 3),
    ]


def test_files_of_one_instrument_follow_each_other_and_carry_the_book_over(tmp_path: Path) -> None:
    write(tmp_path / "day1.gz", snapshot(0, 10), diff(1, 1))
    write(tmp_path / "day2.gz", diff(2, 2), diff(3, 3))
    system = play({SPOT.instrument: str(tmp_path / "day*.gz")})
    assert states(system) == [BookState.LIVE]
    book = system.node.actors["book"].state.books[SPOT.instrument].book
    assert (book.applied, book.last_update_id) == (3, 40)


def test_files_of_one_name_in_several_folders_are_told_apart(tmp_path: Path) -> None:
    paths = [write(tmp_path / day / "btc.gz", quote(n, n)) for n, day in enumerate(["a", "b"])]
    actor = feed({SPOT.instrument: [str(path) for path in paths]})
    sources = [source for _, source, _ in places(actor.source())]
    assert sources == [f"{SPOT.instrument}/a/btc.gz", f"{SPOT.instrument}/b/btc.gz"]


@pytest.mark.parametrize("handled", range(8))
def test_a_feed_goes_on_where_its_state_left_off(tmp_path: Path, handled: int) -> None:
    write(tmp_path / "day1.gz", quote(0, 1), quote(1, 2), quote(2, 3))
    write(tmp_path / "day2.gz", quote(3, 4), quote(4, 5))
    pattern = {SPOT.instrument: str(tmp_path / "day*.gz")}
    everything = list(feed(pattern).source())
    assert len(everything) == 5 + 2  # each file has an end
    kit = ActorTest(RecordedFeed, {"recordings": pattern}, instruments=[SPOT])
    kit.given(*[event for _, event in everything[:handled]])
    packed = msgspec.msgpack.encode(kit.state)
    resumed = feed(pattern, msgspec.msgpack.decode(packed, type=RecordedFeed.State))
    assert list(resumed.source()) == everything[handled:]


def test_progress_counts_bytes_on_disk_to_the_end(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"day{n}.gz", *[quote(n, i) for i in range(50)]) for n in (1, 2)]
    size = sum(path.stat().st_size for path in paths)
    actor = feed({SPOT.instrument: [str(path) for path in paths]})
    assert actor.progress() == (0, size)
    source = actor.source()
    for _ in range(60):
        next(source)
    done, total = actor.progress()
    assert paths[0].stat().st_size <= done <= total == size
    assert len(places(source)) == 41  # the end of the first file came before the sixtieth
    assert actor.progress() == (size, size)


def test_progress_can_be_asked_for_after_the_source_was_closed(tmp_path: Path) -> None:
    path = write(tmp_path / "day1.gz", quote(0, 1), quote(1, 2))
    recording = Recording(SPOT.instrument, [path])
    messages = recording.messages({})
    next(messages)
    del messages
    assert 0 < recording.done <= recording.size


def test_a_damaged_line_is_discarded_with_a_reason_and_the_run_goes_on(tmp_path: Path) -> None:
    path = write(
        tmp_path / "day1.gz",
        snapshot(0, 10),
        diff(1, 1)[:60] + b"\n",
        trade(2, 1, px="-1"),
        trade(3, 2),
    )
    system = play({SPOT.instrument: str(path)})
    discarded = system.emitted("feed.discarded")
    assert discarded == [
        MessageDiscarded(SOURCE, 2, "json", "Input data was truncated", SPOT.instrument),
        MessageDiscarded(
            SOURCE,
            3,
            "number",
            "number was '-1', allowed is a plain decimal such as '61737.63'",
            SPOT.instrument,
        ),
    ]
    assert len(system.emitted("feed.trades")) == 1


def test_a_damaged_diff_makes_a_gap_until_the_next_snapshot(tmp_path: Path) -> None:
    damaged = diff(2, 2).replace(b'"U"', b'"V"')
    path = write(
        tmp_path / "day1.gz",
        snapshot(0, 10),
        diff(1, 1),
        damaged,
        diff(3, 3),
        diff(4, 4),
        snapshot(5, 45),
        diff(6, 5),
    )
    system = play({SPOT.instrument: str(path)})
    assert states(system) == [BookState.LIVE, BookState.GAP, BookState.LIVE]
    said = [envelope.time for envelope in system.envelopes("book.deltas")]
    assert [(time - START) // MILLISECOND for time in said] == [0, 1, 5, 6]


def test_a_damaged_line_that_was_no_diff_makes_a_gap_until_the_next_diff(tmp_path: Path) -> None:
    lines = [snapshot(0, 10), diff(1, 1), quote(2, 21)[:50] + b"\n", diff(3, 2)]
    system = play({SPOT.instrument: str(write(tmp_path / "day1.gz", *lines))})
    assert states(system) == [BookState.LIVE, BookState.GAP, BookState.LIVE]


def test_a_file_that_ends_too_soon_gives_what_it_has_and_says_where(tmp_path: Path) -> None:
    path = write(tmp_path / "day1.gz", *[quote(n, n) for n in range(1_000)])
    path.write_bytes(path.read_bytes()[:-100])
    write(tmp_path / "day2.gz", trade(2_000, 1))
    system = play({SPOT.instrument: str(tmp_path / "day*.gz")})
    given = len(system.emitted("feed.quotes"))
    ended = "Compressed file ended before the end-of-stream marker was reached"
    assert 0 < given < 1_000
    assert system.emitted("feed.discarded") == [
        MessageDiscarded(SOURCE, given + 1, "unreadable", ended, SPOT.instrument)
    ]
    assert len(system.emitted("feed.trades")) == 1


def test_a_file_that_is_no_gzip_says_so(tmp_path: Path) -> None:
    path = tmp_path / "day1.gz"
    path.write_bytes(b"this is no gzip file")
    system = play({SPOT.instrument: str(path)})
    assert system.emitted("feed.discarded") == [
        MessageDiscarded(SOURCE, 1, "unreadable", "Not a gzipped file (b'th')", SPOT.instrument)
    ]


@pytest.mark.parametrize("name", ["day1.gz", "day1.txt"])
def test_a_line_without_end_ends_the_file_and_takes_no_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    endless = quote(0, 1) + b"x" * 200_000_000
    path.write_bytes(gzip.compress(endless, 1) if path.suffix == ".gz" else endless)
    del endless
    tracemalloc.start()
    system = play({SPOT.instrument: str(path)})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(system.emitted("feed.quotes")) == 1
    [discarded] = system.emitted("feed.discarded")
    assert isinstance(discarded, MessageDiscarded)
    assert (discarded.reason, discarded.line) == ("unreadable", 2)
    assert discarded.detail == "line 2 has more than 8,388,608 bytes"
    assert peak < 100_000_000


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_a_file_without_a_line_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "day1.gz"
    path.write_bytes(content)
    system = play({SPOT.instrument: str(path)})
    assert system.emitted("feed.discarded") == [
        MessageDiscarded(SOURCE, 1, "empty", "the file is empty", SPOT.instrument)
    ]


def test_a_file_that_says_nothing_of_its_instrument_says_so_at_its_end(tmp_path: Path) -> None:
    answer = line(0, {"result": None, "id": 1})
    write(tmp_path / "day1.gz", answer, answer)
    write(tmp_path / "day2.gz", answer, quote(5, 1))
    system = play({SPOT.instrument: str(tmp_path / "day*.gz")})
    nothing = f"none of its 2 lines is market data of {SPOT.instrument}"
    assert system.emitted("feed.discarded") == [
        MessageDiscarded(SOURCE, 3, "empty", nothing, SPOT.instrument)
    ]


def test_a_file_without_a_time_does_not_take_the_run_back_to_1970(tmp_path: Path) -> None:
    (tmp_path / "spot.txt").write_bytes(b"garbage\n" * 3)
    good = write(tmp_path / "usdm.gz", quote(4, 1), quote(9, 2))
    recordings = {SPOT.instrument: str(tmp_path / "spot.txt"), USDM.instrument: str(good)}
    times = [(time - START) // MILLISECOND for time, _ in feed(recordings).source()]
    assert times == [4, 4, 4, 4, 4, 9, 9]


def test_the_end_of_a_file_does_not_hide_a_time_far_ahead(tmp_path: Path) -> None:
    write(tmp_path / "day1.gz", quote(0, 1), quote(9_000_000, 2))
    write(tmp_path / "day2.gz", quote(2, 3))
    actor = feed({SPOT.instrument: str(tmp_path / "day*.gz")})
    assert [at for at, _, _ in places(actor.source())] == [0, 2, 2]


def test_a_request_for_a_snapshot_is_not_answered(tmp_path: Path) -> None:
    path = write(tmp_path / "day1.gz", quote(1, 1))
    settings = {"recordings": {SPOT.instrument: str(path)}}
    kit = ActorTest(RecordedFeed, settings, instruments=[SPOT])
    assert kit.given(RequestSnapshot(SPOT.instrument)) == []


def test_a_time_that_goes_back_or_is_damaged_never_moves_the_clock_back() -> None:
    lines = [Line("s", 1, 100, b""), Line("s", 2, 90, b""), Line("s", 3, None, b"")]
    assert numbers([*lines, Line("s", 4, 110, b"")]) == [(90, 1), (90, 2), (110, 3), (110, 4)]


def test_one_time_far_ahead_does_not_take_all_others_along() -> None:
    stamps = [100, 101, 999_999, 103, 104]
    lines = [Line("s", n, stamp, b"") for n, stamp in enumerate(stamps)]
    assert numbers(lines) == [(100, 0), (101, 1), (103, 2), (103, 3), (104, 4)]


@pytest.mark.parametrize("recordings", [{}, {SPOT.instrument: []}])
def test_a_feed_of_nothing_is_refused(recordings: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError, match="at least 1 item"):
        RecordedFeed.Settings(recordings=recordings)


def test_a_missing_file_is_refused_before_anything_starts(tmp_path: Path) -> None:
    write(tmp_path / "day1.gz", quote(0, 1))
    with pytest.raises(
        pydantic.ValidationError, match=r"day2.gz, which matches no file; its folder holds day1.gz"
    ):
        RecordedFeed.Settings(recordings={SPOT.instrument: (tmp_path / "day2.gz",)})


def test_paths_are_relative_to_the_topology_file(tmp_path: Path) -> None:
    write(tmp_path / "data" / "day1.gz", quote(0, 1))
    settings = RecordedFeed.Settings.model_validate(
        {"recordings": {SPOT.instrument: "data/day*.gz"}}, context={"base": tmp_path}
    )
    assert settings.recordings == {SPOT.instrument: (tmp_path / "data" / "day1.gz",)}
