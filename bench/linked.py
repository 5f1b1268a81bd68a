"""One link, a round trip and a path over nodes, beside bare pyzmq on the same kind of sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import zmq

from actors.events.event import Event
from actors.runtime.envelope import Envelope
from bench.rounds import Figures
from topology.config.keys import NodeKeys
from topology.links import sockets as link_sockets
from topology.links.effects import Delivered, Send
from topology.links.frame import EventDecoder
from topology.links.messages import encode_message
from topology.links.publisher import LinkPublisher
from topology.links.sockets import LinkClient, LinkSockets, make_pair
from topology.links.sources import schema_of
from topology.links.subscriber import NodeSubscriber
from topology.links.subscription import State, StreamSubscription

ROOT = Path(__file__).parent.parent
STREAM = "feed.events"
EVENTS = 200_000
BURST = 2_000
"""Events that are emitted between two turns of the publisher."""
PATIENCE = 100.0
WARM_UP = 0.1
SPAWN = get_context("spawn")


class Payload(Event):
    """An event of a certain size."""

    n: int
    text: str


def payload(n: int, size: int) -> Payload:
    """Return an event of about `size` bytes when encoded."""
    return Payload(n, "x" * max(0, size - 25))


class Log:
    """All events of a stream; a part of them is emitted."""

    durable, epoch, begins_at_one, schema = True, 1, True, schema_of([Payload])

    def __init__(self, size: int) -> None:
        self.next_seq = 1
        self.events = [
            Envelope((STREAM, 1, n), None, (STREAM, 1, n, 0), 0, payload(n, size))
            for n in range(1, EVENTS + 1)
        ]

    def read(self, position: int, most: int) -> list[Envelope]:
        """Return events that were emitted."""
        return self.events[position - 1 : min(position - 1 + most, self.next_seq - 1)]

    def snapshot(self) -> tuple[Event, ...]:
        """Return nothing."""
        return ()


def measure_link(*, size: int, tcp: bool) -> Figures:
    """Return events a second that a reader in another process takes over one link."""
    with _folder() as folder:
        pairs = {name: make_pair() for name in ("one", "two")}
        child = SPAWN.Process(target=_publish, args=(folder, size, tcp, pairs))
        child.start()
        try:
            return {"per_second": _follow(folder, tcp=tcp, pairs=pairs)}
        finally:
            child.terminate()
            child.join()


def _places(folder: str, *, tcp: bool) -> tuple[str, str]:
    if tcp:
        return "tcp://127.0.0.1:19311", "tcp://127.0.0.1:19312"
    return f"ipc://{folder}/live", f"ipc://{folder}/recovery"


def _keys(node: str, pairs: dict[str, tuple[bytes, bytes]], *, tcp: bool) -> NodeKeys | None:
    public = {name: pair[0] for name, pair in pairs.items()}
    return NodeKeys(node, public, pairs[node][1]) if tcp else None


def _publish(folder: str, size: int, tcp: bool, pairs: dict[str, tuple[bytes, bytes]]) -> None:
    link_sockets.QUEUED_FRAMES = EVENTS  # nothing is to be lost here: it is not what is measured
    live, recovery = _places(folder, tcp=tcp)
    given = {STREAM: frozenset({"two"})}
    own = LinkSockets(live, recovery, topics=given, keys=_keys("one", pairs, tcp=tcp))
    log = Log(size)
    live_readers: list[str] = []
    publisher = LinkPublisher(
        "one",
        "bench",
        1,
        sources={STREAM: log},
        readers=given,
        on_position=lambda node, *_: live_readers.append(node),
    )
    while True:
        now = time.monotonic_ns()
        own.ready()
        for peer, user, data in own.requests():
            for answer in publisher.hear(peer, data, user, now):
                own.answer(peer, answer)
        if live_readers and log.next_seq <= EVENTS:
            log.next_seq = min(log.next_seq + BURST, EVENTS + 1)
        for frame in publisher.live(now):
            own.publish(frame)
        if log.next_seq > EVENTS:
            own.wait(now + 1_000_000)


def _follow(folder: str, *, tcp: bool, pairs: dict[str, tuple[bytes, bytes]]) -> float:
    link_sockets.QUEUED_FRAMES = EVENTS
    keys = _keys("two", pairs, tcp=tcp)
    own = LinkClient(keys)
    stream = StreamSubscription(STREAM, EventDecoder([Payload]))
    reader = NodeSubscriber("two", "bench", "one", {STREAM: stream}, {STREAM: schema_of([Payload])})
    own.connect("one", *_places(folder, tcp=tcp), [STREAM], pairs["one"][0] if tcp else None)
    taken, began, deadline = 0, 0.0, time.monotonic() + PATIENCE
    effects = reader.begin(time.monotonic_ns())
    while taken < EVENTS:
        now = time.monotonic_ns()
        own.ready()
        for _, data in own.answers():
            effects += reader.hear(data, now)
        for _, data in own.frames():
            effects += reader.frame(data, now)
        for effect in effects:
            if isinstance(effect, Send):
                own.send("one", encode_message(effect.message))
            elif isinstance(effect, Delivered):
                began = began or time.perf_counter()
                taken += len(effect.envelopes)
        effects = reader.tick(now)
        if stream.state is State.LIVE:  # what comes before would be asked for, which is slower
            effects += reader.positions({STREAM: (1, stream.position, 1)}, now)
        assert time.monotonic() < deadline, f"{taken} events came"
        own.wait(now + 1_000_000)
    took = time.perf_counter() - began
    own.close()
    return EVENTS / took


def measure_bare_link(*, size: int, tcp: bool) -> Figures:
    """Return events a second of pyzmq with a frame of MessagePack for each event."""
    with _folder() as folder:
        child = SPAWN.Process(target=_publish_bare, args=(folder, size, tcp))
        child.start()
        context = zmq.Context()
        sub, ready = context.socket(zmq.SUB), context.socket(zmq.PUSH)
        sub.setsockopt(zmq.RCVHWM, 0)
        sub.setsockopt(zmq.SUBSCRIBE, STREAM.encode())
        live, control = _places(folder, tcp=tcp)
        sub.connect(live)
        ready.connect(control)
        decode = msgspec.msgpack.Decoder(Payload).decode
        try:
            sub.recv_multipart()  # the publisher knows of the subscription
            ready.send(b"go")
            while not (event := sub.recv_multipart()[1]):
                pass
            began = time.perf_counter()
            decode(event)
            for _ in range(EVENTS - 1):
                decode(sub.recv_multipart()[1])
            return {"per_second": EVENTS / (time.perf_counter() - began)}
        finally:
            child.terminate()
            child.join()
            context.destroy(linger=0)


def _publish_bare(folder: str, size: int, tcp: bool) -> None:
    context = zmq.Context()
    pub, ready = context.socket(zmq.PUB), context.socket(zmq.PULL)
    pub.setsockopt(zmq.SNDHWM, 0)
    live, control = _places(folder, tcp=tcp)
    pub.bind(live)
    ready.bind(control)
    topic, encode = STREAM.encode(), msgspec.msgpack.Encoder().encode
    events = [payload(n, size) for n in range(EVENTS)]
    while not ready.poll(10):
        pub.send_multipart([topic, b""])
    for event in events:
        pub.send_multipart([topic, encode(event)])
    time.sleep(PATIENCE)


def measure_bare_round_trip(*, tcp: bool, rounds: int) -> Figures:
    """Return microseconds of a round trip between two processes over bare PUB and SUB."""
    with _folder() as folder:
        child = SPAWN.Process(target=_echo_bare, args=(folder, tcp))
        child.start()
        context = zmq.Context()
        pub, sub = context.socket(zmq.PUB), context.socket(zmq.SUB)
        there, back = _places(folder, tcp=tcp)
        sub.setsockopt(zmq.SUBSCRIBE, b"")
        pub.bind(there)
        sub.connect(back)
        try:
            while not sub.poll(10):
                pub.send(b"?")
            while sub.poll(50):
                sub.recv()
            took = []
            for _ in range(rounds):
                began = time.monotonic_ns()
                pub.send(b"x" * 60)
                sub.recv()
                took.append(time.monotonic_ns() - began)
            return quantiles(took[int(rounds * WARM_UP) :])
        finally:
            child.terminate()
            child.join()
            context.destroy(linger=0)


def _echo_bare(folder: str, tcp: bool) -> None:
    context = zmq.Context()
    pub, sub = context.socket(zmq.PUB), context.socket(zmq.SUB)
    there, back = _places(folder, tcp=tcp)
    sub.setsockopt(zmq.SUBSCRIBE, b"")
    sub.connect(there)
    pub.bind(back)
    while True:
        pub.send(sub.recv())


ROUND_TRIP = """\
version: 1
name: bench
nodes: {one: {host: one, port: 7000}, two: {host: two, port: 7100}}
currencies: {}
instruments: {}
actors:
  pinger:
    class: bench.linked_actors:Pinger
    node: one
    inputs: [echo.echoes]
    settings: {rounds: ROUNDS, out: OUT}
  echo: {class: "bench.linked_actors:Echo", node: two, inputs: [pinger.ticks]}
"""
PATH = """\
version: 1
name: bench
nodes:
  md: {host: md, port: 7000}
  strategy: {host: strategy, port: 7100}
  td: {host: td, port: 7200}
currencies: {}
instruments: {}
actors:
  feed: {class: "bench.linked_actors:TickFeed", node: md, settings: {ticks: TICKS}}
  strategy:
    class: bench.linked_actors:Strategy
    node: strategy
    inputs: [feed.ticks, broker.reports]
    settings: {out: OUT}
  broker: {class: "bench.linked_actors:Broker", node: td, inputs: [strategy.orders]}
"""


def measure_round_trip(*, link: str, rounds: int) -> Figures:
    """Return microseconds of a round trip between two nodes, from handler to handler."""
    found = _run(ROUND_TRIP.replace("ROUNDS", str(rounds)), link)
    return quantiles(found[int(rounds * WARM_UP) :])


def measure_path(*, link: str, repetitions: int, orders: int, dropped: int) -> Figures:
    """Return microseconds of both stages of tick, strategy, order, local report.

    Args:
        link: ``ipc`` or ``tcp`` for three processes, empty for one.
        repetitions: of so many orders each.
        orders: of a repetition, one every five ticks.
        dropped: orders at the beginning of each that do not count.
    """
    found = _run(PATH.replace("TICKS", str(5 * orders * repetitions)), link)
    counted = [stages for place, stages in enumerate(found) if place % orders >= dropped]
    first, second = ([stage[i] for stage in counted] for i in (1, 2))
    both = [one + other for one, other in zip(first, second, strict=True)]
    named = {"tick to order ": first, "order to report ": second, "": both}
    return {f"{n}{q}": v for n, took in named.items() for q, v in quantiles(took).items()}


def quantiles(took: list[int]) -> Figures:
    """Return microseconds by quantile of nanoseconds."""
    ordered = sorted(took)
    parts = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    return {name: ordered[int(part * (len(ordered) - 1))] / 1e3 for name, part in parts.items()}


def _run(topology: str, link: str) -> list[Any]:
    """Run a topology until its figures are there, and return them."""
    with _folder() as folder:
        out, file = Path(folder) / "figures.json", Path(folder) / "bench.yaml"
        file.write_text(topology.replace("OUT", f"'{out}'"), encoding="ascii")
        how = ["up", str(file), "--link", link] if link else ["run", str(file), "--live"]
        process = subprocess.Popen(
            [sys.executable, "-m", "kaiju", *how, "--quiet", "--runs", f"{folder}/runs"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            return _figures(out, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


def _figures(out: Path, process: subprocess.Popen[bytes]) -> list[Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if out.exists():
            try:
                found: list[Any] = json.loads(out.read_text("ascii"))
            except ValueError:
                continue  # it is being written
            return found
        assert process.poll() in (None, 0), "it ended before there were figures"
        time.sleep(0.1)
    raise RuntimeError(f"no figures within {PATIENCE:g} s")


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="kaiju-") as folder:
        yield folder
