"""The links of one node: the protocol between its sockets and its streams."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from random import Random

from actors.events.event import Event
from actors.events.system import HaltTrading, ResumeTrading
from actors.runtime.clock import LiveClock
from actors.runtime.node.links import LinkedNode
from actors.runtime.node.mirrors import Mirror, RemoteCursor
from actors.runtime.statistics import LinkCounts, LinkRecord
from actors.runtime.trading_state import HaltEntries
from topology.config.graph import Graph
from topology.links.effects import (
    BecameLive,
    BecameStale,
    CannotResume,
    Delivered,
    Effect,
    Reconnect,
    Send,
    SnapshotTaken,
    WasReset,
)
from topology.links.endpoints import Endpoints
from topology.links.frame import EventDecoder
from topology.links.messages import encode_message
from topology.links.publisher import LinkPublisher
from topology.links.sockets import LinkSockets
from topology.links.sources import HALTS, ActorSource, HaltSource, LinkOutlet, schema_of
from topology.links.subscriber import NodeSubscriber
from topology.links.subscription import StreamSubscription

log = logging.getLogger("kaiju")

TICK = 50_000_000
"""Nanoseconds between two checks for silence and missing answers."""
PATIENCE_WITH_READERS = 10_000_000_000
"""Nanoseconds after which sources start even if a listed reader has not connected."""
MAX_IN_MEMORY = 65_536
"""Events kept in memory for a reader on another node that does not read them."""
PACE = MAX_IN_MEMORY // 2
"""Events that a reader on another node may lag before sources wait for it."""
INTAKE = 65_536
"""Events that a reader here may lag before live frames are no longer received; what is lost by that
is requested again. Answers, which come on request, are received up to twice that lag."""
FIRST_BACK_OFF, MAX_BACK_OFF = 200_000_000, 5_000_000_000
"""Nanoseconds between attempts to connect to a node that does not answer."""


class NodeLinks:
    """See `actors.runtime.node.links.Links`.

    Args:
        name: of this node.
        topology: name of the topology.
        graph: of the whole topology.
        endpoints: where the other nodes are.
        sockets: of this node, listening.
        leaves_host: whether events must be synced to disk before they are sent.
    """

    def __init__(
        self,
        name: str,
        topology: str,
        graph: Graph,
        endpoints: Endpoints,
        sockets: LinkSockets,
        *,
        leaves_host: bool,
    ) -> None:
        self.name = name
        self._topology, self._graph, self._endpoints = topology, graph, endpoints
        self._sockets, self._leaves_host = sockets, leaves_host
        self._clock = LiveClock()
        self._halts = HaltSource(name)
        self._halted: dict[str, HaltEntries] = {}
        """What each other node owns."""
        self._halts_of = {f"{HALTS}.{other}": other for other in graph.nodes if other != name}
        self._subscribers: dict[str, NodeSubscriber] = {}
        """By publishing node."""
        self._streams: dict[str, dict[str, StreamSubscription]] = {}
        self._given: dict[tuple[str, str], RemoteCursor] = {}
        """Positions by stream and reading node."""
        self._waits_for: set[str] = set()
        """Listed readers that have not connected yet."""
        self._began = self._next_tick = 0
        self._connect_at: dict[str, int] = {}
        self._back_off: dict[str, int] = {}
        self._chance = Random()  # noqa: S311 - only spreads the nodes' attempts to connect
        self._reads = True

    def begin(self, node: LinkedNode) -> None:
        """See `Links.begin`."""
        self._node = node
        self._began = self._clock.read()
        readers = readers_of(self._graph, self.name)
        sources: dict[str, ActorSource | HaltSource] = {self._halts.name: self._halts}
        for actor in node.actors.values():
            journal = node.journal_of(actor.name)
            for output, stream in actor.context.streams.items():
                outlet = LinkOutlet(actor, stream, waits_for_sync=self._leaves_host)
                node.open_outlet(outlet)
                sources[stream.name] = ActorSource(actor, output, outlet, journal)
                for reader in readers.get(stream.name, ()):
                    remote = RemoteCursor(actor, stream, reader)
                    stream.listen(remote)
                    self._given[stream.name, reader] = remote
                    self._waits_for.add(reader)
        others = frozenset(self._halts_of.values())
        self._publisher = LinkPublisher(
            self.name,
            self._topology,
            time.time_ns(),
            sources=sources,
            readers={**readers, self._halts.name: others},
            on_position=self._note_position,
        )
        node.halts.on_own_change = self._halts.say
        self._halts.say(node.halts.own)
        for other in others:
            self._read_from(other)

    def receive(self) -> None:
        """See `Links.receive`."""
        now = self._clock.read()
        if self._sockets.ready():
            self._take(now)
        if now >= self._next_tick:
            self._next_tick = now + TICK
            self._tick(now)

    def send(self) -> None:
        """See `Links.send`."""
        for frame in self._publisher.live(self._clock.read()):
            self._sockets.publish(frame)

    def stop_reading(self) -> None:
        """See `Links.stop_reading`."""
        self._reads = False

    def sources_may_run(self) -> bool:
        """See `Links.sources_may_run`."""
        if self._waits_for and self._clock.read() - self._began < PATIENCE_WITH_READERS:
            self._waits_for -= self._publisher.readers_seen()
            if self._waits_for:
                return False
        return all(r.stream.next_seq - r.read <= PACE for r in self._given.values())

    def statistics(self) -> tuple[LinkRecord, ...]:
        """See `Links.statistics`."""
        inputs = [
            LinkRecord(
                "input",
                node,
                reader.stream,
                str(reader.state),
                reader.epoch,
                reader.position,
                reader.lag,
                reader.gaps,
                reader.repeated,
                reader.resumes,
                reader.resets,
                reader.malformed,
                self._is_durable(reader.stream),
                reader.delay,
            )
            for node, streams in self._streams.items()
            for reader in streams.values()
        ]
        seen = self._publisher.readers_seen()
        outputs = [
            LinkRecord(
                "output",
                node,
                stream,
                "LIVE" if node in seen else "CONNECTING",
                reader.stream.epoch,
                reader.read,
                reader.stream.next_seq - reader.read,
            )
            for (stream, node), reader in self._given.items()
        ]
        return (*inputs, *outputs)

    def counts(self) -> LinkCounts:
        """See `Links.counts`."""
        sockets, asked = self._sockets.statistics(), self._publisher
        return LinkCounts(
            sockets.unsent,
            refused={
                "key": sockets.refused_keys,
                "handshake": sockets.refused_handshakes,
                "subscription": sockets.refused_subscriptions,
                "request": asked.refused,
            },
            malformed={
                "": sockets.malformed + asked.malformed,
                **{node: reader.malformed for node, reader in self._subscribers.items()},
            },
            redials={node: reader.redials for node, reader in self._subscribers.items()},
        )

    def close(self) -> None:
        """See `Links.close`."""
        self.send()
        self._sockets.close()

    def _read_from(self, node: str) -> None:
        """Begin to follow the streams and halts of another node."""
        mirrors = {
            name: mirror
            for name, mirror in self._node.mirrors.items()
            if mirror.publisher.node == node
        }
        classes: dict[str, Iterable[type[Event]]] = {
            name: handled_of(mirror) for name, mirror in mirrors.items()
        }
        halts = f"{HALTS}.{node}"
        classes[halts] = (HaltTrading, ResumeTrading)
        self._streams[node] = {
            name: _subscription_of(name, handled, mirrors.get(name))
            for name, handled in classes.items()
        }
        wants = {name: schema_of(handled) for name, handled in classes.items()}
        self._subscribers[node] = NodeSubscriber(
            self.name, self._topology, node, self._streams[node], wants
        )
        for mirror in mirrors.values():
            mirror.ask_snapshot = self._asks(node)
        self._connect(node, self._clock.read())

    def _is_durable(self, stream: str) -> bool:
        mirror = self._node.mirrors.get(stream)
        return mirror is not None and mirror.publisher.durable

    def _asks(self, node: str) -> Callable[[str], None]:
        def ask(stream: str) -> None:
            now = self._clock.read()
            self._apply(node, self._subscribers[node].want_snapshot(stream, now), now)

        return ask

    def _take(self, now: int) -> None:
        sockets = self._sockets
        for peer, user, data in sockets.requests():
            for answer in self._publisher.hear(peer, data, user, now):
                sockets.answer(peer, answer)
        if not self._reads or self._lags(2 * INTAKE):
            self._note_not_reading(now, answers=True)
            return
        for node, data in sockets.answers():
            self._apply(node, self._subscribers[node].hear(data, now), now)
        if self._lags(INTAKE):
            self._note_not_reading(now, answers=False)
            return
        for node, data in sockets.frames():
            taken = self._clock.read()  # a frame may have left after this turn began
            self._apply(node, self._subscribers[node].frame(data, taken), taken)

    def _note_not_reading(self, now: int, *, answers: bool) -> None:
        for reader in self._subscribers.values():
            reader.note_not_reading(now, answers=answers)

    def _lags(self, bound: int) -> bool:
        return any(mirror.lags(bound) for mirror in self._node.mirrors.values())

    def _tick(self, now: int) -> None:
        for peer, answer in self._publisher.tick(now):
            self._sockets.answer(peer, answer)
        for remote in self._given.values():
            remote.hold_at_most(MAX_IN_MEMORY)
        for node, reader in self._subscribers.items():
            if now >= self._connect_at.get(node, now + 1):
                self._connect(node, now)
            self._apply(node, reader.tick(now), now)
            if reader.connected:
                self._back_off.pop(node, None)
            self._apply(node, reader.positions(self._positions(node), now), now)

    def _positions(self, node: str) -> dict[str, tuple[int, int, int]]:
        return {
            name: (mirror.stream.epoch, mirror.read, mirror.kept(self._node.on_disk))
            for name, mirror in self._node.mirrors.items()
            if mirror.publisher.node == node and mirror.stream.epoch
        }

    def _apply(self, node: str, effects: Iterable[Effect], now: int) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._sockets.send(node, encode_message(effect.message))
            elif isinstance(effect, Reconnect):
                self._reconnect_later(node, effect.reason, now)
            elif effect.stream in self._halts_of:
                self._take_halts(node, effect)
            else:
                self._apply_to(self._node.mirrors[effect.stream], effect)

    def _apply_to(self, mirror: Mirror, effect: Effect) -> None:
        match effect:
            case Delivered():
                mirror.deliver(effect.envelopes)
            case WasReset():
                mirror.reset(effect.epoch, effect.position, effect.reason, effect.snapshot)
            case BecameLive():
                mirror.became_live()
            case BecameStale():
                mirror.became_stale(effect.reason)
            case SnapshotTaken():
                mirror.take_snapshot(effect.epoch, effect.position, effect.events)
            case CannotResume():
                log.error("%s cannot be read: %s", effect.stream, effect.reason)
                if mirror.publisher.durable:
                    self._node.halts.halt(f"{effect.stream}: {effect.reason}")

    def _take_halts(self, node: str, effect: Effect) -> None:
        match effect:
            case Delivered():
                events: Iterable[Event] = [envelope.event for envelope in effect.envelopes]
            case WasReset():
                events = effect.snapshot
                self._halted[node] = HaltEntries()
            case _:
                return
        entries = self._halted.setdefault(node, HaltEntries())
        for event in events:
            if isinstance(event, HaltTrading):
                entries.take(event)
            elif isinstance(event, ResumeTrading):
                entries.lift(event)
        self._node.halts.follow(node, entries.entries.values())

    def _note_position(self, node: str, stream: str, read: int, kept: int) -> None:
        if (remote := self._given.get((stream, node))) is not None:
            remote.note(read, kept)

    def _reconnect_later(self, node: str, reason: str, now: int) -> None:
        wait = self._back_off.get(node, FIRST_BACK_OFF)
        self._back_off[node] = min(2 * wait, MAX_BACK_OFF)
        self._connect_at[node] = now + int(wait * self._chance.uniform(0.5, 1.0))
        log.info("node %s: %s; it is tried again", node, reason)

    def _connect(self, node: str, now: int) -> None:
        self._connect_at.pop(node, None)
        live, recovery, key = self._endpoints.of(node)
        try:
            self._sockets.connect(node, live, recovery, self._streams[node], key)
        except OSError as error:  # descriptors are lacking, and may be there in a moment
            log.warning("node %s cannot be read now: %s", node, error.strerror)
            self._reconnect_later(node, str(error.strerror), now)
            return
        self._apply(node, self._subscribers[node].begin(now), now)


def readers_of(graph: Graph, node: str) -> dict[str, frozenset[str]]:
    """Return the other nodes that read each stream of `node`."""
    found: dict[str, set[str]] = {}
    for edge in graph.edges:
        there = graph.actors[edge.reader].node
        if graph.actors[edge.source].node == node != there:
            found.setdefault(edge.stream, set()).add(there)
    return {stream: frozenset(nodes) for stream, nodes in found.items()}


def handled_of(mirror: Mirror) -> set[type[Event]]:
    """Return the classes of a stream that some reader here handles."""
    return {c for reader in mirror.readers for c in reader.handlers}


def _subscription_of(
    name: str, handled: Iterable[type[Event]], mirror: Mirror | None
) -> StreamSubscription:
    events = EventDecoder(handled)
    if mirror is None:
        return StreamSubscription(name, events)
    stream = mirror.stream
    return StreamSubscription(
        name, events, epoch=stream.epoch, position=stream.next_seq, begun=mirror.begun
    )
