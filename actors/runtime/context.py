"""What the runtime keeps beside an actor; no handler needs it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from actors.events.event import Event
from actors.runtime.envelope import Position
from actors.runtime.statistics import ActorStatistics
from actors.runtime.stream import Input, Stream

if TYPE_CHECKING:
    from actors.runtime.loop import Loop


class ActorContext:
    """The place of one actor in its node: what it reads, where its outputs go, how it is doing.

    Args:
        name: of the actor.
        class_name: of the actor.
        loop: runs it.
        seed: of its random numbers.
    """

    inbox: Input
    """Timers, commands, sources and what the runtime says."""

    def __init__(self, name: str, class_name: str, loop: Loop, seed: str) -> None:
        self.name, self.class_name, self.loop = name, class_name, loop
        self.statistics = ActorStatistics()
        self.started = False
        """Whether the actor has handled its `ActorStarted`."""
        self.control_input: Input | None = None
        """Announcements of the node; None where the actor handles none."""
        self.inputs: tuple[Input, ...] = ()
        """Streams of actors, in file order."""
        self.streams: Mapping[str, Stream] = {}
        """By output."""
        self.routes: Mapping[type[Event], Stream] = {}
        self._seed = seed
        self._rng: random.Random | None = None

    @property
    def readers(self) -> tuple[Input, ...]:
        """Everything that the actor reads."""
        control = () if self.control_input is None else (self.control_input,)
        return (self.inbox, *control, *self.inputs)

    @property
    def rng(self) -> random.Random:
        """Random numbers that are the same in every run of the same seed."""
        if self._rng is None:
            self._rng = random.Random(self._seed)  # noqa: S311 - reproducible on purpose
        return self._rng

    @property
    def rng_state(self) -> Any:
        """State of `rng`; None while nothing was drawn."""
        return None if self._rng is None else self._rng.getstate()

    @rng_state.setter
    def rng_state(self, state: Any) -> None:
        self._rng = None
        if state is not None:
            version, internal, gauss = state
            self.rng.setstate((version, tuple(internal), gauss))

    @property
    def last_timer(self) -> int:
        """Id of the last timer that was set; 0 for none."""
        return self.loop.timer_ids.get(self.name, 0)

    def pending_timers(self) -> list[tuple[int, str, int, Position]]:
        """Return (id, name, due, cause) of each timer whose `TimerFired` was not handled."""
        return self.loop.timers.of(self.name)
