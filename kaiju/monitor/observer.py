"""What people and monitors see of a node while it runs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.events.accounts import PnlUpdated, PositionUpdated
from actors.events.event import Event
from actors.events.market import (
    BookState,
    BookStateChanged,
    DepthDiff,
    DepthSnapshot,
    Quote,
    TopOfBook,
    Trade,
)
from actors.events.orders import OrderFilled, OrderUnknown
from actors.events.system import ConnectionEstablished, MessageDiscarded
from actors.runtime.actor import Actor
from actors.runtime.envelope import Envelope
from actors.runtime.node.node import Node
from actors.runtime.ports import PortRunner
from actors.runtime.statistics import NodeStatistics
from actors.runtime.stream import Input, Stream
from actors.runtime.stream_name import output_of
from kaiju.monitor.alarms import ALARMS, AlarmCounter
from kaiju.monitor.discarded import DiscardCounter, Discarded
from kaiju.monitor.discarded import Key as DiscardKey
from kaiju.monitor.venues import VenueFollower, VenueView
from kaiju.record.scales import Scales
from kaiju.record.totals import ORDER_STATES, PARTLY_FILLED, Key

LATEST = (TopOfBook, BookStateChanged, PositionUpdated, PnlUpdated)
"""Event classes whose newest value per key is shown; actors return it in their snapshots."""
FILLS_KEPT = 1_000
"""Newest fills that an operator is shown."""
MARKET_DATA = (DepthDiff, DepthSnapshot, Quote, Trade)


@dataclass(frozen=True)
class NodeView:
    """A node at one moment; nothing in it changes any more, except histograms that grow."""

    topology: str
    statistics: NodeStatistics
    scales: Scales
    orders: dict[tuple[str, str], int]
    """Events by (strategy, state)."""
    progress: tuple[int, int] | None
    """(done, total) of what will end the run first; None where that is not known."""
    tops: dict[str, TopOfBook] = field(default_factory=dict)
    top_ages: dict[str, int] = field(default_factory=dict)
    """Nanoseconds since the top changed, by instrument."""
    books: dict[str, BookState] = field(default_factory=dict)
    positions: dict[Key, PositionUpdated] = field(default_factory=dict)
    pnl: dict[Key, PnlUpdated] = field(default_factory=dict)
    feed_ages: dict[str, int] = field(default_factory=dict)
    """Nanoseconds since the newest event, by stream of market data."""
    discarded: tuple[Discarded, ...] = ()
    alarms: dict[str, int] = field(default_factory=dict)
    """Alarms about orders, by kind."""
    venues: tuple[VenueView, ...] = ()
    """Connections over a network, of gateways and feeds."""
    ending: str = ""
    """Why the run that the node is part of is ending; empty while it lasts."""
    busy: bool = False
    """Whether orders are open at a venue, or something is being handled."""
    has_data: bool = False
    """Whether a source has more to give."""

    def take(self, event: Event) -> None:
        """Add one event of a snapshot."""
        match event:
            case TopOfBook():
                self.tops[event.instrument] = event
            case BookStateChanged():
                self.books[event.instrument] = event.state
            case PositionUpdated():
                self.positions[event.strategy, event.instrument] = event
            case PnlUpdated():
                self.pnl[event.strategy, event.instrument] = event


class OrderCounter:
    """A port that only counts what happened to orders, and keeps the newest fills."""

    output = ""

    def __init__(
        self, orders: Counter[tuple[str, str]], fills: deque[tuple[int, OrderFilled]]
    ) -> None:
        self._orders, self._fills = orders, fills

    def resume(self) -> int | None:
        """Return None: nothing is kept outside."""
        return None

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """Count these events."""
        for envelope in envelopes:
            event: Any = envelope.event
            if isinstance(event, OrderFilled):
                self._fills.append((envelope.time, event))
            state = ORDER_STATES.get(type(event))
            if state is None or (isinstance(event, OrderUnknown) and event.queries > 1):
                continue
            if isinstance(event, OrderFilled) and (event.leaves_qty or event.late):
                state = PARTLY_FILLED
            about = getattr(event, "order", event)
            self._orders[about.strategy, state] += 1

    def close(self) -> None:
        """Do nothing."""


class NodeObserver:
    """Observes a node; to be used on the loop's thread, created before the node runs.

    Args:
        node: the node to look at.
        topology: what the system is called.
        duration: nanoseconds of the node's clock that the run takes at most, where that is known.
    """

    def __init__(self, node: Node, topology: str, duration: int | None = None) -> None:
        self.node = node
        self.scales = Scales(node.instruments.values(), node.currencies.values())
        self.topology = topology
        self._duration = duration
        self._began: int | None = None
        self._orders: Counter[tuple[str, str]] = Counter()
        self._fills: deque[tuple[int, OrderFilled]] = deque(maxlen=FILLS_KEPT)
        self._followed = [
            PortRunner(_listen(actor, stream), OrderCounter(self._orders, self._fills), _raise)
            for actor, stream, classes in _streams(node)
            if ORDER_STATES.keys() & set(classes)
        ]
        self._alarms: Counter[str] = Counter()
        self._followed += [
            PortRunner(_listen(actor, stream), AlarmCounter(self._alarms), _raise)
            for actor, stream, classes in _streams(node)
            if ALARMS.keys() & set(classes)
        ]
        self._discarded: dict[DiscardKey, Discarded] = {}
        self._followed += [
            PortRunner(_listen(actor, stream), DiscardCounter(actor.name, self._discarded), _raise)
            for actor, stream, classes in _streams(node)
            if MessageDiscarded in classes
        ]
        self._venues = [
            (
                stream,
                actor,
                VenueFollower(actor.name, getattr(actor.settings, actor.venue_endpoint)),
            )
            for actor, stream, classes in _streams(node)
            if actor.venue_endpoint and ConnectionEstablished in classes
        ]
        self._followed += [
            PortRunner(_listen(actor, stream), follower, _raise)
            for stream, actor, follower in self._venues
        ]
        self._changed: dict[str, int] = {}
        """When the top of each book changed last."""

    def observe(self) -> NodeView:
        """Return the node as it is now."""
        for reader in self._followed:
            reader.flush()
        view = NodeView(
            self.topology,
            self.node.statistics(),
            self.scales,
            dict(self._orders),
            self._progress(),
            feed_ages=self._feed_ages(),
            discarded=tuple(self._discarded.values()),
            alarms=dict(self._alarms),
            venues=tuple(follower.view for _, _, follower in self._venues),
            ending=self.node.stop_reason or self.node.end_reason,
            busy=self.node.busy,
            has_data=self.node.has_data,
        )
        for actor, stream, classes in _streams(self.node):
            if any(event_class in LATEST for event_class in classes):
                for event in actor.snapshot(output_of(stream.name)):
                    view.take(event)
        for instrument in view.tops:
            view.top_ages[instrument] = view.statistics.now - self._changed_at(instrument)
        return view

    def fills(self) -> tuple[tuple[int, OrderFilled], ...]:
        """Return the newest fills since the node's start, each with its time, oldest first."""
        for reader in self._followed:
            reader.flush()
        return tuple(self._fills)

    def _progress(self) -> tuple[int, int] | None:
        """Return how far the run is: through its data or its time."""
        now = self.node.loop.now
        self._began = now if self._began is None else self._began
        known = [actor.progress() for actor in self.node.actors.values()]
        if self._duration:
            known.append((min(now - self._began, self._duration), self._duration))
        parts = [part for part in known if part is not None and part[1]]
        return max(parts, key=lambda part: part[0] / part[1], default=None)

    def _changed_at(self, instrument: str) -> int:
        for _, stream, classes in _streams(self.node):
            if TopOfBook in classes:
                for envelope in reversed(stream.tail):
                    if getattr(envelope.event, "instrument", None) == instrument:
                        self._changed[instrument] = envelope.time
                        break
        return self._changed.setdefault(instrument, self.node.loop.now)

    def _feed_ages(self) -> dict[str, int]:
        now = self.node.loop.now
        return {
            stream.name: now - stream.tail[-1].time
            for _, stream, classes in _streams(self.node)
            if stream.tail and any(event_class in MARKET_DATA for event_class in classes)
        }


def _streams(node: Node) -> Iterator[tuple[Actor, Stream, tuple[type[Event], ...]]]:
    for actor in node.actors.values():
        for output, classes in actor.outputs.items():
            yield actor, actor.context.streams[output], classes


def _listen(actor: Actor, stream: Stream) -> Input:
    reader = Input(actor.context, stream, {}, {})
    stream.listen(reader)
    return reader


def _raise(error: BaseException) -> None:
    raise error
