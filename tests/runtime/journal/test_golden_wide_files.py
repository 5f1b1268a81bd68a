"""The second set of golden files: events with the fields of today, and numbers beyond 64 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack

from actors.events.accounts import PnlUpdated, PositionUpdated, TradingState
from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import (
    ExecType,
    Liquidity,
    OrderType,
    OrdRejReason,
    OrdStatus,
    TimeInForce,
)
from actors.events.orders import FillCorrected, OrderApproved, OrderDenied, OrderFilled, SubmitOrder
from actors.events.system import HaltTrading, OperatorCommand, ResumeTrading
from actors.events.venue import ExecutionReport, NewOrderSingle
from actors.model.position import Position
from actors.runtime import codec
from actors.runtime.journal.frames import EVENT, FRAME, HEADER, FrameWriter
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.steps import step_decoder
from actors.runtime.journal.writer import Journal
from kaiju.record.record import Record
from tests.kit.golden import START
from tests.kit.paths import ROOT


def made(event_class: Any, *fields: Any) -> Any:
    """Return an event of fields in their order, whatever types they are said to have."""
    return event_class(*fields)


GOLDEN = ROOT / "tests/runtime/journal/golden/2"
STEPS_FILE = GOLDEN / "positions" / "steps-0000000000000001.kaiju"
SNAPSHOT_FILE = GOLDEN / "positions" / "snapshot-0000000000000011.kaiju"
QTY, PX, AMOUNT = 10**30, 4 * 10**9, -(4 * 10**21)
TERMS = ("main", "i-1", START, 3 * 10**9, START + 1, True, 10**20, "p-1")
DONE = ("main", "t-1", -AMOUNT, True, "0-maker-0")
ABOUT = ("0-maker-1", "maker", "TOKENDAI.SIM", Side.BUY)
ORDER = made(SubmitOrder, *ABOUT, QTY, OrderType.STOP_LIMIT, TimeInForce.GTD, PX, False, *TERMS)
FILLED = made(
    OrderFilled, *ABOUT, QTY, PX, QTY, 0, "e1", 10**20, "DAI", Liquidity.TAKER, *DONE, -AMOUNT, True
)
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
    made(
        NewOrderSingle,
        *("0-maker-1", "TOKENDAI.SIM", Side.BUY, QTY),
        *(OrderType.STOP_LIMIT, TimeInForce.GTD, PX, False, *TERMS),
    ),
    made(
        OrderDenied,
        *ABOUT,
        QTY,
        "MAX_ORDER_QTY",
        "why",
        QTY,
        QTY - 1,
        ("MAX_ORDER_QTY", "MAX_POSITION"),
    ),
    made(
        ExecutionReport,
        *("0-maker-1", "v1", "e1", ExecType.TRADE_CORRECT, OrdStatus.FILLED, "TOKENDAI.SIM"),
        *(Side.BUY, QTY, PX, QTY, 0, 10**20, "DAI", Liquidity.TAKER, "", START),
        OrdRejReason.OTHER,
        *DONE,
    ),
    FILLED,
    FillCorrected("inferred-1", FILLED),
    PositionUpdated("maker", "TOKENDAI.SIM", QTY, -AMOUNT, 0, 0, "e1", QTY, 0, AMOUNT, "main"),
    PnlUpdated("maker", "TOKENDAI.SIM", "DAI", QTY, 2 * PX, 0, 0, 0, 0, "main"),
    made(HaltTrading, *HALT, "ann"),
    made(ResumeTrading, *HALT, "ann", "all is well"),
    OperatorCommand("c-1", "halt", (("strategy", "maker"),), "ann", "no reason"),
)
SNAPSHOT = Position(QTY, -AMOUNT, 0, AMOUNT, QTY, 0, {"DAI": 10**20})
NUMBERS = [0, -1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**38, 2**255 - 1, -(2**255)]


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


def write_again(directory: Path) -> None:
    """Write what a MessagePack library finds in the golden files."""
    header, steps = read_alone(STEPS_FILE)
    del header["first_step"], header["previous"]
    _, [snapshot] = read_alone(SNAPSHOT_FILE)
    journal = Journal(directory / "positions")
    journal.begin(header)
    for step in steps:
        journal.append(codec.encode(step))
    journal.save_snapshot(journal.last_step, codec.encode(snapshot))
    journal.close()
    (directory / "positions" / "lock").unlink()
    header, events = read_alone(GOLDEN / "events.kaiju")
    writer = FrameWriter(directory / "events.kaiju", header)
    writer.append_all(EVENT, map(codec.encode, events))
    writer.close()


def test_the_same_content_gives_the_same_bytes_today(tmp_path: Path) -> None:
    write_again(tmp_path)

    assert files(tmp_path) == files(GOLDEN)


def test_a_messagepack_library_with_one_line_for_wide_numbers_reads_it_all() -> None:
    _, steps = read_alone(STEPS_FILE)
    header, recorded = read_alone(GOLDEN / "events.kaiju")
    *events, numbers = [event for *_, event in recorded]

    assert [step[8] for step in steps] == events
    assert [event[0] for event in events] == [type(event).__name__ for event in EVENTS]
    assert events[0][1][5] == QTY
    assert (header["largest"], numbers) == (10**38, ["numbers", *NUMBERS])


def test_the_golden_journal_and_record_read_as_they_were_written() -> None:
    reader = JournalReader(GOLDEN / "positions")
    steps = [
        step_decoder(type(event))(body) for event, body in zip(EVENTS, reader.steps(), strict=True)
    ]
    assert [step[8] for step in steps] == list(EVENTS)
    newest = reader.newest_snapshot()
    assert newest is not None
    assert codec.decode(newest[1])["step"] == newest[0] == len(EVENTS)
    position = codec.decode(newest[1])["state"]["maker"]
    assert codec.decoder(Position)(codec.encode(position)) == SNAPSHOT
    with Record(GOLDEN / "events.kaiju") as record:
        *recorded, _ = record
        assert [
            one.as_event(type(event)) for one, event in zip(recorded, EVENTS, strict=True)
        ] == list(EVENTS)
