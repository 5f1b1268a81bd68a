"""Each safeguard of the links, switched off, makes a test red that is named here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from tests.kit.named_tests import named_test
from tests.kit.socket_kit import (
    GIVEN,
    KEPT_BACK,
    Keys,
    Publishing,
    Reading,
    until,
)
from topology.links import frame, publisher, sockets
from topology.links import subscription as reader
from topology.links.effects import Delivered, Effect
from topology.links.frame import LinkFrame
from topology.links.subscriber import NodeSubscriber
from topology.links.subscription import State, StreamSubscription
from topology.links.zap import ZapAuthenticator

pytestmark = pytest.mark.xdist_group("live")

Patch = pytest.MonkeyPatch


def deliver_what_comes_twice(patch: Patch) -> None:
    """A frame is delivered whole, whatever of it was delivered before."""

    def deliver(stream: StreamSubscription, found: LinkFrame, _now: int) -> list[Effect]:
        stream.position = max(stream.position, found.end)
        if not found.size:
            return []
        return [Delivered(stream.stream, stream._events.read(found), found.sent)]

    patch.setattr(StreamSubscription, "_deliver", deliver)


def go_on_over_gaps(patch: Patch) -> None:
    """Nobody asks for what is missing before a frame."""
    take = StreamSubscription.frame

    def without_question(stream: StreamSubscription, found: LinkFrame, now: int) -> list[Effect]:
        if stream.state is State.LIVE and found.epoch == stream.epoch:
            stream.position = max(stream.position, found.first)
        return take(stream, found, now)

    patch.setattr(StreamSubscription, "frame", without_question)


def let_older_epochs_in(patch: Patch) -> None:
    """Events are taken whatever epoch they are of."""
    take = StreamSubscription.frame

    def without_fence(stream: StreamSubscription, found: LinkFrame, now: int) -> list[Effect]:
        return take(stream, found._replace(epoch=stream.epoch or found.epoch), now)

    patch.setattr(StreamSubscription, "frame", without_fence)


def no_heartbeats(patch: Patch) -> None:
    """A stream that says nothing does not say how far it is, and nobody minds its silence."""
    patch.setattr(publisher, "HEARTBEAT", 1 << 62)
    patch.setattr(reader, "SILENCE", 1 << 62)


def no_frames_expected(patch: Patch) -> None:
    """Nobody minds that nothing comes live from a publisher that answers."""
    patch.setattr(NodeSubscriber, "_expects_frames", lambda _reader: False)


def no_crc(patch: Patch) -> None:
    """Every frame is taken for whole."""
    patch.setattr(frame, "crc32c", lambda _data: 0)


def admit_everybody(patch: Patch) -> None:
    """Whoever has a key at all is let in."""

    def admit(_admission: ZapAuthenticator, asked: Any) -> list[bytes]:
        return [b"1.0", asked[1], b"200", b"OK", b"core", b""]

    patch.setattr(ZapAuthenticator, "answer", admit)


def give_every_topic(patch: Patch) -> None:
    """A subscription is granted to whoever is let in, as it is."""
    patch.setattr(sockets.LinkSockets, "_may", lambda *_: True)


def schedules() -> None:
    test = named_test(
        "topology/links/test_links.py::"
        "test_every_event_arrives_once_and_in_order_or_is_told_to_be_missing"
    )
    for part in range(4):
        test(part)


def refused(publishing: Publishing) -> bool:
    return any(publishing.sockets.statistics())


def stranger() -> None:
    keys = Keys()
    with (
        closing(Publishing(keys.of("md"))) as publishing,
        closing(Reading(keys.of("stranger"), publishing, GIVEN)) as reading,
    ):
        until(lambda: refused(publishing) or bool(reading.frames), publishing, reading)
        assert (reading.frames, reading.answers) == ([], [])


def another_stream() -> None:
    keys = Keys()
    with (
        closing(Publishing(keys.of("md"))) as publishing,
        closing(Reading(keys.of("core"), publishing, KEPT_BACK)) as reading,
    ):
        until(lambda: refused(publishing) or bool(reading.frames), publishing, reading)
        assert reading.frames == []


class Safeguard(NamedTuple):
    switch_off: Callable[[Patch], None]
    red: Callable[[], None]


SAFEGUARDS = {
    "dedup by position": Safeguard(deliver_what_comes_twice, schedules),
    "resume on a gap": Safeguard(go_on_over_gaps, schedules),
    "the epoch fence": Safeguard(let_older_epochs_in, schedules),
    "heartbeats": Safeguard(no_heartbeats, schedules),
    "the expectation of live frames": Safeguard(no_frames_expected, schedules),
    "the CRC of frames": Safeguard(no_crc, schedules),
    "admission by key": Safeguard(admit_everybody, stranger),
    "subscriptions by topic": Safeguard(give_every_topic, another_stream),
}


@pytest.mark.parametrize("name", SAFEGUARDS)
def test_without_a_safeguard_a_test_is_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    safeguard = SAFEGUARDS[name]
    safeguard.switch_off(monkeypatch)

    with pytest.raises((AssertionError, StopIteration)):
        safeguard.red()
