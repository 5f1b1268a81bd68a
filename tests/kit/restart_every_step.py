"""Runs in which every actor goes on from a decoded copy of its state, again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from actors.recorder import EVENTS_FILE
from actors.runtime.actor import Actor
from actors.runtime.clock import VirtualClock
from kaiju.run.build import compose
from topology.check.check import CheckedTopology

AT_ONCE = 250
"""Deliveries between two boundaries."""


class PausingClock(VirtualClock):
    """Virtual time that calls back wherever the loop pauses between two steps."""

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.on_pause: Callable[[], None] = _do_nothing

    def move_to(self, now: int) -> None:
        super().move_to(now)
        self.on_pause()


def _do_nothing() -> None:
    """Before a test says what to do."""


class Run:
    """One run of a topology, recorded in `directory`.

    Args:
        restored: whether all actors go on from copies at every boundary.
    """

    def __init__(
        self,
        checked: CheckedTopology,
        directory: Path,
        start: int,
        duration: int,
        *,
        restored: bool,
    ) -> None:
        directory.mkdir()
        clock = PausingClock(start)
        self.node = compose(checked, clock=clock, seed=7, directory=directory, slice_steps=AT_ONCE)
        self.boundaries = 0
        self._born = {name: set(vars(actor)) for name, actor in self.node.actors.items()}
        if restored:
            clock.on_pause = self._restore
        self.node.run(duration)
        assert self.node.supervisor.failures == []
        self.events = (directory / EVENTS_FILE).read_bytes()

    @property
    def states(self) -> dict[str, bytes]:
        """The state of every actor, encoded."""
        return {name: encoded(actor) for name, actor in self.node.actors.items()}

    def _restore(self) -> None:
        self.boundaries += 1
        for name, actor in self.node.actors.items():
            restore(actor, self._born[name])


def restore(actor: Actor, born: set[str]) -> None:
    """Take from the actor all that it is not to keep but through MessagePack.

    Args:
        actor: at a boundary between two steps.
        born: names of the attributes that the runtime gave it.
    """
    whole = encoded(actor)
    copy = msgspec.msgpack.decode(whole, type=type(actor.state))
    assert copy == actor.state, actor.name
    actor.state = copy
    assert encoded(actor) == whole, actor.name
    actor.context.rng_state = actor.context.rng_state
    for kept in set(vars(actor)) - born:
        if kept != "directory":
            del vars(actor)[kept]


def encoded(actor: Actor) -> bytes:
    return msgspec.msgpack.encode(actor.state)


def shared(state: msgspec.Struct) -> list[str]:
    """Return the places at which a changeable object is met that was met elsewhere before."""
    seen: dict[int, str] = {}
    found = []
    for place, value in _changeable(state, "state"):
        first = seen.setdefault(id(value), place)
        if first != place:
            found.append(f"{place} is {first}")
    return found


def _changeable(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, msgspec.Struct):
        if value.__struct_config__.frozen:
            return
        parts = [(name, getattr(value, name)) for name in value.__struct_fields__]
    elif isinstance(value, dict):
        parts = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, list):
        parts = [(str(index), part) for index, part in enumerate(value)]
    else:
        return
    yield place, value
    for name, part in parts:
        yield from _changeable(part, f"{place}.{name}")
