"""All that leaves a node: the ports of its actors, and streams that other nodes read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from actors.runtime.ports import Outlet, Port, PortRunner
from actors.runtime.stream import ENVELOPE_BYTES, Input

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.node.halts import Halts


class PortRunners:
    """Runs the ports of a node's actors, on the loop's thread or on threads of their own.

    Args:
        bound: events that a port may lag before sources pause.
        max_held: bytes that may wait for a port whose disk is full; then it has failed.
        on_failure: called, on any thread, with the error of a port that failed for good.
    """

    def __init__(
        self, *, bound: int, max_held: int, on_failure: Callable[[BaseException], None]
    ) -> None:
        self.outlets: list[Outlet] = []
        """All that leaves the node, as far as the disk allows."""
        self.wait_for_syncs = False
        """Whether nothing leaves before the journals are synced."""
        self._runners: list[PortRunner] = []
        self._bound, self._max_waiting = bound, max_held // ENVELOPE_BYTES
        self._on_failure = on_failure

    @property
    def readers(self) -> list[Input]:
        """Positions of the ports in their streams."""
        return [runner.reader for runner in self._runners]

    @property
    def lag(self) -> bool:
        """Whether sources must pause until the ports have caught up."""
        return any(
            runner.pending > self._bound and not runner.waits_for_disk for runner in self._runners
        )

    def open(self, actor: Actor, ports: Sequence[Port], *, fresh: bool) -> None:
        """Open the ports of an actor behind what their counterparties already have.

        Args:
            actor: whose outputs leave.
            ports: through which they do.
            fresh: the streams start again at 1; what the counterparties have is from others.
        """
        for port in ports:
            stream = actor.context.streams[port.output]
            reader = Input(actor.context, stream, {}, {})
            stream.listen(reader)
            classes = actor.outputs[port.output]
            runner = PortRunner(
                reader, port, self._on_failure, classes, max_waiting=self._max_waiting
            )
            runner.resume(fresh=fresh)
            self._runners.append(runner)
            self.add(runner)

    def add(self, outlet: Outlet) -> None:
        """Let events leave through `outlet` as the disk allows."""
        if self.wait_for_syncs:
            outlet.synced = outlet.reader.stream.next_seq  # what a journal held, was synced at once
        self.outlets.append(outlet)

    def start_threads(self, on_progress: Callable[[], None]) -> None:
        """Perform on threads from now on; `on_progress` is called there after each batch."""
        for runner in self._runners:
            runner.start_thread(runner.reader.source.name, on_progress)

    def turn(self, halts: Halts) -> None:
        """Perform what was emitted since the last turn, and halt while a port's disk is full."""
        for runner in self._runners:
            runner.wake()
            halts.wait_for_disk(runner.reader.source.name, runner.refused)

    def let_out_only_cancels(self) -> None:
        """Close all ports to everything else, for good; on any thread."""
        for runner in self._runners:
            runner.only_cancels = True

    def close(self) -> None:
        """Perform the rest and close all ports."""
        for runner in self._runners:
            runner.close()
