"""What a journal promises: the steps that were written, or a refusal that names the place."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.runtime.frames import FRAME, DamagedFileError
from actors.runtime.journal import Journal, JournalLockedError
from actors.runtime.repair import apply_cut, find_cut
from actors.runtime.segments import JournalDamagedError, JournalReader
from tests.disks import CountingDisk, FailingDisk, ForgetfulDisk, FullDisk, KilledError, KillingDisk

ROOT = Path(__file__).parent.parent
HEADER: dict[str, Any] = {"journal": 1, "actor": "oms"}
SEGMENTS = (3, 2, 4)
"""Steps in each segment of the small journal."""
STEPS = [b"step %d" % number + b"." * number for number in range(1, 1 + sum(SEGMENTS))]
SNAPSHOTS = {3: b"what it was after 3", 5: b"what it was after 5, longer"}
HOLDER = """
import sys
from pathlib import Path
from random import Random
from actors.runtime.journal import Journal
journal = Journal(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def small_journal(directory: Path) -> Path:
    journal = Journal(directory)
    steps = iter(STEPS)
    for size in SEGMENTS:
        journal.begin(HEADER)
        for _ in range(size):
            journal.append(next(steps))
        if journal.last_step in SNAPSHOTS:
            journal.save_snapshot(journal.last_step, SNAPSHOTS[journal.last_step])
    journal.close()
    return directory


def read(directory: Path, after: int = 0) -> list[bytes]:
    return list(JournalReader(directory).steps(after))


def prefix_or_refusal(directory: Path) -> tuple[list[bytes], DamagedFileError | None]:
    found: list[bytes] = []
    try:
        found.extend(JournalReader(directory).steps())
    except DamagedFileError as error:
        return found, error
    return found, None


def segment(directory: Path, index: int) -> Path:
    return sorted(directory.glob("steps-*.kaiju"))[index]


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {"lock"}


@contextmanager
def opened(directory: Path, **options: Any) -> Iterator[Journal]:
    journal = Journal(directory, **options)
    try:
        yield journal
    finally:
        journal.close()


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


def test_a_snapshot_beyond_the_last_step_is_put_aside_before_its_number_is_used_again(
    tmp_path: Path,
) -> None:
    directory = small_journal(tmp_path / "oms")
    with opened(directory) as journal:
        journal.save_snapshot(9, b"after 9")
    path = segment(directory, -1)
    path.write_bytes(path.read_bytes()[:-1])

    assert JournalReader(directory).newest_snapshot() == (5, SNAPSHOTS[5])
    with opened(directory) as journal:
        journal.append(b"another ninth step")
        assert journal.newest_snapshot() == (5, SNAPSHOTS[5])
        [reason] = journal.damaged_snapshots.values()
        assert "is of step 9, but the journal ends with step 8" in reason
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
        holder.wait(timeout=10)
    Journal(directory).close()


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
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
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


def retain(journal: Journal) -> None:
    journal.retain(100, keep_bytes=0, keep_age_ns=0, now=0)


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
    with opened(tmp_path / "oms", disk=FailingDisk(counted.operations + 1, errno.EIO)) as journal:
        with pytest.raises(OSError):
            journal.save_snapshot(1, b"after 1")
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


@pytest.mark.parametrize("seed", range(8))
def test_segments_deleted_before_a_loss_of_power_leave_no_gap(tmp_path: Path, seed: int) -> None:
    directory = small_journal(tmp_path / "oms")
    disk = ForgetfulDisk()
    with opened(directory, disk=disk) as journal:
        journal.save_snapshot(8, b"after 8")
        journal.save_snapshot(9, b"after 9")
        retain(journal)
        assert [part.first_step for part in journal.segments()] == [6]
    disk.lose_power(directory, Random(seed))

    assert read(directory, after=5) == STEPS[5:]


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
