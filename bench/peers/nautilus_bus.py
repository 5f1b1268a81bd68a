"""The hops of `bench.hop` on NautilusTrader's message bus.

Its `publish` calls the handlers before it returns, so pings cannot circle: each is published into
a line of relays as long as the ring, and there is neither a queue nor a burst to tell apart. What
is published is its own `QuoteTick`: a foreign class costs it half as much again.
"""

from __future__ import annotations

import time

from nautilus_trader.common.component import MessageBus, TestClock
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import InstrumentId, TraderId
from nautilus_trader.model.objects import Price, Quantity

from bench.hop import best_of
from bench.rounds import Figures


class Relay:
    """Count a ping and pass it on."""

    def __init__(self, bus: MessageBus, following: str, limit: int) -> None:
        self.bus = bus
        self.following = following
        self.count = 0
        self.limit = limit

    def on_ping(self, ping: QuoteTick) -> None:
        """Count, and pass on."""
        self.count += 1
        if self.count <= self.limit:
            self.bus.publish(self.following, ping)

    def on_last_ping(self, _ping: QuoteTick) -> None:
        """Count."""
        self.count += 1


def measure(hops: int, actors: int, in_flight: int) -> Figures:  # noqa: ARG001
    """Return microseconds a hop, the best of a few repeats."""
    length = 1 if actors == 2 else actors
    px, qty = Price.from_str("61837.63"), Quantity.from_str("3.78826")
    ping = QuoteTick(InstrumentId.from_str("BTCUSDT.BINANCE"), px, px, qty, qty, 1, 1)

    def once() -> float:
        bus, rounds = MessageBus(TraderId("BENCH-001"), TestClock()), hops // length
        relays = [Relay(bus, f"ping{i + 1}", rounds) for i in range(length)]
        for index, relay in enumerate(relays):
            last = index == length - 1
            bus.subscribe(f"ping{index}", relay.on_last_ping if last else relay.on_ping)
        publish = bus.publish
        began = time.perf_counter()
        for _ in range(rounds):
            publish("ping0", ping)
        took = time.perf_counter() - began
        assert relays[-1].count == rounds
        return took / (rounds * length)

    return {"us": best_of(once)}
