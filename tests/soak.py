"""Kills a run and its venue at random for a long time: ``python -m tests.soak --kills 1000``.

One life after the other, each in an empty folder; at its end everything must agree, and be done
again with the same outcome in another process. A life in which something is wrong is the last one,
and its folder stays.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from actors.runtime.settings import parse_duration
from tests.killed_trading import Trading
from tests.verifying import verify_elsewhere

KILLS_A_LIFE = 50
LONGER_THAN_SILENCE = 2.5
"""Seconds for which one of the two stands still once a life."""


def live(folder: Path, seed: int, kills: int) -> str:
    """Let a run and a venue live, and return what is wrong in the end; empty for nothing."""
    with Trading(folder, folder / "v", seed) as trading:
        trading.venue.start()
        trading.run.start()
        while trading.kills < kills:
            trading.kill_at_random()
            if trading.kills == kills // 2:
                trading.pause_at_random(LONGER_THAN_SILENCE)
        trading.await_orders(5)
        trading.stop()
        if found := trading.disagreements():
            return f"{found}\n{trading.logs}"
        equal, said = verify_elsewhere([trading.venue_data, trading.data])
        return "" if equal else said


def soak(first_seed: int, is_over: Callable[[int], bool]) -> int:
    """Live until `is_over`, called with the kills so far; return the exit code."""
    kills, began = 0, time.monotonic()
    for seed in count(first_seed):
        folder = Path(tempfile.mkdtemp(prefix="kaiju-"))
        try:
            wrong = live(folder, seed, KILLS_A_LIFE)
        except Exception as error:
            logs = (log.read_text() for log in folder.glob("*.log"))
            error.add_note("\n".join((f"seed {seed}, {folder}", *logs)))
            raise
        except (KeyboardInterrupt, SystemExit):
            shutil.rmtree(folder)
            raise
        if wrong:
            say(f"seed {seed}, {folder}: {wrong}")
            return 1
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        shutil.rmtree(folder)
        kills += KILLS_A_LIFE
        passed = time.monotonic() - began
        say(f"seed {seed}: {kills} kills, {passed:.0f} s, {size >> 20} MB: everything agrees")
        if is_over(kills):
            return 0
    raise AssertionError("there are always more seeds")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it is what people wait for


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="at least so many")
    parser.add_argument("--for", dest="duration", type=parse_duration, help="such as 8h, instead")
    parser.add_argument("--seed", type=int, default=1, help="of the first life")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if asked.duration is None:
        return soak(asked.seed, lambda kills: kills >= asked.kills)
    ends = time.monotonic_ns() + asked.duration
    return soak(asked.seed, lambda _: time.monotonic_ns() >= ends)


if __name__ == "__main__":
    sys.exit(main())
