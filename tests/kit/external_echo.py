"""A strategy that speaks to something outside and trades on what that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from actors.events.event import Event
from actors.events.market import Side
from actors.events.orders import Signal
from actors.events.system import TimerFired
from actors.runtime.actor import Actor, handles
from actors.runtime.envelope import Envelope
from actors.runtime.ports import Port
from tests.kit.small_system import INTERVAL, TOPOLOGY


class Called(Event):
    """Goes outside."""

    number: int


class Echoed(Event):
    """Comes back."""

    number: int


heard_outside: list[int] = []
"""What came out of any node of this process."""


class Caller(Actor):
    """Calls four times a second, and buys for every echo."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "calls": (Called,),
        "signals": (Signal,),
    }

    def on_start(self) -> None:
        self.set_timer("call", INTERVAL)

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        self.set_timer("call", INTERVAL)
        self.emit(Called(timer.timer_id))

    @handles(Echoed)
    def on_echoed(self, _echoed: Echoed) -> None:
        self.emit(Signal(self.name, "BTCUSDT.SIM", Side.BUY, 1_000))

    def ports(self) -> Sequence[Port]:
        return [EchoPort(self.actor_ref.tell)]


class EchoPort:
    """Answers at once, from outside."""

    output = "calls"

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell

    def resume(self) -> int | None:
        return 0

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            assert isinstance(envelope.event, Called)
            heard_outside.append(envelope.event.number)
            self._tell(Echoed(envelope.event.number))

    def close(self) -> None:
        pass


CALLER = """\
  caller:
    class: tests.kit.external_echo:Caller
    node: one
    inputs: []
"""
ECHOES = TOPOLOGY.replace("  execution:\n", f"{CALLER}  execution:\n").replace(
    "[metronome.signals,", "[metronome.signals, caller.signals,"
)
"""The small topology with the caller trading in it."""
