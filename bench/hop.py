"""One in-memory hop: an actor emits an event, and another's handler counts it.

Events circle in a ring of actors, so every hop is the same: a handler counts, and emits what it
was given. One event in the ring is delivery one at a time; 64 are a queue that is never empty.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from actors.events.event import Event
from actors.runtime.actor import Actor, handles
from actors.runtime.node.config import Durability, NodeConfig
from actors.runtime.node.node import Node
from bench.rounds import Contestant, Figures, Results, run_rounds, write_raw
from bench.table import Row, figure, our_figure

ROUNDS = 5
REPEATS = 3
TASKS = {
    "one at a time": {"actors": 2, "in_flight": 1},
    "in bursts of 64": {"actors": 2, "in_flight": 64},
    "chain of 10, bursts of 64": {"actors": 10, "in_flight": 64},
}
OURS, METERED = "kaiju", "kaiju, metrics on"
PEERS = {
    "pykka": ("bench.peers.pykka_actors", 10_000, 45.0),
    "vn.py": ("bench.peers.vnpy_events", 60_000, 3.5),
    "NautilusTrader": ("bench.peers.nautilus_bus", 200_000, 1.8),
}
"""Module, hops in a measurement and the ratio aimed at."""
AIMS = "1.8x, 3.5x, 45x"
METRICS_AIM = "within 1.6x"


class Ping(Event):
    """What goes round."""

    number: int


class Relay(Actor):
    """Count a ping and pass it on, until so many have passed."""

    class Settings(Actor.Settings):
        """How much work there is."""

        first: int = 0
        """Pings that this actor begins with."""
        limit: int

    class State(msgspec.Struct):
        """How much work is done, and how much there is."""

        count: int = 0
        limit: int = 0

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"pings": (Ping,)}
    settings: Relay.Settings
    state: Relay.State

    def on_start(self) -> None:
        """Set the first pings off."""
        self.state.limit = self.settings.limit
        for number in range(self.settings.first):
            self.emit(Ping(number))

    @handles(Ping)
    def on_ping(self, ping: Ping) -> None:
        """Count, and pass on."""
        state = self.state
        state.count += 1
        if state.count <= state.limit:
            self.emit(ping)


def ring(
    hops: int, actors: int, in_flight: int, *, durable: Durability = "none", **options: Any
) -> Node:
    """Return a node whose actors pass `in_flight` pings round until `hops` are done."""
    node = Node(NodeConfig("ring", **options))
    limit = hops // actors
    for index in range(actors):
        first = 0 if index else in_flight
        settings = {"first": first, "limit": limit}
        node.add(f"relay{index}", Relay, settings, durable=durable)
    for index in range(actors):
        node.connect(f"relay{index}", f"relay{(index - 1) % actors}.pings")
    return node


def measure(hops: int, actors: int, in_flight: int, *, metrics: bool) -> Figures:
    """Return microseconds a hop on one of our nodes, the best of a few repeats."""

    def once() -> float:
        node = ring(hops, actors, in_flight, metrics=metrics)
        began = time.perf_counter()
        node.run()
        return (time.perf_counter() - began) / node.loop.steps

    return {"us": best_of(once)}


def best_of(once: Callable[[], float]) -> float:
    """Return the best of a few repeats, in microseconds: what disturbs only ever slows."""
    return min(once() for _ in range(REPEATS)) * 1e6


def contestants() -> list[Contestant]:
    """Return all that is measured in a round."""
    found = []
    for task, shape in TASKS.items():
        for system, metrics in ((OURS, False), (METERED, True)):
            arguments = {"hops": 200_000, "metrics": metrics, **shape}
            found.append(Contestant(system, task, "bench.hop", "measure", arguments))
        for system, (module, hops, _) in PEERS.items():
            arguments = {"hops": hops, **shape}
            found.append(Contestant(system, task, module, "measure", arguments))
    return found


def run(progress: Callable[[str], None]) -> list[Row]:
    """Measure all systems and return the rows of the table."""
    results = run_rounds(contestants(), ROUNDS, progress)
    write_raw("hop", results)
    return [_row(task, results) for task in TASKS]


def _row(task: str, results: Results) -> Row:
    peers = {
        name: figure(
            results.median(name, task, "us"),
            results.ratio((name, task), (OURS, task), "us"),
            aim,
            "us",
        )
        for name, (_, _, aim) in PEERS.items()
    }
    on = our_figure(results.median(METERED, task, "us"), "us")
    cost = results.ratio((METERED, task), (OURS, task), "us") or 0.0
    return Row(
        f"hop, {task}",
        our_figure(results.median(OURS, task, "us"), "us"),
        peers,
        AIMS,
        f"metrics on {on}, {cost:.2f}x ({METRICS_AIM})",
    )
