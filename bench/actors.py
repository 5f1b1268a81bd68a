"""What an event costs, and an actor weighs, as the actors of one node grow in number."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

from bench.hop import OURS, best_of, ring
from bench.rounds import Contestant, Figures, Results, run_rounds, write_raw
from bench.table import Row, our_figure

ROUNDS = 3
FEW, MANY = 10, 10_000
TASKS = {"one at a time": 1, "in bursts of 64": 64}
SLICE = 1_024
"""Deliveries that a node makes between two looks outside."""
SLICES = 300
WARM = 100
"""Events for each actor before the clock runs."""
EVENTS_EACH = 1_000
TAIL_BYTES = 4 << 20
"""Budget of the node for all tails together."""
FOREVER = 1 << 40


def resident_bytes() -> int:
    """Return what this process occupies now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure_cost(actors: int, in_flight: int) -> Figures:
    """Return microseconds a hop on a node of so many actors, all of them at work in turn."""
    node = ring(FOREVER, actors, in_flight, metrics=False)
    node._start()
    loop = node.loop

    def once(slices: int) -> float:
        began = time.perf_counter()
        for _ in range(slices):
            loop.run(SLICE)
        return (time.perf_counter() - began) / (slices * SLICE)

    once(1 + WARM * actors // SLICE)  # until every tail is as long as it will ever be

    return {"us": best_of(lambda: once(SLICES))}


def measure_memory(actors: int, events_each: int) -> Figures:
    """Return bytes an actor: newly added, and after its events, the tails' budget apart."""
    ring(FEW * 10, FEW, 1, metrics=True).run()
    gc.collect()
    before = resident_bytes()
    node = ring(actors * events_each, actors, FEW, metrics=True, tail_bytes=TAIL_BYTES)
    gc.collect()
    added = resident_bytes() - before
    node.run()
    gc.collect()
    grown = resident_bytes() - before
    assert all(actor.state.count >= events_each for actor in node.actors.values())
    return {
        "added": added / actors,
        "total": grown / actors,
        "beside_tails": (grown - TAIL_BYTES) / actors,
    }


def contestants() -> list[Contestant]:
    """Return all that is measured; memory, which does not vary, in one round."""
    return [*_costs(), *_memory()]


def run(progress: Callable[[str], None]) -> list[Row]:
    """Measure cost and memory and return the rows of the table."""
    results = run_rounds(_costs(), ROUNDS, progress)
    results.rounds.update(run_rounds(_memory(), 1, progress).rounds)
    write_raw("actors", results)
    return [*[_cost_row(task, results) for task in TASKS], _memory_row(results)]


def _costs() -> list[Contestant]:
    return [
        Contestant(
            OURS,
            f"{actors} actors, {task}",
            "bench.actors",
            "measure_cost",
            {"actors": actors, "in_flight": in_flight},
        )
        for task, in_flight in TASKS.items()
        for actors in (FEW, MANY)
    ]


def _memory() -> list[Contestant]:
    given = {"actors": MANY, "events_each": EVENTS_EACH}
    return [Contestant(OURS, "memory", "bench.actors", "measure_memory", given)]


def _cost_row(task: str, results: Results) -> Row:
    few, many = ((OURS, f"{n} actors, {task}") for n in (FEW, MANY))
    ratio = results.ratio(many, few, "us") or 0.0
    return Row(
        f"hop, {MANY:,} actors, {task}",
        our_figure(results.median(*many, "us"), "us"),
        aim="within 1.3x",
        note=f"{ratio:.2f}x of {our_figure(results.median(*few, 'us'), 'us')} with {FEW}",
    )


def _memory_row(results: Results) -> Row:
    beside = results.median(OURS, "memory", "beside_tails") or 0.0
    added = results.median(OURS, "memory", "added") or 0.0
    return Row(
        "memory an actor, beside the tails' budget",
        our_figure(beside, "bytes"),
        aim="below 8,192",
        note=f"{MANY:,} actors, {EVENTS_EACH:,} events each; {added:,.0f} before the first",
    )
