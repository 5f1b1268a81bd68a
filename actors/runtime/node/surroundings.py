"""What a node takes of its machine, looked at once a second: memory, disk, clock.

Each of them can go wrong while all else looks well, so it is told before it hurts: in the log, in
the metrics, and by a halt where the node would otherwise be killed.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.events.durations import SECOND
from actors.runtime.statistics import SurroundingsRecord

if TYPE_CHECKING:
    from actors.runtime.clock import Clock
    from actors.runtime.node.config import NodeConfig

log = logging.getLogger("kaiju")

LOOK: Final = SECOND
GRACE: Final = 5 * SECOND
"""Real time for cancels after a halt for memory; then the node ends."""
MAX_AHEAD: Final = SECOND
"""A clock that is further ahead of the machine's, or behind it, is told of."""
RETOLD: Final = 3600 * SECOND
"""Real time after which a clock that is still wrong is told of again."""
STATM: Final = Path("/proc/self/statm")


class Surroundings:
    """Looks at them on the loop's thread.

    Args:
        config: has the limits.
        clock: of the node.
        halt: halts trading, for the reason that it is given.
        is_busy: whether orders or other business are open.
        request_stop: ends the run, for the reason that it is given.
    """

    def __init__(
        self,
        config: NodeConfig,
        clock: Clock,
        *,
        halt: Callable[[str], None],
        is_busy: Callable[[], bool],
        request_stop: Callable[[str], None],
    ) -> None:
        self._config, self._clock = config, clock
        self._halt, self._is_busy, self._request_stop = halt, is_busy, request_stop
        self._next_look = self._tell_clock_at = self._ends_at = 0
        self._resident = self._disk_free = self._ahead = 0
        self._disk_is_low = False
        self._full = ""
        """Why trading was halted for memory; empty while it was not."""

    def statistics(self) -> SurroundingsRecord:
        """Return what was found at the last look."""
        config = self._config
        return SurroundingsRecord(
            self._resident, config.memory_limit, self._disk_free, config.min_free, self._ahead
        )

    def turn(self) -> None:
        """Look, if it is time to."""
        now = time.monotonic_ns()
        if now < self._next_look:
            return
        self._next_look = now + LOOK
        self._look_at_memory(now)
        self._look_at_disk()
        self._look_at_clock(now)

    def _look_at_memory(self, now: int) -> None:
        self._resident, limit = resident_bytes(), self._config.memory_limit
        if self._full:
            if now >= self._ends_at or not self._is_busy():
                self._request_stop(self._full)
        elif 0 < limit <= self._resident:
            self._full = f"{self._resident:,} bytes of memory, memory_limit is {limit:,}"
            self._ends_at = now + GRACE
            self._halt(self._full)

    def _look_at_disk(self) -> None:
        place, least = self._config.data, self._config.min_free
        if place is None:
            return
        try:
            self._disk_free = shutil.disk_usage(place).free
        except OSError:
            return  # it is gone: who writes there says so
        low = self._disk_free < least
        if low and not self._disk_is_low:
            log.error("%s: %s bytes are free, min_free is %s", place, self._disk_free, least)
        elif self._disk_is_low and not low:
            log.warning("%s: there is room again, %s bytes", place, self._disk_free)
        self._disk_is_low = low

    def _look_at_clock(self, now: int) -> None:
        self._ahead = self._clock.ahead()
        if abs(self._ahead) <= MAX_AHEAD:
            if self._tell_clock_at:
                log.warning("the node's clock is the machine's again")
            self._tell_clock_at = 0
        elif now >= self._tell_clock_at:
            self._tell_clock_at = now + RETOLD
            log.error(
                "the node's clock says %s and is %.0f s %s the machine's: days of limits are those"
                " of the node's clock",
                time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self._clock.read() // SECOND)),
                abs(self._ahead) / SECOND,
                "ahead of" if self._ahead > 0 else "behind",
            )


def resident_bytes() -> int:
    """Return the memory of this process; where the system does not say, the most it ever had."""
    try:
        return int(STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
