"""Who gets what over the network: nothing for strangers, and the others notice nothing."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zmq

from tests.linked import free_port
from tests.relays import Tick
from tests.simulated_network import Log
from topology.links.admission import Admission
from topology.links.frame import read_frame
from topology.links.keys import NodeKeys
from topology.links.messages import Hello, Refused, Welcome, encode_message, read_of_publisher
from topology.links.publisher import LinkPublisher
from topology.links.sockets import LinkSockets, make_pair
from topology.links.sources import schema_of

GIVEN, KEPT_BACK = "md.ticks", "md.ticks_of_ours"
"""Streams: one that node `core` may read, and one that it may not, whose name begins alike."""
PATIENCE = 20.0
ENOUGH = 50
"""Frames that a legitimate reader gets while others try."""


class Keys:
    """Pairs of the nodes md and core, and of a stranger."""

    def __init__(self) -> None:
        self.pairs = {name: make_pair() for name in ("md", "core", "stranger")}

    def of(self, node: str, *, known: tuple[str, ...] = ("md", "core")) -> NodeKeys:
        public = {name: self.pairs[name][0] for name in {*known, node}}
        return NodeKeys(node, public, self.pairs[node][1])


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


class Publishing:
    """Node md: publishes both streams over tcp, and serves whoever asks."""

    def __init__(self, keys: NodeKeys, ports: tuple[int, int] | None = None) -> None:
        self.ports = ports or (free_port(), free_port())
        self.live, self.recovery = (f"tcp://127.0.0.1:{port}" for port in self.ports)
        topics = {GIVEN: frozenset({"core"}), KEPT_BACK: frozenset({"other"})}
        self.sockets = LinkSockets(self.live, self.recovery, topics=topics, keys=keys)
        self.logs = {stream: Log(stream, durable=True) for stream in topics}
        self.publisher = LinkPublisher(
            "md", "test", 1, sources=self.logs, readers=topics, on_position=lambda *_: None
        )

    def turn(self) -> None:
        """Emit one event on each stream, send it, and answer."""
        now = time.monotonic_ns()
        for peer, user, data in self.sockets.requests():
            for answer in self.publisher.hear(peer, data, user, now):
                self.sockets.answer(peer, answer)
        for log in self.logs.values():
            log.emit(1, now)
        for frame in self.publisher.live(now):
            self.sockets.publish(frame)

    def close(self) -> None:
        self.sockets.close()


class Reading:
    """Node core, or whoever says so: reads `streams` of md."""

    def __init__(self, keys: NodeKeys, publishing: Publishing, *streams: str) -> None:
        self.folder = TemporaryDirectory(prefix="kaiju-")
        ipc = f"ipc://{self.folder.name}"
        self.sockets = LinkSockets(f"{ipc}/live", f"{ipc}/recovery", topics={})
        self.sockets._keys = keys
        self.key, self.streams = keys.public["md"], streams
        self.frames: list[int] = []
        self.answers: list[object] = []
        self.dial(publishing)

    def dial(self, publishing: Publishing) -> None:
        self.sockets.dial("md", publishing.live, publishing.recovery, self.streams, self.key)
        hello = Hello("core", "test", {stream: schema_of([Tick]) for stream in self.streams})
        self.sockets.say("md", encode_message(hello))

    def turn(self) -> None:
        for _, data in self.sockets.frames():
            self.frames.append(read_frame(data).first)
        for _, data in self.sockets.answers():
            self.answers.append(read_of_publisher(data))

    def close(self) -> None:
        self.sockets.close()
        self.folder.cleanup()


@pytest.fixture
def publishing(keys: Keys) -> Iterator[Publishing]:
    with closing(Publishing(keys.of("md"))) as found:
        yield found


def until(condition: Callable[[], bool], *turning: Publishing | Reading) -> None:
    """Let everybody have turns until `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        for each in turning:
            each.turn()
        turning[0].sockets.wait(time.monotonic_ns() + 1_000_000)


def see_that_others_notice_nothing(keys: Keys, publishing: Publishing, *strangers: Reading) -> None:
    """See that the legitimate reader gets an exact sequence while strangers try."""
    with closing(Reading(keys.of("core"), publishing, GIVEN)) as core:
        until(lambda: len(core.frames) >= ENOUGH, publishing, core, *strangers)
        assert core.frames == list(range(core.frames[0], core.frames[0] + len(core.frames)))
        assert any(isinstance(answer, Welcome) for answer in core.answers)


def test_a_node_with_its_key_is_given_what_the_topology_gives_it(
    keys: Keys, publishing: Publishing
) -> None:
    see_that_others_notice_nothing(keys, publishing)
    assert publishing.sockets.statistics() == (0, 0, 0, 0)


def test_a_stranger_with_a_key_of_its_own_gets_nothing(
    keys: Keys, publishing: Publishing, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Reading(keys.of("stranger"), publishing, GIVEN)) as stranger:
        see_that_others_notice_nothing(keys, publishing, stranger)
        assert (stranger.frames, stranger.answers) == ([], [])
    assert publishing.sockets.statistics().refused_keys >= 1
    assert "a stranger was refused" in caplog.text


def test_whoever_claims_a_name_without_its_secret_key_gets_nothing(
    keys: Keys, publishing: Publishing
) -> None:
    public, secret = make_pair()
    claims = NodeKeys("core", {"md": keys.pairs["md"][0], "core": keys.pairs["core"][0]}, secret)
    with closing(Reading(claims, publishing, GIVEN)) as stranger:
        see_that_others_notice_nothing(keys, publishing, stranger)
        assert (stranger.frames, stranger.answers) == ([], [])
    assert public not in claims.public.values()


def test_without_encryption_nobody_gets_anything(keys: Keys, publishing: Publishing) -> None:
    with zmq.Context() as context:
        plain = [context.socket(kind) for kind in (zmq.SUB, zmq.DEALER)]
        plain[0].setsockopt(zmq.SUBSCRIBE, b"")
        plain[0].connect(publishing.live)
        plain[1].connect(publishing.recovery)
        plain[1].send(encode_message(Hello("core", "test", {})))
        see_that_others_notice_nothing(keys, publishing)
        assert [socket.poll(0) for socket in plain] == [0, 0]
        context.destroy(linger=0)


def test_who_expects_another_publisher_does_not_speak_with_this_one(
    keys: Keys, publishing: Publishing
) -> None:
    other = keys.of("core")
    other.public["md"] = keys.pairs["stranger"][0]
    with closing(Reading(other, publishing, GIVEN)) as fooled:
        see_that_others_notice_nothing(keys, publishing, fooled)
        assert (fooled.frames, fooled.answers) == ([], [])


def test_a_node_whose_key_was_taken_away_gets_nothing_and_all_again_with_a_known_one(
    keys: Keys,
) -> None:
    with closing(Publishing(keys.of("md", known=("md",)))) as publishing:
        reading = Reading(keys.of("core"), publishing, GIVEN)
        until(lambda: publishing.sockets.statistics().refused_keys > 0, publishing, reading)
        assert (reading.frames, reading.answers) == ([], [])
        ports = publishing.ports
    with closing(Publishing(keys.of("md"), ports)) as publishing, closing(reading):
        reading.dial(publishing)  # a peer that was refused does not try again by itself
        until(lambda: len(reading.frames) >= ENOUGH, publishing, reading)


@pytest.mark.parametrize("topic", [KEPT_BACK, GIVEN[:-1], ""], ids=["another", "prefix", "all"])
def test_nobody_gets_a_stream_that_is_not_given_to_it(
    keys: Keys, publishing: Publishing, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delimiter = b"\0" if topic == KEPT_BACK else b""
    monkeypatch.setattr(
        "topology.links.sockets.topic_of", lambda stream: stream.encode() + delimiter
    )
    with closing(Reading(keys.of("core"), publishing, topic)) as curious:
        monkeypatch.undo()
        see_that_others_notice_nothing(keys, publishing, curious)
        assert curious.frames == []
        refused = [answer for answer in curious.answers if isinstance(answer, Refused)]
        assert [answer.stream for answer in refused] == [topic]
    assert publishing.sockets.statistics().refused_subscriptions == 1


def test_a_key_is_good_for_its_own_name_alone(keys: Keys) -> None:
    known = ("md", "core", "stranger")
    with (
        closing(Publishing(keys.of("md", known=known))) as publishing,
        closing(Reading(keys.of("stranger", known=known), publishing, GIVEN)) as liar,
    ):
        until(lambda: bool(liar.answers), publishing, liar)
        assert liar.answers == [Refused("", "the key is of node 'stranger', the name was 'core'")]


def test_a_port_or_path_that_another_node_uses_is_refused_and_it_keeps_its_traffic(
    keys: Keys, publishing: Publishing, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match=f"cannot listen on {publishing.live}: Address"):
        Publishing(keys.of("md"), publishing.ports)
    see_that_others_notice_nothing(keys, publishing)
    with TemporaryDirectory(prefix="kaiju-") as folder:
        endpoints = f"ipc://{folder}/live", f"ipc://{folder}/recovery"
        with closing(LinkSockets(*endpoints, topics={})), pytest.raises(OSError, match="Address"):
            LinkSockets(*endpoints, topics={})


def test_a_directory_that_others_may_open_is_no_place_for_sockets(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(OSError, match="must be yours alone"):
        LinkSockets(f"ipc://{tmp_path}/live", f"ipc://{tmp_path}/recovery", topics={})


def test_nothing_leaves_the_process_by_tcp_without_keys() -> None:
    with pytest.raises(ValueError, match="needs keys"):
        LinkSockets(f"tcp://127.0.0.1:{free_port()}", "ipc:///x", topics={})


def test_a_secret_key_is_in_no_text(
    keys: Keys, publishing: Publishing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with closing(Reading(keys.of("stranger"), publishing, GIVEN)) as stranger:
        until(lambda: publishing.sockets.statistics().refused_keys > 0, publishing, stranger)
    texts = caplog.text + repr(keys.of("md")) + repr(vars(publishing.sockets)) + str(publishing)
    assert all(secret.decode() not in texts for _, secret in keys.pairs.values())


def test_an_admission_without_knowledge_lets_nobody_in() -> None:
    asked = [b"1.0", b"7", b"kaiju", b"127.0.0.1", b"", b"CURVE", os.urandom(32)]
    admission = Admission({})
    assert admission.answer(asked)[2] == b"400"
    assert admission.answer(asked[:3])[2] == b"400"
    assert admission.answer([])[2] == b"400"
    assert Admission({asked[6]: "core"}).answer(asked)[2:5] == [b"200", b"OK", b"core"]
    assert Admission({asked[6]: "core"}).answer([*asked[:5], b"NULL", asked[6]])[2] == b"400"
