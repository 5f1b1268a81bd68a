"""A virtual run that is killed and goes on ends byte for byte as the one that was never killed.

Everything is in one process and every actor is `durable: os`, sources too: their random numbers
and their place in a file are state.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors.testing import SECOND
from kaiju.run.build import compose
from kaiju.run.local import first_input
from tests.kit.kill_points import (
    SMALL_SEGMENTS,
    MortalDisk,
    files_of,
    live,
    lived,
    lived_side_by_side,
)
from tests.kit.shipped import PAPER, RECORDED, START, needs_recordings, start_of
from tests.kit.small_system import TOPOLOGY, all_durable, write_topology
from topology.check.check import CheckedTopology, check_file

pytestmark = pytest.mark.slow

WHEN = ("before", "within", "after")
KILLS = 500
LANES = os.cpu_count() or 1
Death = tuple[int, str]
"""Number of the operation, and when."""


class Life:
    """One topology and where its runs go."""

    def __init__(
        self, checked: CheckedTopology, folder: Path, start: int, nanoseconds: int, **options: Any
    ) -> None:
        self._checked = checked
        self._options = options | {"start": start, "until": start + nanoseconds}
        self.folder = folder
        self.disk = MortalDisk()
        """Of the run that was never killed: how many operations there were."""
        self.live(folder / "whole", self.disk)
        self.whole = files_of(folder / "whole")

    def live(self, directory: Path, disk: MortalDisk) -> None:
        """Run the topology in `directory`, from where it is, to its end."""
        live(self._checked, directory, disk, segment_bytes=SMALL_SEGMENTS, **self._options)

    def survives(self, deaths: Sequence[Death]) -> bool:
        """Kill one run at each of these and let it go on; return whether all end as the whole one.

        What differs is on the standard error.
        """
        lanes = [(deaths[lane::LANES], self.folder / f"killed-{lane}") for lane in range(LANES)]
        return lived_side_by_side([partial(self._survive, *lane) for lane in lanes])

    def _survive(self, deaths: Sequence[Death], directory: Path) -> None:
        for death in deaths:
            shutil.rmtree(directory, ignore_errors=True)
            assert not lived(lambda: self.live(directory, MortalDisk(*death)))  # noqa: B023
            self.live(directory, MortalDisk())
            assert self.differing(directory) == [], death

    def differing(self, directory: Path) -> list[str]:
        """Return the names of the files that are not as if nobody had been killed."""
        found = files_of(directory)
        names = sorted({*found, *self.whole})
        return [name for name in names if found.get(name) != self.whole.get(name)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Life:
    folder = tmp_path_factory.mktemp("small")
    return Life(
        check_file(write_topology(folder, all_durable(TOPOLOGY))), folder, START, SECOND // 2
    )


def test_the_small_run_has_everything_that_could_go_wrong(small: Life) -> None:
    kinds = {Path(name).name.partition("-")[0] for name in small.whole}

    assert kinds == {"events.kaiju", "steps", "snapshot"}
    assert small.disk.counts["rename"] > 2 * len(list((small.folder / "whole/journal").iterdir()))


def test_a_run_killed_around_any_operation_of_its_disk_ends_as_if_it_had_not(small: Life) -> None:
    # Killed after a write is killed before the next operation. What has no middle is killed after.
    numbers = range(1, small.disk.count + 1)

    assert small.survives([(at, when) for at in numbers for when in ("before", "within")])


def test_a_run_killed_500_times_in_succession_ends_as_if_it_had_not(tmp_path: Path) -> None:
    paper = Life(
        check_file(write_topology(tmp_path, all_durable(PAPER.read_text()))),
        tmp_path,
        START,
        2 * SECOND,
    )
    steps = paper.disk.counts["write"] // (KILLS + 1)
    directory, chance, kills = tmp_path / "killed", random.Random(7), 0  # noqa: S311
    while kills < KILLS:
        died = MortalDisk(chance.randint(1, 2 * steps), chance.choice(WHEN), "write")
        assert not lived(lambda: paper.live(directory, died))  # noqa: B023
        kills += 1
    assert lived(lambda: paper.live(directory, MortalDisk()))

    assert paper.differing(directory) == []


def test_a_journal_of_which_little_is_kept_still_holds_all_that_recovery_needs(
    tmp_path: Path,
) -> None:
    checked = check_file(
        write_topology(tmp_path, all_durable(TOPOLOGY + "journal: {keep_bytes: 0}"))
    )
    life = Life(checked, tmp_path, START, 2 * SECOND, slice_steps=50)
    directory, chance = tmp_path / "killed", random.Random(5)  # noqa: S311
    for _ in range(5):
        dies_at = chance.randint(1, life.disk.count // 6)
        assert not lived(lambda: life.live(directory, MortalDisk(dies_at)))  # noqa: B023
    assert lived(lambda: life.live(directory, MortalDisk()))

    gone = [p for p in (tmp_path / "whole/journal").iterdir() if not any(p.glob("steps-*01.kaiju"))]
    assert gone, "nothing was deleted"
    assert (directory / "events.kaiju").read_bytes() == life.whole["events.kaiju"]


def test_a_recorder_that_is_not_durable_goes_on_from_its_file(tmp_path: Path) -> None:
    life = Life(check_file(PAPER), tmp_path, START, 2 * SECOND)
    directory, chance = tmp_path / "killed", random.Random(9)  # noqa: S311
    for _ in range(20):
        died = MortalDisk(chance.randint(1, life.disk.count // 20), chance.choice(WHEN))
        assert not lived(lambda: life.live(directory, died))  # noqa: B023
    assert lived(lambda: life.live(directory, MortalDisk()))

    assert not (directory / "journal" / "recorder").exists()
    assert (directory / "events.kaiju").read_bytes() == life.whole["events.kaiju"]


@needs_recordings
def test_a_run_of_recorded_data_goes_on_in_the_middle_of_its_files(tmp_path: Path) -> None:
    text = RECORDED.read_text().replace("../../shared", str(RECORDED.parents[2] / "shared"))
    checked = check_file(write_topology(tmp_path, all_durable(text)))
    start = first_input(compose(checked))
    assert start is not None
    recorded = Life(checked, tmp_path, start_of(RECORDED) or start, 2 * SECOND)
    chance = random.Random(3)  # noqa: S311
    numbers = chance.sample(range(1, recorded.disk.count), 12)

    assert recorded.survives([(at, WHEN[at % 3]) for at in numbers])
