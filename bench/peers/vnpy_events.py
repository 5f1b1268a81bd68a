"""The ring of `bench.hop` on vn.py: handlers that put the next event into the one engine."""

from __future__ import annotations

import threading
import time

from vnpy.event import Event, EventEngine

from bench.hop import best_of
from bench.rounds import Figures


class Relay:
    """Count a ping and pass it on; everything runs on the engine's own thread."""

    def __init__(self, engine: EventEngine, following: str, limit: int) -> None:
        self.engine = engine
        self.following = following
        self.count = 0
        self.limit = limit
        self.done = threading.Event()

    def on_ping(self, event: Event) -> None:
        """Count, and pass on."""
        self.count += 1
        if self.count <= self.limit:
            self.engine.put(Event(self.following, event.data))
        else:
            self.done.set()


def measure(hops: int, actors: int, in_flight: int) -> Figures:
    """Return microseconds a hop, the best of a few repeats."""

    def once() -> float:
        engine, limit = EventEngine(), hops // actors
        relays = [Relay(engine, f"ping{(i + 1) % actors}", limit) for i in range(actors)]
        for index, relay in enumerate(relays):
            engine.register(f"ping{index}", relay.on_ping)
        for number in range(in_flight):
            engine.put(Event("ping0", number))
        began = time.perf_counter()
        engine.start()
        relays[0].done.wait()
        return (time.perf_counter() - began) / (limit * actors)

    return {"us": best_of(once)}
