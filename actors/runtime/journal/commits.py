"""How a node's steps reach the disk: in their order, and how safely.

A step is with the system before it is released (`os`). Where an actor is `fsync`, ports and answers
wait in addition until every journal of the node is synced: a thread does that for all that was
written meanwhile at once, and the loop goes on.

A disk that refuses stops nothing at once: steps are held in memory, in the node's order, and are
written in that order when there is room again, so what is on disk is always a whole beginning of
what the node did. Trading is halted in between. An error of a sync cannot be repaired (the system
may have dropped what it could not write), so it ends the process.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from actors.runtime.errors import ExitCode
from actors.runtime.journal.writer import Journal
from actors.runtime.statistics import Histogram

log = logging.getLogger("kaiju")

MAX_HELD = 256 * 2**20
"""Bytes of steps that are held for a disk which refuses them; then the run ends."""

Snapshot = tuple[Journal, int, bytes, Callable[[], None]]
"""(journal, step, body, called when it is on disk)."""


def end_process(error: OSError) -> NoReturn:
    """End this process at once: nothing that follows could be trusted to be on disk."""
    log.critical("a journal could not be synced, so this process ends: %s", error)
    logging.shutdown()
    os._exit(ExitCode.JOURNAL)


class Commits:
    """Writes steps, holds them for a disk that refuses, and syncs them in groups.

    Args:
        on_trouble: called with the error when the disk refuses a step.
        on_room: called when everything held was written.
        on_sync_failure: called with the error of a sync, on the thread that syncs.
    """

    def __init__(
        self,
        on_trouble: Callable[[OSError], None],
        on_room: Callable[[], None],
        on_sync_failure: Callable[[OSError], None] = end_process,
    ) -> None:
        self.journals: list[Journal] = []
        self.written = 0
        """Steps that the disk took."""
        self.held: deque[tuple[Journal, bytes]] = deque()
        self.held_bytes = 0
        self.sync_time = Histogram()
        self.synced = 0
        """Steps that would survive a loss of power."""
        self._on_trouble, self._on_room = on_trouble, on_room
        self._on_sync_failure = on_sync_failure
        self._wake = threading.Event()
        self._closing = False
        self._jobs: deque[Callable[[], None]] = deque()
        self._snapshots: deque[Snapshot] = deque()
        self._thread: threading.Thread | None = None

    def append(self, journal: Journal, body: bytes) -> None:
        """Write one step, behind all that are held."""
        if self.held:
            self._hold(journal, body)
            return
        try:
            journal.append(body)
        except OSError as error:
            self._hold(journal, body)
            self._on_trouble(error)
        else:
            self.written += 1

    def retry(self) -> None:
        """Write what is held, as far as there is room."""
        while self.held:
            journal, body = self.held[0]
            try:
                journal.append(body)
            except OSError:
                return
            self.written += 1
            self.held.popleft()
            self.held_bytes -= len(body)
        self._on_room()

    def check(self, journal: Journal) -> None:
        """Deal with a sync that failed when the journal did something else."""
        if journal.sync_error is not None:
            self._on_sync_failure(journal.sync_error)

    def held_of(self, journal: Journal) -> list[bytes]:
        """Return the steps of one journal that are held."""
        return [body for held, body in self.held if held is journal]

    def start_thread(self) -> None:
        """Sync and save on a thread of its own from now on."""
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def save(self, journal: Journal, step: int, body: bytes, saved: Callable[[], None]) -> None:
        """Save a snapshot, here and now or on the thread, and call `saved` if that went."""
        self._snapshots.append((journal, step, body, saved))
        self._work_or_wake()

    def when_synced(self, job: Callable[[], None]) -> None:
        """Run `job` once all that was written before this call is synced."""
        self._jobs.append(job)
        self._work_or_wake()

    def close(self) -> None:
        """Sync, save and run what is left, then close the journals; what is held is lost."""
        if self._thread is not None:
            self._closing = True
            self._wake.set()
            self._thread.join()
        self._jobs.append(_nothing)
        self._work()
        for journal in self.journals:
            journal.close()

    def _hold(self, journal: Journal, body: bytes) -> None:
        self.held.append((journal, body))
        self.held_bytes += len(body)

    def _work_or_wake(self) -> None:
        if self._thread is None:
            self._work()
        else:
            self._wake.set()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            try:
                self._work()
            except (
                Exception
            ) as error:  # nothing would be synced from now on, so nothing would leave
                log.critical("the thread of the journals failed", exc_info=error)
                self._on_sync_failure(OSError(f"the thread of the journals failed: {error}"))
                raise

    def _work(self) -> None:
        while self._snapshots:
            journal, step, body, saved = self._snapshots.popleft()
            try:
                journal.save_snapshot(step, body)
                saved()
            except (OSError, ValueError) as error:
                self.check(journal)
                # Too large, or no room: nothing is lost, the steps behind it are still there.
                log.error("no snapshot of step %d: %s", step, error)  # noqa: TRY400
        jobs = [self._jobs.popleft() for _ in range(len(self._jobs))]
        if not jobs:
            return
        began, written = time.perf_counter_ns(), self.written
        try:
            for journal in self.journals:
                journal.sync()
        except OSError as error:
            self._on_sync_failure(error)
            return
        self.sync_time.observe(time.perf_counter_ns() - began)
        self.synced = written
        for job in jobs:
            job()


def _nothing() -> None:
    """Forces a final sync when no job is queued."""
