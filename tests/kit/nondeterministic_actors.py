"""Actors that decide by something that is no input, and honest ones beside them.

``python -m tests.kit.nondeterministic_actors NAME DIRECTORY`` runs one for a tenth of a second.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.system import StopActor, TimerFired
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import VirtualClock
from actors.runtime.journal.disk import Disk
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.testing import START

RUN_FOR = 100 * MILLISECOND
WORDS = ("bid", "ask", "mid", "last", "open", "high", "low", "close")

said_by_all = 0
"""What no actor may do: remember outside of its State."""


class Said(Event):
    """What an actor says."""

    what: str


class Speaker(Actor):
    """Says something every millisecond: how often it spoke."""

    class Settings(Actor.Settings):
        """How it says it."""

        prefix: str = ""
        breaks_at: int = 0
        """At which tick the handler raises; 0 for never."""

    class State(msgspec.Struct):
        """How often it spoke, and to what."""

        count: int = 0
        ticks: dict[str, int] = {}

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"words": (Said,)}

    settings: Speaker.Settings
    state: Speaker.State

    def on_start(self) -> None:
        self.set_timer("tick", MILLISECOND)

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        self.set_timer("tick", MILLISECOND)
        self.state.count += 1
        self.state.ticks[f"{timer.name} {self.state.count % 3}"] = timer.due
        if self.state.count == self.settings.breaks_at:
            raise RuntimeError("lost its voice")
        self.emit(Said(f"{self.settings.prefix}{self.word()}"))

    def word(self) -> str:
        return str(self.state.count)


class Gambler(Speaker):
    """Draws from the random numbers that it was given."""

    def word(self) -> str:
        return str(self.rng.random())


class ReadsTheClock(Speaker):
    def word(self) -> str:
        return str(time.time_ns())


class DrawsElsewhere(Speaker):
    def word(self) -> str:
        return str(random.random())  # noqa: S311


class GoesThroughASet(Speaker):
    def word(self) -> str:
        return " ".join(set(WORDS))


class RemembersInItsModule(Speaker):
    def word(self) -> str:
        global said_by_all  # noqa: PLW0603
        said_by_all += 1
        return str(said_by_all)


class RemembersInItself(Speaker):
    def __init__(self, name: str, settings: Speaker.Settings) -> None:
        super().__init__(name, settings)
        self.said = 0

    def word(self) -> str:
        self.said += 1
        return str(self.said)


class HidesFromItsOutputs(Speaker):
    """Only its State shows that it looked at the clock."""

    def word(self) -> str:
        self.state.ticks["clock"] = time.time_ns()
        return ""


class OrderPathSpeaker(Speaker):
    order_path = True


class Leaves(Speaker):
    """Is stopped from outside after twenty ticks."""

    def source(self) -> Iterator[tuple[int, Event]]:
        yield START, Said("nobody hears this")
        yield START + 20 * MILLISECOND + 1, StopActor(self.name)


def node_of(
    directory: Path,
    actor_class: type[Actor] = Speaker,
    disk: Disk | None = None,
    **settings: Any,
) -> Node:
    """Return a node with one durable actor, `speaker`, that keeps its journal in `directory`."""
    directory.mkdir(exist_ok=True)
    node = Node(
        NodeConfig(data=directory, segment_bytes=4_000), clock=VirtualClock(START), disk=disk
    )
    node.add("speaker", actor_class, settings, durable="os")
    return node


def spoken(directory: Path, actor_class: type[Actor] = Speaker, **settings: Any) -> Path:
    """Let an actor speak for a tenth of a second and return `directory`."""
    node_of(directory, actor_class, **settings).run(RUN_FOR)
    return directory


if __name__ == "__main__":
    # Its own name in the journal's header is the module's, not __main__.
    from tests.kit import nondeterministic_actors

    spoken(Path(sys.argv[2]), getattr(nondeterministic_actors, sys.argv[1]))
