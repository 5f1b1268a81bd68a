"""An order book from one snapshot and the diffs around it, usable only while it is LIVE."""

from __future__ import annotations

import msgspec

from actors.events.market import BookState, DepthDiff, DepthSnapshot
from actors.model.ladder import Ladder

Top = tuple[int, int, int, int]
"""(bid price, bid quantity, ask price, ask quantity); 0 and 0 where a side is empty."""

EMPTY, BUFFERING, LIVE = BookState.EMPTY, BookState.BUFFERING, BookState.LIVE
STALE, GAP = BookState.STALE, BookState.GAP
NO_TOP: Top = (0, 0, 0, 0)
NOT_POSITIVE = "a price or a quantity is not positive"


class Book(msgspec.Struct):
    """One instrument's book, and whether it may be used.

    Continuity is proved by update ids alone. On spot the next diff begins at or before the id
    after the last one; on futures it names the last one as its predecessor. `intact` says that
    the levels are exactly those of `last_update_id`: a book in doubt (silence, a damaged message)
    stays intact, and the next diff shows whether something was missed. A book that missed a diff,
    or whose connection was lost, forgets its levels, keeps newer diffs and waits for a snapshot.
    """

    buffer_limit: int = 1_000
    """Most diffs kept while waiting for a snapshot; beyond it the older half is dropped."""
    state: BookState = EMPTY
    reason: str = ""
    """Why the book is in `state`."""
    last_update_id: int = 0
    venue_time: int = 0
    top: Top = NO_TOP
    """Best levels; only meaningful while LIVE."""
    bids: Ladder = msgspec.field(default_factory=lambda: Ladder(1))
    asks: Ladder = msgspec.field(default_factory=lambda: Ladder(-1))
    buffer: list[DepthDiff] = []
    connected: bool = True
    intact: bool = False
    bridged: bool = False
    """A diff was applied on the snapshot, so that futures must name their predecessor."""
    renumbered: bool = False
    """The stream began anew, so a snapshot with a lower id than the book's is no older."""
    applied: int = 0
    """Diffs applied so far."""
    ignored: int = 0
    """Diffs that held nothing new: older than the snapshot, or seen before."""
    gaps: int = 0
    """Times that the book entered GAP."""

    @property
    def needs_snapshot(self) -> bool:
        """True while a snapshot would help."""
        return self.connected and self.state in (BUFFERING, GAP)

    def apply(self, diff: DepthDiff) -> bool:
        """Take the next diff; return whether it was applied, which makes the book LIVE."""
        if not self.intact:
            self._keep(diff)
            return False
        if diff.last_update_id <= self.last_update_id:
            self.ignored += 1
            return False
        if not self._continues(diff):
            self._fail(
                f"diff {diff.first_update_id}..{diff.last_update_id} (previous "
                f"{diff.prev_update_id}) does not follow {self.last_update_id}"
            )
            self.buffer.append(diff)
            return False
        bids, asks = self.bids, self.asks
        if not (bids.change(diff.bids) and asks.change(diff.asks)):
            self._fail(f"diff ..{diff.last_update_id} is damaged: {NOT_POSITIVE}")
            return False
        self.top = top = bids.best() + asks.best()
        if top[0] >= top[2] > 0:
            self._fail(f"diff ..{diff.last_update_id} is damaged: {_crossed(top)}")
            return False
        self.last_update_id = diff.last_update_id
        self.venue_time = diff.venue_time
        self.bridged = True
        self.applied += 1
        if self.state is not LIVE:
            self.renumbered = False
            self._enter(LIVE, "diffs continue")
        return True

    def restore(self, snapshot: DepthSnapshot) -> bool:
        """Take a snapshot and the kept diffs that follow it; return whether it was used.

        One that is older than the book, too old for the kept diffs, or damaged is not used.
        """
        if not self.connected or not self._wants(snapshot.last_update_id):
            return False
        kept = [d for d in self.buffer if d.last_update_id > snapshot.last_update_id]
        if kept and not _bridges(kept[0], snapshot.last_update_id):
            return False
        if not (self.bids.load(snapshot.bids) and self.asks.load(snapshot.asks)):
            self._fail(f"snapshot {snapshot.last_update_id} is damaged: {NOT_POSITIVE}")
            return False
        self.top = top = self.bids.best() + self.asks.best()
        if top[0] >= top[2] > 0:
            self._fail(f"snapshot {snapshot.last_update_id} is damaged: {_crossed(top)}")
            return False
        self.ignored += len(self.buffer) - len(kept)
        self.last_update_id, self.venue_time = snapshot.last_update_id, snapshot.venue_time
        self.intact, self.bridged, self.renumbered = True, False, False
        self.buffer = []
        if all(self.apply(diff) for diff in kept):
            self._enter(LIVE, f"snapshot {snapshot.last_update_id}")
        return self.state is LIVE

    def doubt(self, reason: str) -> None:
        """Note that a message was lost or damaged which may have been a diff.

        The next diff tells: where it follows the last one nothing was lost, and the book is LIVE
        again; otherwise it needs a snapshot.
        """
        if self.intact and self.state is not GAP:
            self._enter(GAP, reason)

    def reset(self, reason: str) -> None:
        """Note that the stream of diffs began anew, perhaps with other update ids."""
        self.doubt(reason)
        self.renumbered = True
        self.buffer.clear()

    def silence(self, reason: str) -> None:
        """Note that nothing came for too long; the next diff that follows ends it."""
        if self.state is LIVE:
            self._enter(STALE, reason)

    def disconnect(self, reason: str) -> None:
        """Note that the connection was lost: the levels are worth nothing any more."""
        self.connected = False
        self._restart(STALE, reason)

    def reconnect(self, reason: str) -> None:
        """Note that the connection is back: diffs are kept until a new snapshot."""
        self.connected = True
        self._restart(BUFFERING, reason)

    def _continues(self, diff: DepthDiff) -> bool:
        if self.bridged:
            return _follows(diff, self.last_update_id)
        return _bridges(diff, self.last_update_id)

    def _wants(self, snapshot_id: int) -> bool:
        if not self.intact or self.renumbered or snapshot_id > self.last_update_id:
            return True
        return snapshot_id == self.last_update_id and self.state is not LIVE

    def _keep(self, diff: DepthDiff) -> None:
        buffer = self.buffer
        if buffer:
            newest = buffer[-1].last_update_id
            if diff.last_update_id <= newest:
                self.ignored += 1
                return
            if not _follows(diff, newest):
                buffer.clear()
        if len(buffer) >= self.buffer_limit:
            del buffer[: (self.buffer_limit + 1) // 2]
        buffer.append(diff)
        if self.state is EMPTY:
            self._enter(BUFFERING, "first diff, no snapshot yet")

    def _fail(self, reason: str) -> None:
        self._forget()
        self._enter(GAP, reason)

    def _restart(self, state: BookState, reason: str) -> None:
        if self.state is not EMPTY:
            self._forget()
            self.buffer = []
            self._enter(state, reason)

    def _forget(self) -> None:
        self.intact = False
        self.top = NO_TOP
        self.bids.clear()
        self.asks.clear()

    def _enter(self, state: BookState, reason: str) -> None:
        if state is GAP and self.state is not GAP:
            self.gaps += 1
        self.state = state
        self.reason = reason


def _follows(diff: DepthDiff, last_update_id: int) -> bool:
    if diff.prev_update_id >= 0:
        return diff.prev_update_id == last_update_id
    return diff.first_update_id <= last_update_id + 1


def _bridges(diff: DepthDiff, snapshot_id: int) -> bool:
    return _follows(diff, snapshot_id) or diff.first_update_id <= snapshot_id


def _crossed(top: Top) -> str:
    return f"best bid {top[0]} is not below best ask {top[2]}"
