"""The links' protocol under a simulated network: every event once and in order, or a reset."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import pytest

from tests.kit.paths import ROOT
from tests.kit.runtime_actors import Tick
from tests.kit.simulated_network import (
    FAULTS,
    Log,
    Schedule,
    Seen,
    World,
    defects,
    shrunk,
    wrong_with,
)
from topology.links.effects import BecameStale, Delivered, Send
from topology.links.frame import EventDecoder, encode_frame, read_frame
from topology.links.messages import (
    Hello,
    Message,
    More,
    Ping,
    Pong,
    Resume,
    Resumed,
    encode_message,
    read_of_publisher,
)
from topology.links.publisher import AHEAD, LinkPublisher
from topology.links.sources import schema_of
from topology.links.subscription import State, StreamSubscription

SCHEDULES = 250
"""A part's; `python -m tests.kit.simulated_network` goes through as many as one likes."""


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_every_event_arrives_once_and_in_order_or_is_told_to_be_missing(part: int) -> None:
    for seed in range(part * SCHEDULES, (part + 1) * SCHEDULES):
        assert wrong_with(Schedule(seed)) == [], f"seed {seed}"


def test_the_schedules_do_what_they_are_named_for() -> None:
    worlds = [World(Schedule(seed)) for seed in range(20)]
    for world in worlds:
        world.run()

    readers = [reader for world in worlds for reader in world.reader.subscriptions.values()]
    assert all(sum(getattr(reader, name) for reader in readers) for name in ("gaps", "repeated"))
    assert sum(world.reader.malformed for world in worlds)
    assert sum(world.reader.redials for world in worlds)
    told = {kind for world in worlds for seen in world.seen.values() for kind, *_ in seen.told}
    assert told == {"event", "reset"}


@pytest.mark.parametrize("seed", range(5))
def test_a_connection_on_which_nothing_goes_wrong_is_never_made_anew(seed: int) -> None:
    world = World(Schedule(seed, turns=400, faults=frozenset()))
    world.run()

    assert world.reader.redials == 0
    assert [reader.resumes for reader in world.reader.subscriptions.values()] == [1, 1]


def twice(original: Any) -> Any:
    return lambda self, frame, now: 2 * original(self, frame, now)


def never(_original: Any) -> Any:
    return lambda *_: []


def deaf_to_gaps(_original: Any) -> Any:
    def frame(self: StreamSubscription, frame: Any, now: int) -> Any:
        self.position = max(self.position, frame.first)
        return [*self._deliver(frame, now), *self._go_live(now)]

    return frame


PLANTED: dict[str, tuple[type, str, Callable[[Any], Any]]] = {
    "what comes twice is delivered twice": (StreamSubscription, "_deliver", twice),
    "a gap is not noticed": (StreamSubscription, "frame", deaf_to_gaps),
    "silence is not noticed": (StreamSubscription, "tick", never),
}


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_found_told_again_by_its_seed_and_shrunk(
    defect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, planted = PLANTED[defect]
    monkeypatch.setattr(owner, name, planted(getattr(owner, name)))

    found = next(s for s in map(Schedule, range(500)) if wrong_with(s))
    short = shrunk(found)

    assert wrong_with(found) == wrong_with(found) != []
    assert wrong_with(short) != []
    assert (len(short.faults), short.turns) < (len(FAULTS), found.turns)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([("event", 1, 1), ("event", 1, 3)], "lost: 1/2 to 1/2"),
        ([("event", 1, 1), ("event", 1, 1)], "1/1 came twice or out of order"),
        ([("event", 1, 2), ("event", 1, 1)], "1/1 came twice or out of order"),
        ([("event", 1, 1), ("event", 2, 2)], "2/2 came in epoch 1"),
        ([("event", 1, 1)], "ends at 1/2, the stream at 1/4"),
        ([("event", 1, 1), ("reset", 1, 4)], "reset from 1/2 to 1/4"),
        ([("event", 1, n) for n in range(1, 5)], "ends at 1/5, the stream at 1/4"),
    ],
)
def test_the_checker_finds_what_is_lost_doubled_out_of_order_or_never_was(
    told: list[tuple[str, int, int]], found: str
) -> None:
    log = Log("feed.ticks", durable=True)
    log.emit(3, 0)

    assert found in defects(log, Seen(told=told, live=True))


def frames_of(count: int) -> list[bytes]:
    log = Log("feed.ticks", durable=True)
    log.emit(count, 0)
    return [encode_frame(log.name, 1, e.id[2], 0, [e]) for e in log.events]


@pytest.mark.parametrize("missing", [None, *range(6)])
def test_six_frames_in_any_order_are_delivered_in_theirs(missing: int | None) -> None:
    frames = frames_of(6)
    for order in permutations(range(6)):
        reader, delivered = (
            StreamSubscription("feed.ticks", EventDecoder([Tick]), epoch=1),
            list[int](),
        )

        def take(effects: Any, into: list[int] = delivered) -> list[Any]:
            envelopes = [e for f in effects if isinstance(f, Delivered) for e in f.envelopes]
            into += [envelope.id[2] for envelope in envelopes]
            return [f.message for f in effects if isinstance(f, Send)]

        take(reader.connected(1, 1, 0))
        take(reader.resumed(Resumed("feed.ticks", 1, 1, reader._request), 0))
        asked = [take(reader.frame(read_frame(frames[n]), 0)) for n in order if n != missing]
        for request in (message for said in asked for message in said):
            assert isinstance(request, Resume)
            if request.request == reader._request:  # answered with what the publisher has
                for n in range(request.position - 1, 6):
                    take(reader.replayed(request.request, read_frame(frames[n]), 0))
                take(reader.resumed(Resumed("feed.ticks", 1, 7, request.request), 0))

        expected = list(range(1, 7))
        assert delivered == (expected[:5] if missing == 5 and not any(asked) else expected), order


def test_a_late_frame_of_an_epoch_before_does_not_keep_a_first_reader_waiting() -> None:
    reader = StreamSubscription("feed.ticks", EventDecoder([Tick]))
    (resume,) = reader.connected(2, 1, 0)
    assert isinstance(resume, Send)
    assert isinstance(resume.message, Resume)

    reader.frame(read_frame(frames_of(1)[0]), 1)
    reader.resumed(Resumed("feed.ticks", 2, 1, resume.message.request), 2)

    assert reader.state is State.LIVE


def test_a_simulated_network_does_the_same_whatever_the_hash_seed() -> None:
    program = (
        "from tests.kit.simulated_network import *\n"
        "for seed in range(5):\n"
        "    world = World(Schedule(seed))\n"
        "    world.run()\n"
        "    print(world.now, world._numbers, world.seen)\n"
    )
    seeds = ("1", "2", "3")
    said = {
        subprocess.check_output(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, cwd=ROOT
        )
        for seed in seeds
    }

    assert len(said) == 1


def test_frames_that_come_twice_are_delivered_once() -> None:
    frames = frames_of(4)
    for copies in product((1, 2, 3), repeat=4):
        reader, delivered = (
            StreamSubscription("feed.ticks", EventDecoder([Tick]), epoch=1),
            list[int](),
        )
        reader.connected(1, 1, 0)
        reader.resumed(Resumed("feed.ticks", 1, 1, reader._request), 0)
        for frame, count in zip(frames, copies, strict=True):
            for _ in range(count):
                for effect in reader.frame(read_frame(frame), 0):
                    assert isinstance(effect, Delivered) or not isinstance(effect, BecameStale)
                    if isinstance(effect, Delivered):
                        delivered += [e.id[2] for e in effect.envelopes]
        assert delivered == [1, 2, 3, 4]
        assert reader.repeated == sum(copies) - 4


def test_a_reader_gets_what_it_lacks_a_few_frames_at_a_time() -> None:
    log = Log("feed.ticks", durable=True)
    log.emit(10_000, 0)
    log.base = 1
    publisher = LinkPublisher(
        "md",
        "test",
        1,
        sources={"feed.ticks": log},
        readers={"feed.ticks": frozenset({"core"})},
        on_position=lambda *_: None,
    )

    def answers(message: Message) -> list[Message]:
        heard = publisher.hear(b"1", encode_message(message), None, 0)
        return [read_of_publisher(data) for data in heard]

    answers(Hello("core", "test", {"feed.ticks": schema_of([Tick])}))
    first = answers(Resume("feed.ticks", 1, 1, 1))
    assert len(first) == AHEAD
    assert answers(Ping()) == [Pong()]
    assert publisher.tick(0) == []
    assert len(answers(More("feed.ticks", 1))) == 1
