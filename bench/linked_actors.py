"""Actors that are measured over links; they read clocks and write files, as no real actor may."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from actors.events.event import Event
from actors.runtime.actor import Actor, handles

BEGIN = 1_704_067_200_000_000_000


class Tick(Event):
    """A quote of the market-data node, stamped when it is sent (monotonic nanoseconds)."""

    n: int
    sent: int = 0


class Order(Event):
    """What the strategy decides on a tick."""

    n: int


class Report(Event):
    """The first answer to an order, made where it would leave for the venue."""

    n: int


class TickFeed(Actor):
    """Sends `ticks` ticks, one each `interval` nanoseconds."""

    class Settings(Actor.Settings):
        """How many and how often."""

        ticks: int = 5_000
        interval: int = 300_000

    class State(msgspec.Struct):
        """How many were sent."""

        sent: int = 0

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"ticks": (Tick,)}
    settings: TickFeed.Settings
    state: State

    def source(self) -> Iterator[tuple[int, Event]]:
        """Return the ticks at their times."""
        for n in range(self.state.sent, self.settings.ticks):
            yield BEGIN + n * self.settings.interval, Tick(n)

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        """Send it on, stamped."""
        self.state.sent += 1
        self.emit(Tick(tick.n, time.monotonic_ns()))


class Strategy(Actor):
    """Orders on every so many-th tick, and notes how long both stages took."""

    class Settings(Actor.Settings):
        """How often, and where the figures go."""

        every: int = 5
        out: str = ""

    class State(msgspec.Struct):
        """By order: when it was sent, monotonic."""

        sent: dict[int, int] = {}
        stages: list[tuple[int, int, int]] = []
        """(tick, nanoseconds from tick to order, from order to report)."""
        waits: dict[int, int] = {}

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"orders": (Order,)}
    settings: Strategy.Settings
    state: State

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        """Order when it is time."""
        if tick.n % self.settings.every == 0:
            now = time.monotonic_ns()
            self.state.waits[tick.n], self.state.sent[tick.n] = now - tick.sent, now
            self.emit(Order(tick.n))

    @handles(Report)
    def on_report(self, report: Report) -> None:
        """Note both stages."""
        sent = self.state.sent.pop(report.n)
        wait = self.state.waits.pop(report.n)
        self.state.stages.append((report.n, wait, time.monotonic_ns() - sent))

    def on_stop(self) -> None:
        """Write the figures."""
        Path(self.settings.out).write_text(json.dumps(self.state.stages), encoding="ascii")


class Broker(Actor):
    """Answers each order at once."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"reports": (Report,)}

    @handles(Order)
    def on_order(self, order: Order) -> None:
        """Answer."""
        self.emit(Report(order.n))


class Pinger(Actor):
    """Sends a tick, waits for its echo, sends the next, and notes how long each took."""

    class Settings(Actor.Settings):
        """How many, and where the figures go."""

        rounds: int = 3_000
        out: str = ""

    class State(msgspec.Struct):
        """Nanoseconds of each round trip."""

        took: list[int] = []

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"ticks": (Tick,)}
    settings: Pinger.Settings
    state: State

    def source(self) -> Iterator[tuple[int, Event]]:
        """Return the first tick, and much later the end."""
        yield BEGIN, Tick(0)
        yield BEGIN + 60_000_000_000, Tick(-1)

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        """Begin."""
        if tick.n == 0:
            self.emit(Tick(1, time.monotonic_ns()))

    @handles(Report)
    def on_echo(self, echo: Report) -> None:
        """Note, and go on."""
        state: Any = self.state
        state.took.append(time.monotonic_ns() - echo.n)
        if len(state.took) == self.settings.rounds:
            Path(self.settings.out).write_text(json.dumps(state.took), encoding="ascii")
        else:
            self.emit(Tick(1, time.monotonic_ns()))


class Echo(Actor):
    """Says when what it hears was sent."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"echoes": (Report,)}

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        """Answer."""
        self.emit(Report(tick.sent))
