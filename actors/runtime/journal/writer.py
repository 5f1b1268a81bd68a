"""A durable actor's log of steps, as its node writes it; `segments` says what is on disk."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from actors.runtime.errors import ExitCode, KaijuError
from actors.runtime.journal.disk import UNFINISHED, Disk
from actors.runtime.journal.frames import STEP, FrameWriter, encode_header
from actors.runtime.journal.segments import (
    JournalFiles,
    JournalReader,
    Previous,
    Segment,
    find_segments,
    naming_the_remedy,
    refuse_missing_end,
    segment_path,
)

LOCK = "lock"
"""Name of the file that the node writing a journal holds locked; its process id stands in it."""
MAX_SEALED = 4
"""Segments that may wait for a sync; closing one before could lose the error of its writes."""
KEPT_SNAPSHOTS = 2
"""The newest snapshot may turn out to be damaged."""


class JournalLockedError(KaijuError):
    """Another process, or another journal of this one, writes here."""

    exit_code = ExitCode.MISUSED


class Journal(JournalFiles):
    """One actor's log of steps: a locked directory of segments and snapshots.

    `sync` and `save_snapshot` may be called from another thread while this one appends; all else
    belongs to one thread.

    Args:
        directory: of the journal; it is made.
        disk: what all of it is written with.
        segment_bytes: size at which a segment is `full`.

    Raises:
        JournalLockedError: the directory is in use.
        JournalDamagedError: something before the end is not what was written. The end alone may
            be torn: it is put aside and cut off, and `torn` counts it.
        OSError: the directory cannot be made, read or written.
    """

    def __init__(
        self, directory: Path, *, disk: Disk | None = None, segment_bytes: int = 64 * 2**20
    ) -> None:
        self._disk = disk or Disk()
        super().__init__(directory, self._disk)
        self.segment_bytes = segment_bytes
        self._syncing = threading.Lock()
        self.sync_error: OSError | None = None
        """Why what was written might not survive a loss of power; None while it would."""
        self._sealed: list[FrameWriter] = []  # full, but not synced yet
        self._append: Callable[[int, bytes], int] = _refuse_append
        self.full = False
        """Whether the newest segment has reached its size."""
        self._writer: FrameWriter | None = None
        self._first_step = 1
        self._appended_before = self._began_at = 0
        self._disk.make_directory(directory)
        self._lock = lock_directory(directory)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def reading(directory: Path) -> JournalReader:
        """Return a journal that is only looked at; see `JournalReader`."""
        return JournalReader(directory)

    @property
    def last_step(self) -> int:
        """Number of the last whole step; 0 for none."""
        return self._first_step + self._writer.frames - 1 if self._writer else 0

    @property
    def appended(self) -> int:
        """Bytes of the steps written since the journal was opened."""
        end = self._began_at if self._writer is None else self._writer.end
        return self._appended_before + end - self._began_at

    def begin(self, header: Mapping[str, Any]) -> None:
        """Start a new segment with the next step; one without any step is replaced.

        Args:
            header: what the segment says of itself; `first_step` and `previous` are added.

        Raises:
            OSError: the segment could not be made; appends go on in the one before.
        """
        first_step, previous = self.last_step + 1, self._end()
        if self._writer is not None:
            self._writer.trim()
        if len(self._sealed) >= MAX_SEALED:
            self.sync()
        full = {**header, "first_step": first_step, "previous": previous}
        path = segment_path(self.directory, first_step)
        try:
            self._disk.write_whole(path, encode_header(full)[0])
        finally:
            # Where only the sync of the directory failed, a reader finds the new segment already.
            if path.exists():
                self._adopt(path)

    def append(self, body: bytes) -> None:
        """Write the next step in one piece; its bytes are with the system on return.

        Raises:
            OSError: it could not be written, such as on a full disk. Nothing of it counts, and a
                later call may go on.
            ValueError: `body` is empty or larger than a frame may be.
        """
        self.full = self._append(STEP, body) >= self.segment_bytes

    def sync(self) -> None:
        """Return when all steps appended before would survive a loss of power.

        Raises:
            OSError: they might not; every later call raises it too, because the system may have
                dropped what it could not write.
        """
        with self._syncing:
            if self.sync_error is not None:
                raise self.sync_error
            try:
                while self._sealed:
                    self._sealed[0].sync()
                    self._sealed.pop(0).close()
                if self._writer is not None:
                    self._writer.sync()
            except OSError as error:
                self.sync_error = error
                raise

    def refuse_lost_file(self) -> None:
        """Check that the file that is written is still there.

        Raises:
            FileNotFoundError: it was deleted, moved or replaced, so what is written is lost.
            OSError: the disk does not say.
        """
        if self._writer is not None and not self._writer.is_in_place():
            raise FileNotFoundError(f"{self._writer.path} was deleted or replaced")

    def save_snapshot(self, step: int, body: bytes) -> None:
        """Keep what the actor is after `step`, whole or not at all.

        Raises:
            OSError: it could not be written.
            ValueError: `body` is empty or larger than a frame may be.
        """
        self.sync()  # a snapshot must not survive a loss of power that its last step does not
        self._snapshots.save(step, body)

    def retain(
        self, needed_step: int, *, keep_bytes: int, keep_age_ns: int, now: float
    ) -> list[Path]:
        """Delete the oldest segments while there are too many bytes or they are too old.

        What recovery could need stays: all steps behind `needed_step` and behind the second newest
        whole snapshot. Snapshots that no longer have their steps go too.

        Args:
            needed_step: the steps behind it may still be asked for.
            keep_bytes: that all segments together may have.
            keep_age_ns: that may have passed since a segment's last step was written.
            now: seconds of the system's clock, as files have them.

        Returns:
            What was deleted.

        Raises:
            OSError: something could not be deleted; the rest may be tried again.
        """
        whole = self._newest_whole_snapshots()
        if len(whole) < KEPT_SNAPSHOTS:
            return []
        gone = list[Path]()
        size = sum(segment.path.stat().st_size for segment in self._segments)
        needed_step = min(needed_step, whole[-1])
        while len(self._segments) > 1 and self._segments[1].first_step <= needed_step + 1:
            oldest = self._segments[0].path
            status = oldest.stat()
            if size <= keep_bytes and (now - status.st_mtime) * 1e9 <= keep_age_ns:
                break
            self._disk.remove(oldest)
            self._segments = self._segments[1:]
            self._disk.sync_directory(self.directory)  # after a loss of power there is no gap
            size -= status.st_size
            gone.append(oldest)
        useless = [step for step in self._snapshots.steps() if step < self._oldest_start()]
        return gone + [self._snapshots.remove(step) for step in useless]

    def close(self) -> None:
        """Close the files and give the directory free; a second call does nothing."""
        self._append = _refuse_append
        try:
            with self._syncing:
                for writer in (*self._sealed, self._writer):
                    if writer is not None:
                        writer.close()
        finally:
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def _open(self) -> None:
        for path in self.directory.glob(f"*{UNFINISHED}"):
            self._disk.remove(path)
        self._segments = find_segments(self.directory)
        if self._segments:
            self._adopt(self._segments[-1].path)
            assert self._writer is not None
            self.torn = self._writer.torn
            self._sync_all()
        refuse_missing_end(self, max(self.snapshot_steps(), default=0))

    def _sync_all(self) -> None:
        # What the process before wrote is about to be relied on, and may not be on disk yet.
        for segment in self._segments[:-1]:
            file = self._disk.open(segment.path)
            try:
                self._disk.sync(file)
            finally:
                self._disk.close(file)
        self.sync()

    def _adopt(self, path: Path) -> None:
        """Go on in the segment at `path`."""
        self._append = _refuse_append
        with naming_the_remedy():
            writer = FrameWriter(path, {}, self._disk)
        self._appended_before, self._began_at = self.appended, writer.end
        with self._syncing:
            before, self._writer = self._writer, writer
            if before is not None and before.frames:
                self._sealed.append(before)
            elif before is not None:
                before.close()
        segment = Segment(path, writer.header["first_step"], writer.header)
        earlier = (other for other in self._segments if other.first_step < segment.first_step)
        self._segments = (*earlier, segment)
        self._first_step = segment.first_step
        self._append = writer.append
        self.full = writer.end >= self.segment_bytes

    def _end(self) -> Previous | None:
        """Return how the last segment with steps ends; None before the first step."""
        if self._writer is None:
            return None
        newest = self._segments[-1]
        if not self._writer.frames:
            return newest.previous
        return newest.first_step, self._writer.end, self._writer.crc

    def _newest_whole_snapshots(self) -> list[int]:
        usable = (step for step in reversed(self._snapshots.steps()) if step <= self.last_step)
        whole = (step for step in usable if self._snapshots.load(step) is not None)
        return list(islice(whole, KEPT_SNAPSHOTS))


def lock_directory(directory: Path) -> int:
    """Return a file that keeps everyone else from writing to `directory` until it is closed.

    Raises:
        JournalLockedError: someone else is writing there.
        OSError: the file cannot be made.
    """
    path = directory / LOCK
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 20, 0).decode(errors="replace").strip()
        os.close(file)
        by = f"process {holder}" if holder else "another process"
        raise JournalLockedError(f"{directory}: in use by {by}") from None
    with suppress(OSError):  # on a full disk the name of the holder is what can be missed
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file


def _refuse_append(_kind: int, _body: bytes) -> NoReturn:
    raise OSError(errno.EBADF, "no segment of the journal is open; `begin` starts one")
