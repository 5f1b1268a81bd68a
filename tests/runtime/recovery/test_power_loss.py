"""A machine without power loses of each file what was not synced, and of each another part."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from actors.runtime.journal.data_directory import CONTROL
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.frames import EVENT, STEP, FrameFile
from actors.runtime.recovery.recovery import RecoveryError
from actors.testing import SECOND
from kaiju.journals.verify import verify
from tests.kit.kill_points import SMALL_SEGMENTS, MortalDisk, live, lived
from tests.kit.shipped import PAPER, START
from tests.kit.small_system import all_durable, write_topology
from topology.check.check import CheckedTopology, check_file

pytestmark = pytest.mark.slow

UNTIL = START + 3 * SECOND
DIES_AT = 1_500


@pytest.fixture(params=["recorder durable", "recorder not durable"])
def checked(request: pytest.FixtureRequest, tmp_path: Path) -> CheckedTopology:
    if request.param == "recorder durable":
        return check_file(write_topology(tmp_path, all_durable(PAPER.read_text())))
    return check_file(PAPER)


def run(checked: CheckedTopology, directory: Path, disk: Disk) -> None:
    live(checked, directory, disk, start=START, until=UNTIL, segment_bytes=SMALL_SEGMENTS)


def killed(checked: CheckedTopology, directory: Path, dies_at: int) -> None:
    assert not lived(lambda: run(checked, directory, MortalDisk(dies_at)))


def files_with_ends(directory: Path) -> list[Path]:
    """Return the files to which something was appended last."""
    journals = [path for path in (directory / "journal").iterdir() if path.name != CONTROL]
    return [max(j.glob("steps-*")) for j in journals] + [directory / "events.kaiju"]


def least_end_of(path: Path) -> int:
    """Return what of a file was synced: its header, and all steps before the newest snapshot."""
    if not path.name.startswith("steps-"):
        with FrameFile(path) as file:
            return file.end_of(EVENT, 0)
    snapshots = [int(s.stem.rpartition("-")[2]) for s in path.parent.glob("snapshot-*")]
    synced = max(snapshots, default=0) - int(path.stem.rpartition("-")[2]) + 1
    with FrameFile(path) as file:
        return file.end_of(STEP, max(0, synced))


def lose(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def start_the_machine_again(directory: Path) -> None:
    node = json.loads((directory / "node.json").read_text())
    (directory / "node.json").write_text(json.dumps(node | {"boot": "another"}))


def test_whatever_end_each_file_lost_the_run_goes_on_and_can_be_verified(
    checked: CheckedTopology, tmp_path: Path
) -> None:
    chance = random.Random(4)  # noqa: S311 - the same losses every time
    for _ in range(8):
        directory = tmp_path / "run"
        shutil.rmtree(directory, ignore_errors=True)
        killed(checked, directory, DIES_AT)
        for path in files_with_ends(directory):
            if chance.random() < 0.7:
                size = path.stat().st_size
                least = max(least_end_of(path), size - 6_000)
                lose(path, chance.randint(least, size))
        start_the_machine_again(directory)

        assert lived(lambda: run(checked, directory, Disk()))  # noqa: B023
        assert verify(directory).equal


def test_steps_on_what_its_publisher_lost_are_put_aside(
    checked: CheckedTopology, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    killed(checked, directory, DIES_AT)
    oms = max((directory / "journal" / "oms").glob("steps-*"))
    lose(oms, least_end_of(oms))
    start_the_machine_again(directory)

    assert lived(lambda: run(checked, directory, Disk()))

    put_aside = {path.parent.name for path in (directory / "journal").glob("*/broken-steps-*")}
    assert {"gateway", "risk", "positions", "execution"} <= put_aside
    assert verify(directory).equal


@pytest.mark.usefixtures("not_verified")
def test_without_a_loss_of_power_a_reader_ahead_of_its_publisher_is_refused(
    checked: CheckedTopology, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    killed(checked, directory, DIES_AT)
    oms = max((directory / "journal" / "oms").glob("steps-*"))
    lose(oms, least_end_of(oms))

    with pytest.raises(RecoveryError, match=r"the journal of oms ends at .*: it is older than its"):
        run(checked, directory, Disk())
