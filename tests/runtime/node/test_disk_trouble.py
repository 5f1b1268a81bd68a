"""A disk that refuses, under load: trading halts, nothing false is on it, and all goes on later."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import msgpack
import pytest

from actors.events.event import Event
from actors.events.system import HaltTrading, ResumeTrading
from actors.events.venue import NewOrderSingle, OrderCancelRequest
from actors.recorder import EVENTS_FILE, Recorder
from actors.runtime.clock import VirtualClock
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.frames import EVENT, FrameFile
from actors.runtime.node.config import Durability
from actors.runtime.node.halts import Halts
from actors.testing import START
from kaiju.journals.verify import verify
from tests.kit.failing_disk import (
    Copies,
    Desk,
    Outside,
    Tally,
    TroubledDisk,
    assert_beginning,
    journaled,
    trading,
)

TICKS = 2_000
ORDER = b"s-desk-950"
"""Begins in the middle of everything."""
ERRORS = [errno.ENOSPC, errno.EIO, errno.EROFS]


@pytest.mark.parametrize("durable", ["os", "fsync"])
@pytest.mark.parametrize("number", ERRORS)
def test_a_disk_that_refuses_for_a_while_halts_trading_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, number: int, durable: Durability
) -> None:
    run = tmp_path / "run"
    copies = Copies(run, tmp_path / "copies", every=8)
    disk = TroubledDisk(number, begins_with=ORDER, refusals=40, on_refusal=copies.take)

    def check(event: Event) -> None:
        if isinstance(event, NewOrderSingle):
            assert journaled(run, event.client_order_id)

    outside = Outside(check)
    caplog.set_level(logging.WARNING, "kaiju")
    node = trading(run, VirtualClock(START), disk, outside, durable=durable, slice_steps=16)
    node.run()
    desk, tally = node.actors["desk"], node.actors["tally"]
    assert isinstance(desk, Desk)
    assert isinstance(tally, Tally)

    assert disk.refused == 40
    said = [record.message for record in caplog.records]
    reason = f"the disk is full or fails: [Errno {number}]"
    assert [text.partition(":")[0] for text in said] == ["trading halted", "trading resumed"]
    assert said[0].startswith(f"trading halted: {reason}")
    assert node.halts.reason == ""
    assert node.supervisor.failures == []

    kinds = [type(event).__name__ for event in outside.taken]
    first = kinds.index("OrderMassCancelRequest")
    last = len(kinds) - kinds[::-1].index("OrderCancelRequest")
    assert first > 500
    assert len(kinds) - last > 500
    assert set(kinds[first + 1 : last]) == {"OrderCancelRequest"}
    assert desk.state.orders - len(outside.orders) == 1, "only the order of the step that failed"
    assert (tally.state.ticks, tally.state.total) == (TICKS, sum(range(TICKS)))

    assert verify(run).equal
    for copy in copies:
        assert_beginning(run, copy)
        again = trading(copy, VirtualClock(START), Disk())
        again.run()
        assert again.supervisor.failures == []
        assert again.halts.reason == ""
        assert again.actors["tally"].state == tally.state
    shutil.rmtree(tmp_path / "copies")


def test_a_disk_that_stays_full_leaves_the_beginning_of_the_run(tmp_path: Path) -> None:
    disk = TroubledDisk(errno.ENOSPC, begins_with=ORDER, refusals=10**9)
    outside = Outside()
    node = trading(tmp_path / "run", VirtualClock(START), disk, outside)
    node.run()
    steps = node.loop.steps

    assert node.halts.reason == "the disk is full or fails: [Errno 28] No space left on device"
    [problem] = node.supervisor.failures
    assert re.fullmatch(r"the disk is full or fails: \d+ steps were never written", problem)
    assert type(outside.taken[-1]) is OrderCancelRequest
    again = trading(tmp_path / "run", VirtualClock(START), Disk(), second := Outside())
    again.run()
    assert again.halts.reason == ""
    assert again.supervisor.failures == []
    assert again.loop.steps > 3_000
    assert steps > 3_000
    assert again.actors["tally"].state == node.actors["tally"].state
    assert set(outside.orders).isdisjoint(second.orders)


def test_when_too_much_waits_for_the_disk_the_run_ends(tmp_path: Path) -> None:
    disk = TroubledDisk(errno.ENOSPC, begins_with=ORDER, refusals=10**9)
    node = trading(
        tmp_path, VirtualClock(START), disk, slice_steps=16, ticks=10**9, max_held=50_000
    )
    node.run()

    assert re.fullmatch(
        r"the disk is full or fails, and 5\d,\d{3} bytes wait for it", node.stop_reason
    )
    assert node.halts.reason.startswith("the disk is full or fails")
    assert len(node.supervisor.failures) == 1


def test_room_on_the_disk_lifts_no_halt_but_its_own() -> None:
    said: list[Event] = []
    halts = Halts(said.append)
    halts.wait_for_disk("the journal", OSError(errno.ENOSPC, "full"))
    halts.resume("operator")
    assert halts.reason == "the disk is full or fails: [Errno 28] full"
    halts.wait_for_disk("recorder.frames", OSError(errno.ENOSPC, "full too"))
    halts.halt("operator")
    halts.wait_for_disk("the journal", None)
    halts.wait_for_disk("recorder.frames", None)
    assert halts.reason == "operator"
    halts.resume("operator")

    assert halts.reason == ""
    assert [type(event) for event in said] == [*[HaltTrading] * 3, *[ResumeTrading] * 3]
    lifted = [event.halt_id for event in said if isinstance(event, ResumeTrading)]
    full = "the disk is full or fails: [Errno 28] full"
    assert lifted == [full, f"{full} too", "operator"]


class NoRoomFor(Disk):
    """Has room in the files that there are, and for no later one of a kind."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def create(self, path: Path) -> int:
        if path.name.startswith(self._kind) and not path.name.startswith(f"steps-{1:016}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().create(path)


@pytest.mark.parametrize(
    ("kind", "said"), [("steps", "no new segment yet"), ("snapshot", "no snapshot of step 500")]
)
def test_without_room_for_another_file_steps_are_kept_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, said: str
) -> None:
    node = trading(tmp_path, VirtualClock(START), NoRoomFor(kind), ticks=500, segment_bytes=20_000)
    node.run()

    assert node.halts.reason == ""
    assert node.supervisor.failures == []
    assert said in caplog.text
    assert len(caplog.records) < 50
    assert verify(tmp_path).equal


def test_a_recorder_waits_for_room_and_then_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = TroubledDisk(errno.ENOSPC, begins_with=b"s-desk-30", refusals=20)
    node = trading(tmp_path, VirtualClock(START), Disk(), slice_steps=16)
    recorder = node.add("recorder", Recorder)
    assert isinstance(recorder, Recorder)
    recorder.directory, recorder.disk = tmp_path, disk
    for stream in ("feed.ticks", "desk.venue"):
        node.connect("recorder", stream)
    node.run()

    assert disk.refused == 20
    halted, resumed = caplog.messages
    assert halted.startswith("trading halted: the disk is full or fails: [Errno 28] No space left")
    assert "events could not be recorded" in halted
    assert resumed == (
        "trading resumed: the disk takes what recorder.frames has again; by the disk; lifted: "
        + halted.removeprefix("trading halted: ").partition("; lifted by")[0]
    )
    assert node.supervisor.failures == []
    with FrameFile(tmp_path / EVENTS_FILE) as file:
        recorded = Counter(msgpack.unpackb(body)[0] for body in file.bodies(EVENT))
    assert recorded == {s: node.streams[s].next_seq - 1 for s in ("feed.ticks", "desk.venue")}
    assert all(edge.conserved and not edge.dropped for edge in node.statistics().edges)


def test_a_recorder_that_never_gets_room_fails_at_the_end(tmp_path: Path) -> None:
    disk = TroubledDisk(errno.ENOSPC, begins_with=b"feed.ticks", refusals=10**9)
    node = trading(tmp_path, VirtualClock(START), Disk(), slice_steps=16)
    recorder = node.add("recorder", Recorder)
    assert isinstance(recorder, Recorder)
    recorder.directory, recorder.disk = tmp_path, disk
    node.connect("recorder", "feed.ticks")
    node.run()

    assert node.halts.reason.startswith("the disk is full or fails: ")
    [failure] = node.supervisor.failures
    assert "events could not be recorded, the file is whole up to frame" in failure
    [edge] = [edge for edge in node.statistics().edges if edge.stream == "recorder.frames"]
    assert edge.conserved
    assert edge.dropped["port failed"] > 0


def test_a_recorder_for_which_too_much_waits_ends_the_run(tmp_path: Path) -> None:
    disk = TroubledDisk(errno.ENOSPC, begins_with=b"feed.ticks", refusals=10**9)
    node = trading(tmp_path, VirtualClock(START), Disk(), ticks=10**9, max_held=40_000)
    recorder = node.add("recorder", Recorder)
    assert isinstance(recorder, Recorder)
    recorder.directory, recorder.disk = tmp_path, disk
    node.connect("recorder", "feed.ticks")
    node.run()

    assert "events could not be recorded" in node.stop_reason
