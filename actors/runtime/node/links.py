"""What brings streams of other nodes and takes ours to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from actors.runtime.node.node import Node
    from actors.runtime.statistics import LinkCounts, LinkRecord


class Links(Protocol):
    """What brings streams of other nodes and takes ours to them; all on the loop's thread."""

    def begin(self, node: Node) -> None:
        """Begin to listen and to ask: the node's streams and readers have their positions."""

    def receive(self) -> None:
        """Take in what came since the last turn, a bounded part at a time."""

    def send(self) -> None:
        """Give out what was emitted since the last turn."""

    def stop_reading(self) -> None:
        """Take in nothing more; what was emitted is still given out."""

    def sources_may_run(self) -> bool:
        """Tell whether the readers of our streams are there and have kept up."""

    def next_moment(self) -> int:
        """Return the monotonic nanosecond at which there is something to do without any input."""

    def statistics(self) -> tuple[LinkRecord, ...]:
        """Return one record for each stream and each node at its other end."""

    def counts(self) -> LinkCounts:
        """Return what was lost, refused and begun anew, on all links together."""

    def close(self) -> None:
        """Give out what is left, and close."""
