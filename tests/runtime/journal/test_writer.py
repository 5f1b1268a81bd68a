"""What a journal promises: the steps that were written, or a refusal that names the place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.runtime.journal.frames import FRAME, DamagedFileError
from actors.runtime.journal.repair import apply_cut, find_cut
from actors.runtime.journal.segments import JournalDamagedError, JournalReader
from actors.runtime.journal.writer import Journal, JournalLockedError
from tests.kit.journals import (
    HEADER,
    SEGMENTS,
    SNAPSHOTS,
    STEPS,
    names,
    opened,
    prefix_or_refusal,
    read,
    segment,
    small_journal,
)
from tests.kit.paths import ROOT
from tests.kit.waiting import PATIENCE

HOLDER = """
import sys
from pathlib import Path
from random import Random
from actors.runtime.journal.writer import Journal
journal = Journal(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_a_new_journal_is_empty_until_a_segment_begins(tmp_path: Path) -> None:
    with opened(tmp_path / "journal" / "oms") as journal:
        assert (journal.last_step, journal.header, list(journal.steps())) == (0, None, [])
        assert (journal.newest_snapshot(), journal.full) == (None, False)
        with pytest.raises(OSError, match="`begin` starts one"):
            journal.append(b"too early")

        journal.begin(HEADER)
        assert journal.header == {**HEADER, "first_step": 1, "previous": None}


def test_steps_come_back_in_order_across_segments_from_any_step_on(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")

    reader = JournalReader(directory)
    assert (reader.last_step, reader.torn) == (9, 0)
    assert [part.first_step for part in reader.segments()] == [1, 4, 6]
    assert [read(directory, after) for after in range(11)] == [STEPS[after:] for after in range(11)]


def test_a_journal_that_is_opened_again_goes_on_with_the_next_step(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")

    with opened(directory) as journal:
        assert (journal.last_step, journal.torn) == (9, 0)
        assert list(journal.steps()) == STEPS
        assert journal.header is not None
        assert journal.header["first_step"] == 6
        journal.append(b"the tenth")
        assert list(journal.steps(8)) == [STEPS[8], b"the tenth"]
    assert read(directory) == [*STEPS, b"the tenth"]


def test_a_segment_without_steps_is_replaced_by_the_next(tmp_path: Path) -> None:
    with opened(tmp_path / "oms") as journal:
        journal.begin({"settings": 1})
        journal.begin({"settings": 2})
        journal.append(STEPS[0])
        journal.begin({"settings": 3})
        journal.begin({"settings": 4})
        journal.append(STEPS[1])

        assert [part.header["settings"] for part in journal.segments()] == [2, 4]
    assert read(tmp_path / "oms") == STEPS[:2]


def test_a_segment_is_full_at_its_size(tmp_path: Path) -> None:
    with opened(tmp_path / "oms", segment_bytes=300) as journal:
        journal.begin(HEADER)
        assert not journal.full
        journal.append(bytes(300))
        assert journal.full
        journal.begin(HEADER)
        assert not journal.full


def test_a_last_segment_cut_at_any_byte_gives_an_exact_prefix_and_goes_on(tmp_path: Path) -> None:
    whole = small_journal(tmp_path / "whole")
    last = segment(whole, -1).name
    data = (whole / last).read_bytes()
    frames = [FRAME.size + len(body) for body in STEPS[5:]]
    start = len(data) - sum(frames)

    for size in range(len(data)):
        directory = tmp_path / "cut"
        shutil.copytree(whole, directory)
        (directory / last).write_bytes(data[:size])
        if size < start:
            found, refusal = prefix_or_refusal(directory)
            assert (found, refusal and refusal.path) == ([], directory / last)
            with pytest.raises(JournalDamagedError, match=f"kaiju journal repair {directory}"):
                Journal(directory)
        else:
            kept = sum(start + sum(frames[:count]) <= size for count in (1, 2, 3))
            torn = size - start - sum(frames[:kept])
            assert (read(directory), JournalReader(directory).torn) == (STEPS[: 5 + kept], torn)
            with opened(directory) as journal:
                assert journal.torn == torn
                journal.append(b"again")
            assert read(directory) == [*STEPS[: 5 + kept], b"again"]
            aside = list(directory.glob("torn-*"))
            assert [path.read_bytes() for path in aside] == (
                [data[size - torn : size]] * bool(torn)
            )
        shutil.rmtree(directory)


@pytest.mark.parametrize("index", [0, 1])
def test_a_sealed_segment_cut_at_any_byte_is_refused_by_name(tmp_path: Path, index: int) -> None:
    directory = small_journal(tmp_path / "oms")
    path = segment(directory, index)
    data = path.read_bytes()

    for size in range(len(data)):
        path.write_bytes(data[:size])
        found, refusal = prefix_or_refusal(directory)
        assert found == []
        assert refusal is not None
        assert (refusal.path, refusal.offset <= size) == (path, True)
        with pytest.raises(JournalDamagedError, match=path.name):
            Journal(directory)
        assert path.read_bytes() == data[:size]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_any_flipped_bit_of_any_segment_is_refused_where_it_is(tmp_path: Path, index: int) -> None:
    directory = small_journal(tmp_path / "oms")
    path = segment(directory, index)
    data = path.read_bytes()

    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        found, refusal = prefix_or_refusal(directory)
        assert refusal is not None
        assert (refusal.path, refusal.offset <= bit // 8) == (path, True)
        assert found == STEPS[: len(found)]
        assert len(found) < sum(SEGMENTS[: index + 1])
        assert f"kaiju journal repair {directory}" in str(refusal)


def test_a_snapshot_cut_or_flipped_anywhere_gives_the_one_before(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    path = directory / "snapshot-0000000000000005.kaiju"
    data = path.read_bytes()
    damages = [data[:size] for size in range(len(data))]
    damages += [data + b"x", b"", data + data]
    for bit in range(len(data) * 8):
        damages.append(
            data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
        )

    assert JournalReader(directory).newest_snapshot() == (5, SNAPSHOTS[5])
    for damaged in damages:
        path.write_bytes(damaged)
        reader = JournalReader(directory)
        assert reader.newest_snapshot() == (3, SNAPSHOTS[3])
        assert list(reader.damaged_snapshots) == [path]
        assert str(path) in reader.damaged_snapshots[path]


def test_the_newest_snapshot_may_be_asked_for_up_to_a_step(tmp_path: Path) -> None:
    reader = JournalReader(small_journal(tmp_path / "oms"))

    assert reader.snapshot_steps() == (3, 5)
    assert [reader.newest_snapshot(step) for step in (2, 3, 4, 5, 6)] == [
        None,
        (3, SNAPSHOTS[3]),
        (3, SNAPSHOTS[3]),
        (5, SNAPSHOTS[5]),
        (5, SNAPSHOTS[5]),
    ]


def test_a_snapshot_under_another_ones_name_is_passed_over(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    path = directory / "snapshot-0000000000000005.kaiju"
    shutil.copy(path, directory / "snapshot-0000000000000006.kaiju")

    reader = JournalReader(directory)
    assert reader.newest_snapshot() == (5, SNAPSHOTS[5])
    [reason] = reader.damaged_snapshots.values()
    assert "its header says that it is of step 5" in reason


def test_a_journal_that_ends_before_its_newest_snapshot_is_refused_until_it_is_repaired(
    tmp_path: Path,
) -> None:
    directory = small_journal(tmp_path / "oms")
    with opened(directory) as journal:
        journal.save_snapshot(9, b"after 9")
    path = segment(directory, -1)
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(JournalDamagedError, match="ends with step 8, but there is a snapshot of"):
        JournalReader(directory)
    with pytest.raises(JournalDamagedError, match="steps that were on disk are missing"):
        Journal(directory)
    cut = find_cut(directory)
    assert cut is not None
    assert (cut.last_step, cut.snapshots) == (8, (9,))
    apply_cut(directory, cut)
    with opened(directory) as journal:
        journal.append(b"another ninth step")
        assert journal.newest_snapshot() == (5, SNAPSHOTS[5])
    assert "broken-snapshot-0000000000000009.kaiju" in names(directory)


@pytest.mark.parametrize("index", [0, 1])
def test_a_missing_segment_is_noticed(tmp_path: Path, index: int) -> None:
    directory = small_journal(tmp_path / "oms")
    following = segment(directory, index + 1)
    segment(directory, index).unlink()

    found, refusal = prefix_or_refusal(directory)
    assert found == []
    assert refusal is not None
    assert refusal.path == following
    said = ["but step 1 is needed", "segments are missing"][index]
    assert said in str(refusal)


def test_exchanged_segments_are_noticed(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    first, second = segment(directory, 0), segment(directory, 1)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)

    with pytest.raises(JournalDamagedError, match="begins with step 4: files were exchanged"):
        Journal(directory)


def test_a_copy_of_a_segment_under_another_name_is_noticed(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    shutil.copy(segment(directory, 1), directory / "steps-0000000000000005.kaiju")

    with pytest.raises(JournalDamagedError, match=r"steps-0{15}5.*begins with step 4"):
        Journal(directory)


def test_an_older_copy_of_a_segment_is_noticed(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    path = segment(directory, 1)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: -FRAME.size - len(STEPS[4])])

    with pytest.raises(JournalDamagedError, match=f"{path.name}: byte .* but had {size} when"):
        Journal(directory)


def test_a_segment_of_another_journal_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    other = Journal(tmp_path / "other")
    for steps in ([b"STEP 1.", b"STEP 2..", b"STEP 3..."], [b"STEP 4....", b"STEP 5....."]):
        other.begin(HEADER)
        for body in steps:
            other.append(body)
    other.close()
    shutil.copy(segment(tmp_path / "other", 0), segment(directory, 0))

    reader = JournalReader(directory)
    assert list(reader.steps(3)) == STEPS[3:]
    with pytest.raises(JournalDamagedError, match="or this is another file"):
        list(reader.steps())


def test_torn_tails_of_the_same_place_are_all_kept(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    data = segment(directory, -1).read_bytes()
    for size in (len(data) - 3, len(data) - 2):
        segment(directory, -1).write_bytes(data[:size])
        with opened(directory) as journal:
            assert journal.last_step == 8

    place = len(data) - FRAME.size - len(STEPS[8])
    aside = f"torn-steps-0000000000000006-{place}"
    assert {name for name in names(directory) if name.startswith("torn")} == {aside, f"{aside}-2"}
    assert (directory / aside).read_bytes() == data[place:-3]
    assert (directory / f"{aside}-2").read_bytes() == data[place:-2]


def test_reading_changes_nothing_and_needs_no_lock(tmp_path: Path) -> None:
    directory = small_journal(tmp_path / "oms")
    path = segment(directory, -1)
    path.write_bytes(path.read_bytes()[:-1])
    before = {file.name: file.read_bytes() for file in directory.iterdir()}

    assert Journal.reading(directory).torn == FRAME.size + len(STEPS[8]) - 1
    assert read(directory) == STEPS[:8]
    assert {file.name: file.read_bytes() for file in directory.iterdir()} == before
    with opened(directory) as journal:
        assert list(Journal.reading(directory).steps()) == list(journal.steps())


def test_a_second_journal_of_the_same_process_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "oms"
    with opened(directory):
        with pytest.raises(JournalLockedError) as refused:
            Journal(directory)
        assert str(refused.value) == f"{directory}: in use by process {os.getpid()}"
    Journal(directory).close()


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    directory = tmp_path / "oms"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(
            JournalLockedError, match=f"{directory}: in use by process {holder.pid}"
        ):
            Journal(directory)
        holder.kill()
        holder.wait(timeout=PATIENCE)
    Journal(directory).close()


def aged(directory: Path) -> Path:
    """Return the small journal, its first segment written at second 100, the next at 200..."""
    small_journal(directory)
    for index in range(3):
        at = 100 * (index + 1)
        os.utime(segment(directory, index), (at, at))
    return directory


@pytest.mark.parametrize(
    ("needed_step", "keep_bytes", "keep_age_ns", "gone"),
    [
        (9, 10**6, 10**15, []),
        (9, 0, 10**15, ["steps-0000000000000001.kaiju"]),
        (9, 10**6, 150 * 10**9, ["steps-0000000000000001.kaiju"]),
        (9, 10**6, 250 * 10**9, []),
        (2, 0, 0, []),
        (3, 0, 0, ["steps-0000000000000001.kaiju"]),
    ],
    ids=["enough room", "too many bytes", "too old", "not too old", "needed", "not needed"],
)
def test_only_segments_that_nobody_needs_are_deleted(
    tmp_path: Path, needed_step: int, keep_bytes: int, keep_age_ns: int, gone: list[str]
) -> None:
    with opened(aged(tmp_path / "oms")) as journal:
        deleted = journal.retain(
            needed_step, keep_bytes=keep_bytes, keep_age_ns=keep_age_ns, now=300
        )
        assert [path.name for path in deleted] == gone
        oldest = 3 if gone else 0
        assert list(journal.steps(oldest)) == STEPS[oldest:]
        assert journal.newest_snapshot(3) == (3, SNAPSHOTS[3])
    assert read(tmp_path / "oms", oldest) == STEPS[oldest:]


def test_nothing_is_deleted_while_there_are_not_two_whole_snapshots(tmp_path: Path) -> None:
    directory = aged(tmp_path / "oms")
    path = directory / "snapshot-0000000000000005.kaiju"
    path.write_bytes(path.read_bytes()[:-1])

    with opened(directory) as journal:
        assert journal.retain(9, keep_bytes=0, keep_age_ns=0, now=300) == []


def test_snapshots_go_with_the_steps_behind_them(tmp_path: Path) -> None:
    directory = aged(tmp_path / "oms")
    with opened(directory) as journal:
        journal.save_snapshot(9, b"after 9")
        journal.save_snapshot(8, b"after 8")
        deleted = journal.retain(9, keep_bytes=0, keep_age_ns=0, now=300)
    assert [path.name for path in deleted] == [
        "steps-0000000000000001.kaiju",
        "steps-0000000000000004.kaiju",
        "snapshot-0000000000000003.kaiju",
    ]
    assert names(directory) == {
        "steps-0000000000000006.kaiju",
        "snapshot-0000000000000005.kaiju",
        "snapshot-0000000000000008.kaiju",
        "snapshot-0000000000000009.kaiju",
    }
    with pytest.raises(DamagedFileError, match="begins with step 6, but step 5 is needed"):
        read(directory, after=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.lists(st.binary(min_size=1, max_size=60), max_size=5), max_size=5),
    after=st.integers(0, 30),
)
def test_any_steps_in_any_segments_come_back(
    tmp_path: Path, parts: list[list[bytes]], after: int
) -> None:
    directory = tmp_path / "oms"
    shutil.rmtree(directory, ignore_errors=True)
    for part in parts:
        with opened(directory) as journal:
            journal.begin(HEADER)
            for body in part:
                journal.append(body)
    steps = [body for part in parts for body in part]
    with opened(directory) as journal:
        assert (journal.last_step, list(journal.steps(after))) == (len(steps), steps[after:])
