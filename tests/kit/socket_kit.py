"""Two nodes over real sockets, without a loop: one publishes two streams, one reads; by turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from tempfile import TemporaryDirectory

from tests.kit.node_processes import free_port
from tests.kit.runtime_actors import Tick
from tests.kit.simulated_network import Log
from tests.kit.waiting import PATIENCE
from topology.config.keys import NodeKeys
from topology.links.frame import read_frame
from topology.links.messages import Hello, Message, Welcome, encode_message, read_of_publisher
from topology.links.publisher import LinkPublisher
from topology.links.sockets import LinkSockets, make_pair
from topology.links.sources import schema_of

GIVEN, KEPT_BACK = "md.ticks", "md.ticks_of_ours"
"""Streams: one that node `core` may read, and one that it may not, whose name begins alike."""
ENOUGH = 50
"""Frames that a legitimate reader gets while others try."""


class Keys:
    """Pairs of the nodes md and core, and of a stranger."""

    def __init__(self) -> None:
        self.pairs = {name: make_pair() for name in ("md", "core", "stranger")}

    def of(self, node: str, *, known: tuple[str, ...] = ("md", "core")) -> NodeKeys:
        public = {name: self.pairs[name][0] for name in {*known, node}}
        return NodeKeys(node, public, self.pairs[node][1])


class Publishing:
    """Node md: publishes both streams, and serves whoever asks.

    Args:
        keys: its own; None for ipc.
        places: (live, recovery); None for free ones.
    """

    def __init__(self, keys: NodeKeys | None, places: tuple[str, str] | None = None) -> None:
        self.folder = None if keys or places else TemporaryDirectory(prefix="kaiju-")
        if places is None and self.folder is not None:
            places = f"ipc://{self.folder.name}/live", f"ipc://{self.folder.name}/recovery"
        elif places is None:
            places = f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"
        self.places = self.live, self.recovery = places
        topics = {GIVEN: frozenset({"core"}), KEPT_BACK: frozenset({"desk"})}
        self.sockets = LinkSockets(self.live, self.recovery, topics=topics, keys=keys)
        self.logs = {stream: Log(stream, durable=True) for stream in topics}
        self.publisher = LinkPublisher(
            "md", "test", 1, sources=self.logs, readers=topics, on_position=lambda *_: None
        )

    def turn(self) -> None:
        """Emit one event on each stream, send it, and answer."""
        now = time.monotonic_ns()
        self.sockets.ready()
        for peer, user, data in self.sockets.requests():
            for answer in self.publisher.hear(peer, data, user, now):
                self.sockets.answer(peer, answer)
        for log in self.logs.values():
            log.emit(1, now)
        for frame in self.publisher.live(now):
            self.sockets.publish(frame)

    def close(self) -> None:
        self.sockets.close()
        if self.folder is not None:
            self.folder.cleanup()


class Reading:
    """Node core, or whoever says so: reads `streams` of md."""

    def __init__(self, keys: NodeKeys | None, publishing: Publishing, *streams: str) -> None:
        self.folder = TemporaryDirectory(prefix="kaiju-")
        ipc = f"ipc://{self.folder.name}"
        self.sockets = LinkSockets(f"{ipc}/live", f"{ipc}/recovery", topics={})
        self.sockets._keys = keys
        self.key = None if keys is None else keys.public["md"]
        self.streams = streams
        self.frames: list[int] = []
        self.answers: list[object] = []
        self.dial(publishing)

    def dial(self, publishing: Publishing) -> None:
        self.sockets.connect("md", publishing.live, publishing.recovery, self.streams, self.key)
        self.say(Hello("core", "test", {stream: schema_of([Tick]) for stream in self.streams}))

    def say(self, message: Message) -> None:
        assert self.sockets.send("md", encode_message(message))

    def turn(self) -> None:
        self.sockets.ready()
        for _, data in self.sockets.frames():
            self.frames.append(read_frame(data).first)
        for _, data in self.sockets.answers():
            self.answers.append(read_of_publisher(data))

    def close(self) -> None:
        self.sockets.close()
        self.folder.cleanup()


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
        until(
            lambda: (
                len(core.frames) >= ENOUGH
                and any(isinstance(answer, Welcome) for answer in core.answers)
            ),
            publishing,
            core,
            *strangers,
        )
        assert core.frames == list(range(core.frames[0], core.frames[0] + len(core.frames)))
