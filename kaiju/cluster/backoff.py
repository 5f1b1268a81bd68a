"""When a node that died is restarted, and when that is given up."""

from __future__ import annotations

from collections import deque
from random import Random

FIRST_DELAY, MAX_DELAY = 0.2, 10.0
"""Seconds before the first start after a death; each later one waits twice as long, up to this."""
STEADY = 60.0
"""Seconds of life after which a node is considered healthy: its next death is a first one."""
MAX_DEATHS = 8
"""Deaths within `STEADY` seconds after which the cause is considered permanent."""
JITTER = 0.25
"""Largest fraction by which a delay is shortened, so that nodes do not restart in step."""


class Restarts:
    """The deaths of one node.

    Args:
        random: of the jitter.
    """

    def __init__(self, random: Random) -> None:
        self.count = 0
        """Starts after a death, so far."""
        self._random = random
        self._delay = FIRST_DELAY
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)

    def died(self, now: float, lived: float) -> float | None:
        """Return the seconds until the node is restarted; None to give it up.

        Args:
            now: time of the death, in seconds of a clock that never goes back.
            lived: seconds since the node was started.
        """
        if lived >= STEADY:
            self._delay = FIRST_DELAY
            self._deaths.clear()
        self._deaths.append(now)
        if len(self._deaths) == MAX_DEATHS and now - self._deaths[0] <= STEADY:
            return None
        self.count += 1
        delay = self._delay * (1 - JITTER * self._random.random())
        self._delay = min(2 * self._delay, MAX_DELAY)
        return delay
