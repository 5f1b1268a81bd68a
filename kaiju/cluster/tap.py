"""The events of one stream of a running node, from a position on, for people to read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from actors.events.event import Event, tag_of
from actors.runtime.envelope import Envelope
from actors.runtime.stream_name import owner_of
from gateways.sockets import IPC
from kaiju.cluster.attach import Running
from topology.config.findings import nearest
from topology.config.keys import NodeKeys
from topology.errors import RefusedError
from topology.links.effects import CannotResume, Delivered, Effect, Reconnect, Send, WasReset
from topology.links.frame import EventDecoder
from topology.links.messages import encode_message
from topology.links.sockets import LinkClient
from topology.links.sources import schema_of
from topology.links.subscriber import NodeSubscriber
from topology.links.subscription import StreamSubscription

TURN = 50_000_000
"""Nanoseconds between two checks for silence."""
OBSERVER = "tap"


class Wanted(NamedTuple):
    """Which events to print."""

    stream: str
    position: int = 0
    """First sequence number; 0 for events from now on, 1 for all that are kept."""
    tags: tuple[str, ...] = ()
    """Only events of these classes; empty for all."""
    fields: tuple[tuple[str, str], ...] = ()
    """Only events with these (field, value as text)."""
    most: int = 0
    """How many; 0 for no end."""


def tap(
    run: Running,
    wanted: Wanted,
    say: Callable[[str], None],
    *,
    node: str = "",
    secret: Path | None = None,
) -> None:
    """Call `say` with a line for each wanted event, until there were enough.

    The publisher neither keeps anything for a tap nor waits for it.

    Args:
        run: the running system.
        wanted: which events.
        say: is called with each line.
        node: to ask as, where links are encrypted: one that may read the stream, or the publisher
            itself.
        secret: file of that node's secret key.

    Raises:
        RefusedError: there is no such stream, or it is not given to `node`.
        KeysError: a key is missing.
    """
    graph = run.checked.graph
    if wanted.stream not in graph.streams:
        near = nearest(wanted.stream, graph.streams)
        raise RefusedError(f"there is no stream '{wanted.stream}'{near}")
    publisher = graph.actors[owner_of(wanted.stream)].node
    live, recovery, key = run.endpoints.of(publisher)
    keys = None
    if not live.startswith(IPC):
        node = node or publisher
        keys = NodeKeys.load(node, run.endpoints.keys(), secret)
    with closing(LinkClient(keys)) as sockets:
        taps = _Tap(sockets, run, wanted, say, (node or OBSERVER, publisher))
        taps.follow(live, recovery, key)


class _Tap:
    def __init__(
        self,
        sockets: LinkClient,
        run: Running,
        wanted: Wanted,
        say: Callable[[str], None],
        nodes: tuple[str, str],
    ) -> None:
        self._sockets, self._wanted, self._say = sockets, wanted, say
        node, self._publisher = nodes
        self._left = wanted.most or 1 << 62
        classes = run.checked.graph.streams[wanted.stream]
        stream = StreamSubscription(
            wanted.stream, EventDecoder(classes), position=wanted.position, begun=True
        )
        self._subscriber = NodeSubscriber(
            node,
            run.checked.topology.name,
            self._publisher,
            {wanted.stream: stream},
            {wanted.stream: schema_of(classes)},
            observer=True,
        )
        self._lost = False

    def follow(self, live: str, recovery: str, key: bytes | None) -> None:
        """Read until there were enough events."""
        sockets, subscriber, next_look = self._sockets, self._subscriber, 0
        self._lost = True
        while self._left > 0:
            now = time.monotonic_ns()
            if self._lost:
                self._lost = False
                sockets.connect(self._publisher, live, recovery, [self._wanted.stream], key)
                self._apply(subscriber.begin(now))
            sockets.ready()
            for _, data in sockets.answers():
                self._apply(subscriber.hear(data, now))
            for _, data in sockets.frames():
                self._apply(subscriber.frame(data, now))
            if now >= next_look:
                next_look = now + TURN
                self._apply(subscriber.tick(now))
            sockets.wait(now + TURN)

    def _apply(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._sockets.send(self._publisher, encode_message(effect.message))
                case Reconnect():
                    self._lost = True
                case CannotResume():
                    raise RefusedError(effect.reason)
                case WasReset():
                    where = f"{effect.epoch}/{effect.position}"
                    self._say(f"reset to {where}: {effect.reason}")
                case Delivered():
                    for envelope in effect.envelopes:
                        self._show(envelope)

    def _show(self, envelope: Envelope) -> None:
        event, wanted = envelope.event, self._wanted
        if self._left <= 0 or (wanted.tags and tag_of(type(event)) not in wanted.tags):
            return
        if any(str(getattr(event, name, None)) != value for name, value in wanted.fields):
            return
        self._left -= 1
        self._say(line_of(envelope))


def line_of(envelope: Envelope) -> str:
    """Return an event as a line: when, where in its stream, what, and what caused it."""
    _, epoch, seq = envelope.id
    moment = datetime.fromtimestamp(envelope.time // 10**9, UTC)
    time_of_day = f"{moment:%H:%M:%S}.{envelope.time % 10**9:09}"
    cause = "/".join(map(str, envelope.cause)) if envelope.cause else "outside"
    return f"{time_of_day} {epoch}/{seq} {shown(envelope.event)} <- {cause}"


def shown(event: Event) -> str:
    """Return an event with the names of its fields."""
    fields = ", ".join(f"{name}={value!r}" for name, value in msgspec.structs.asdict(event).items())
    return f"{tag_of(type(event))}({fields})"
