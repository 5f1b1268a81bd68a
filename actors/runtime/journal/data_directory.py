"""A node's data directory: whose it is, which session it trades in and how often it began.

Nodes of one host share a directory with the journals of all actors, so that an actor which is moved
from one to another finds what it was; what belongs to one node is in a directory of its own there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from actors.runtime.errors import ExitCode, KaijuError
from actors.runtime.journal.disk import Disk

NODE_FILE = "node.json"
JOURNALS = "journal"
CONTROL = "_control"
"""Directory of the node's own journal, and first part of its stream's name: what was announced to
all. No actor has such a name."""
SESSION_FILE = "session"
"""Holds the session of all nodes that share journals."""
SESSION_LENGTH = 8
"""Characters of a new session; directories of before have others."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class DataDirectoryError(KaijuError):
    """A data directory cannot be used: it is another node's, or its file is damaged."""

    exit_code = ExitCode.MISUSED


class NodeFile(msgspec.Struct, kw_only=True):
    """What ``node.json`` holds."""

    node: str
    session: str
    """First part of every client order id: chosen once, so that no id is ever used again."""
    epoch: int = 1
    """Of the last actor that began without its past: all do in the first run, later each takes
    the next number."""
    ended: str = ""
    """Why the last run ended in order; empty while one goes on or after it was killed."""
    control: int = 1
    """Number of the first announcement to all since the last run that ended in order."""
    actors: list[str] = []
    """Those whose journals were begun, the node's own among them."""
    boot: str = ""
    """When the machine had started, as it names that; empty where it does not."""


class DataDirectory:
    """The data directory of one node.

    Args:
        directory: made if it is missing.
        node: whose it is.
        session: of a new directory; one that exists keeps its own.
        disk: does the writing.
        shared: directory of the journals of all nodes of this host, and of their session; None
            where the node is alone.
        elsewhere: durable actors of other nodes.

    Raises:
        DataDirectoryError: the directory is another node's, or cannot be read.
        OSError: it cannot be made.
    """

    def __init__(
        self,
        directory: Path,
        node: str,
        session: str,
        disk: Disk,
        *,
        shared: Path | None = None,
        elsewhere: Iterable[str] = (),
    ) -> None:
        self.directory, self.shared = directory, shared
        self.elsewhere = frozenset(elsewhere)
        self._disk = disk
        self._path = directory / NODE_FILE
        disk.make_directory(directory / JOURNALS)
        if shared is not None:
            disk.make_directory(shared / JOURNALS)
            session = _agreed_session(shared, session)
        self.resumed = self._path.exists()
        """Whether the node was run from this directory before."""
        self.file = self._read(node) if self.resumed else NodeFile(node=node, session=session)
        self.last_ended = ""
        """Why the run before ended in order; empty if it was killed or there was none."""
        self.on_opened: Callable[[], None] = _nothing
        """Called when the directory is this run's, and all journals were opened."""
        self.power_lost = False
        """Whether the machine started anew since a run that did not end in order."""

    def begin(self) -> None:
        """Note that a run begins; the caller has a lock that keeps out all others.

        Raises:
            DataDirectoryError: another run was here since this object was made.
            OSError: it cannot be written.
        """
        if self._path.exists():
            found = self._read(self.file.node)
            if found.session != self.file.session:
                raise DataDirectoryError(
                    f"{self.directory}: another run began here just now; try again"
                )
            self.file = found
        self.last_ended = self.file.ended
        self.power_lost = self.file.boot not in ("", _boot_id()) and not self.last_ended

    def opened(self) -> None:
        """Note that all journals are there and fit together: the run goes on from them.

        Only now a loss of power is over: a start that did not come so far tells nothing.
        """
        self.file.ended, self.file.boot = "", _boot_id()
        self._save()
        self.on_opened()

    def begun(self, actors: Iterable[str]) -> None:
        """Note whose journals there are from now on."""
        if set(self.file.actors) != set(actors):
            self.file.actors = sorted(actors)
            self._save()

    def journal_of(self, actor: str) -> Path:
        """Return the directory of an actor's journal."""
        shared = None if actor == CONTROL else self.shared
        return (shared or self.directory) / JOURNALS / actor

    def next_epoch(self) -> int:
        """Return a number that no actor of this directory had as its epoch; it is on disk then.

        Of several nodes it is not below the time in seconds: an actor that comes from another one
        must not have an epoch again.
        """
        least = 0 if self.shared is None else int(time.time())
        self.file.epoch = max(self.file.epoch + 1, least)
        self._save()
        return self.file.epoch

    def end(self, reason: str, control: int) -> None:
        """Note that the run ended in order; the next announcement to all has number `control`."""
        self.file.ended, self.file.control = reason, control
        self._save()

    def _read(self, node: str) -> NodeFile:
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=NodeFile)
        except (OSError, msgspec.DecodeError) as error:
            raise DataDirectoryError(
                f"{self._path}: cannot be read: {error}; put back a copy, or begin with an empty"
                " directory: without it no session is known, and an order id could be used again"
            ) from error
        if found.node != node:
            raise DataDirectoryError(
                f"{self.directory} holds the data of node {found.node!r}, this is node {node!r}:"
                " give each node a directory of its own"
            )
        return found

    def _save(self) -> None:
        text = msgspec.json.format(msgspec.json.encode(self.file))
        self._disk.write_whole(self._path, text)


def _agreed_session(shared: Path, session: str) -> str:
    """Return the session of the first node that came here."""
    path = shared / SESSION_FILE
    draft = shared / f"{SESSION_FILE}.{os.getpid()}"
    draft.write_text(f"{session}\n", encoding="ascii")
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return path.read_text(encoding="ascii").strip()


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _nothing() -> None:
    """Nobody wants to know."""
