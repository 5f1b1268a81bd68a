"""What brings streams of other nodes and takes ours to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.journal.writer import Journal
    from actors.runtime.node.halts import Halts
    from actors.runtime.node.mirrors import Mirror
    from actors.runtime.ports import Outlet
    from actors.runtime.statistics import LinkCounts, LinkRecord
    from actors.runtime.stream import Input


class LinkedNode(Protocol):
    """What links know of their node."""

    halts: Halts

    @property
    def actors(self) -> Mapping[str, Actor]:
        """Actors by name."""

    @property
    def mirrors(self) -> Mapping[str, Mirror]:
        """Streams of other nodes by name."""

    def open_outlet(self, outlet: Outlet) -> None:
        """Let events leave through `outlet` as the disk allows."""

    def journal_of(self, actor: str) -> Journal | None:
        """Return the journal of an actor; None where nothing of it is kept."""

    def on_disk(self, reader: Input) -> int:
        """Return the number of the event from which on a reader would go on after a crash."""


class Links(Protocol):
    """What brings streams of other nodes and takes ours to them; all on the loop's thread."""

    def begin(self, node: LinkedNode) -> None:
        """Begin to listen and to ask: the node's streams and readers have their positions."""

    def receive(self) -> None:
        """Take in what came since the last turn, a bounded part at a time."""

    def send(self) -> None:
        """Give out what was emitted since the last turn."""

    def stop_reading(self) -> None:
        """Take in nothing more; what was emitted is still given out."""

    def sources_may_run(self) -> bool:
        """Tell whether the readers of our streams are there and have kept up."""

    def statistics(self) -> tuple[LinkRecord, ...]:
        """Return one record for each stream and each node at its other end."""

    def counts(self) -> LinkCounts:
        """Return what was lost, refused and begun anew, on all links together."""

    def close(self) -> None:
        """Give out what is left, and close."""
