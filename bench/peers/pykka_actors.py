"""The ring of `bench.hop` on pykka: a thread an actor, `tell` from each to the next."""

from __future__ import annotations

import threading
import time
from typing import Any

import pykka

from bench.hop import best_of
from bench.rounds import Figures


class Relay(pykka.ThreadingActor):
    """Count a ping and pass it on."""

    def __init__(self, limit: int, done: threading.Event) -> None:
        super().__init__()
        self.count = 0
        self.limit = limit
        self.done = done
        self.following: pykka.ActorRef[Relay] | None = None

    def on_receive(self, message: Any) -> None:
        """Count, and pass on."""
        if self.following is None:
            self.following = message
            return
        self.count += 1
        if self.count <= self.limit:
            self.following.tell(message)
        else:
            self.done.set()


def measure(hops: int, actors: int, in_flight: int) -> Figures:
    """Return microseconds a hop, the best of a few repeats."""

    def once() -> float:
        done, limit = threading.Event(), hops // actors
        refs = [Relay.start(limit, done) for _ in range(actors)]
        for index, ref in enumerate(refs):
            ref.tell(refs[(index + 1) % actors])
        began = time.perf_counter()
        for number in range(in_flight):
            refs[0].tell(number)
        done.wait()
        took = time.perf_counter() - began
        pykka.ActorRegistry.stop_all()
        return took / (limit * actors)

    return {"us": best_of(once)}
