"""Prometheus metrics of a node's links to others; the other node is the label ``peer``."""

from __future__ import annotations

from collections.abc import Iterator

from actors.runtime.statistics import LinkCounts, LinkRecord, NodeStatistics
from kaiju.monitor.prometheus import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    add_histogram,
)
from topology.links.subscription import State

INPUT_COUNTS = {
    "gaps": "How often live frames were missing.",
    "repeated": "Events that arrived again and were skipped.",
    "resumes": "Requests to the publisher to resume from a position; one at each start.",
}


def link_families(statistics: NodeStatistics) -> Iterator[Metric]:
    """Yield the metric families of links; nothing where the node has none."""
    counts = statistics.link_counts
    if counts is None:
        return
    inputs = [link for link in statistics.links if link.kind == "input"]
    yield from _now(statistics.links)
    yield from _since_the_start(inputs)
    yield _malformed(inputs, counts)
    yield from _of_the_node(counts)


def _now(links: tuple[LinkRecord, ...]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "kaiju_link_state",
        "1 for the state that a stream from (input) or to (output) another node is in.",
        labels=["kind", "peer", "stream", "state"],
    )
    behind = GaugeMetricFamily(
        "kaiju_link_behind",
        "Events emitted that have not arrived (input) or are not handled there (output).",
        labels=["kind", "peer", "stream"],
    )
    for link in links:
        labels = [link.kind, link.node, link.stream]
        behind.add_metric(labels, link.behind)
        for each in State:
            state.add_metric([*labels, each], link.state == each)
    yield from (state, behind)


def _since_the_start(inputs: list[LinkRecord]) -> Iterator[Metric]:
    for name, meaning in INPUT_COUNTS.items():
        family = CounterMetricFamily(f"kaiju_link_{name}", meaning, labels=["peer", "stream"])
        for link in inputs:
            family.add_metric([link.node, link.stream], getattr(link, name))
        yield family
    resets = CounterMetricFamily(
        "kaiju_link_resets",
        "How often a stream continued after a snapshot, without the events before it.",
        labels=["peer", "stream", "durable"],
    )
    delay = HistogramMetricFamily(
        "kaiju_link_delay_seconds",
        "From when a live frame left its node until it was taken in, by the clocks of both.",
        labels=["peer", "stream"],
    )
    for link in inputs:
        durable = "yes" if link.durable else "no"
        resets.add_metric([link.node, link.stream, durable], link.resets)
        add_histogram(delay, [link.node, link.stream], link.delay)
    yield from (resets, delay)


def _malformed(inputs: list[LinkRecord], counts: LinkCounts) -> Metric:
    family = CounterMetricFamily(
        "kaiju_link_malformed",
        "Messages and frames that could not be read, by peer and stream where known.",
        labels=["peer", "stream"],
    )
    for link in inputs:
        family.add_metric([link.node, link.stream], link.malformed)
    for peer, count in counts.malformed.items():
        family.add_metric([peer, ""], count)
    return family


def _of_the_node(counts: LinkCounts) -> Iterator[Metric]:
    refused = CounterMetricFamily(
        "kaiju_link_refused",
        "Requests and handshakes refused to strangers and other nodes.",
        labels=["what"],
    )
    for what, count in counts.refused.items():
        refused.add_metric([what], count)
    redials = CounterMetricFamily(
        "kaiju_link_redials", "Connections made anew after silence.", labels=["peer"]
    )
    for peer, count in counts.redials.items():
        redials.add_metric([peer], count)
    yield from (refused, redials)
    yield CounterMetricFamily(
        "kaiju_link_unsent",
        "Messages to other nodes dropped because of a full queue or a missing peer.",
        value=counts.unsent,
    )
