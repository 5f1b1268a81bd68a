"""The recorder: everything that it hears, readable with a MessagePack library alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from actors.events.event import Event
from actors.events.market import Quote, Trade
from actors.events.orders import OrderApproved, OrderFilled
from actors.recorder import FramePort, Recorder
from actors.runtime.journal.frames import EVENT, DamagedFileError, FrameFile
from actors.runtime.schema import schema_table
from actors.testing import START
from kaiju.record.record import Record
from tests.kit.recording import EVENTS, record


class Inner(Event):
    levels: tuple[tuple[int, int], ...]


class Outer(Event):
    inner: tuple[Inner, ...]
    names: dict[str, float]
    maybe: bytes | None = None
    flag: bool = False
    anything: Any = None


def run(directory: Path) -> Path:
    directory.mkdir()
    record(directory, EVENTS).run()
    return directory / "events.kaiju"


def bodies(path: Path) -> list[list[Any]]:
    with FrameFile(path) as file:
        return [msgpack.unpackb(body) for body in file.bodies(EVENT)]


def test_every_event_is_recorded_with_its_envelope(tmp_path: Path) -> None:
    found = bodies(run(tmp_path / "run"))

    assert found == [
        [
            "player.played",
            1,
            seq,
            ["player.inbox", 1, seq],
            ["player.inbox", 1, seq],
            START + seq - 1,
            msgspec.to_builtins(event),
        ]
        for seq, event in enumerate(EVENTS, start=1)
    ]


def test_the_header_names_fields_types_defaults_and_scales(tmp_path: Path) -> None:
    with FrameFile(run(tmp_path / "run")) as file:
        header = file.header

    assert header["schema"]["events"]["Quote"] == [
        ["instrument", "str"],
        ["update_id", "int"],
        ["bid_px", "int"],
        ["bid_qty", "int"],
        ["ask_px", "int"],
        ["ask_qty", "int"],
        ["venue_time", "int", 0],
    ]
    assert header["schema"]["events"]["OrderApproved"] == [["order", ["event", "SubmitOrder"]]]
    assert header["schema"]["enums"]["Side"] == {"BUY": 1, "SELL": -1}
    assert header["instruments"][0][:3] == ["Instrument", "BTCUSDT.SIM", "SIM"]
    assert header["currencies"] == [["Currency", "USDT", 8], ["Currency", "BTC", 8]]


def test_the_schema_table_describes_every_kind_of_field() -> None:
    assert schema_table([Outer]) == {
        "events": {
            "tests.Inner": [["levels", ["list", ["tuple", "int", "int"]]]],
            "tests.Outer": [
                ["inner", ["list", ["event", "tests.Inner"]]],
                ["names", ["map", "str", "float"]],
                ["maybe", ["optional", "bytes"], None],
                ["flag", "bool", False],
                ["anything", "any", None],
            ],
        },
        "enums": {},
    }


def test_equal_runs_give_equal_files(tmp_path: Path) -> None:
    assert run(tmp_path / "a").read_bytes() == run(tmp_path / "b").read_bytes()


def test_a_record_gives_back_the_events_that_were_emitted(tmp_path: Path) -> None:
    with Record(run(tmp_path / "run").parent) as read:
        events = [event for _, event in read.events(Quote, Trade, OrderApproved, OrderFilled)]
        torn = read.torn

    assert events == EVENTS[:-1]
    assert torn == 0


def test_a_run_without_a_recorder_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="was there a recorder in the run"):
        Record(tmp_path)


def test_a_port_resumes_behind_the_last_whole_frame(tmp_path: Path) -> None:
    path = run(tmp_path / "run")
    path.write_bytes(path.read_bytes()[:-1])

    port = FramePort(path, {})
    assert port.resume() == len(EVENTS) - 1
    port.close()
    assert len(bodies(path)) == len(EVENTS) - 1


def test_a_port_refuses_to_resume_a_damaged_file(tmp_path: Path) -> None:
    path = run(tmp_path / "run")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    with pytest.raises(DamagedFileError):
        FramePort(path, {}).resume()


def test_the_header_holds_only_what_the_recorder_can_hear(tmp_path: Path) -> None:
    with FrameFile(run(tmp_path / "run")) as file:
        tags = list(file.header["schema"]["events"])

    assert tags == ["OrderApproved", "OrderFilled", "Quote", "StreamReset", "SubmitOrder", "Trade"]


def test_a_recorder_has_no_settings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="file"):
        Recorder.Settings.model_validate({"file": "all.kaiju"})
