"""Small actors and events for tests of the runtime itself."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from actors.events.event import Event
from actors.events.system import (
    HaltTrading,
    StopRequested,
    StreamReset,
    StreamStale,
    TimerFired,
)
from actors.runtime.actor import Actor, Settings, handles


class Tick(Event):
    n: int


class Price(Event):
    key = ("name",)

    name: str
    px: int


class Unlisted(Event):
    pass


class Feed(Actor):
    """Emits the ticks of its source: `count` of them, `gap` nanoseconds apart."""

    class Settings(Actor.Settings):
        count: int = 3
        gap: int = 10
        start: int = 0

    class State(msgspec.Struct):
        taken: int = 0

    outputs = {"ticks": (Tick,)}
    settings: Settings
    state: State

    def source(self) -> Iterator[tuple[int, Event]]:
        for n in range(self.state.taken, self.settings.count):
            yield self.settings.start + n * self.settings.gap, Tick(n)

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self.state.taken += 1
        self.emit(tick)


class Relay(Actor):
    """Emits every tick that it reads, and fails on those that it is told to."""

    class Settings(Actor.Settings):
        fails_on: tuple[int, ...] = ()

    class State(msgspec.Struct):
        seen: list[int] = []

    outputs = {"ticks": (Tick,), "prices": (Price,)}
    settings: Settings
    state: State

    @handles(Tick)
    def on_tick(self, tick: Tick) -> int:
        self.state.seen.append(tick.n)
        self.emit(tick)
        if tick.n in self.settings.fails_on:
            raise ValueError(f"tick {tick.n} was poison")
        return len(self.state.seen)

    def snapshot(self, output: str) -> tuple[Event, ...]:
        return (Tick(-len(self.state.seen)),) if output == "ticks" else ()


class OrderPathRelay(Relay):
    order_path = True


class Burst(Actor):
    """For each tick emits three prices of each of two names."""

    outputs = {"prices": (Price,), "ticks": (Tick,)}

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        for px in range(3):
            self.emit(Price("a", px))
            self.emit(Price("b", px))
            self.emit(Tick(tick.n))


class Sink(Actor):
    """Remembers what it read, in order, as short text."""

    class State(msgspec.Struct):
        seen: list[str] = []

    state: State

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self.state.seen.append(f"tick {tick.n}")

    @handles(Price)
    def on_price(self, price: Price) -> None:
        self.state.seen.append(f"{price.name} {price.px}")

    @handles(StreamReset)
    def on_reset(self, reset: StreamReset) -> None:
        self.state.seen.append(f"reset {reset.stream} epoch {reset.epoch} at {reset.resume_seq}")

    @handles(StreamStale)
    def on_stale(self, stale: StreamStale) -> None:
        self.state.seen.append(f"stale {stale.stream}: {stale.reason}")

    @handles(HaltTrading)
    def on_halt(self, _halt: HaltTrading) -> None:
        self.state.seen.append("halt")

    @handles(StopRequested)
    def on_stop_requested(self, stop: StopRequested) -> None:
        self.state.seen.append(f"stop: {stop.reason}")


class Counter(Actor):
    """Counts what it reads, and how often it had to begin anew."""

    class State(msgspec.Struct):
        ticks: int = 0
        resets: int = 0

    state: State

    @handles(Tick)
    def on_tick(self, _tick: Tick) -> None:
        self.state.ticks += 1

    @handles(StreamReset)
    def on_reset(self, _reset: StreamReset) -> None:
        self.state.resets += 1


class Ticker(Actor):
    """Emits a tick every `interval` nanoseconds, for ever."""

    class Settings(Actor.Settings):
        interval: int = 10

    class State(msgspec.Struct):
        fired: int = 0

    outputs = {"ticks": (Tick,)}
    settings: Settings
    state: State

    def on_start(self) -> None:
        self.set_timer("tick", self.settings.interval)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.state.fired += 1
        self.emit(Tick(self.state.fired))
        self.set_timer("tick", self.settings.interval)


class Clockwork(Ticker):
    """Emits a tick every `interval` nanoseconds until the run ends."""

    class State(Ticker.State):
        over: bool = False

    state: State

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        if not self.state.over:
            super().on_timer(timer)

    @handles(StopRequested)
    def on_stop_requested(self, _stop: StopRequested) -> None:
        self.state.over = True
