"""Kills runs and their venues at random: ``python -m tests.tools.soak --kills 1000``.

One life after the other, each in an empty folder: by turns a run in one process and one on three
linked nodes. At its end everything must agree, and be done again with the same outcome in another
process. A life in which something is wrong is the last one, and its folder stays.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count

from actors.runtime.settings import parse_duration
from tests.kit.killed_trading import LONGER_THAN_SILENCE, Trading
from tests.kit.linked_trading import NODES, desk
from tests.kit.network_faults import mistreat_frames
from tests.kit.run_folder import run_folder
from tests.kit.verify_leftovers import verify_elsewhere

KILLS_A_LIFE = 50
MAX_GROWTH = 16 * 2**20
"""Bytes by which a process may grow in the second half of its life."""


def live_in_one_process(seed: int, kills: int) -> str:
    """Kill a run and its venue, and return what there is to say of them in the end.

    Raises:
        AssertionError: something is wrong.
    """
    with run_folder() as folder, Trading(folder, folder / "v", seed) as trading:
        trading.venue.start()
        trading.run.start()
        while trading.kills < kills:
            trading.kill_at_random()
            if trading.kills == kills // 2:
                trading.pause_at_random(LONGER_THAN_SILENCE)
        trading.await_orders(5)
        trading.stop()
        found = trading.disagreements()
        assert not found, found
        equal, said = verify_elsewhere([trading.venue_data, trading.data])
        assert equal, said
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"a run and its venue, {size >> 20} MB of journals"


def live_on_three_nodes(seed: int, kills: int) -> str:
    """Kill two linked nodes and their venue, or let them stand still; the third one lives on.

    Raises:
        AssertionError: something is wrong, or the third one needs more and more memory.
    """
    survivor = sorted(NODES)[seed % len(NODES)]
    mortals = ({*NODES} - {survivor}) | {"venue"}
    tcp = seed % 4 == 0
    prelude = partial(mistreat_frames, seed) if tcp else None
    with desk(seed, tcp=tcp, prelude=prelude) as trading:
        trading.start()
        needed = []
        for _ in range(2):
            for _ in range(kills // 2):
                trading.disturb(*sorted(mortals))
                trading.await_orders(1)
            needed.append(trading.nodes.processes[survivor].resident)
        trading.stop()
        found = trading.disagreements(), trading.defects(), trading.nodes.resets()
        assert found == ({}, [], 0), found
        growth = needed[1] - needed[0]
        assert growth < MAX_GROWTH, f"{survivor} grew from {needed[0]} to {needed[1]} bytes"
    link = "tcp" if tcp else "ipc"
    return f"three nodes by {link} and a venue, {survivor} grew by {growth / 2**20:.1f} MB"


def soak(first_seed: int, is_over: Callable[[int], bool]) -> None:
    """Live until `is_over`, called with the kills so far."""
    kills, began = 0, time.monotonic()
    for seed in count(first_seed):
        live = live_in_one_process if seed % 2 else live_on_three_nodes
        try:
            said = live(seed, KILLS_A_LIFE)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        kills += KILLS_A_LIFE
        passed = time.monotonic() - began
        say(f"seed {seed}: {kills} kills, {passed:.0f} s, {said}: everything agrees")
        if is_over(kills):
            return


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it is what people wait for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="at least so many")
    parser.add_argument("--for", dest="duration", type=parse_duration, help="such as 8h, instead")
    parser.add_argument("--seed", type=int, default=1, help="of the first life")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if asked.duration is None:
        soak(asked.seed, lambda kills: kills >= asked.kills)
        return
    ends = time.monotonic_ns() + asked.duration
    soak(asked.seed, lambda _: time.monotonic_ns() >= ends)


if __name__ == "__main__":
    main()
