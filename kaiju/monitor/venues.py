"""Connections of a node to its venues: whether each is up, and whether it ever was."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from actors.events.system import ConnectionEstablished, ConnectionLost, ConnectionRestored
from actors.runtime.envelope import Envelope


class VenueView(NamedTuple):
    """One connection at one moment."""

    actor: str
    """The gateway or feed that keeps it up."""
    endpoint: str
    since: int
    """Real time, of the monotonic clock, since when it is up or down."""
    up: bool = False
    reached: bool = False
    """Whether it was up since the node began."""
    reason: str = "never reached"
    """Why it is down."""
    final: bool = False
    """Whether it will not be tried again."""

    @property
    def problem(self) -> str:
        """What is wrong with it; empty while it is up."""
        if self.up:
            return ""
        stays = " for good" if self.final else ""
        return f"{self.actor} is not connected to {self.endpoint}{stays}: {self.reason}"


class VenueFollower:
    """A port that follows the news of one connection."""

    output = ""

    def __init__(self, actor: str, endpoint: str) -> None:
        self.view = VenueView(actor, endpoint, time.monotonic_ns())

    def resume(self) -> int | None:
        """Return None: nothing is kept outside."""
        return None

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """Take the news."""
        for envelope in envelopes:
            event, view = envelope.event, self.view
            if isinstance(event, ConnectionEstablished | ConnectionRestored):
                self.view = view._replace(
                    since=time.monotonic_ns(), up=True, reached=True, final=False
                )
            elif isinstance(event, ConnectionLost):
                since = time.monotonic_ns() if view.up else view.since
                self.view = view._replace(
                    since=since, up=False, reason=event.reason, final=event.final
                )

    def close(self) -> None:
        """Do nothing."""
