"""Prometheus metrics of a node, rendered when they are asked for.

Actors hold no metric code: the runtime counts, a `NodeObserver` looks on the loop's thread a few
times a second, and a scrape turns the latest view into text. Names begin with ``kaiju_`` and values
are in base units: seconds, whole quantities, whole currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.events.market import BookState
from actors.events.orders import OrderSubmitted
from actors.events.venue import NewOrderSingle
from actors.runtime.node.node import Node
from actors.runtime.statistics import HaltRecord
from actors.runtime.trading_state import severity
from kaiju.monitor.alarms import ALARMS
from kaiju.monitor.discarded import by_reason
from kaiju.monitor.link_metrics import link_families
from kaiju.monitor.observer import NodeView
from kaiju.monitor.prometheus import (
    SECOND,
    Collector,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    add_histogram,
)
from kaiju.monitor.surroundings_metrics import surroundings_families

EDGE_COUNTS = ("sent", "handled", "unhandled", "conflated")


class NodeCollector(Collector):
    """Turns the latest view of a node into metric families.

    Args:
        order_edges: (reader, stream) on which orders reach a gateway; the time from an outside
            event's arrival to that turn is tick to order.
    """

    def __init__(self, order_edges: frozenset[tuple[str, str]]) -> None:
        self.view: NodeView | None = None
        """The latest view; set on the loop's thread."""
        self._order_edges = order_edges

    def collect(self) -> Iterator[Metric]:
        """Yield the families; nothing before the first view."""
        view = self.view
        if view is None:
            return
        yield from self._node(view)
        yield from surroundings_families(view)
        yield from self._edges(view)
        yield from self._actors(view)
        yield from _durability(view)
        yield from link_families(view.statistics)
        yield from _market(view)
        yield from _trading(view)

    def _node(self, view: NodeView) -> Iterator[Metric]:
        statistics = view.statistics
        # Which node a figure is of is told by the label that Prometheus gives to what it reads.
        info = GaugeMetricFamily("kaiju_node_info", "Always 1.", labels=["topology", "name"])
        info.add_metric([view.topology, statistics.node], 1)
        yield info
        yield CounterMetricFamily(
            "kaiju_steps", "Events handled by all actors.", value=statistics.steps
        )
        yield GaugeMetricFamily(
            "kaiju_clock_seconds", "The node's clock, UTC.", value=statistics.now / SECOND
        )
        yield GaugeMetricFamily(
            "kaiju_trading_halted",
            "1 while trading as a whole, or at a venue, is halted.",
            value=bool(statistics.halted) and not statistics.halted_in_part,
        )
        yield _trading_state(statistics.halts)
        dead = CounterMetricFamily(
            "kaiju_dead_letters", "Messages whose handling never finished.", labels=["reason"]
        )
        for reason, count in statistics.dead_letters.items():
            dead.add_metric([reason], count)
        yield dead
        discarded = CounterMetricFamily(
            "kaiju_messages_discarded",
            "Messages from outside that could not be read.",
            labels=["actor", "reason"],
        )
        for labels, count in by_reason(view.discarded).items():
            discarded.add_metric(labels, count)
        yield discarded

    def _edges(self, view: NodeView) -> Iterator[Metric]:
        edges = view.statistics.edges
        for name in EDGE_COUNTS:
            family = CounterMetricFamily(
                f"kaiju_edge_{name}", f"Events {name}, by edge.", labels=["stream", "reader"]
            )
            for edge in edges:
                family.add_metric([edge.stream, edge.reader], getattr(edge, name))
            yield family
        dropped = CounterMetricFamily(
            "kaiju_edge_dropped",
            "Events dropped, by edge and reason.",
            labels=["stream", "reader", "reason"],
        )
        queued = GaugeMetricFamily(
            "kaiju_edge_queued", "Events waiting, by edge.", labels=["stream", "reader"]
        )
        for edge in edges:
            queued.add_metric([edge.stream, edge.reader], edge.queued)
            for reason, count in edge.dropped.items():
                dropped.add_metric([edge.stream, edge.reader, reason], count)
        yield dropped
        yield queued
        streams = CounterMetricFamily(
            "kaiju_stream_events", "Events emitted, by stream.", labels=["stream"]
        )
        for stream in view.statistics.streams:
            streams.add_metric([stream.name], stream.next_seq - 1)
        yield streams

    def _actors(self, view: NodeView) -> Iterator[Metric]:
        depth = GaugeMetricFamily(
            "kaiju_mailbox_depth", "Events waiting for an actor.", labels=["actor"]
        )
        alive = GaugeMetricFamily(
            "kaiju_actor_up", "0 once an actor has stopped.", labels=["actor"]
        )
        failed = CounterMetricFamily(
            "kaiju_actor_failures", "Handlers that raised.", labels=["actor"]
        )
        handle = HistogramMetricFamily(
            "kaiju_handle_seconds", "Time in handlers, where measured.", labels=["actor"]
        )
        arrival = HistogramMetricFamily(
            "kaiju_since_arrival_seconds",
            "From an outside event's arrival to the actor's turn on what followed from it.",
            labels=["actor"],
        )
        order = HistogramMetricFamily(
            "kaiju_tick_to_order_seconds",
            "From an outside event's arrival to the gateway's turn on the order.",
            labels=["actor"],
        )
        for actor in view.statistics.actors:
            depth.add_metric([actor.name], actor.mailbox_depth)
            alive.add_metric([actor.name], actor.alive)
            failed.add_metric([actor.name], actor.failed)
            add_histogram(handle, [actor.name], actor.handle)
            add_histogram(arrival, [actor.name], actor.since_arrival)
        for edge in view.statistics.edges:
            if (edge.reader, edge.stream) in self._order_edges:
                add_histogram(order, [edge.reader], edge.since_arrival)
        yield from (depth, alive, failed, handle, arrival, order)


def _trading_state(halts: Iterable[HaltRecord]) -> Metric:
    state = GaugeMetricFamily(
        "kaiju_trading_state",
        "0 ACTIVE, 1 WARN, 2 REDUCING, 3 HALTED, 4 KILL; by what it is about, empty for all.",
        labels=["venue", "account", "instrument", "strategy"],
    )
    levels = {("", "", "", ""): 0}
    for halt in halts:
        about = (halt.venue, halt.account, halt.instrument, halt.strategy)
        levels[about] = max(levels.get(about, 0), severity(halt.level))
    for labels, level in levels.items():
        state.add_metric(labels, level)
    return state


def _durability(view: NodeView) -> Iterator[Metric]:
    record = view.statistics.durability
    if record is None:
        return
    appended = CounterMetricFamily(
        "kaiju_journal_bytes", "Bytes of steps written, by actor.", labels=["actor"]
    )
    for actor, count in record.appended.items():
        appended.add_metric([actor], count)
    sync = HistogramMetricFamily(
        "kaiju_journal_sync_seconds", "Time to sync all journals together.", labels=[]
    )
    add_histogram(sync, [], record.sync_time)
    yield from (appended, sync)
    yield CounterMetricFamily(
        "kaiju_journal_steps", "Steps written to journals.", value=record.written
    )
    yield CounterMetricFamily(
        "kaiju_journal_synced_steps",
        "Steps that would survive a loss of power, where any actor is `fsync`.",
        value=record.synced,
    )
    yield GaugeMetricFamily(
        "kaiju_journal_held_steps",
        "Steps held in memory while the disk refuses them.",
        value=record.held,
    )
    yield GaugeMetricFamily(
        "kaiju_recovery_steps", "Steps repeated in recovery at the start.", value=record.recovered
    )
    yield GaugeMetricFamily(
        "kaiju_recovery_seconds",
        "Time that recovery took.",
        value=record.recovery_time / SECOND,
    )


def _market(view: NodeView) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "kaiju_book_state", "1 for the state that a book is in.", labels=["instrument", "state"]
    )
    for instrument, found in view.books.items():
        for each in BookState:
            state.add_metric([instrument, each], found is each)
    age = GaugeMetricFamily(
        "kaiju_book_age_seconds", "Time since the top of a book changed.", labels=["instrument"]
    )
    top = GaugeMetricFamily(
        "kaiju_book_top", "Best prices of a LIVE book.", labels=["instrument", "side"]
    )
    for instrument, found_top in view.tops.items():
        age.add_metric([instrument], view.top_ages[instrument] / SECOND)
        unit = 10 ** view.scales.prices.get(instrument, 0)
        top.add_metric([instrument, "bid"], found_top.bid_px / unit)
        top.add_metric([instrument, "ask"], found_top.ask_px / unit)
    feed = GaugeMetricFamily(
        "kaiju_feed_age_seconds",
        "Time since the newest market data of a stream.",
        labels=["stream"],
    )
    for stream, nanoseconds in view.feed_ages.items():
        feed.add_metric([stream], nanoseconds / SECOND)
    yield from (state, age, top, feed)


def _trading(view: NodeView) -> Iterator[Metric]:
    orders = CounterMetricFamily(
        "kaiju_orders", "What happened to orders.", labels=["strategy", "state"]
    )
    for (strategy, state), count in view.orders.items():
        orders.add_metric([strategy, state.replace(" ", "_")], count)
    alarms = CounterMetricFamily(
        "kaiju_order_alarms",
        "What a venue said of orders and should not have, and instruments halted for it.",
        labels=["kind"],
    )
    for kind in ALARMS.values():
        alarms.add_metric([kind], view.alarms.get(kind, 0))
    position = GaugeMetricFamily(
        "kaiju_position", "Position, in whole quantity.", labels=["strategy", "instrument"]
    )
    for (strategy, instrument), found in view.positions.items():
        unit = 10 ** view.scales.quantities.get(instrument, 0)
        position.add_metric([strategy, instrument], found.qty / unit)
    pnl = GaugeMetricFamily(
        "kaiju_pnl",
        "Profit and loss in whole currency; net = realized + unrealized - fees.",
        labels=["strategy", "instrument", "currency", "part"],
    )
    for (strategy, instrument), update in view.pnl.items():
        unit = 10 ** view.scales.settle.get(instrument, 0)
        for part in ("realized", "unrealized", "fees", "net"):
            labels = [strategy, instrument, update.currency, part]
            pnl.add_metric(labels, getattr(update, part) / unit)
    yield from (orders, alarms, position, pnl)


def order_edges(node: Node) -> frozenset[tuple[str, str]]:
    """Return (reader, stream) of every edge on which an order reaches a gateway."""
    return frozenset(
        (actor.name, reader.source.name)
        for actor in node.actors.values()
        if any(NewOrderSingle in classes for classes in actor.outputs.values())
        for reader in actor.context.inputs
        if OrderSubmitted in reader.handlers
    )
