"""Exports: what was recorded, exactly, for pandas, polars and anything that reads JSON."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from actors.events.accounts import PnlUpdated
from actors.events.event import Event
from actors.events.market import DepthDiff, Quote
from actors.runtime.journal.frames import DamagedFileError
from actors.testing import START
from kaiju.record import parquet
from kaiju.record.export import export_jsonl, export_parquet
from tests.kit.builders import BTCUSDT, ETHUSDT
from tests.kit.recording import EVENTS, ORDER, Player, record
from topology.files import ExportError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    directory.mkdir()
    record(directory, EVENTS).run()
    return directory


def test_every_event_class_gets_its_own_parquet_file(run: Path, tmp_path: Path) -> None:
    counts = export_parquet(run, tmp_path / "out")

    assert counts == {
        "Quote": 2,
        "OrderApproved": 1,
        "OrderFilled": 1,
        "Trade": 1,
        "StreamReset": 1,
    }
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{name}.parquet" for name in counts
    }


def test_polars_reads_envelope_fields_and_exact_decimals(run: Path, tmp_path: Path) -> None:
    export_parquet(run, tmp_path)
    quotes = pl.read_parquet(tmp_path / "Quote.parquet")

    assert quotes.select(
        "stream", "seq", "cause_seq", "instrument", "bid_px", "bid_px_decimal", "ask_qty_decimal"
    ).rows() == [
        ("player.played", 1, 1, "BTCUSDT.SIM", 5_000_000, Decimal("50000.00"), Decimal(2)),
        ("player.played", 4, 4, "ETHUSDT.SIM", 300_000, Decimal("3000.00"), Decimal("0.00060")),
    ]
    assert quotes["time"].cast(pl.Int64).to_list() == [START, START + 3]


def test_pandas_reads_the_same(run: Path, tmp_path: Path) -> None:
    export_parquet(run, tmp_path)
    quotes = pd.read_parquet(tmp_path / "Quote.parquet")

    assert quotes["time"][0] == pd.Timestamp(START, tz="UTC")
    assert list(quotes["bid_px_decimal"]) == [Decimal("50000.00"), Decimal("3000.00")]
    assert_frame_equal(
        pl.from_pandas(quotes.drop(columns="time")),
        pl.read_parquet(tmp_path / "Quote.parquet").drop("time"),
        check_dtypes=False,
    )


def test_an_event_inside_an_event_becomes_columns(run: Path, tmp_path: Path) -> None:
    export_parquet(run, tmp_path)
    [row] = pl.read_parquet(tmp_path / "OrderApproved.parquet").rows(named=True)

    assert row["order_client_order_id"] == ORDER.client_order_id
    assert row["order_side"] == 1
    assert row["order_order_type"] == "LIMIT"
    assert row["order_limit_px_decimal"] == Decimal("50000.50")


def test_a_fee_is_scaled_by_its_own_currency(run: Path, tmp_path: Path) -> None:
    export_parquet(run, tmp_path)
    [row] = pl.read_parquet(tmp_path / "OrderFilled.parquet").rows(named=True)

    assert row["fee_decimal"] == Decimal("-0.00150000")
    assert row["last_qty_decimal"] == Decimal("0.02000")


def test_an_unknown_scale_leaves_the_decimal_empty(run: Path, tmp_path: Path) -> None:
    export_parquet(run, tmp_path)
    [row] = pl.read_parquet(tmp_path / "Trade.parquet").rows(named=True)

    assert (row["px"], row["px_decimal"]) == (41, None)


def test_a_field_named_like_an_envelope_column_is_renamed(run: Path, tmp_path: Path) -> None:
    export_parquet(run, tmp_path)
    [row] = pl.read_parquet(tmp_path / "StreamReset.parquet").rows(named=True)

    assert (row["stream"], row["event_stream"], row["event_epoch"]) == (
        "player.played",
        "market.depth",
        2,
    )


def test_levels_of_a_book_are_lists_of_numbers(tmp_path: Path) -> None:
    class Depth(Player):
        outputs = {"played": (DepthDiff,)}
        handlers = {DepthDiff: "on_played"}

    diff = DepthDiff(BTCUSDT.instrument, 1, 2, -1, ((5, 6), (7, 0)), ())
    system = record(tmp_path, [diff], Depth)
    system.run()
    export_parquet(tmp_path, tmp_path)

    [row] = pl.read_parquet(tmp_path / "DepthDiff.parquet").rows(named=True)
    assert (row["bids"], row["asks"]) == ([[5, 6], [7, 0]], [])


def test_json_lines_keep_the_order_and_name_the_fields(run: Path, tmp_path: Path) -> None:
    export_jsonl(run, tmp_path / "events.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]

    assert [line["event"] for line in lines] == [type(event).__name__ for event in EVENTS]
    assert lines[4] == {
        "stream": "player.played",
        "epoch": 1,
        "seq": 5,
        "cause": ["player.inbox", 1, 5],
        "root": ["player.inbox", 1, 5],
        "time": START + 4,
        "event": "Trade",
        "fields": {
            "instrument": "DOGEUSDT.SIM",
            "trade_id": 9,
            "px": 41,
            "qty": 1000,
            "aggressor": -1,
            "venue_time": 0,
        },
    }


def test_a_damaged_record_exports_nothing(run: Path, tmp_path: Path) -> None:
    events = run / "events.kaiju"
    data = bytearray(events.read_bytes())
    data[-200] ^= 1
    events.write_bytes(data)

    with pytest.raises(DamagedFileError):
        export_parquet(run, tmp_path / "out")
    with pytest.raises(DamagedFileError):
        export_jsonl(run, tmp_path / "out" / "events.jsonl")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_torn_record_exports_what_is_whole(run: Path, tmp_path: Path) -> None:
    events = run / "events.kaiju"
    events.write_bytes(events.read_bytes()[:-1])

    assert export_jsonl(run, tmp_path / "events.jsonl").total() == len(EVENTS) - 1


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, 10**30, -(10**38) + 1])
def test_a_column_holds_whole_numbers_of_38_digits(tmp_path: Path, number: int) -> None:
    small, large = Quote("X", 7, 1, 1, 1, 1), Quote("X", 8, 1, number, 1, 1)
    record(tmp_path, [small, large, small]).run()
    export_parquet(tmp_path, tmp_path / "out")

    table = pl.read_parquet(tmp_path / "out" / "Quote.parquet")
    assert [int(value) for value in table["bid_qty"]] == [1, number, 1]
    assert table["update_id"].dtype == pl.Int64
    assert (table["bid_qty"].dtype == pl.Int64) == (number == 2**63 - 1)


def test_a_number_that_fits_no_column_is_named(tmp_path: Path) -> None:
    huge: list[Event] = [Quote("X", 10**38, 1, 1, 1, 1)]
    record(tmp_path, huge).run()

    with pytest.raises(ExportError, match=rf"Quote.update_id: {10**38} .* 38 digits"):
        export_parquet(tmp_path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_decimal_that_fits_no_column_is_named(tmp_path: Path) -> None:
    largest: list[Event] = [
        Quote(ETHUSDT.instrument, 1, 1, 10**38 - 1, 1, 1),
        Quote(BTCUSDT.instrument, 1, 1, 1, 1, 1),
    ]
    record(tmp_path, largest).run()

    with pytest.raises(ExportError, match=r"Quote.bid_qty_decimal: .* 38 digits"):
        export_parquet(tmp_path, tmp_path / "out")


def test_json_has_money_beyond_53_bits_as_text(tmp_path: Path) -> None:
    large: list[Event] = [Quote(BTCUSDT.instrument, 2**53 + 1, 2**53, 2**53 + 1, 1, 10**30, START)]
    record(tmp_path, large).run()
    export_jsonl(tmp_path, tmp_path / "events.jsonl")

    [line] = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert line["fields"] == {
        "instrument": BTCUSDT.instrument,
        "update_id": 2**53 + 1,
        "bid_px": 2**53,
        "bid_qty": str(2**53 + 1),
        "ask_px": 1,
        "ask_qty": str(10**30),
        "venue_time": START,
    }


def test_rows_are_written_in_groups_of_any_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_IN_MEMORY", 2)
    record(tmp_path, [EVENTS[0]] * 4).run()

    export_parquet(tmp_path, tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out" / "Quote.parquet")["seq"].to_list() == [1, 2, 3, 4]


def test_amounts_beyond_64_bits_at_a_finer_scale_stay_exact(tmp_path: Path) -> None:
    largest = 2**63 - 1
    quotes: list[Event] = [
        Quote(ETHUSDT.instrument, 1, 1, largest, 1, 1),
        Quote(BTCUSDT.instrument, 1, 1, 1, 1, 1),
    ]
    record(tmp_path, quotes).run()
    export_parquet(tmp_path, tmp_path)

    sizes = pl.read_parquet(tmp_path / "Quote.parquet")["bid_qty_decimal"].to_list()
    assert sizes == [Decimal(largest).scaleb(-4), Decimal("0.00001")]


def test_a_mark_in_half_price_units_is_scaled_exactly(tmp_path: Path) -> None:
    pnl = PnlUpdated("taker", BTCUSDT.instrument, "USDT", 1, 10_000_051, 0, 0, 0, 0)

    class Pnl(Player):
        outputs = {"played": (PnlUpdated,)}
        handlers = {PnlUpdated: "on_played"}

    record(tmp_path, [pnl], Pnl).run()
    export_parquet(tmp_path, tmp_path)

    [row] = pl.read_parquet(tmp_path / "PnlUpdated.parquet").rows(named=True)
    assert row["mark_px_decimal"] == Decimal("50000.255")
