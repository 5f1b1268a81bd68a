"""Files of released formats: what was written once reads the same for ever.

``tests/golden/<version>`` holds a journal and a record. A new version of the format gets a
directory of its own; files that are there are never written again.
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

GOLDEN = Path(__file__).parent / "golden" / "1"
START = 1_704_067_200_000_000_000
INSTRUMENT = ["Instrument", "BTCUSDT.SIM", "SIM", "BTCUSDT", "BTC", "USDT", "USDT", 2, 5, 8]
CURRENCIES = [["Currency", "USDT", 8], ["Currency", "BTC", 8]]
QUOTE = ["Quote", "BTCUSDT.SIM", 7, 5_000_000, 100_000, 5_000_050, 200_000, START]
FILLED = [
    *("OrderFilled", "0-taker-1", "taker", "BTCUSDT.SIM", 1, 2_000, 5_000_050, 2_000, 0),
    *("e1", -150_000, "USDT", "TAKER"),
]
FIELDS = {
    "Quote": [
        ["instrument", "str"],
        ["update_id", "int"],
        ["bid_px", "int"],
        ["bid_qty", "int"],
        ["ask_px", "int"],
        ["ask_qty", "int"],
        ["venue_time", "int", 0],
    ],
    "OrderFilled": [
        ["client_order_id", "str"],
        ["strategy", "str"],
        ["instrument", "str"],
        ["side", ["enum", "Side"]],
        ["last_qty", "int"],
        ["last_px", "int"],
        ["cum_qty", "int"],
        ["leaves_qty", "int"],
        ["exec_id", "str"],
        ["fee", "int"],
        ["fee_currency", "str"],
        ["liquidity", ["enum", "Liquidity"]],
    ],
}
ENUMS = {
    "Side": {"BUY": 1, "SELL": -1},
    "Liquidity": {"MAKER": "MAKER", "TAKER": "TAKER", "NONE": "NONE"},
}
ABOUT: dict[str, Any] = {
    "schema": {"events": FIELDS, "enums": ENUMS},
    "instruments": [INSTRUMENT],
    "currencies": CURRENCIES,
}
SEGMENT: dict[str, Any] = {
    "journal": 1,
    "node": "main",
    "actor": "positions",
    "class": "actors.positions:Positions",
    "settings": {"limit": "0.5"},
    "session": "0",
    "seed": 7,
    "epoch": 1,
    "outputs": {"positions": ["PositionUpdated"]},
    **ABOUT,
}
ROOT = ["market.trades", 1, 1, 5]
STEPS: list[list[Any]] = [
    [1, 10, START, ["positions.inbox", 1, 1], None, ROOT, START, 0, ["ActorStarted"], [[], []]],
    [
        *(2, 12, START + 1, ["market.quotes", 1, 7], ["market.inbox", 1, 3], ROOT, START + 1, 5),
        *(QUOTE, [[], [["positions", 1, "mark", START + 1_000]]]),
    ],
    [3, 15, START + 2, ["oms.fills", 1, 1], None, ROOT, START + 2, 0, FILLED, [[QUOTE], []]],
    [4, 16, START + 3, ["oms.fills", 1, 2], None, ROOT, START + 3, 0, FILLED, None],
]
SNAPSHOT = [2, 12, START + 1, {"qty": -(2**63), "name": "é"}, None, [], 0, {"positions": 1}]
EVENTS: list[list[Any]] = [
    ["market.quotes", 1, 7, None, ["market.quotes", 1, 7], START, QUOTE],
    ["oms.fills", 1, 1, ["market.quotes", 1, 7], ["market.quotes", 1, 7], START + 2, FILLED],
]


def write(directory: Path) -> None:
    """Write what stands in the golden directory of the format's current version."""
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
