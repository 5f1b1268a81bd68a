"""What docs/wire.md says is what is sent, and a reader written from it alone reads live events."""

from __future__ import annotations

import re
import subprocess
import sys

import msgspec
import pytest

from actors.runtime.envelope import Envelope
from tests.kit.node_processes import linked
from tests.kit.paths import ROOT
from tests.kit.runtime_actors import Tick
from tests.kit.waiting import PATIENCE, until
from topology.config.keys import SECRET
from topology.links import messages
from topology.links.endpoints import ENDPOINTS_FILE
from topology.links.frame import encode_frame

PAGE = (ROOT / "docs" / "wire.md").read_text()

pytestmark = pytest.mark.xdist_group("live")


def test_the_frame_of_the_page_is_what_is_sent() -> None:
    place = ("feed.ticks", 1, 7)
    frame = encode_frame("feed.ticks", 1, 7, 11, [Envelope(place, None, (*place, 11), 11, Tick(7))])

    assert frame.hex() in PAGE


def test_the_page_lists_every_message_with_its_fields() -> None:
    for message in (*messages.ToPublisher.__args__, *messages.ToReader.__args__):
        [row] = re.findall(rf"^\| `{message.__name__}` \| (.*)\|$", PAGE, re.MULTILINE)
        assert row.count(",") + bool(row.strip()) >= min(1, len(msgspec.structs.fields(message)))


@pytest.mark.parametrize("tcp", [False, True], ids=["ipc", "tcp"])
def test_a_reader_written_from_the_page_alone_prints_live_events(tcp: bool) -> None:
    with linked(tcp=tcp) as run:
        run.start()
        until(run.is_live, "live inputs", run.logs)
        before = run.emitted("kept.ticks")
        script = ["docs/read_stream.py", run.folder / ENDPOINTS_FILE, "one", "kept.ticks"]
        options = ["--topology", "linked", "--node", "two", "--count", str(before + 100)]
        options += ["--secret", str(run.folder / f"two{SECRET}")]
        done = subprocess.run(
            [sys.executable, *map(str, script), *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    lines = done.stdout.splitlines()
    skipped = 0
    if lines[0].startswith("reset"):  # memory no longer held the first event
        skipped = int(lines.pop(0).split("/")[1].split(":")[0]) - 1
    numbers = [int(line.split("/")[1].split()[0]) for line in lines]
    assert numbers == list(range(skipped + 1, skipped + 1 + len(numbers)))
    assert len(numbers) == before + 100
    assert lines[0].split()[1].endswith("Tick")
