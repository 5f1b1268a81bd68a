"""Strategies that never give the loop back, each in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
from pydantic import Field

from actors.events.event import Event
from actors.events.orders import OrderAccepted, OrderCanceled
from actors.runtime.actor import Actor, handles


class Stuck(Actor):
    """Stands still for good once so many orders were accepted."""

    class Settings(Actor.Settings):
        """When, and how."""

        accepted: int = Field(default=20, ge=1)
        how: Literal["spin", "lock"] = "spin"
        """``lock``: in a call in C that keeps the interpreter's lock."""
        note: Path
        """A file that is there once it stands still."""

    class State(msgspec.Struct):
        """How many there were."""

        accepted: int = 0

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {}
    settings: Settings
    state: State

    @handles(OrderAccepted)
    def on_order_accepted(self, _order: OrderAccepted) -> None:
        """Count, and then stand still."""
        self.state.accepted += 1
        if self.state.accepted < self.settings.accepted:
            return
        self.settings.note.touch()
        if self.settings.how == "lock":
            sum(range(10**18))
        while True:
            pass


class Switched(Actor):
    """Stands still for as long as a file is there: not what an actor may do, and never verified."""

    class Settings(Actor.Settings):
        """The file."""

        switch: Path

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {}
    settings: Settings

    @handles(OrderAccepted, OrderCanceled)
    def on_order(self, _order: OrderAccepted | OrderCanceled) -> None:
        """Stand still, if the file is there."""
        while self.settings.switch.exists():
            pass
