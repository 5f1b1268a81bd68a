"""Strategies that never give the loop back, each in its own way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
from pydantic import Field

from actors.events.event import Event
from actors.events.market import Side
from actors.events.orders import OrderAccepted, OrderCanceled, Signal
from actors.events.role import Role
from actors.runtime.actor import Actor, handles

A_NAP = 0.05
"""Seconds."""
BETWEEN_RAISES = 0.3
"""Seconds; an actor that raises six times within one is not started again."""
FLOOD = 500
"""Signals for one order: more than execution acts on in a second."""


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
    """Misbehaves for as long as a file is there: not what an actor may do, and never verified.

    The file says how: ``spin``, ``sleep``, ``lock`` (each never returns), ``raise`` or ``flood``.
    """

    class Settings(Actor.Settings):
        """The file, and one that is there once it misbehaves."""

        switch: Path
        note: Path

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {}
    settings: Settings

    @handles(OrderAccepted, OrderCanceled)
    def on_order(self, order: OrderAccepted | OrderCanceled) -> None:
        """Do what the file says, if it is there."""
        try:
            how = self.settings.switch.read_text()
        except FileNotFoundError:
            return
        if how == "raise":
            self._raise()
        elif how == "flood":
            self._flood(order)
        else:
            self.settings.note.touch()
            self._stand_still(how)

    def _stand_still(self, how: str) -> None:
        while self.settings.switch.exists():
            if how == "sleep":
                time.sleep(A_NAP)
            elif how == "lock":
                sum(range(10**18))

    def _raise(self) -> None:
        """Raise, but not so often that it is not started again."""
        last = self.settings.note.stat().st_mtime if self.settings.note.exists() else 0.0
        if time.time() - last > BETWEEN_RAISES:
            self.settings.note.touch()
            raise RuntimeError("a mistake")

    def _flood(self, _order: OrderAccepted | OrderCanceled) -> None:
        raise NotImplementedError


class Flooding(Switched):
    """Misbehaves likewise, and wants far more orders than anybody may have when it floods."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"signals": (Signal,)}
    role = Role.STRATEGY

    def _flood(self, order: OrderAccepted | OrderCanceled) -> None:
        if not isinstance(order, OrderAccepted):
            return
        self.settings.note.touch()
        for _ in range(FLOOD):
            side, qty = Side(-order.side), order.qty
            self.emit(Signal(self.name, order.instrument, side, qty, order.limit_px))
