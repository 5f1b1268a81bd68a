"""Whether trading is halted, and why: here, on another node, or by a disk that is full."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from actors.events.event import Event
from actors.events.system import HaltTrading, ResumeTrading

log = logging.getLogger("kaiju")

NO_ROOM = "the disk is full or fails"
"""Begins the reason of every halt that ends by itself."""


class Halts:
    """All halts in force, by their reasons; each change is announced to the node's actors.

    Args:
        announce: sends a control event to every actor that handles it.
    """

    def __init__(self, announce: Callable[[Event], None]) -> None:
        self.own: list[str] = []
        """Why trading was halted here, oldest first."""
        self.over = False
        """Whether the loop has ended, so that nobody would hear of a halt."""
        self.on_own_change: Callable[[str], None] = _tell_nobody
        """Called with `own_reason` whenever it may have changed."""
        self._elsewhere: dict[str, str] = {}
        """Why trading is halted on other nodes, by node."""
        self._waiting: dict[str, str] = {}
        """Reason of the halt by what waits for a disk: a port's stream or the journal."""
        self._announce = announce

    @property
    def reason(self) -> str:
        """Why trading was halted first; empty while it is not."""
        return next(iter((*self.own, *self._elsewhere.values())), "")

    @property
    def own_reason(self) -> str:
        """Why trading was halted here first; empty while it is not, or only elsewhere."""
        return next(iter(self.own), "")

    def halt(self, reason: str) -> None:
        """Stop new orders from now on; cancels still pass."""
        if reason not in self.own:
            self.own.append(reason)
            log.error("trading halted: %s", reason)
            self.on_own_change(self.own_reason)
        self._tell(HaltTrading(reason))

    def halt_elsewhere(self, node: str, reason: str) -> None:
        """Halt for as long as another node does; an empty `reason` says that it no longer does."""
        known, text = self._elsewhere.get(node), f"node {node}: {reason}"
        if reason and known != text:
            self._elsewhere[node] = text
            log.error("trading halted: %s", text)
            self._tell(HaltTrading(text))
        elif not reason and known:
            del self._elsewhere[node]
            self._resume_if_free(f"node {node} has resumed")

    def resume(self, reason: str, down: Sequence[str] = ()) -> None:
        """Lift all halts of this node, unless its disk is full or an actor is down.

        Args:
            reason: why.
            down: actors of the order path that have failed.
        """
        if down:
            log.error("trading stays halted: %s failed and must be started again", ", ".join(down))
            return
        if self._waiting:
            log.error("trading stays halted: %s", "; ".join(self._waiting.values()))
            return
        self.own.clear()
        self.on_own_change("")
        if self._elsewhere:
            others = "; ".join(self._elsewhere.values())
            log.error("trading stays halted until it is resumed there too: %s", others)
        self._resume_if_free(reason)

    def wait_for_disk(self, who: str, refusal: OSError | None) -> None:
        """Halt while a disk does not take what `who` has; None says that it does again."""
        waits = who in self._waiting
        if refusal is not None and not waits:
            self._waiting[who] = f"{NO_ROOM}: {refusal}"
            self.halt(self._waiting[who])
        elif refusal is None and waits:
            self.own.remove(self._waiting.pop(who))
            self.on_own_change(self.own_reason)
            self._resume_if_free(f"the disk takes what {who} has again")

    def restore(self, reasons: Iterable[str]) -> None:
        """Stay halted as the run before was, but not by a disk that was full then."""
        found = list(reasons)
        self.own = [reason for reason in found if not reason.startswith(NO_ROOM)]
        self.on_own_change(self.own_reason)
        if found and not self.own:
            self._resume_if_free("the run began again; the disk was full")

    def _resume_if_free(self, reason: str) -> None:
        if not self.reason:
            log.warning("trading resumed: %s", reason)
            self._tell(ResumeTrading(reason))

    def _tell(self, event: Event) -> None:
        if not self.over:
            self._announce(event)


def _tell_nobody(_reason: str) -> None:
    """There are no other nodes."""
