"""KILL: a file beside the journals; while it is there, the node trades nothing, however it begins.

It is written before anything else happens, so that no crash comes between the decision and its
being kept, and it is removed last. What is in it is for people: that it is there is what counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from actors.events.accounts import TradingState
from actors.events.system import HaltTrading
from actors.runtime.journal.disk import Disk

KILL: Final = "KILL"
"""Name of the file; begins the id of its entry in the trading state."""
OWNER: Final = "operator"
STUCK_FILE: Final = "stuck.txt"
"""Where the threads stood of a process that ended because its interpreter lock was held."""


class Kill(msgspec.Struct, frozen=True):
    """Why nothing may be traded any more."""

    reason: str
    by: str = ""
    """The person whose command it was; empty where a failure is the cause."""
    since: int = 0
    """UTC nanoseconds."""

    @property
    def entry(self) -> HaltTrading:
        """What it is in the trading state."""
        return HaltTrading(
            self.reason, KILL, OWNER, TradingState.KILL, since=self.since, by=self.by
        )


class KillFile:
    """The file of one node.

    Args:
        directory: of the node, in which its journals are.
        disk: does the writing.
    """

    def __init__(self, directory: Path, disk: Disk) -> None:
        self.path = directory / KILL
        self._disk = disk

    def read(self) -> Kill | None:
        """Return what is in force; None where nothing is. A file that is damaged is in force."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Kill)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            return Kill(f"{self.path}: cannot be read: {error}")

    def write(self, kill: Kill) -> None:
        """Write the file; on return it survives a loss of power.

        Raises:
            OSError: the disk does not take it.
        """
        self._disk.write_whole(self.path, msgspec.json.encode(kill) + b"\n")

    def remove(self) -> None:
        """Remove the file, so that its absence survives a loss of power.

        Raises:
            OSError: the disk refuses.
        """
        if self.path.exists():
            self._disk.remove(self.path)
            self._disk.sync_directory(self.path.parent)


def keep_stuck(directory: Path, kill_file: KillFile) -> None:
    """Make a KILL of what an earlier process wrote when it was ended, and keep that aside.

    Raises:
        OSError: the disk refuses.
    """
    found = directory / STUCK_FILE
    if not found.exists() or not found.stat().st_size:
        return
    when = found.stat().st_mtime_ns
    aside = found.with_name(f"{found.stem}-{when}{found.suffix}")
    if kill_file.read() is None:
        reason = f"the loop stood still, and so did all other threads: see {aside}"
        kill_file.write(Kill(reason, since=when))
    found.rename(aside)
