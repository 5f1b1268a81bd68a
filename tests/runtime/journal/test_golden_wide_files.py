"""The second set of golden files: events with the fields of today, and numbers beyond 64 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import pytest

from actors.events.accounts import PnlUpdated, PositionUpdated, TradingState
from actors.events.event import Event
from actors.events.market import Side
from actors.events.orders import (
    ExecType,
    ExecutionReport,
    FillCorrected,
    Liquidity,
    NewOrderSingle,
    OrderApproved,
    OrderDenied,
    OrderFilled,
    OrderType,
    OrdStatus,
    SubmitOrder,
    TimeInForce,
)
from actors.events.system import HaltTrading, OperatorCommand, ResumeTrading
from actors.model.position import Position
from actors.runtime import codec
from actors.runtime.journal.frames import EVENT, FRAME, HEADER, FrameWriter
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.writer import Journal
from actors.runtime.schema import schema_table
from kaiju.record.record import Record
from tests.kit.golden import CAUSE, SEGMENT, START
from tests.kit.paths import ROOT

GOLDEN = ROOT / "tests/runtime/journal/golden/2"
QTY, PX, AMOUNT = 10**30, 4 * 10**9, -(4 * 10**21)
TERMS = ("main", "i-1", START, 3 * 10**9, START + 1, True, 10**20, "p-1")
DONE = ("main", "t-1", -AMOUNT, True, "0-maker-0")
ABOUT = ("0-maker-1", "maker", "TOKENDAI.SIM", Side.BUY)
ORDER = SubmitOrder(*ABOUT, QTY, OrderType.STOP_LIMIT, TimeInForce.GTD, PX, False, *TERMS)
FILLED = OrderFilled(*ABOUT, QTY, PX, QTY, 0, "e1", 10**20, "DAI", Liquidity.TAKER, *DONE)
HALT = (
    "halt",
    "risk-7-1",
    "risk",
    TradingState.KILL,
    "SIM",
    "main",
    "TOKENDAI.SIM",
    "maker",
    START,
)
EVENTS: tuple[Event, ...] = (
    OrderApproved(ORDER),
    NewOrderSingle(
        *("0-maker-1", "TOKENDAI.SIM", Side.BUY, QTY),
        *(OrderType.STOP_LIMIT, TimeInForce.GTD, PX, False, *TERMS),
    ),
    OrderDenied(
        *ABOUT, QTY, "MAX_ORDER_QTY", "why", QTY, QTY - 1, ("MAX_ORDER_QTY", "MAX_POSITION")
    ),
    ExecutionReport(
        *("0-maker-1", "v1", "e1", ExecType.TRADE_CORRECT, OrdStatus.FILLED, "TOKENDAI.SIM"),
        *(Side.BUY, QTY, PX, QTY, 0, 10**20, "DAI", Liquidity.TAKER, "", START),
        account="main",
        trade_id="t-1",
        cum_amount=-AMOUNT,
        inferred=True,
        orig_client_order_id="0-maker-0",
    ),
    FILLED,
    FillCorrected("inferred-1", FILLED),
    PositionUpdated("maker", "TOKENDAI.SIM", QTY, -AMOUNT, 0, 0, "e1", QTY, 0, AMOUNT, "main"),
    PnlUpdated("maker", "TOKENDAI.SIM", "DAI", QTY, 2 * PX, 0, 0, 0, 0, "main"),
    HaltTrading(*HALT, "ann"),
    ResumeTrading(*HALT, "ann", "all is well"),
    OperatorCommand("c-1", "halt", (("strategy", "maker"),), "ann", "no reason"),
)
SCHEMA = schema_table({type(event) for event in EVENTS})
HEADER_OF_SEGMENT: dict[str, Any] = {**SEGMENT, "schema": SCHEMA, "next_seq": {"positions": 1}}
STEPS = [
    (number, number, START, ("oms.orders", 1, number), None, CAUSE, START, 0, event, ((event,), ()))
    for number, event in enumerate(EVENTS, start=1)
]
SNAPSHOT = {
    "step": len(STEPS),
    "state": {"maker": Position(QTY, -AMOUNT, 0, AMOUNT, QTY, 0, {"DAI": 10**20})},
}
NUMBERS = [0, -1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**38, 2**255 - 1, -(2**255)]


def write(directory: Path) -> None:
    """Write what stands in the golden directory."""
    journal = Journal(directory / "positions")
    journal.begin(HEADER_OF_SEGMENT)
    for step in STEPS:
        journal.append(codec.encode(step))
    journal.save_snapshot(journal.last_step, codec.encode(SNAPSHOT))
    journal.close()
    (directory / "positions" / "lock").unlink()
    writer = FrameWriter(directory / "events.kaiju", {"schema": SCHEMA, "largest": 10**38})
    place = ("oms.orders", 1)
    recorded = [(*place, n, None, CAUSE[:3], START, event) for n, event in enumerate(EVENTS, 1)]
    writer.append_all(EVENT, [codec.encode(event) for event in recorded])
    writer.append_all(
        EVENT, [codec.encode((*place, 99, None, CAUSE[:3], START, ["numbers", *NUMBERS]))]
    )
    writer.close()


def wide(code: int, data: bytes) -> int:
    assert code == 1
    return int.from_bytes(data, "big", signed=True)


def read_alone(path: Path) -> tuple[Any, list[Any]]:
    """Read a whole file with `msgpack` and nothing of ours but the sizes of its heads."""
    data = path.read_bytes()
    at = HEADER.size + int.from_bytes(data[10:14], "little")
    header, bodies = msgpack.unpackb(data[HEADER.size : at], ext_hook=wide), []
    while at < len(data):
        end = at + FRAME.size + int.from_bytes(data[at : at + 4], "little")
        bodies.append(msgpack.unpackb(data[at + FRAME.size : end], ext_hook=wide))
        at = end
    return header, bodies


def files(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


def test_the_same_content_gives_the_same_bytes_today(tmp_path: Path) -> None:
    write(tmp_path)

    assert files(tmp_path) == files(GOLDEN)


def test_a_messagepack_library_with_one_line_for_wide_numbers_reads_it_all() -> None:
    header, steps = read_alone(GOLDEN / "positions" / "steps-0000000000000001.kaiju")
    assert {name: header[name] for name in HEADER_OF_SEGMENT} == codec.decode(
        codec.encode(HEADER_OF_SEGMENT)
    )
    assert steps == [codec.decode(codec.encode(step)) for step in STEPS]
    header, events = read_alone(GOLDEN / "events.kaiju")
    assert header["largest"] == 10**38
    assert events[-1][-1] == ["numbers", *NUMBERS]


def test_the_golden_journal_and_record_read_as_they_were_written() -> None:
    reader = JournalReader(GOLDEN / "positions")
    found = [codec.decode(body)[8] for body in reader.steps()]
    assert [
        codec.decoder(type(event))(codec.encode(fields))
        for event, fields in zip(EVENTS, found, strict=True)
    ] == list(EVENTS)
    assert reader.newest_snapshot() == (len(STEPS), codec.encode(SNAPSHOT))
    with Record(GOLDEN / "events.kaiju") as record:
        *recorded, _ = record
        assert [
            one.as_event(type(event)) for one, event in zip(recorded, EVENTS, strict=True)
        ] == list(EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_golden_events_have_the_fields_of_today(event: Event) -> None:
    defaults = type(event).__struct_defaults__
    appended = event.__struct_fields__[-len(defaults) :] if defaults else ()

    told = dict(zip(appended, defaults, strict=True))
    plain = {"post_only", "text", "ord_rej_reason"}
    assert [
        n for n, default in told.items() if n not in plain and getattr(event, n) == default
    ] == []
