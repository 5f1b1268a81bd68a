"""What is measured of durable actors, each in a process of its own; `journal` shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import ClassVar

from msgspec.structs import replace

from actors.events.durations import SECOND
from actors.events.event import Event
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import LiveClock
from actors.runtime.envelope import Envelope
from actors.runtime.node.config import Durability, NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.ports import Port
from bench.hop import Ping, Relay, ring
from bench.kept import journal_of, seconds_of, step_bytes, temporary_directory
from bench.path import ACTORS, QuoteFeed, trading_node
from bench.recorded import looped_quotes
from bench.rounds import Figures

IN_FLIGHT = 64
ORDER_PATH = ("execution", "risk", "oms", "gateway", "positions", "pnl")
INTERVAL_NS = 1_000_000
LEAD_NS = 200_000_000
"""From the start of a live node until its first input is due."""


class LastingRelay(Relay):
    """Pass pings on until a moment, which its setting `limit` is."""

    @handles(Ping)
    def on_ping(self, ping: Ping) -> None:
        """Pass on, or end."""
        if self.now < self.state.limit:
            self.emit(ping)


class Landing:
    """A port that notes how long ago the step was whose event it performs."""

    output = "pings"

    def __init__(self, clock: LiveClock) -> None:
        self._clock = clock
        self.waits: list[int] = []

    def resume(self) -> None:
        """There is no counterparty that could know."""

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """Note."""
        now = self._clock.read()
        self.waits += [now - envelope.time for envelope in envelopes]

    def close(self) -> None:
        """Nothing is held."""


class Outgoing(Actor):
    """Let pings, due at a steady rate, leave through a port."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"pings": (Ping,)}
    landing: ClassVar[Landing]
    due: ClassVar[list[tuple[int, Event]]] = []

    @handles(Ping)
    def on_ping(self, ping: Ping) -> None:
        """Pass on."""
        self.emit(ping)

    def source(self) -> Iterator[tuple[int, Event]]:
        """Return the pings at their times."""
        return iter(self.due)

    def ports(self) -> Sequence[Port]:
        """Return where they land."""
        return (self.landing,)


def measure_relay(durable: Durability, hops: int) -> Figures:
    """Return microseconds a step of a relay that reads itself, and steps a second."""
    with temporary_directory() as directory:
        node = ring(hops, 1, IN_FLIGHT, durable=durable, metrics=False, data=directory)
        took = seconds_of(node)
        return {
            "us": took / node.loop.steps * 1e6,
            "per_second": node.loop.steps / took,
            "bytes": step_bytes(node, "relay0") if durable != "none" else 0.0,
        }


def measure_groups(group: int, steps: int) -> Figures:
    """Return steps a second of the relay at `fsync`, synced in groups, in virtual time."""
    with temporary_directory() as directory:
        node = ring(
            steps, 1, IN_FLIGHT, durable="fsync", metrics=False, data=directory, slice_steps=group
        )
        took = seconds_of(node)
        return {"per_second": node.loop.steps / took}


def measure_live(durable: Durability, duration: int) -> Figures:
    """Return steps a second of the relay on the live clock, and what one commit is then.

    Args:
        durable: of the relay.
        duration: nanoseconds.
    """
    clock = LiveClock()
    with temporary_directory() as directory:
        node = Node(NodeConfig("relay", metrics=False, data=directory), clock=clock)
        settings = {"first": IN_FLIGHT, "limit": clock.read() + duration}
        node.add("relay0", LastingRelay, settings, durable=durable)
        node.connect("relay0", "relay0.pings")
        node.run(duration)
        durability = node.statistics().durability
        assert durability is not None
        commits = durability.sync_time
        return {
            "per_second": node.loop.steps / duration * SECOND,
            "group": node.loop.steps / max(1, commits.count),
            "commit_ms": commits.quantile(0.5) / 1e6,
        }


def measure_port(durable: Durability, events: int) -> Figures:
    """Return microseconds from a step to its event at a port, on the live clock."""
    clock = LiveClock()
    start = clock.read() + LEAD_NS
    Outgoing.landing = Landing(clock)
    Outgoing.due = [(start + number * INTERVAL_NS, Ping(number)) for number in range(events)]
    with temporary_directory() as directory:
        node = Node(NodeConfig("outgoing", metrics=False, data=directory), clock=clock)
        node.add("outgoing", Outgoing, durable=durable)
        node.run()
    waits = sorted(Outgoing.landing.waits)
    assert len(waits) == events, f"{len(waits)} of {events} arrived"
    return {"p50": waits[events // 2] / 1e3, "p99": waits[events * 99 // 100] / 1e3}


def measure_path(durable: str, quotes: int) -> Figures:
    """Return quotes a second of the recorded path, and what its journals hold.

    Args:
        durable: "none", "orders" for the order path, or "all".
        quotes: how many of them.
    """
    recorded = islice(looped_quotes(), quotes)
    QuoteFeed.quotes = [(moment, replace(quote, venue_time=moment)) for moment, quote in recorded]
    kept = {"none": (), "orders": ORDER_PATH, "all": tuple(ACTORS)}[durable]
    with temporary_directory() as directory:
        node = trading_node(ACTORS, durable=kept, metrics=False, data=directory)
        took = seconds_of(node)
        written = sum(journal_of(node, name).last_step for name in kept)
        sizes = {f"bytes_{name}": step_bytes(node, name) for name in kept}
        return {"per_second": quotes / took, "steps_a_quote": written / quotes, **sizes}
