from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import Event
from actors.runtime.handlers import handler_table
from actors.runtime.node.node import Node
from actors.runtime.stream import Delivery, EvictedError, Input, Stream
from tests.kit.runtime_actors import Price, Sink, Tick


def stream_of(count: int, budget: int = 0) -> Stream:
    stream = Stream("feed.ticks", budget=budget)
    for n in range(1, count + 1):
        stream.append(Tick(n), None, None, 0, 0)
    return stream


def reader_of(stream: Stream, delivery: Delivery = "stream") -> Input:
    actor = Node().add("sink", Sink)
    reader = Input(
        actor.context,
        stream,
        handler_table(actor, (Tick, Price)),
        {},
        deque() if delivery == "latest" else None,
    )
    stream.attach(reader)
    return reader


def event_at(stream: Stream, position: int) -> Event | None:
    envelope = stream.read(position)
    return None if envelope is None else envelope.event


def test_a_stream_is_read_from_any_position_that_it_keeps() -> None:
    stream = stream_of(3)

    assert [event_at(stream, seq) for seq in (1, 2, 3)] == [Tick(1), Tick(2), Tick(3)]
    assert stream.read(4) is None


def test_a_position_behind_the_tail_is_refused_not_guessed() -> None:
    stream = stream_of(100)
    stream.trim()

    with pytest.raises(EvictedError, match=r"feed\.ticks keeps from 97 on, position was 96"):
        stream.read(96)
    assert event_at(stream, 97) == Tick(97)


def test_the_tail_keeps_what_a_reader_still_lacks() -> None:
    stream = Stream("feed.ticks", budget=0)
    reader = reader_of(stream)
    for n in range(1000):
        stream.append(Tick(n), None, None, 0, 0)
    reader.position = 200

    stream.trim()

    assert event_at(stream, 200) == Tick(199)
    with pytest.raises(EvictedError):
        stream.read(199)


def test_a_reader_beyond_the_lag_bound_is_named_but_loses_nothing_by_that() -> None:
    stream = Stream("feed.ticks", budget=0)
    slow, fast = reader_of(stream), reader_of(stream)
    stream.lag_bound = 100
    for n in range(1000):
        stream.append(Tick(n), None, None, 0, 0)
    fast.position = 950
    stream.trim()

    assert stream.lagging() == [slow]
    assert event_at(stream, 1) == Tick(0)


def test_what_cannot_be_encoded_can_still_be_kept_and_trimmed() -> None:
    stream = stream_of(100)
    stream.append(Tick(10**90), None, None, 0, 0)
    stream.trim()

    assert event_at(stream, 101) == Tick(10**90)


def test_latest_keeps_only_the_newest_value_of_each_key_in_the_order_of_first_arrival() -> None:
    stream: Stream = Stream("book.top")
    reader = reader_of(stream, "latest")
    queue: deque[Input] = deque()
    for price in (Price("a", 1), Price("b", 1), Price("a", 2), Price("a", 3)):
        stream.offer(stream.append(price, None, None, 0, 0), queue)

    assert reader.conflation is not None
    assert [e.event for e in reader.stream.tail] == [Price("a", 3), Price("b", 1)]
    assert not queue, "newest values have a lane of their own"
    assert (len(reader.conflation.lane), reader.sent, reader.conflated, reader.queued) == (
        2,
        4,
        2,
        2,
    )
    assert reader.stream.tail[0].id == ("book.top", 1, 4)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans())))
def test_latest_never_loses_an_event_without_counting_it(
    session: list[tuple[str, int, bool]],
) -> None:
    stream = Stream("book.top")
    reader = reader_of(stream, "latest")
    queue: deque[Input] = deque()
    newest: dict[str, int] = {}
    for name, px, take in session:
        stream.offer(stream.append(Price(name, px), None, None, 0, 0), queue)
        newest[name] = px
        if take:
            envelope = reader.stream.read(reader.position)
            assert envelope is not None
            assert isinstance(envelope.event, Price)
            assert envelope.event.px == newest[envelope.event.name]
            reader.position += 1
            reader.handled += 1

    assert reader.sent == reader.handled + reader.conflated + reader.queued
