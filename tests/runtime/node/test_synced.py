"""Nothing leaves before it is synced, steps share a sync, and one that fails ends the process."""

from __future__ import annotations

import errno
import logging
import os
import threading
from pathlib import Path

import pytest

from actors.events.event import Event
from actors.events.venue import NewOrderSingle
from actors.runtime.clock import LiveClock, VirtualClock
from actors.runtime.errors import ExitCode
from actors.runtime.journal.disk import Disk
from actors.runtime.ref import Timeout
from actors.testing import START
from kaiju.journals.verify import verify
from tests.kit.failing_disk import (
    Ask,
    Outside,
    WatchedDisk,
    exit_code_of,
    journaled,
    path_of,
    trading,
)
from tests.kit.waiting import PATIENCE

TICKS = 2_000


class UnsafeDisk(WatchedDisk):
    """Cannot sync the journal of the desk, from the `first` time on."""

    def __init__(self, log: Path, first: int) -> None:
        super().__init__(log)
        self._left = first

    def sync(self, file: int) -> None:
        path = path_of(file)
        if path.parent.name == "desk" and path.suffix == ".kaiju":
            self._left -= 1
            if self._left <= 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(file)


@pytest.mark.parametrize("clock", [VirtualClock, LiveClock])
@pytest.mark.parametrize("first", [1, 4])
def test_a_process_that_cannot_sync_ends_at_once_and_sends_nothing_more(
    tmp_path: Path, clock: type[VirtualClock | LiveClock], first: int
) -> None:
    disk, said = UnsafeDisk(tmp_path / "log", first), tmp_path / "said"

    def live() -> None:
        logging.basicConfig(force=True, filename=said)
        node = trading(
            tmp_path / "run", clock(), disk, Outside(disk.take), durable="fsync", slice_steps=64
        )
        node.run()

    assert exit_code_of(live) == ExitCode.JOURNAL
    assert "a journal could not be synced, so this process ends: [Errno 5]" in said.read_text()
    taken = disk.assert_nothing_left_early(tmp_path / "run")
    assert bool(taken) == (first > 1)

    again = trading(tmp_path / "run", clock(), Disk(), durable="fsync")
    again.run()
    assert again.supervisor.failures == []
    assert (again.actors["desk"].state.orders, again.actors["tally"].state.ticks) == (TICKS, TICKS)
    assert verify(tmp_path / "run").equal


def test_a_sync_that_fails_before_a_snapshot_ends_the_process_as_well(tmp_path: Path) -> None:
    disk = UnsafeDisk(tmp_path / "log", 1)

    def live() -> None:
        logging.disable()
        trading(tmp_path / "run", VirtualClock(START), disk, segment_bytes=20_000).run()

    assert exit_code_of(live) == ExitCode.JOURNAL


class GatedDisk(WatchedDisk):
    """Lets no sync of a segment end while its gate is shut."""

    def __init__(self, log: Path) -> None:
        super().__init__(log)
        self.gate = threading.Event()
        self.gate.set()
        self.waits = threading.Event()

    def sync(self, file: int) -> None:
        if not self.gate.is_set() and path_of(file).name.startswith("steps-"):
            self.waits.set()
            assert self.gate.wait(PATIENCE)
        super().sync(file)


def test_a_slow_sync_stops_neither_the_loop_nor_many_steps_from_sharing_the_next(
    tmp_path: Path,
) -> None:
    disk = GatedDisk(tmp_path / "log")
    outside = Outside(disk.take)
    node = trading(
        tmp_path / "run", LiveClock(), disk, outside, durable="fsync", ticks=10**9, gap=100_000
    )
    thread = threading.Thread(target=node.run)
    thread.start()
    assert outside.ordered.wait(PATIENCE)
    disk.gate.clear()
    assert disk.waits.wait(PATIENCE)
    reply = node.ref("desk").ask(Ask(), block=False)
    enough, steps = threading.Event(), node.loop.steps
    node.on_turn = lambda n: enough.set() if n.loop.steps > steps + 3_000 else None
    assert enough.wait(PATIENCE)
    with pytest.raises(Timeout):
        reply.get(timeout=0.05)
    outside.ordered.clear()
    disk.gate.set()

    assert reply.get(timeout=PATIENCE) > 0
    assert outside.ordered.wait(PATIENCE)
    node.request_stop("enough")
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert disk.assert_nothing_left_early(tmp_path / "run") == len(outside.orders)
    assert node.actors["desk"].state.orders == len(outside.orders)


def test_in_virtual_time_a_sync_is_part_of_the_turn(tmp_path: Path) -> None:
    disk = WatchedDisk(tmp_path / "log")
    outside = Outside(disk.take)
    node = trading(
        tmp_path / "run", VirtualClock(START), disk, outside, durable="fsync", slice_steps=64
    )
    node.run()

    assert disk.assert_nothing_left_early(tmp_path / "run") == TICKS


def test_nothing_leaves_before_its_step_is_written(tmp_path: Path) -> None:
    def check(event: Event) -> None:
        if isinstance(event, NewOrderSingle):
            assert journaled(tmp_path / "run", event.client_order_id)

    outside = Outside(check)
    node = trading(
        tmp_path / "run", VirtualClock(START), Disk(), outside, ticks=200, slice_steps=16
    )
    node.run()

    assert node.supervisor.failures == []
    assert len(outside.orders) == 200
