"""The publishing side of a node's links, without any socket: what readers ask, and what goes out.

Live frames go to whoever subscribes; who lacks something asks for it here, from a position. A slow
reader costs nothing but what is kept for it: answers are sent a few frames at a time, as it says
that it handled them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

import msgspec

from actors.events.event import Event
from actors.runtime.envelope import Envelope
from topology.links.frame import ENOUGH_BYTES, MOST_EVENTS, encode_frame
from topology.links.messages import (
    Hello,
    Message,
    More,
    Ping,
    Pong,
    Positions,
    Refused,
    Replay,
    Reset,
    Resume,
    Resumed,
    ToPublisher,
    Welcome,
)

HEARTBEAT = 250_000_000
"""Nanoseconds after which a stream that says nothing says how far it is."""
AHEAD = 4
"""Frames of an answer that may be on their way at once."""
GUESSED_BYTES = 128
"""Of an event, until the first was encoded."""


class Source(Protocol):
    """One stream as a publisher sees it."""

    @property
    def epoch(self) -> int:
        """The present epoch."""

    @property
    def next_seq(self) -> int:
        """Number of the next event; those before may be sent."""

    def read(self, position: int, most: int) -> list[Envelope] | None:
        """Return up to `most` events from `position` on; None where they are not kept any more."""

    def snapshot(self) -> Iterable[Event]:
        """Return what brings a new reader up to date."""


class Answer(NamedTuple):
    """A request that is being answered."""

    request: int
    position: int


class Peer:
    """One connected reader node."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.answers: dict[str, Answer] = {}
        """By stream."""
        self.on_their_way: dict[str, int] = {}


class LinkPublisher:
    """Publishes the streams of one node.

    Args:
        node: its name.
        topology: name of the topology; a reader of another one is refused.
        incarnation: changes with every start of the node.
        sources: by stream.
        readers: names of the nodes that may read, by stream.
        on_position: told (node, stream, position) of what a reader has handled.
    """

    def __init__(
        self,
        node: str,
        topology: str,
        incarnation: int,
        *,
        sources: Mapping[str, Source],
        readers: Mapping[str, frozenset[str]],
        on_position: Callable[[str, str, int], None],
    ) -> None:
        self._node, self._topology, self._incarnation = node, topology, incarnation
        self._sources, self._readers = sources, readers
        self._on_position = on_position
        self._peers: dict[bytes, Peer] = {}
        self._sent = {stream: source.next_seq for stream, source in sources.items()}
        self._spoke = dict.fromkeys(sources, 0)
        self._size = dict.fromkeys(sources, GUESSED_BYTES)
        self.refused = 0

    def hear(self, peer: bytes, message: ToPublisher) -> list[Message]:
        """Return what a reader is answered now."""
        if isinstance(message, Hello):
            return self._welcome(peer, message)
        known = self._peers.get(peer)
        if known is None:
            return [Refused("", "say hello first")]
        match message:
            case Resume():
                return self._resume(known, message)
            case More():
                known.on_their_way[message.stream] = known.on_their_way.get(message.stream, 1) - 1
                return self._go_on(known, message.stream)
            case Positions():
                for stream, position in message.positions.items():
                    if self._may_read(known.node, stream):
                        self._on_position(known.node, stream, position)
                return []
            case Ping():
                return [Pong()]

    def forget(self, peer: bytes) -> None:
        """Note that a reader is gone."""
        self._peers.pop(peer, None)

    def live(self, now: int) -> Iterator[bytes]:
        """Yield the frames to be published now: what is new, and heartbeats where nothing is."""
        for stream, source in self._sources.items():
            position, end = self._sent[stream], source.next_seq
            if position < end:
                yield from self._frames(stream, source, position, end, now)
                self._sent[stream], self._spoke[stream] = end, now
            elif now - self._spoke[stream] >= HEARTBEAT:
                self._spoke[stream] = now
                yield encode_frame(stream, source.epoch, end, now, ())

    def _frames(
        self, stream: str, source: Source, position: int, end: int, now: int
    ) -> Iterator[bytes]:
        while position < end:
            events = source.read(position, min(end - position, self._most(stream)))
            if not events:
                return  # so far behind that the tail was shortened: readers see a gap and ask
            frame = encode_frame(stream, source.epoch, position, now, events)
            self._size[stream] = max(1, len(frame) // len(events))
            position += len(events)
            yield frame

    def _most(self, stream: str) -> int:
        return max(1, min(MOST_EVENTS, ENOUGH_BYTES // self._size[stream]))

    def _welcome(self, peer: bytes, hello: Hello) -> list[Message]:
        if hello.topology != self._topology:
            self.refused += 1
            reason = f"this is topology {self._topology!r}, asked for was {hello.topology!r}"
            return [Refused("", reason)]
        allowed = [s for s in hello.wants if self._may_read(hello.node, s)]
        refused = [s for s in hello.wants if s not in allowed]
        self.refused += len(refused)
        self._peers[peer] = Peer(hello.node)
        streams = {s: (self._sources[s].epoch, self._sources[s].next_seq) for s in allowed}
        said: list[Message] = [Welcome(self._node, self._incarnation, streams)]
        return said + [Refused(s, f"{s} is not given to node {hello.node!r}") for s in refused]

    def _may_read(self, node: str, stream: str) -> bool:
        return stream in self._sources and node in self._readers.get(stream, ())

    def _resume(self, peer: Peer, asked: Resume) -> list[Message]:
        stream = asked.stream
        if not self._may_read(peer.node, stream):
            self.refused += 1
            return [Refused(stream, f"{stream} is not given to node {peer.node!r}")]
        source = self._sources[stream]
        fits = asked.epoch == source.epoch and asked.position <= source.next_seq
        if not fits or source.read(asked.position, 1) is None:
            peer.answers.pop(stream, None)
            return [self._reset(asked, source)]
        peer.answers[stream] = Answer(asked.request, asked.position)
        peer.on_their_way[stream] = 0
        return self._go_on(peer, stream)

    def _reset(self, asked: Resume, source: Source) -> Reset:
        reason = "the publisher began anew" if asked.epoch != source.epoch else "fell behind"
        snapshot = tuple(msgspec.Raw(msgspec.msgpack.encode(event)) for event in source.snapshot())
        return Reset(asked.stream, source.epoch, source.next_seq, reason, snapshot, asked.request)

    def _go_on(self, peer: Peer, stream: str) -> list[Message]:
        said: list[Message] = []
        answer = peer.answers.get(stream)
        source = self._sources.get(stream)
        while answer is not None and source is not None and peer.on_their_way[stream] < AHEAD:
            if answer.position >= source.next_seq:
                said.append(Resumed(stream, source.epoch, answer.position, answer.request))
                del peer.answers[stream]
                break
            events = source.read(answer.position, self._most(stream))
            if not events:
                asked = Resume(stream, source.epoch, answer.position, answer.request)
                said.append(self._reset(asked, source))
                del peer.answers[stream]
                break
            frame = encode_frame(stream, source.epoch, answer.position, 0, events)
            said.append(Replay(answer.request, frame))
            answer = Answer(answer.request, answer.position + len(events))
            peer.answers[stream] = answer
            peer.on_their_way[stream] += 1
        return said
