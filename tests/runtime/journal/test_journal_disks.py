"""A journal on a disk that is full, fails, is left in the middle of something or without power."""

from __future__ import annotations

import errno
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.runtime.journal.frames import FRAME
from actors.runtime.journal.repair import apply_cut, find_cut
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.writer import Journal
from tests.kit.disks import (
    CountingDisk,
    FailingDisk,
    ForgetfulDisk,
    FullDisk,
    KilledError,
    KillingDisk,
)
from tests.kit.journals import (
    HEADER,
    SEGMENTS,
    STEPS,
    names,
    opened,
    read,
    retain,
    segment,
    small_journal,
)


def test_a_write_that_fails_at_any_byte_leaves_nothing_and_may_be_tried_again(
    tmp_path: Path,
) -> None:
    for room in range(FRAME.size + len(STEPS[2])):
        disk = FullDisk(10**6)
        with opened(tmp_path / f"{room}", disk=disk) as journal:
            journal.begin(HEADER)
            journal.append(STEPS[0])
            journal.append(STEPS[1])
            whole = segment(journal.directory, 0).read_bytes()
            disk.room = room
            for _ in range(2):
                with pytest.raises(OSError) as raised:
                    journal.append(STEPS[2])
                assert raised.value.errno == errno.ENOSPC
                assert segment(journal.directory, 0).read_bytes() == whole
                disk.room = 0
            assert (journal.last_step, list(journal.steps())) == (2, STEPS[:2])
            disk.room = 10**6
            journal.append(STEPS[2])
        assert read(journal.directory) == STEPS[:3]


def test_what_could_not_be_cut_off_at_once_is_cut_off_before_the_next_step(tmp_path: Path) -> None:
    disk = FullDisk(10**6)
    with opened(tmp_path / "oms", disk=disk) as journal:
        journal.begin(HEADER)
        journal.append(STEPS[0])
        disk.room, disk.read_only = 5, True
        with pytest.raises(OSError, match="No space left"):
            journal.append(STEPS[1])
        with pytest.raises(OSError, match="Read-only"):
            journal.append(STEPS[1])
        with pytest.raises(OSError, match="Read-only"):
            journal.begin(HEADER)
        assert read(journal.directory) == STEPS[:1]

        disk.room, disk.read_only = 10**6, False
        journal.append(STEPS[1])
        journal.begin(HEADER)
        journal.append(STEPS[2])
    assert read(tmp_path / "oms") == STEPS[:3]


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """Give a real disk of 128 KiB."""
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def fill(journal: Journal, body: bytes) -> None:
    for _ in range(200):
        journal.append(body)


def test_a_disk_that_is_really_full_is_survived(tmpfs: Path) -> None:
    ballast = tmpfs / "ballast"
    ballast.write_bytes(bytes(64 * 1024))
    body = b"x" * 1000
    with opened(tmpfs / "oms") as journal:
        journal.begin(HEADER)
        with pytest.raises(OSError, match="No space left"):
            fill(journal, body)
        written = journal.last_step
        with pytest.raises(OSError, match="No space left"):
            journal.save_snapshot(written, body * 64)
        with pytest.raises(OSError, match="No space left"):
            journal.begin({**HEADER, "settings": "s" * 4096})
        assert 20 < written == journal.last_step < 128
        assert read(tmpfs / "oms") == [body] * written

        ballast.unlink()
        journal.append(b"there is room")
        journal.begin(HEADER)
        journal.append(b"and a segment")
    assert read(tmpfs / "oms") == [*[body] * written, b"there is room", b"and a segment"]
    assert not [name for name in names(tmpfs / "oms") if name.endswith(".new")]


def session(directory: Path, disk: CountingDisk, tried: list[bytes], done: list[bytes]) -> None:
    """Write a small journal; each operation that the disk fails is tried once more."""

    def twice(action: Callable[[], None]) -> None:
        try:
            action()
        except OSError:
            action()

    opening: list[Journal] = []
    twice(lambda: opening.append(Journal(directory, disk=disk)))
    [journal] = opening
    try:
        steps = iter(STEPS)
        for size in SEGMENTS:
            twice(lambda: journal.begin(HEADER))
            for body in (next(steps) for _ in range(size)):
                tried.append(body)
                twice(lambda body=body: journal.append(body))  # type: ignore[misc]
                done.append(body)
            step = journal.last_step
            twice(lambda step=step: journal.save_snapshot(step, b"after %d" % step))  # type: ignore[misc]
        twice(lambda: retain(journal))
    finally:
        journal.close()


def operations(directory: Path) -> int:
    disk = CountingDisk()
    session(directory, disk, [], [])
    return disk.operations


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_any_operation_may_fail_once_without_loss(tmp_path: Path, number: int) -> None:
    for operation in range(1, 1 + operations(tmp_path / "counted")):
        directory = tmp_path / f"{operation}"
        disk, done = FailingDisk(operation, number), list[bytes]()
        with suppress(OSError):  # a sync that failed is never asked again
            session(directory, disk, [], done)
        assert disk.failures == 1
        with opened(directory) as journal:
            oldest = journal.segments()[0].first_step - 1 if journal.segments() else 0
            assert list(journal.steps(oldest)) == done[oldest:]
            newest = journal.newest_snapshot()
        if len(done) == len(STEPS):
            assert oldest == 0 or newest is not None


@pytest.mark.parametrize("afterwards", [False, True], ids=["before", "after"])
def test_a_process_killed_at_any_operation_leaves_what_it_had_written(
    tmp_path: Path, afterwards: bool
) -> None:
    for operation in range(1, 1 + operations(tmp_path / "counted")):
        directory = tmp_path / f"{operation}"
        disk = KillingDisk(operation, afterwards=afterwards)
        tried, done = list[bytes](), list[bytes]()
        with pytest.raises(KilledError):
            session(directory, disk, tried, done)
        with opened(directory) as journal:
            oldest = journal.segments()[0].first_step - 1 if journal.segments() else 0
            found = list(journal.steps(oldest))
            assert found in (done[oldest:], tried[oldest:])
            newest = journal.newest_snapshot()
            assert newest is None or newest[1] == b"after %d" % newest[0]
            assert newest is not None or oldest == 0
            journal.begin(HEADER)
            journal.append(b"and on")
            assert list(journal.steps(oldest)) == [*found, b"and on"]
        assert not [name for name in names(directory) if name.endswith(".new")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_a_loss_of_power_never_takes_what_was_synced_nor_makes_a_false_step(
    tmp_path: Path, random: Random
) -> None:
    directory = tmp_path / "oms"
    shutil.rmtree(directory, ignore_errors=True)
    disk, written, synced = ForgetfulDisk(), list[bytes](), 0
    for _ in range(random.randint(1, 3)):
        with opened(directory, disk=disk) as journal:  # closed without a sync, as if killed
            synced = max(synced, write_at_random(journal, written, random))
    disk.lose_power(directory, random)

    cut = find_cut(directory)
    if cut is not None:
        apply_cut(directory, cut)
    reader = JournalReader(directory)
    assert reader.last_step >= synced
    oldest = reader.segments()[0].first_step - 1
    assert list(reader.steps(oldest)) == written[oldest : reader.last_step]
    newest = reader.newest_snapshot()
    assert newest is None or newest[1] == b"after %d" % newest[0]
    assert newest is not None or oldest == 0


def write_at_random(journal: Journal, written: list[bytes], random: Random) -> int:
    """Write steps, segments and snapshots, and return the last step that was synced."""
    synced = 0
    if random.random() < 0.5 or journal.header is None:
        journal.begin(HEADER)
    for _ in range(random.randint(0, 15)):
        body = b"%d " % len(written) + random.randbytes(random.randint(0, 900))
        journal.append(body)
        written.append(body)
        match random.choice(["nothing"] * 5 + ["sync", "sync", "begin", "save", "retain"]):
            case "sync":
                journal.sync()
                synced = len(written)
            case "begin":
                journal.begin(HEADER)
            case "save":
                journal.save_snapshot(len(written), b"after %d" % len(written))
                synced = len(written)
            case "retain":
                retain(journal)
    return synced


def test_a_sync_that_failed_is_never_believed_again(tmp_path: Path) -> None:
    with opened(tmp_path / "oms", disk=CountingDisk()) as journal:
        journal.begin(HEADER)
        journal.append(STEPS[0])
    counted = CountingDisk()
    with opened(tmp_path / "oms", disk=counted):
        pass
    with opened(tmp_path / "oms", disk=FailingDisk(counted.operations + 2, errno.EIO)) as journal:
        journal.append(STEPS[1])
        with pytest.raises(OSError):
            journal.save_snapshot(2, b"after 2")
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                journal.sync()
        assert journal.snapshot_steps() == ()


def test_a_thread_may_sync_while_steps_and_segments_are_written(tmp_path: Path) -> None:
    rounds = 2_000
    with opened(tmp_path / "oms", segment_bytes=4_000) as journal:
        journal.begin(HEADER)
        written = threading.Event()

        def keep_syncing() -> None:
            while not written.is_set():
                journal.sync()

        thread = threading.Thread(target=keep_syncing)
        thread.start()
        try:
            for number in range(rounds):
                journal.append(b"step %d" % number)
                if journal.full:
                    journal.begin(HEADER)
        finally:
            written.set()
            thread.join()
    assert read(tmp_path / "oms") == [b"step %d" % number for number in range(rounds)]


def test_segments_that_nobody_syncs_do_not_stay_open_for_ever(tmp_path: Path) -> None:
    with opened(tmp_path / "oms") as journal:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for step in STEPS * 3:
            journal.begin(HEADER)
            journal.append(step)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 5
        journal.sync()
        assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    assert read(tmp_path / "oms") == STEPS * 3


@pytest.mark.parametrize("seed", range(8))
def test_segments_deleted_before_a_loss_of_power_leave_no_gap(tmp_path: Path, seed: int) -> None:
    directory = small_journal(tmp_path / "oms")
    disk = ForgetfulDisk()
    with opened(directory, disk=disk) as journal:
        journal.save_snapshot(8, b"after 8")
        journal.save_snapshot(9, b"after 9")
        retain(journal)
        assert [part.first_step for part in journal.segments()] == [6]
    disk.lose_power(directory, Random(seed))  # noqa: S311 - reproducible on purpose

    assert read(directory, after=5) == STEPS[5:]
