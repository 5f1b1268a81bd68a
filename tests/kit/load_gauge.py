"""How loaded the machine is: how late a plain timer of 100 ms is in a process of its own."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD = 0.1
"""Seconds."""


class LoadGauge:
    """What the timer found so far.

    Args:
        file: of the process with the timer.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def latest(self, begin: int, end: int) -> float:
        """Return how late the latest timer was that was running between two times, in seconds.

        Args:
            begin: UTC nanoseconds.
            end: UTC nanoseconds.
        """
        lines = self._file.read_text().split("\n")[:-1]
        timers = [tuple(map(int, line.split())) for line in lines]
        late = [rang - set_ for set_, rang in timers if set_ < end and rang > begin]
        return max(0.0, max(late, default=0) / 10**9 - PERIOD)


@contextmanager
def load_gauge(file: Path) -> Iterator[LoadGauge]:
    """Measure for as long as the context lasts.

    Args:
        file: new, for what is measured.
    """
    file.touch()
    arguments = [sys.executable, "-S", __file__, str(file)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as process:
        try:
            yield LoadGauge(file)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def _measure(file: Path) -> None:
    """Write when each timer was set and when it rang, until nobody holds the other end of stdin."""
    with file.open("a") as lines:
        while True:
            begun = time.time_ns()
            ready, _, _ = select.select([sys.stdin], [], [], PERIOD)
            lines.write(f"{begun} {time.time_ns()}\n")
            lines.flush()
            if ready:
                return


if __name__ == "__main__":
    _measure(Path(sys.argv[1]))
