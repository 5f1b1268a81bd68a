"""Files of released formats: what was written once reads the same for ever.

``golden/<version>`` beside this module holds a journal and a record. A new version of the format
gets a directory of its own; files that are there are never written again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from actors.events.market import Quote
from actors.events.orders import OrderFilled
from actors.runtime.journal.frames import EVENT, FRAME, HEADER, FrameWriter
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.writer import Journal
from actors.runtime.schema import schema_table
from kaiju.record.record import Record
from kaiju.record.scales import scales_of_header
from tests.kit.golden import (
    ABOUT,
    ENUMS,
    EVENTS,
    FIELDS,
    FILLED,
    GOLDEN,
    QUOTE,
    SEGMENT,
    SNAPSHOT,
    STEPS,
)


def write(directory: Path) -> None:
    """Write what stands in the golden directory of the first version."""
    journal = Journal(directory / "positions")
    for steps in (STEPS[:2], STEPS[2:]):
        journal.begin({**SEGMENT, "next_seq": {"positions": steps[0][0]}})
        for step in steps:
            journal.append(msgpack.packb(step))
        if journal.last_step == SNAPSHOT[0]:
            journal.save_snapshot(journal.last_step, msgpack.packb(SNAPSHOT))
    journal.close()
    (directory / "positions" / "lock").unlink()
    writer = FrameWriter(directory / "events.kaiju", ABOUT)
    writer.append_all(EVENT, [msgpack.packb(event) for event in EVENTS])
    writer.close()


def read_alone(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """Read a whole file with `msgpack` and nothing of ours but the sizes of its heads."""
    data = path.read_bytes()
    at = HEADER.size + int.from_bytes(data[10:14], "little")
    header, bodies = msgpack.unpackb(data[HEADER.size : at]), []
    while at < len(data):
        end = at + FRAME.size + int.from_bytes(data[at : at + 4], "little")
        bodies.append(msgpack.unpackb(data[at + FRAME.size : end]))
        at = end
    return header, bodies


def files(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


def test_a_golden_journal_reads_as_it_was_written() -> None:
    reader = JournalReader(GOLDEN / "positions")

    assert [msgpack.unpackb(body) for body in reader.steps()] == STEPS
    assert [part.first_step for part in reader.segments()] == [1, 3]
    assert (reader.last_step, reader.torn) == (4, 0)
    assert reader.header is not None
    assert {name: reader.header[name] for name in SEGMENT} == SEGMENT
    assert reader.newest_snapshot() == (2, msgpack.packb(SNAPSHOT))


def test_a_golden_record_reads_as_it_was_written() -> None:
    with Record(GOLDEN / "events.kaiju") as record:
        assert [list(recorded) for recorded in record] == EVENTS
        assert (record.schema, record.enums, record.torn) == (FIELDS, ENUMS, 0)
        assert record.scales.prices == {"BTCUSDT.SIM": 2}


@pytest.mark.parametrize(
    ("name", "bodies"),
    [
        ("events.kaiju", EVENTS),
        ("positions/steps-0000000000000001.kaiju", STEPS[:2]),
        ("positions/steps-0000000000000003.kaiju", STEPS[2:]),
        ("positions/snapshot-0000000000000002.kaiju", [SNAPSHOT]),
    ],
)
def test_golden_files_need_no_more_than_a_messagepack_library(name: str, bodies: Any) -> None:
    assert read_alone(GOLDEN / name)[1] == bodies


def test_the_same_content_gives_the_same_bytes_today(tmp_path: Path) -> None:
    write(tmp_path)

    assert files(tmp_path) == files(GOLDEN)


def test_a_golden_journal_can_be_gone_on_with(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "positions", tmp_path / "positions")
    journal = Journal(tmp_path / "positions")
    journal.append(b"the fifth")
    journal.begin({})
    journal.append(b"the sixth")
    assert list(journal.steps(4)) == [b"the fifth", b"the sixth"]
    journal.close()


def test_events_of_golden_files_are_events_of_today() -> None:
    quote = msgspec.convert(QUOTE, Quote)
    filled = msgspec.convert(FILLED, OrderFilled)

    assert (quote.ask_px, filled.last_px, filled.fee) == (5_000_050, 5_000_050, -150_000)
    assert scales_of_header(ABOUT).settle == {"BTCUSDT.SIM": 8}
    now = schema_table([Quote, OrderFilled])["events"]
    assert {tag: now[tag][: len(fields)] for tag, fields in FIELDS.items()} == FIELDS
