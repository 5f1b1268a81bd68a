"""A hundred thousand random and damaged frames, at every socket of a node's links."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random
from tempfile import TemporaryDirectory

import pytest
import zmq

from tests.kit.runtime_actors import Tick
from tests.kit.simulated_network import Log
from tests.kit.waiting import PATIENCE
from topology.links.frame import LARGEST_FRAME, EventDecoder, encode_frame
from topology.links.messages import Hello, Welcome, encode_message
from topology.links.publisher import LinkPublisher
from topology.links.sockets import LinkSockets
from topology.links.sources import schema_of
from topology.links.subscriber import NodeSubscriber
from topology.links.subscription import StreamSubscription

pytestmark = pytest.mark.xdist_group("live")

STREAM = "md.ticks"
EACH = 25_000
"""Frames at each of four kinds of sockets."""
BURST = 50


def nonsense(seed: int, count: int) -> Iterator[bytes]:
    """Return frames and messages that are random, or were good and then damaged."""
    chance = Random(seed)  # noqa: S311 - nonsense, but the same every time
    log = Log(STREAM, durable=True)
    log.emit(20, 0)
    good = [
        encode_frame(STREAM, 1, 1, 0, log.events),
        encode_frame(STREAM, 1, 9, 0, ()),
        encode_message(Hello("core", "test", {STREAM: schema_of([Tick])})),
        encode_message(Welcome("md", 1, {STREAM: (1, 1)})),
    ]
    for _ in range(count):
        data, kind = bytearray(chance.choice(good)), chance.randrange(4)
        if kind == 0:
            yield chance.randbytes(chance.randrange(1, 300))
        elif kind == 1:
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            yield bytes(data)
        elif kind == 2:
            yield bytes(data[: chance.randrange(1, len(data))])
        else:
            yield bytes(data) + chance.randbytes(chance.randrange(1, 40))


class Victim:
    """A node's links, and whoever talks nonsense to all of their sockets."""

    def __init__(self, folder: str) -> None:
        self.taken = dict.fromkeys(("requests", "frames", "answers"), 0)
        self.sent = 0
        live, recovery = f"ipc://{folder}/live", f"ipc://{folder}/recovery"
        other = f"ipc://{folder}/other-live", f"ipc://{folder}/other-recovery"
        self.sockets = LinkSockets(live, recovery, topics={STREAM: frozenset({"core"})})
        self.publisher = LinkPublisher(
            "md",
            "test",
            1,
            sources={STREAM: Log(STREAM, durable=True)},
            readers={},
            on_position=lambda *_: None,
        )
        stream = StreamSubscription(STREAM, EventDecoder([Tick]))
        wants = {STREAM: schema_of([Tick])}
        self.reader = NodeSubscriber("core", "test", "md", {STREAM: stream}, wants)
        self.context = zmq.Context()
        self.asks, self.subscribes = self._vandal(zmq.DEALER), self._vandal(zmq.XSUB)
        self.publishes, self.answers = self._vandal(zmq.PUB), self._vandal(zmq.ROUTER)
        self.asks.connect(recovery)
        self.subscribes.connect(live)
        for socket, endpoint in zip((self.publishes, self.answers), other, strict=True):
            socket.bind(endpoint)
        self.sockets.connect("md", *other, (), None)
        self.sockets._subscribers["md"].setsockopt(zmq.SUBSCRIBE, b"")
        self.sockets.send("md", b"here I am")
        self.peer = self.answers.recv_multipart()[0]

    def be_told(self, data: bytes) -> None:
        """Have one frame come to every socket."""
        self.sent += 1
        self.asks.send(data)
        self.publishes.send(data)
        self.answers.send_multipart([self.peer, data])
        self.subscribes.send(b"\1" + data)

    def take(self) -> None:
        self.sockets.ready()
        for who, user, data in self.sockets.requests():
            self.taken["requests"] += 1
            for answer in self.publisher.hear(who, data, user, 0):
                self.sockets.answer(who, answer)
        for _, data in self.sockets.frames():
            self.taken["frames"] += 1
            self.reader.frame(data, 0)
        for _, data in self.sockets.answers():
            self.taken["answers"] += 1
            self.reader.hear(data, 0)
        while self.asks.poll(0):
            self.asks.recv()

    def take_all(self, **expected: int) -> None:
        """Take until so many came."""
        deadline = time.monotonic() + PATIENCE
        while any(self.taken[kind] < count for kind, count in expected.items()):
            assert time.monotonic() < deadline, self.taken
            self.take()

    def close(self) -> None:
        self.context.destroy(linger=0)
        self.sockets.close()

    def _vandal(self, kind: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self.context.socket(kind)
        socket.setsockopt(zmq.SNDHWM, 0)
        return socket


@pytest.fixture
def victim() -> Iterator[Victim]:
    with TemporaryDirectory(prefix="kaiju-") as folder, closing(Victim(folder)) as found:
        yield found


def growth(first: Callable[[], None], second: Callable[[], None]) -> int:
    """Return by how many bytes Python's memory grew in the second of two halves."""
    tracemalloc.start()
    first()
    before, _ = tracemalloc.get_traced_memory()
    second()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


def test_nonsense_is_counted_and_costs_no_memory(victim: Victim) -> None:
    def half(seed: int) -> None:
        for number, data in enumerate(nonsense(seed, EACH // 2), 1):
            victim.be_told(data)
            if number % BURST == 0:
                victim.take_all(requests=victim.sent, answers=victim.sent)

    victim.publishes.send(b"?")
    while not victim.taken["frames"]:  # until the subscription has come
        victim.publishes.send(b"?")
        victim.take()

    assert growth(lambda: half(1), lambda: half(2)) < 2**20
    assert victim.taken["requests"] == victim.taken["answers"] == EACH
    assert victim.taken["frames"] > EACH / 2
    assert victim.publisher.malformed > EACH / 2
    assert victim.reader.malformed > EACH
    statistics = victim.sockets.statistics()
    assert statistics.refused_subscriptions > EACH / 2


def test_a_frame_beyond_the_largest_is_dropped_with_its_connection_and_the_node_lives(
    victim: Victim,
) -> None:
    victim.asks.send(bytes(LARGEST_FRAME + 1))
    while not victim.taken["requests"]:  # what was queued behind it is lost with the connection
        victim.asks.send(b"after it")
        victim.take()

    assert victim.publisher.malformed == victim.taken["requests"]
