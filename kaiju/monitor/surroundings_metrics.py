"""Metric families of what a node takes of its machine, and of its venues."""

from __future__ import annotations

from collections.abc import Iterator

from kaiju.monitor.observer import NodeView
from kaiju.monitor.prometheus import SECOND, GaugeMetricFamily, Metric


def surroundings_families(view: NodeView) -> Iterator[Metric]:
    """Yield the families of memory, disk, clock and venues."""
    around = view.statistics.surroundings
    if around is not None:
        yield GaugeMetricFamily(
            "kaiju_memory_limit_bytes",
            "Memory at which the node halts and ends; 0 for no limit.",
            value=around.memory_limit,
        )
        yield GaugeMetricFamily(
            "kaiju_clock_ahead_seconds",
            "How far the node's clock is ahead of the machine's; negative where it is behind.",
            value=around.clock_ahead / SECOND,
        )
    if around is not None and around.disk_free:
        yield GaugeMetricFamily(
            "kaiju_disk_free_bytes", "Room where the journals are.", value=around.disk_free
        )
        yield GaugeMetricFamily(
            "kaiju_disk_min_free_bytes", "Room below which that is told.", value=around.min_free
        )
    venues = GaugeMetricFamily(
        "kaiju_venue_connected",
        "1 while a gateway or a feed is connected to its venue.",
        labels=["actor", "endpoint"],
    )
    for venue in view.venues:
        venues.add_metric([venue.actor, venue.endpoint], venue.up)
    yield venues
