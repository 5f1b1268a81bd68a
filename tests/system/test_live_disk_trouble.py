"""Live nodes and whole runs on a disk that is full for a while, for good, or read-only."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from actors.recorder import EVENTS_FILE
from actors.runtime.clock import LiveClock
from actors.runtime.journal.disk import Disk
from actors.runtime.node.config import Durability
from actors.runtime.node.node import Node
from actors.runtime.ref import ActorDeadError, Timeout
from kaiju.journals.verify import verify
from tests.kit.commands import KAIJU
from tests.kit.failing_disk import Ask, Outside, TroubledDisk, trading
from tests.kit.killed_trading import Trading
from tests.kit.paths import ROOT
from tests.kit.shipped import PAPER
from tests.kit.small_system import write_topology
from tests.kit.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("live")

A_BEGINNING = 50_000
"""Bytes of a record; every actor has done something then."""
READ_ONLY = "Read-only file system"


class StubRoom:
    """A disk that is full when a test says so."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.disk = TroubledDisk(errno.ENOSPC)

    def fill(self) -> None:
        self.disk.broken = True

    def make_room(self) -> None:
        self.disk.broken = False


class TmpfsRoom:
    """A real file system of a few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.disk = Disk()
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def make_room(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A mounted tmpfs of 16 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "kaiju-test", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no small disk: only root may mount one")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(params=["a stub", "tmpfs"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> StubRoom | TmpfsRoom:
    if request.param == "a stub":
        return StubRoom(tmp_path)
    return TmpfsRoom(request.getfixturevalue("tmpfs"))


@pytest.mark.parametrize("durable", ["os", "fsync"])
def test_a_live_node_on_a_full_disk_cancels_and_trades_again_when_there_is_room(
    room: StubRoom | TmpfsRoom, durable: Durability
) -> None:
    outside = Outside()
    node = trading(
        room.run, LiveClock(), room.disk, outside, durable=durable, ticks=10**9, gap=200_000
    )
    thread = threading.Thread(target=node.run)
    thread.start()
    for _ in range(3):
        outside.ordered.clear()
        assert outside.ordered.wait(PATIENCE)
        outside.canceled.clear()
        room.fill()
        assert outside.canceled.wait(PATIENCE)
        assert node.halts.reason.startswith("the disk is full or fails: [Errno 28]")
        room.make_room()
    outside.ordered.clear()
    assert outside.ordered.wait(PATIENCE)
    node.request_stop("enough")
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert node.halts.reason == ""
    assert node.supervisor.failures == []
    assert sorted(set(outside.orders)) == sorted(outside.orders)
    feed, tally = node.actors["feed"], node.actors["tally"]
    assert tally.state.ticks == feed.state.taken
    assert verify(room.run).equal


def started(room: StubRoom, durable: Durability, outside: Outside) -> tuple[Node, threading.Thread]:
    """Return a live node that has done all there is to do for a second."""
    node = trading(room.run, LiveClock(), room.disk, outside, durable=durable, gap=10**9)
    thread = threading.Thread(target=node.run)
    thread.start()
    assert outside.ordered.wait(PATIENCE)
    return node, thread


@pytest.mark.parametrize("durable", ["os", "fsync"])
def test_an_answer_waits_until_its_step_is_written(tmp_path: Path, durable: Durability) -> None:
    room, outside = StubRoom(tmp_path), Outside()
    node, thread = started(room, durable, outside)
    room.fill()
    reply = node.ref("desk").ask(Ask(), block=False)
    assert outside.canceled.wait(PATIENCE)
    with pytest.raises(Timeout):
        reply.get(timeout=0.05)
    room.make_room()

    assert reply.get(timeout=PATIENCE) >= 1
    node.request_stop("enough")
    thread.join(PATIENCE)


def test_an_answer_whose_step_is_never_written_is_an_error(tmp_path: Path) -> None:
    room, outside = StubRoom(tmp_path), Outside()
    node, thread = started(room, "os", outside)
    room.fill()
    reply = node.ref("desk").ask(Ask(), block=False)
    assert outside.canceled.wait(PATIENCE)
    node.request_stop("enough")
    thread.join(PATIENCE)

    with pytest.raises(ActorDeadError, match="steps were never written"):
        reply.get(timeout=PATIENCE)


def kaiju(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KAIJU, *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_a_directory_that_cannot_be_written_is_refused(tmpfs: Path) -> None:
    file = write_topology(tmpfs.parent)
    remount = ["mount", "-o", "remount,ro", str(tmpfs)]
    subprocess.run(remount, check=True)
    done = kaiju("run", file, "--for", "1s", "--data", tmpfs / "new")

    assert (done.returncode, done.stdout) == (1, "")
    assert READ_ONLY in done.stderr
    assert str(tmpfs / "new") in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_run_whose_directory_became_read_only_is_not_resumed(tmpfs: Path) -> None:
    file = tmpfs / "paper.yaml"
    file.write_text(PAPER.read_text())
    assert kaiju("run", file, "--for", "1s", "--data", tmpfs).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(tmpfs)], check=True)
    before = files(tmpfs)
    done = kaiju("run", "--resume", tmpfs / "paper")

    assert done.returncode == 1
    assert READ_ONLY in done.stderr.splitlines()[-1]
    assert files(tmpfs) == before


def files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class LiveRun:
    """`kaiju run topology/paper.yaml --live` on a small file system."""

    def __init__(self, room: TmpfsRoom) -> None:
        self.data = room.run
        self.log = room.run.parent.parent / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*KAIJU, "run", PAPER, "--live", "--data", self.data],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def trades(self) -> bool:
        files = self.data.rglob(EVENTS_FILE)
        return any(file.stat().st_size > A_BEGINNING for file in files)

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


def test_a_live_run_on_a_full_disk_halts_and_goes_on_when_there_is_room(tmpfs: Path) -> None:
    room = TmpfsRoom(tmpfs)
    run = LiveRun(room)
    try:
        until(run.trades, "a beginning")
        room.fill()
        until(lambda: run.said("trading halted: the disk is full or fails"), "a halt")
        room.make_room()
        until(lambda: run.said("trading resumed: "), "trading")
        code = run.stop()
    finally:
        run.process.kill()

    assert code == 0, run.log.read_text()
    assert verify(room.run / "paper").equal


def test_a_live_run_on_a_disk_that_stays_full_ends_halted_and_says_so(tmpfs: Path) -> None:
    room = TmpfsRoom(tmpfs)
    run = LiveRun(room)
    try:
        until(run.trades, "a beginning")
        room.fill()
        until(lambda: run.said("trading halted: the disk is full or fails"), "a halt")
        code = run.stop()
    finally:
        run.process.kill()
    said = run.log.read_text()

    assert code == 3, said
    assert "error: trading was halted: the disk is full or fails: " in said
    assert "steps were never written" in said
    assert "Traceback" not in said
    assert verify(room.run / "paper").equal


def test_at_a_venue_all_is_canceled_while_the_disk_is_full_and_agrees_in_the_end(
    tmpfs: Path, tmp_path: Path
) -> None:
    room, said = TmpfsRoom(tmpfs), tmp_path / "run.log"
    (tmp_path / "run").symlink_to(tmpfs)

    def times(text: str) -> int:
        return said.read_text().count(text)

    with TemporaryDirectory() as folder, Trading(tmp_path, Path(folder) / "v") as trades:
        trades.venue.start()
        trades.run.start()
        for _ in range(2):
            trades.await_orders(10)
            halts = times("trading halted: ")
            room.fill()
            until(lambda: times("trading halted: ") > halts, "a halt")  # noqa: B023
            until(lambda: not trades.open_in_ledger(), "an end of all orders")
            resumed = times("trading resumed: ")
            room.make_room()
            until(lambda: times("trading resumed: ") > resumed, "trading")  # noqa: B023
        trades.await_orders(10)
        trades.stop()

        assert trades.disagreements() == {}
        assert verify(trades.data).equal
