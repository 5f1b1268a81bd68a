"""Holds back what leaves a node until the journals are as safe as the node promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from actors.runtime.journal.commits import Commits
from actors.runtime.ports import Outlet
from actors.runtime.ref import ActorDeadError, Reply

if TYPE_CHECKING:
    from actors.runtime.loop import Loop
    from actors.runtime.node.halts import Halts

JOURNAL: Final = "the journal"
"""Who waits when the disk does not take a step."""


class SyncGate:
    """Lets events out and asks be answered once the steps behind them are on disk.

    Args:
        loop: of the node.
        outlets: all that leaves the node; more may be added while it runs.
        halts: of the node: trading is halted while the disk does not take steps.
        waits_for_syncs: whether being written is not enough.
    """

    def __init__(
        self, loop: Loop, outlets: Sequence[Outlet], halts: Halts, *, waits_for_syncs: bool
    ) -> None:
        self.commits = Commits(self._hold, self._release)
        self.waits_for_syncs = waits_for_syncs
        self._loop, self._outlets, self._halts = loop, outlets, halts
        self._synced_steps = 0
        self._answers: list[tuple[Reply, Any]] = []

    def begin(self) -> None:
        """Take all that was done before as synced."""
        self._synced_steps = self._loop.steps

    def answer(self, waiting: Reply, value: Any) -> None:
        """Answer an `ask`, once its step is as safe as the node promises."""
        if self.waits_for_syncs or self.commits.held:
            self._answers.append((waiting, value))
        else:
            waiting.answer(value)

    def turn(self) -> None:
        """Have synced what was done since the last turn, if anything was."""
        if self._loop.steps != self._synced_steps or self._answers:
            self.sync()

    def sync(self) -> None:
        """Let out what was written until now, once it is synced; where that is waited for."""
        if not self.waits_for_syncs:
            return
        self._synced_steps = self._loop.steps
        limits = [(outlet, outlet.reader.stream.next_seq) for outlet in self._outlets]
        answers, self._answers = self._answers, []

        def leave() -> None:
            for outlet, limit in limits:
                outlet.synced = limit
                outlet.wake()
            for waiting, value in answers:
                waiting.answer(value)

        self.commits.when_synced(leave)

    def refuse_answers(self, problem: str) -> None:
        """Fail the asks whose steps were never written."""
        for waiting, _ in self._answers:
            waiting.fail(ActorDeadError(problem))
        self._answers.clear()

    def _hold(self, error: OSError) -> None:
        self.sync()
        for outlet in self._outlets:
            outlet.hold()
        self._halts.wait_for_disk(JOURNAL, error)

    def _release(self) -> None:
        self.sync()
        for outlet in self._outlets:
            outlet.release()
        for waiting, value in self._answers:
            waiting.answer(value)
        self._answers.clear()
        self._halts.wait_for_disk(JOURNAL, None)
