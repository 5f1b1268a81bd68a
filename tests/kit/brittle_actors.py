"""An actor that raises where it is told to, whatever it is doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from actors.events.event import Event
from actors.events.system import HaltTrading, TimerFired
from actors.runtime.actor import Actor, handles
from tests.kit.runtime_actors import Price, Tick

faults: Counter[str] = Counter()
"""How often each input of `Brittle` raises yet: what no actor may remember outside of its State."""


class Brittle(Actor):
    """Does a bit of everything, and may raise in the middle of it."""

    class Settings(Actor.Settings):
        ignores: str = ""

    class State(msgspec.Struct):
        seen: list[str] = []
        drawn: list[int] = []
        timers: dict[str, int] = {}

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"ticks": (Tick,)}
    settings: Settings
    state: State

    def on_start(self) -> None:
        self._do("start")

    @handles(Tick)
    def on_tick(self, tick: Tick) -> int:
        return self._do(f"tick {tick.n}")

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        if timer.name.startswith("tick"):
            self._do(timer.name.replace("tick", "timer"))

    @handles(Price)
    def on_price(self, price: Price) -> None:
        self._do(f"price {price.name} {self.envelope.id[2]}")

    @handles(HaltTrading)
    def on_halt(self, _halt: HaltTrading) -> None:
        self._do("halt")

    def _do(self, what: str) -> int:
        state = self.state
        if what == self.settings.ignores:
            return -1
        state.seen.append(what)
        state.drawn.append(self.rng.randrange(1_000))
        for earlier in list(state.timers)[:-8]:
            self.cancel_timer(state.timers.pop(earlier))
        state.timers[what] = self.set_timer(what, 15)
        self.emit(Tick(len(state.seen)))
        if faults[what] > 0:
            faults[what] -= 1
            raise RuntimeError(f"{what} is not to be done")
        self.emit(Tick(-state.drawn[-1]))
        return len(state.seen)
