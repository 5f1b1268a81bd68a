"""The end of a run, in order: what is open outside is closed, and mailboxes drain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from actors.runtime.clock import Clock

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.loop import Loop
    from actors.runtime.node.ingress import Ingress
    from actors.runtime.node.outside import Outside
    from actors.runtime.node.supervision import Supervisor

STOP_GRACE = 5_000_000_000
"""Nanoseconds for which the clock goes on at a stop while an actor is busy."""
STOP_PATIENCE = 10_000_000_000
"""Real nanoseconds after which a stop no longer waits for mailboxes that never empty."""


class GracefulShutdown:
    """Knows whether a stop has begun, and when it is over.

    Args:
        actors: by name.
        loop: of the node.
        clock: of the node.
        supervisor: is told of what goes wrong.
        ingress: is closed once no actor is busy.
        outside: says which actors are.
        wait: waits until a moment of the clock, or until something comes.
    """

    def __init__(
        self,
        actors: Mapping[str, Actor],
        loop: Loop,
        clock: Clock,
        *,
        supervisor: Supervisor,
        ingress: Ingress,
        outside: Outside,
        wait: Callable[[int], None],
    ) -> None:
        self.reason = ""
        """Why the run ends; empty before a stop has begun."""
        self.complete = False
        """Whether everything was handled before the end."""
        self._actors, self._loop, self._clock = actors, loop, clock
        self._supervisor, self._ingress, self._wait = supervisor, ingress, wait
        self._outside = outside
        self._deadline = 0
        self._waits_for_business = True
        self._patience_ends = 0

    def begin(self, reason: str, began: int, *, business: bool = True) -> None:
        """Take nothing more from sources.

        Args:
            reason: why the run ends.
            began: moment of the node's clock from which the grace counts.
            business: whether to wait until none is open outside. One node of several does not:
                the others go on, and so will it.
        """
        self.reason = reason
        self._waits_for_business = business
        self._loop.close_sources()
        self._loop.until = self._loop.now
        self._deadline = began + STOP_GRACE
        self._patience_ends = time.monotonic_ns() + STOP_PATIENCE

    def is_over(self) -> bool:
        """Tell whether nothing is left to do, or has to be given up; waits if time must pass."""
        if not self.reason:
            return False
        if time.monotonic_ns() > self._patience_ends:
            self._give_up()
            return True
        busy = self._waits_for_business and self.is_busy()
        if not busy:
            self._ingress.close()
        if self._loop.queue or self._loop.latest or self._ingress.waiting:
            return False
        if busy:
            moment = min(self._loop.next_moment(), self._deadline)
            if moment < self._deadline or self._clock.due_in(moment):
                self._loop.until = moment
                self._wait(moment)
                return False
        self.complete = True
        return True

    def is_busy(self) -> bool:
        """Tell whether an actor has business open outside."""
        return any(self._is_busy(actor) for actor in self._actors.values())

    def _is_busy(self, actor: Actor) -> bool:
        if actor.actor_stopped.is_set():
            return False
        try:
            return self._outside.busy(actor)
        except Exception as error:  # noqa: BLE001 - a stop must not depend on it
            self._supervisor.trouble(f"{actor.name}.busy()", error)
            self._supervisor.close(actor, "actor failed")
            return False

    def _give_up(self) -> None:
        """Count what is left by reason: actors may answer each other for ever."""
        left = [r for actor in self._actors.values() for r in actor.context.readers if r.queued]
        if left:
            names = ", ".join(sorted({reader.owner.name for reader in left}))
            self._supervisor.failures.append(f"events were still flowing at the stop, to {names}")
        for reader in left:
            reader.skip_to(reader.stream.next_seq, "node stopped")
