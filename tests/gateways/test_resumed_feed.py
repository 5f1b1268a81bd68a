"""A feed that begins again from its state, at any line, gives exactly the rest of its files."""

from __future__ import annotations

import gzip
import random
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import Event
from actors.testing import ActorTest
from gateways.recorded import RecordedFeed
from tests.kit.captures import COINM, SOURCES, SPOT, USDM, skip_without_data

INSTRUMENTS = (SPOT, USDM, COINM)

STAMPS = st.one_of(st.integers(1, 40), st.just(10**18), st.none())
"""A time of a line, most of them out of order; far ahead; damaged."""
FILES = st.lists(st.lists(STAMPS, max_size=6), min_size=1, max_size=3)


def kit_of(recordings: Mapping[str, Any], state: RecordedFeed.State | None = None) -> ActorTest:
    settings = {"recordings": recordings}
    return ActorTest(RecordedFeed, settings, instruments=INSTRUMENTS, state=state)


def rest(kit: ActorTest) -> list[tuple[int, Event]]:
    source = kit.actor.source()
    assert source is not None
    return list(source)


def again(kit: ActorTest, recordings: Mapping[str, Any]) -> ActorTest:
    """Another feed that goes on from the state of `kit`."""
    packed = msgspec.msgpack.encode(kit.state)
    return kit_of(recordings, msgspec.msgpack.decode(packed, type=RecordedFeed.State))


def resumes_everywhere(recordings: Mapping[str, Any], every: int = 1) -> None:
    kit = kit_of(recordings)
    whole = rest(kit)
    for handled, (_, event) in enumerate(whole):
        if handled % every == 0:
            assert rest(again(kit, recordings)) == whole[handled:], f"after {handled}"
        kit.given(event)
    assert rest(again(kit, recordings)) == []


def text_of(stamps: Iterable[int | None]) -> bytes:
    return b"".join(b"%s {}\n" % (b"?" if s is None else b"%d" % s) for s in stamps)


@pytest.mark.slow
@given(FILES, FILES, st.booleans())
def test_a_feed_goes_on_at_any_line_whatever_the_times_of_its_lines(
    spot: Sequence[Sequence[int | None]], usdm: Sequence[Sequence[int | None]], torn: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recordings: dict[str, list[str]] = {}
        for instrument, files in ((SPOT.instrument, spot), (USDM.instrument, usdm)):
            recordings[instrument] = paths = []
            for day, stamps in enumerate(files):
                path = Path(folder) / f"{instrument}{day}.gz"
                whole = gzip.compress(text_of(stamps))
                path.write_bytes(whole[:-9] if torn and not day else whole)
                paths.append(str(path))
        resumes_everywhere(recordings)


def test_times_that_went_back_stay_where_they_were_after_an_interruption(tmp_path: Path) -> None:
    path = tmp_path / "day.txt"
    path.write_bytes(text_of([10, 100, 101, 50, 51]))
    recordings = {SPOT.instrument: str(path)}
    kit = kit_of(recordings)
    whole = rest(kit)
    kit.given(*[event for _, event in whole[:3]])

    assert [time for time, _ in rest(again(kit, recordings))] == [100, 100, 100]


def test_a_first_time_far_ahead_does_not_take_the_run_along(tmp_path: Path) -> None:
    path = tmp_path / "day.txt"
    path.write_bytes(text_of([10**18, 100, 101]))

    times = [time for time, _ in rest(kit_of({SPOT.instrument: str(path)}))]

    assert times == [100, 100, 101, 101]


def test_a_feed_does_not_go_on_without_a_file_that_it_began(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    for path in (first, second):
        path.write_bytes(text_of([1, 2]))
    kit = kit_of({SPOT.instrument: str(first)})
    kit.given(rest(kit)[0][1])

    with pytest.raises(ValueError, match=r"a.txt was read up to line 1, and is not among the"):
        rest(again(kit, {SPOT.instrument: str(second)}))


@pytest.mark.slow
def test_a_feed_goes_on_anywhere_in_the_recorded_captures() -> None:
    skip_without_data()
    recordings = {s.instrument.instrument: [str(f) for f in s.files()] for s in SOURCES.values()}
    kit = kit_of(recordings)
    whole = rest(kit)
    random_numbers = random.Random(7)  # noqa: S311 - reproducible on purpose
    cuts = sorted(random_numbers.sample(range(len(whole)), 8))
    state = RecordedFeed.State()
    for handled, (time, event) in enumerate(whole):
        if handled in cuts:
            assert rest(again(kit_of(recordings, state), recordings)) == whole[handled:]
        source, line = place(event)
        state.handled[source] = line
        state.reached[source.partition("/")[0]] = time


def place(event: Any) -> tuple[str, int]:
    return event.source, event.line


@pytest.mark.parametrize("name", SOURCES)
def test_a_feed_goes_on_anywhere_in_a_damaged_capture(tmp_path: Path, name: str) -> None:
    skip_without_data()
    source = SOURCES[name]
    random_numbers = random.Random(7)  # noqa: S311 - reproducible on purpose
    paths = []
    for day, file in enumerate(source.files()):
        with gzip.open(file) as lines:
            content = bytearray(b"".join(line for line, _ in zip(lines, range(300), strict=False)))
        for _ in range(200):
            content[random_numbers.randrange(len(content))] = random_numbers.randrange(256)
        path = tmp_path / f"day{day}.gz"
        path.write_bytes(gzip.compress(content)[: -1 if day else None])
        paths.append(str(path))
    resumes_everywhere({source.instrument.instrument: paths}, every=23)
