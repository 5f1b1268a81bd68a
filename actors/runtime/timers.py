"""Timers of a node: set and canceled by steps, fired in order of due time, actor and id."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from actors.runtime.clock import FOREVER
from actors.runtime.envelope import Position

SetTimer = tuple[str, int, str, int]
"""(actor name, timer id, name, due); a due time of 0 cancels."""


class Timers:
    """Pending timers, earliest first; ties go to the actor's name, then to the older timer.

    A timer that fired stays pending until its `TimerFired` was handled: until then no journal knows
    of it, and after a crash it must fire again.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, str, int]] = []
        self._pending: dict[tuple[str, int], tuple[str, int, Position]] = {}
        self._fired: set[tuple[str, int]] = set()
        """Those of the pending whose `TimerFired` waits in the actor's inbox."""
        self.next_due = FOREVER

    def __len__(self) -> int:
        return len(self._pending) - len(self._fired)

    def apply(self, requests: Iterable[SetTimer], cause: Position) -> None:
        """Set and cancel what a step asked for; `cause` is the input of that step."""
        for actor, timer_id, name, due in requests:
            if due:
                self._pending[actor, timer_id] = (name, due, cause)
                heappush(self._heap, (due, actor, timer_id))
            else:
                self._pending.pop((actor, timer_id), None)
                self._fired.discard((actor, timer_id))
        self._find_next()

    def pop(self) -> tuple[str, int, str, int, Position]:
        """Let the earliest fire, and return (actor, timer id, name, due, cause)."""
        due, actor, timer_id = heappop(self._heap)
        name, _, cause = self._pending[actor, timer_id]
        self._fired.add((actor, timer_id))
        self._find_next()
        return actor, timer_id, name, due, cause

    def of(self, actor: str) -> list[tuple[int, str, int, Position]]:
        """Return (timer id, name, due, cause) of all timers of one actor, oldest first.

        Among them are those that fired and were not handled yet.
        """
        return [
            (timer_id, *timer)
            for (owner, timer_id), timer in sorted(self._pending.items())
            if owner == actor
        ]

    def fired(self, actor: str) -> frozenset[int]:
        """Return the ids of an actor's timers whose `TimerFired` waits in its inbox."""
        return frozenset(timer_id for owner, timer_id in self._fired if owner == actor)

    def restore(
        self,
        actor: str,
        timers: Iterable[tuple[int, str, int, Position]],
        fired: frozenset[int] = frozenset(),
    ) -> None:
        """Set an actor's timers again as `of` and `fired` returned them."""
        for timer_id, name, due, cause in timers:
            self._pending[actor, timer_id] = (name, due, cause)
            if timer_id in fired:
                self._fired.add((actor, timer_id))
            else:
                heappush(self._heap, (due, actor, timer_id))
        self._find_next()

    def remove(self, actor: str, timer_id: int) -> None:
        """Forget one timer: it was handled."""
        self._pending.pop((actor, timer_id), None)
        self._fired.discard((actor, timer_id))
        self._find_next()

    def forget(self, actor: str) -> None:
        """Cancel all timers of one actor."""
        for key in [key for key in self._pending if key[0] == actor]:
            del self._pending[key]
            self._fired.discard(key)
        self._find_next()

    def _find_next(self) -> None:
        heap, pending = self._heap, self._pending
        while heap and heap[0][1:] not in pending:
            heappop(heap)
        self.next_due = heap[0][0] if heap else FOREVER
