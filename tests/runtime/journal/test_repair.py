"""What a cut keeps of a damaged journal: every step before the damage, and all bytes aside."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from actors.runtime.journal.frames import FRAME, DamagedFileError
from actors.runtime.journal.repair import apply_cut, find_cut
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.writer import Journal, JournalLockedError
from tests.kit.disks import CountingDisk, KilledError, KillingDisk
from tests.kit.journals import HEADER, SEGMENTS, STEPS, opened, read, segment, small_journal


def bytes_in(directory: Path) -> int:
    files = (path for path in directory.iterdir() if path.name != "lock")
    return sum(path.stat().st_size for path in files)


def repaired(directory: Path) -> list[bytes]:
    cut = find_cut(directory)
    assert cut is not None
    apply_cut(directory, cut)
    assert find_cut(directory) is None
    assert JournalReader(directory).last_step == cut.last_step
    return read(directory)


def test_a_whole_journal_and_a_torn_end_need_no_cut(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    assert find_cut(directory) is None

    path = segment(directory, -1)
    path.write_bytes(path.read_bytes()[:-1])
    assert find_cut(directory) is None


@pytest.mark.parametrize("index", [0, 1, 2])
def test_any_flipped_bit_costs_what_stands_behind_it_and_nothing_is_deleted(
    tmp_path: Path, index: int
) -> None:
    whole = small_journal(tmp_path / "whole")
    data = segment(whole, index).read_bytes()
    first = sum(SEGMENTS[:index])
    frames = [FRAME.size + len(body) for body in STEPS[first : first + SEGMENTS[index]]]
    ends = [len(data) - sum(frames[count:]) for count in range(len(frames) + 1)]

    for place in range(0, len(data), 5):
        directory = tmp_path / "damaged"
        shutil.copytree(whole, directory)
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        segment(directory, index).write_bytes(damaged)
        before = bytes_in(directory)

        kept = first + max(0, sum(end <= place for end in ends) - 1)
        assert repaired(directory) == STEPS[:kept]
        assert bytes_in(directory) == before
        newest = JournalReader(directory).newest_snapshot()
        assert (newest and newest[0]) == max(
            (step for step in (3, 5) if step <= kept), default=None
        )
        with opened(directory) as journal:
            journal.begin(HEADER)
            journal.append(b"and on")
        assert read(directory) == [*STEPS[:kept], b"and on"]
        shutil.rmtree(directory)


def test_a_cut_says_what_goes_before_it_does_anything(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    path = segment(directory, 1)
    size = path.stat().st_size
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    start = size - FRAME.size - len(STEPS[4])

    cut = find_cut(directory)
    assert cut is not None
    assert (cut.last_step, cut.tail, cut.snapshots) == (4, (path, start), (5,))
    assert cut.segments == (segment(directory, 2),)
    assert cut.reason.startswith(f"{path}: byte {start}: the last frame does not match its CRC")
    assert path.read_bytes() == data

    kept = apply_cut(directory, cut)
    assert [file.name for file in kept] == [
        "broken-steps-0000000000000006.kaiju",
        "broken-snapshot-0000000000000005.kaiju",
        f"broken-steps-0000000000000004-{start}",
    ]
    assert kept[2].read_bytes() == data[start:]


def test_behind_a_missing_segment_everything_goes(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    segment(directory, 1).unlink()

    assert repaired(directory) == STEPS[:3]


def test_an_older_copy_of_a_segment_is_kept_as_far_as_it_goes(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    path = segment(directory, 1)
    path.write_bytes(path.read_bytes()[: -FRAME.size - len(STEPS[4])])

    assert repaired(directory) == STEPS[:4]


def test_a_sealed_segment_that_ends_within_a_frame_is_kept_up_to_that(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    path = segment(directory, 1)
    path.write_bytes(path.read_bytes()[:-1])

    assert repaired(directory) == STEPS[:4]


def test_a_journal_without_its_beginning_keeps_its_numbers(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    segment(directory, 0).unlink()
    path = segment(directory, -1)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    cut = find_cut(directory)
    assert cut is not None
    apply_cut(directory, cut)
    assert cut.last_step == JournalReader(directory).last_step == 8
    assert read(directory, after=3) == STEPS[3:8]
    with pytest.raises(DamagedFileError, match="begins with step 4"):
        read(directory)


def test_a_journal_in_use_is_not_cut(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    with opened(directory):
        path = segment(directory, 1)
        path.write_bytes(path.read_bytes()[:-1])
        cut = find_cut(directory)
        assert cut is not None
        with pytest.raises(JournalLockedError):
            apply_cut(directory, cut)
    assert [path.name for path in directory.glob("broken-*")] == []


@pytest.mark.parametrize("afterwards", [False, True], ids=["before", "after"])
def test_a_cut_that_is_killed_can_be_made_again(tmp_path: Path, afterwards: bool) -> None:
    whole = small_journal(tmp_path / "whole")
    path = segment(whole, 1)
    path.write_bytes(path.read_bytes()[:-1])

    def cut(directory: Path, disk: CountingDisk) -> None:
        shutil.copytree(whole, directory)
        found = find_cut(directory)
        assert found is not None
        apply_cut(directory, found, disk)

    counted = CountingDisk()
    cut(tmp_path / "counted", counted)
    for operation in range(1, 1 + counted.operations):
        directory = tmp_path / f"{operation}"
        with pytest.raises(KilledError):
            cut(directory, KillingDisk(operation, afterwards=afterwards))
        again = find_cut(directory)
        if again is not None:
            apply_cut(directory, again)
        assert read(directory) == STEPS[:4]
        Journal(directory).close()
