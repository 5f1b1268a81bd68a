"""Timers of a node: set and canceled by steps, fired in order of due time, actor and id."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from actors.runtime.clock import FOREVER
from actors.runtime.envelope import Position

SetTimer = tuple[str, int, str, int]
"""(actor name, timer id, name, due); a due time of 0 cancels."""


class Timers:
    """Pending timers, earliest first; ties go to the actor's name, then to the older timer."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str, int]] = []
        self._pending: dict[tuple[str, int], tuple[str, int, Position]] = {}
        self.next_due = FOREVER

    def __len__(self) -> int:
        return len(self._pending)

    def apply(self, requests: Iterable[SetTimer], cause: Position) -> None:
        """Set and cancel what a step asked for; `cause` is the input of that step."""
        for actor, timer_id, name, due in requests:
            if due:
                self._pending[actor, timer_id] = (name, due, cause)
                heappush(self._heap, (due, actor, timer_id))
            else:
                self._pending.pop((actor, timer_id), None)
        self._find_next()

    def pop(self) -> tuple[str, int, str, int, Position]:
        """Remove the earliest and return (actor, timer id, name, due, cause)."""
        due, actor, timer_id = heappop(self._heap)
        name, _, cause = self._pending.pop((actor, timer_id))
        self._find_next()
        return actor, timer_id, name, due, cause

    def of(self, actor: str) -> list[tuple[int, str, int, Position]]:
        """Return (timer id, name, due, cause) of all timers of one actor, oldest first."""
        return [
            (timer_id, *timer)
            for (owner, timer_id), timer in sorted(self._pending.items())
            if owner == actor
        ]

    def restore(self, actor: str, timers: Iterable[tuple[int, str, int, Position]]) -> None:
        """Set an actor's timers again as `of` returned them."""
        for timer_id, name, due, cause in timers:
            self._pending[actor, timer_id] = (name, due, cause)
            heappush(self._heap, (due, actor, timer_id))
        self._find_next()

    def remove(self, actor: str, timer_id: int) -> None:
        """Forget one timer."""
        self._pending.pop((actor, timer_id), None)
        self._find_next()

    def forget(self, actor: str) -> None:
        """Cancel all timers of one actor."""
        for key in [key for key in self._pending if key[0] == actor]:
            del self._pending[key]
        self._find_next()

    def _find_next(self) -> None:
        heap, pending = self._heap, self._pending
        while heap and heap[0][1:] not in pending:
            heappop(heap)
        self.next_due = heap[0][0] if heap else FOREVER
