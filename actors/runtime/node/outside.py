"""The outside of a node: where its actors' inputs come from, and where their outputs leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actors.events.event import Event
from actors.runtime.actor import Actor
from actors.runtime.ports import Port


class Outside:
    """Asks each actor itself; a node that is run without its outside is given another one."""

    def source(self, actor: Actor) -> Iterator[tuple[int, Event]] | None:
        """Return what comes to an actor from outside, as `Actor.source` says."""
        return actor.source()

    def ports(self, actor: Actor) -> Sequence[Port]:
        """Return where an actor's outputs leave the node."""
        return actor.ports()

    def busy(self, actor: Actor) -> bool:
        """Return whether a stop waits for an actor's business outside."""
        return actor.busy()
