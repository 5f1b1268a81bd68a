"""The publishing side of a node's links, without sockets: requests of readers, and live frames.

Live frames go to all subscribers; a reader that lacks events requests them from a position. A slow
reader costs only what is kept for it: answers are sent a few frames at a time, as it confirms them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

import msgspec

from actors.events.event import Event
from actors.runtime import codec
from actors.runtime.envelope import Envelope
from topology.links.frame import ENOUGH_BYTES, MAX_EVENTS, MalformedError, encode_frame
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
    Schema,
    Snapshot,
    Stranger,
    TakeSnapshot,
    ToPublisher,
    Welcome,
    encode_message,
    read_of_reader,
)
from topology.links.schema_match import mismatch

HEARTBEAT = 250_000_000
"""Nanoseconds without events after which a stream sends a heartbeat."""
AHEAD = 4
"""Frames of an answer that may be unconfirmed at once."""
GUESSED_BYTES = 128
"""Assumed bytes of an event, until the first is encoded."""
FORGOTTEN = 10_000_000_000
"""Nanoseconds of silence after which a reader is dropped; if alive, it sends `Hello` again."""
MAX_PEERS = 1_000


class Source(Protocol):
    """One published stream."""

    @property
    def durable(self) -> bool:
        """Whether it is never reset, because none of its events is ever lost."""

    @property
    def epoch(self) -> int:
        """The current epoch."""

    @property
    def next_seq(self) -> int:
        """Number of the next event; earlier ones may be sent."""

    @property
    def begins_at_one(self) -> bool:
        """Whether memory still holds all events of the epoch."""

    @property
    def schema(self) -> Schema:
        """Schema of its events."""

    def read(self, position: int, most: int) -> list[Envelope] | None:
        """Return up to `most` events from `position` on; None if they are no longer kept.

        Empty if finding them takes longer than a turn of the loop may: then ask again.
        """

    def snapshot(self) -> Iterable[Event]:
        """Return the events that bring a new reader up to date."""


class Answer(NamedTuple):
    """A request that is being answered."""

    request: int
    position: int
    on_their_way: int
    """Frames sent and not confirmed yet."""


class SubscribedNode:
    """One connected reader node."""

    def __init__(self, hello: Hello, user: str | None, now: int) -> None:
        self.node, self.observer = hello.node, hello.observer
        self.user = user
        """Node that its key proves; None without keys."""
        self.heard = now
        self.given: frozenset[str] = frozenset()
        self.answers: dict[str, Answer] = {}
        """By stream."""


class LinkPublisher:
    """Publishes the streams of one node.

    Args:
        node: its name.
        topology: name of the topology; a reader of another one is refused.
        incarnation: changes with every start of the node.
        sources: by stream.
        readers: names of the nodes that may read, by stream.
        on_position: called with (node, stream, read, kept), a reader's position: everything before
            `read` was handled, and after a crash it would resume from `kept`.
    """

    def __init__(
        self,
        node: str,
        topology: str,
        incarnation: int,
        *,
        sources: Mapping[str, Source],
        readers: Mapping[str, frozenset[str]],
        on_position: Callable[[str, str, int, int], None],
    ) -> None:
        self._node, self._topology, self._incarnation = node, topology, incarnation
        self._sources, self._readers = sources, readers
        self._on_position = on_position
        self._peers: dict[bytes, SubscribedNode] = {}
        self._published = [stream for stream in sources if readers.get(stream)]
        """Streams that are published: those that another node reads or observes."""
        self._sent = {stream: source.next_seq for stream, source in sources.items()}
        self._spoke = dict.fromkeys(sources, 0)
        self._size = dict.fromkeys(sources, GUESSED_BYTES)
        self.refused = self.malformed = self.resets = 0

    def hear(self, peer: bytes, data: bytes, user: str | None, now: int) -> list[bytes]:
        """Return the immediate answers to a message of a reader.

        Args:
            peer: sender of the message.
            data: the message.
            user: node that the sender's key proves; None if everybody who can connect is trusted.
            now: in nanoseconds.
        """
        try:
            message = read_of_reader(data)
        except MalformedError:
            self.malformed += 1
            return []
        return [encode_message(answer) for answer in self._hear(peer, message, user, now)]

    def tick(self, now: int) -> list[tuple[bytes, bytes]]:
        """Return answers that are due without a new message, and drop silent readers."""
        said: list[tuple[bytes, bytes]] = []
        for peer, known in list(self._peers.items()):
            if now - known.heard > FORGOTTEN:
                del self._peers[peer]
                self._find_published()
                continue
            for stream in list(known.answers):
                said += [(peer, encode_message(m)) for m in self._go_on(known, stream)]
        return said

    def live(self, now: int) -> Iterator[bytes]:
        """Yield the frames to publish now: new events, and heartbeats of silent streams."""
        for stream in self._published:
            source = self._sources[stream]
            position, end = self._sent[stream], source.next_seq
            if position < end:
                self._sent[stream], self._spoke[stream] = end, now
                yield from self._frames(stream, source, position, end, now)
            elif now - self._spoke[stream] >= HEARTBEAT:
                self._spoke[stream] = now
                yield encode_frame(stream, source.epoch, end, now, ())

    def readers_seen(self) -> set[str]:
        """Return the connected reader nodes."""
        return {peer.node for peer in self._peers.values() if not peer.observer}

    def _hear(  # noqa: PLR0911 - one answer for each kind of message
        self, peer: bytes, message: ToPublisher, user: str | None, now: int
    ) -> Iterable[Message]:
        if isinstance(message, Hello):
            return self._welcome(peer, message, user, now)
        known = self._peers.get(peer)
        if known is None or known.user != user:
            return [Stranger()]  # the identity of a reader that has left may be reused
        known.heard = now
        match message:
            case Resume():
                return self._resume(known, message)
            case More(stream=stream, request=request):
                answer = known.answers.get(stream)
                if answer is None or answer.request != request:
                    return []
                taken = max(0, answer.on_their_way - 1)
                known.answers[stream] = answer._replace(on_their_way=taken)
                return self._go_on(known, stream)
            case TakeSnapshot():
                return self._snapshot(known, message)
            case Positions():
                self._note(known, message)
                return []
            case Ping():
                return [Pong()]

    def _note(self, peer: SubscribedNode, message: Positions) -> None:
        for stream, place in message.positions.items():
            counts = stream in peer.given and not peer.observer
            if counts and place.epoch == self._sources[stream].epoch:
                self._on_position(peer.node, stream, place.read, place.kept)

    def _frames(
        self, stream: str, source: Source, position: int, end: int, now: int
    ) -> Iterator[bytes]:
        while position < end:
            events = source.read(position, min(end - position, self._most(stream)))
            if not events:
                return  # the tail was shortened meanwhile: readers notice the gap and ask
            frame = encode_frame(stream, source.epoch, position, now, events)
            self._size[stream] = max(1, len(frame) // len(events))
            position += len(events)
            yield frame

    def _most(self, stream: str) -> int:
        return max(1, min(MAX_EVENTS, ENOUGH_BYTES // self._size[stream]))

    def _welcome(self, peer: bytes, hello: Hello, user: str | None, now: int) -> list[Message]:
        problem = ""
        if user is not None and user != hello.node:
            problem = f"the key is of node {user!r}, the name was {hello.node!r}"
        elif hello.topology != self._topology:
            problem = f"this is topology {self._topology!r}, asked for was {hello.topology!r}"
        elif len(self._peers) >= MAX_PEERS and peer not in self._peers:
            problem = f"{MAX_PEERS} readers are connected, the most that are allowed"
        if problem:
            self.refused += 1
            return [Refused("", problem)]
        known = self._peers[peer] = SubscribedNode(hello, user, now)
        refused = []
        for stream, wanted in hello.wants.items():
            if reason := self._misfit(hello, stream, wanted, user):
                refused.append(Refused(stream, reason))
        self.refused += len(refused)
        known.given = frozenset(hello.wants) - {refusal.stream for refusal in refused}
        self._find_published()
        sources = {s: self._sources[s] for s in hello.wants if s in known.given}
        streams = {stream: (s.epoch, s.next_seq) for stream, s in sources.items()}
        return [Welcome(self._node, self._incarnation, streams), *refused]

    def _find_published(self) -> None:
        looked_at = {s for peer in self._peers.values() if peer.observer for s in peer.given}
        for stream in looked_at.difference(self._published):
            self._sent[stream] = self._sources[stream].next_seq
        self._published = [s for s in self._sources if s in looked_at or self._readers.get(s)]

    def _misfit(self, hello: Hello, stream: str, wanted: Schema, user: str | None) -> str:
        """Return why a node may not read a stream; empty if it may."""
        source = self._sources.get(stream)
        listed = hello.node in self._readers.get(stream, ())
        looks = hello.observer and user in (None, self._node)
        if source is None or not (listed or looks):
            return f"{stream} is not given to node {hello.node!r}"
        return mismatch(source.schema, wanted)

    def _resume(self, peer: SubscribedNode, asked: Resume) -> list[Message]:
        stream = asked.stream
        if stream not in peer.given:
            self.refused += 1
            return [Refused(stream, f"{stream} is not given to node {peer.node!r}")]
        source = self._sources[stream]
        peer.answers.pop(stream, None)
        position = asked.position
        if asked.epoch == 0 and not (asked.begun or source.begins_at_one):
            return [self._reset(asked, source, "joined later")]
        if asked.epoch not in (0, source.epoch):
            return [self._cannot(asked, source, "the publisher began anew")]
        if position > source.next_seq:
            return [self._cannot(asked, source, "the reader has more than the publisher")]
        if position < source.next_seq and source.read(position, 1) is None:
            return [self._cannot(asked, source, "fell behind")]
        peer.answers[stream] = Answer(asked.request, position, 0)
        return self._go_on(peer, stream)

    def _cannot(self, asked: Resume, source: Source, reason: str) -> Message:
        """Return a reset, or a refusal for a durable stream, which is never reset."""
        if not source.durable:
            return self._reset(asked, source, reason)
        self.refused += 1
        return Refused(
            asked.stream,
            f"{reason}: the reader is at {asked.epoch}/{asked.position}, the publisher at"
            f" {source.epoch}/{source.next_seq}, and a durable stream is never reset by itself",
        )

    def _reset(self, asked: Resume, source: Source, reason: str) -> Message:
        self.resets += 1
        snapshot = _encoded(source.snapshot())
        return Reset(asked.stream, source.epoch, source.next_seq, reason, snapshot, asked.request)

    def _snapshot(self, peer: SubscribedNode, asked: TakeSnapshot) -> list[Message]:
        if asked.stream not in peer.given:
            return []
        source = self._sources[asked.stream]
        events = _encoded(source.snapshot())
        return [Snapshot(asked.stream, source.epoch, source.next_seq, events, asked.request)]

    def _go_on(self, peer: SubscribedNode, stream: str) -> list[Message]:
        said: list[Message] = []
        answer = peer.answers.get(stream)
        source = self._sources[stream]
        while answer is not None and answer.on_their_way < AHEAD:
            request, position, _ = answer
            if position >= source.next_seq:
                said.append(Resumed(stream, source.epoch, position, request))
                del peer.answers[stream]
                break
            events = source.read(position, self._most(stream))
            if events is None:
                asked = Resume(stream, source.epoch, position, request)
                said.append(self._cannot(asked, source, "fell behind"))
                del peer.answers[stream]
                break
            if not events:
                break  # found later
            said.append(Replay(request, encode_frame(stream, source.epoch, position, 0, events)))
            answer = Answer(request, position + len(events), answer.on_their_way + 1)
            peer.answers[stream] = answer
        return said


def _encoded(events: Iterable[Event]) -> tuple[msgspec.Raw, ...]:
    return tuple(msgspec.Raw(codec.encode(event)) for event in events)
