"""Metric families and the page with them; the only module that imports Prometheus's client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from actors.events.durations import SECOND
from actors.runtime.statistics import Histogram, bucket_bound

__all__ = [
    "SECOND",
    "Collector",
    "CounterMetricFamily",
    "GaugeMetricFamily",
    "HistogramMetricFamily",
    "Metric",
    "add_histogram",
    "metrics_page",
]

OCTAVE = 8
"""Buckets of our histograms per bucket of Prometheus."""
FIRST_OCTAVE, LAST_OCTAVE = 5, 32
"""From half a microsecond to more than a minute."""


def add_histogram(
    family: HistogramMetricFamily, labels: Sequence[str], histogram: Histogram
) -> None:
    """Add a histogram's counts, in buckets that double; nothing while it is empty."""
    # The loop goes on counting while this runs; one copy keeps the buckets consistent.
    counts = list(histogram.counts)
    if not counts:
        return
    buckets, seen, first = [], 0, 0
    for octave in range(FIRST_OCTAVE, LAST_OCTAVE + 1):
        end = (octave + 1) * OCTAVE
        seen += sum(counts[first:end])
        first = end
        buckets.append((str(bucket_bound(end - 1) / SECOND), seen))
    buckets.append(("+Inf", sum(counts)))
    family.add_metric(labels, buckets, histogram.total / SECOND)


def metrics_page(collector: Collector) -> Callable[[], tuple[bytes, str]]:
    """Return a function that returns the page for a scrape, and its content type."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return lambda: (generate_latest(registry), CONTENT_TYPE_LATEST)
