"""Tick to order: from when a quote was due until the gateway's order was taken for sending.

Quotes come by a timetable that does not wait for us (open loop). Each latency counts from the
quote's place in that timetable, not from when we got round to it, so a stall is charged to every
quote that it delayed (no coordinated omission).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from actors.events.event import Event
from actors.events.venue import NewOrderSingle
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import LiveClock
from bench.path import ACTORS, OURS, Actors, QuoteFeed, trading_node
from bench.recorded import ABSENT, FILES, recorded_quotes
from bench.rounds import Contestant, Figures, Results, run_rounds, write_raw
from bench.table import Row

ROUNDS = 3
QUOTES = 20_000
INTERVAL_NS = 300_000
QUOTES_PER_ORDER = 5
TASKS = {"constant rate": 1, "bursts of 64": 64}
LEAD_NS = 200_000_000
"""From the start of the node until the first quote is due."""
WARM_UP = 0.1
"""Part of the orders that is not counted, at the beginning."""
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


class Wire(Actor):
    """Note when each order arrives, and which quote caused it."""

    class State(msgspec.Struct):
        """By order: number of the quote, when the loop took it, when the order arrived."""

        orders: list[tuple[int, int, int]] = []

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {}
    state: State

    @handles(NewOrderSingle)
    def on_order(self, _order: NewOrderSingle) -> None:
        """Note; the node's clock was read when it took the order."""
        _, _, quote, arrival = self.envelope.root
        self.state.orders.append((quote, arrival, self.now))


def measure(burst: int) -> Figures:
    """Return microseconds from a quote's due time to its order, by quantile.

    Args:
        burst: quotes that are due at the same moment; the mean rate is always the same.
    """
    clock = LiveClock()
    start = clock.read() + LEAD_NS
    recorded = [quote for _, quote in recorded_quotes()[:QUOTES]]
    due = [start + index // burst * burst * INTERVAL_NS for index in range(QUOTES)]
    QuoteFeed.quotes = list(zip(due, recorded, strict=True))
    actors: Actors = {
        "feed": (QuoteFeed, {}),
        "wire": (Wire, {}),
        **ACTORS,
        "strategy": (ACTORS["strategy"][0], {"quotes_per_order": QUOTES_PER_ORDER}),
        "risk": (ACTORS["risk"][0], {"orders_per_second": 1_000_000, "order_burst": 1_000}),
    }
    node = trading_node(actors, clock=clock)
    node.connect("wire", "gateway.venue")
    node.run()
    assert not node.supervisor.failures, node.supervisor.failures
    orders = node.actors["wire"].state.orders
    assert len(orders) == QUOTES // QUOTES_PER_ORDER, f"{len(orders)} orders arrived"
    counted = orders[int(len(orders) * WARM_UP) :]
    latencies = sorted(sent - due[quote - 1] for quote, _, sent in counted)
    waits = sorted(taken + clock._to_utc - due[quote - 1] for quote, taken, _ in counted)
    figures = {name: latencies[int(q * len(latencies))] / 1e3 for name, q in QUANTILES.items()}
    return {**figures, "wait": waits[len(waits) // 2] / 1e3}


def contestants() -> list[Contestant]:
    """Return all that is measured in a round; nothing where there are no recordings."""
    return [
        Contestant(OURS, task, "bench.latency", "measure", {"burst": burst})
        for task, burst in TASKS.items()
        if FILES
    ]


def run(progress: Callable[[str], None]) -> list[Row]:
    """Measure and return the rows of the table."""
    if not FILES:
        return [Row("tick to order", "-", note=ABSENT)]
    results = run_rounds(contestants(), ROUNDS, progress)
    write_raw("latency", results)
    return [_row(task, results) for task in TASKS]


def _row(task: str, results: Results) -> Row:
    quantiles = " / ".join(f"{results.median(OURS, task, name) or 0:,.0f}" for name in QUANTILES)
    wait = results.median(OURS, task, "wait") or 0
    return Row(
        f"tick to order, {task}",
        f"{quantiles} us",
        note=f"{' / '.join(QUANTILES)}; p50 of the wait for the loop {wait:,.0f} us",
    )
