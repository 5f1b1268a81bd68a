"""Who gets what over the network: nothing for strangers, and the others notice nothing."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zmq

from tests.kit.node_processes import free_port
from tests.kit.socket_kit import (
    ENOUGH,
    GIVEN,
    KEPT_BACK,
    Keys,
    Publishing,
    Reading,
    see_that_others_notice_nothing,
    until,
)
from tests.kit.waiting import PATIENCE
from topology.config.keys import NodeKeys
from topology.links.messages import Hello, Refused, Resume, Stranger, Welcome, encode_message
from topology.links.sockets import LinkSockets, make_pair
from topology.links.zap import ZapAuthenticator

pytestmark = pytest.mark.xdist_group("live")


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


@pytest.fixture
def publishing(keys: Keys) -> Iterator[Publishing]:
    with closing(Publishing(keys.of("md"))) as found:
        yield found


def test_a_node_with_its_key_is_given_what_the_topology_gives_it(
    keys: Keys, publishing: Publishing
) -> None:
    see_that_others_notice_nothing(keys, publishing)
    assert publishing.sockets.statistics() == (0, 0, 0, 0, 0)


def see_that_nobody_is_told_anything(
    keys: Keys, publishing: Publishing, stranger: Reading, counted: str
) -> None:
    """See that a stranger is refused, counted as such, and noticed by nobody else."""

    def is_counted() -> bool:
        return bool(getattr(publishing.sockets.statistics(), counted))

    until(lambda: is_counted() or bool(stranger.answers), publishing, stranger)
    see_that_others_notice_nothing(keys, publishing, stranger)
    assert (stranger.frames, stranger.answers) == ([], [])
    assert is_counted()


def test_a_stranger_with_a_key_of_its_own_gets_nothing(
    keys: Keys, publishing: Publishing, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Reading(keys.of("stranger"), publishing, GIVEN)) as stranger:
        see_that_nobody_is_told_anything(keys, publishing, stranger, "refused_keys")
    assert "an unknown key was refused" in caplog.text


def test_whoever_claims_a_name_without_its_secret_key_gets_nothing(
    keys: Keys, publishing: Publishing
) -> None:
    claims = NodeKeys("core", keys.of("core").public, make_pair()[1])
    with closing(Reading(claims, publishing, GIVEN)) as stranger:
        see_that_nobody_is_told_anything(keys, publishing, stranger, "refused_handshakes")


def test_without_encryption_nobody_gets_anything(keys: Keys, publishing: Publishing) -> None:
    with zmq.Context() as context:
        plain = [context.socket(kind) for kind in (zmq.SUB, zmq.DEALER)]
        plain[0].setsockopt(zmq.SUBSCRIBE, b"")
        plain[0].connect(publishing.live)
        plain[1].connect(publishing.recovery)
        plain[1].send(encode_message(Hello("core", "test", {})))
        until(lambda: publishing.sockets.statistics().refused_handshakes > 1, publishing)
        see_that_others_notice_nothing(keys, publishing)
        assert [socket.poll(0) for socket in plain] == [0, 0]
        context.destroy(linger=0)


def test_what_is_no_peer_at_all_gets_nothing(keys: Keys, publishing: Publishing) -> None:
    host, _, port = publishing.live.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nHost: md\r\n\r\n" + bytes(100))
        see_that_others_notice_nothing(keys, publishing)
        with suppress(ConnectionError):
            while said := browser.recv(1_000):  # ZeroMQ's greeting, and the connection is closed
                assert b"md." not in said


def test_who_expects_another_publisher_does_not_speak_with_this_one(
    keys: Keys, publishing: Publishing
) -> None:
    other = keys.of("core")
    other.public["md"] = keys.pairs["stranger"][0]
    with closing(Reading(other, publishing, GIVEN)) as fooled:
        see_that_nobody_is_told_anything(keys, publishing, fooled, "refused_handshakes")


def test_a_node_whose_key_was_taken_away_gets_nothing_and_all_again_with_a_known_one(
    keys: Keys,
) -> None:
    with ExitStack() as stack:
        with closing(Publishing(keys.of("md"))) as publishing:
            reading = stack.enter_context(closing(Reading(keys.of("core"), publishing, GIVEN)))
            until(lambda: len(reading.frames) >= ENOUGH, publishing, reading)
            places = publishing.places
        with closing(Publishing(keys.of("md", known=("md",)), places)) as publishing:
            until(lambda: publishing.sockets.statistics().refused_keys > 1, publishing, reading)
            before = len(reading.frames)  # with what was still on its way from the one before
            reading.dial(publishing)
            until(lambda: publishing.sockets.statistics().refused_keys > 3, publishing, reading)
            assert len(reading.frames) == before
        with closing(Publishing(keys.of("md"), places)) as publishing:
            reading.dial(publishing)  # a peer that was refused does not try again by itself
            until(lambda: len(reading.frames) >= before + ENOUGH, publishing, reading)


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
        curious.say(Resume(topic, 1, 1, 1))
        until(
            lambda: (
                publishing.sockets.statistics().refused_subscriptions == 1
                and len(curious.answers) == 3
            ),
            publishing,
            curious,
        )
        see_that_others_notice_nothing(keys, publishing, curious)
        assert curious.frames == []
        assert curious.answers == [
            Welcome("md", 1, {}),
            Refused(topic, f"{topic} is not given to node 'core'"),
            Refused(topic, f"{topic} is not given to node 'core'"),
        ]
    assert publishing.sockets.statistics().refused_subscriptions == 1
    assert publishing.publisher.refused == 2


def test_who_comes_after_another_one_under_its_identity_is_not_taken_for_it(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = LinkSockets._socket

    def alike(own: LinkSockets, kind: int) -> zmq.Socket[bytes]:
        made = make(own, kind)
        if kind == zmq.DEALER:
            made.setsockopt(zmq.ROUTING_ID, b"one and the same")
        return made

    monkeypatch.setattr(LinkSockets, "_socket", alike)
    known = ("md", "core", "stranger")
    with closing(Publishing(keys.of("md", known=known))) as publishing:
        with closing(Reading(keys.of("core"), publishing, GIVEN)) as core:
            until(lambda: bool(core.answers), publishing, core)
        with closing(Reading(keys.of("stranger", known=known), publishing)) as other:
            until(lambda: bool(other.answers), publishing, other)
            other.answers.clear()
            other.say(Resume(GIVEN, 1, 1, 1))
            until(lambda: bool(other.answers), publishing, other)
            assert other.answers == [Stranger()]


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
        Publishing(keys.of("md"), publishing.places)
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
    with pytest.raises(ValueError, match="need keys"):
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
    admission = ZapAuthenticator({})
    assert admission.answer(asked)[2] == b"400"
    assert admission.answer(asked[:3])[2] == b"400"
    assert admission.answer([])[2] == b"400"
    assert ZapAuthenticator({asked[6]: "core"}).answer(asked)[2:5] == [b"200", b"OK", b"core"]
    assert ZapAuthenticator({asked[6]: "core"}).answer([*asked[:5], b"NULL", asked[6]])[2] == b"400"
