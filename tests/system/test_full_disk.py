"""A disk that takes no more: trading halts, the error says so, and what was recorded is whole.

The disk is stood in for by the system's limit on the size of a file, which fails a write in the
same place and needs no rights.
"""

from __future__ import annotations

import errno
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.events.system import RecordFrame
from actors.recorder import FramePort
from actors.runtime.envelope import Envelope
from actors.runtime.journal.frames import EVENT, FrameFile, FrameWriter
from tests.kit.paths import ROOT
from tests.kit.small_system import write_topology
from tests.kit.waiting import PATIENCE

pytestmark = pytest.mark.slow

LIMIT = 300_000
LIMITED_RUN = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))
from kaiju.__main__ import main
main()
"""


@contextmanager
def limited_to(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def envelope(seq: int) -> Envelope:
    return Envelope(
        ("recorder.frames", 1, seq), None, ("", 1, 1, 0), 0, RecordFrame(b"%05d" % seq * 20)
    )


def test_a_full_disk_halts_trading_with_a_clear_error(tmp_path: Path) -> None:
    file = write_topology(tmp_path)
    runs = tmp_path / "runs"
    arguments = ["run", str(file), "--for", "60s", "--runs", str(runs)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED_RUN, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    [directory] = runs.iterdir()
    events = directory / "events.kaiju"

    assert done.returncode == 3, done.stderr
    with FrameFile(events) as written:
        extent = written.extent()
    assert 0 < extent.end <= LIMIT
    assert extent.torn == 0
    problem = f"'{events}'"
    assert problem in done.stderr
    assert f"the file is whole up to frame {extent.frames}" in done.stderr
    assert "error: trading was halted: " in done.stderr

    report = json.loads((directory / "report.json").read_text())
    assert problem in report["halted"]
    assert report["ended"] - report["began"] == 60_000_000_000
    assert sum(report["recorded"].values()) == extent.frames


def test_what_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    port = FramePort(tmp_path / "events.kaiju", {})
    port.perform([envelope(1), envelope(2)])
    before = port.path.read_bytes()

    with limited_to(len(before) + 150), pytest.raises(OSError, match="frame 2") as raised:
        port.perform([envelope(3), envelope(4)])
    assert raised.value.errno == errno.EFBIG
    assert port.path.read_bytes() == before

    port.perform([envelope(3)])
    port.close()
    with FrameFile(port.path) as file:
        assert list(file.bodies(EVENT)) == [b"%05d" % seq * 20 for seq in (1, 2, 3)]


def test_a_writer_goes_on_once_there_is_room_again(tmp_path: Path) -> None:
    writer = FrameWriter(tmp_path / "events.kaiju", {})
    with limited_to(60), pytest.raises(OSError):
        writer.append(EVENT, b"x" * 100)
    writer.append(EVENT, b"x" * 100)
    writer.close()

    with FrameFile(writer.path) as file:
        assert file.extent().frames == 1
