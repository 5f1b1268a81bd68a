"""Tokens of 8 and 18 decimals trade, and what they amount to is kept, shown and sent exactly."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from actors.events.accounts import PositionUpdated
from actors.events.event import Event
from actors.events.market import DepthSnapshot, Trade
from actors.events.orders import OrderFilled
from actors.events.reference import from_units
from kaiju.journals.verify import verify
from kaiju.record.record import Record
from tests.kit.commands import kaiju, run
from tests.kit.wide_amounts import INSTRUMENTS, write_wide_topology

BEYOND_64_BITS = 2**64
TEN_TO_THE_30 = 10**30


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run of ten virtual minutes that everything was well with."""
    folder = tmp_path_factory.mktemp("wide")
    result, directory = run(write_wide_topology(folder), "--for", "10m")
    assert result.exit_code == 0, result.output
    checks = [line.split()[0] for line in result.output.splitlines() if line.startswith("   ")]
    assert len(checks) >= 7, result.output
    assert set(checks) == {"ok"}, result.output
    return directory


def events(directory: Path, event_class: type[Event]) -> list[Event]:
    with Record(directory) as record:
        return [event for _, event in record.events(event_class)]


def test_check_takes_the_scales_of_these_tokens(tmp_path: Path) -> None:
    result = kaiju("check", write_wide_topology(tmp_path))

    assert result.exit_code == 0, result.output
    assert "error" not in result.output


def test_every_token_trades_and_amounts_go_beyond_64_bits(wide: Path) -> None:
    fills = [fill for fill in events(wide, OrderFilled) if isinstance(fill, OrderFilled)]
    moved = [each for each in events(wide, PositionUpdated) if isinstance(each, PositionUpdated)]

    assert {fill.instrument for fill in fills} == set(INSTRUMENTS)
    assert max(abs(each.cash_flow) for each in moved) > BEYOND_64_BITS
    assert max(each.bought_qty for each in moved) > TEN_TO_THE_30


def test_the_journals_verify(wide: Path) -> None:
    verification = verify(wide)

    assert verification.equal, verification.summary


def test_json_has_money_beyond_53_bits_as_text_and_the_rest_as_numbers(
    wide: Path, tmp_path: Path
) -> None:
    result = kaiju("export", wide, "--jsonl", tmp_path / "events.jsonl")
    assert result.exit_code == 0, result.output

    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    moved = [line["fields"] for line in lines if line["event"] == "PositionUpdated"]
    expected = [each for each in events(wide, PositionUpdated) if isinstance(each, PositionUpdated)]
    assert [int(fields["bought_qty"]) for fields in moved] == [e.bought_qty for e in expected]
    for fields, each in zip(moved, expected, strict=True):
        assert fields["bought_qty"] == (
            each.bought_qty if each.bought_qty <= 2**53 else str(each.bought_qty)
        )
    levels = [
        level
        for line in lines
        if line["event"] == "DepthSnapshot" and line["fields"]["instrument"] == "TOKENDAI.SIM"
        for level in line["fields"]["bids"]
    ]
    assert levels
    assert all(isinstance(qty, str) for _, qty in levels)
    assert all(isinstance(line["time"], int) for line in lines)


def test_parquet_has_exact_numbers_and_decimals(wide: Path, tmp_path: Path) -> None:
    result = kaiju("export", wide, "--parquet", tmp_path / "out")
    assert result.exit_code == 0, result.output

    expected = [each for each in events(wide, PositionUpdated) if isinstance(each, PositionUpdated)]
    table = pl.read_parquet(tmp_path / "out" / "PositionUpdated.parquet")
    assert [int(value) for value in table["bought_qty"]] == [each.bought_qty for each in expected]
    tokens = table.filter(pl.col("instrument") == "TOKENDAI.SIM")
    assert list(tokens["qty_decimal"]) == [from_units(int(value), 18) for value in tokens["qty"]]
    assert max(tokens["bought_qty_decimal"]) > Decimal("1e12")
    trades = pl.read_parquet(tmp_path / "out" / "Trade.parquet")
    assert [int(value) for value in trades["qty"]] == [
        trade.qty for trade in events(wide, Trade) if isinstance(trade, Trade)
    ]
    depth = pl.read_parquet(tmp_path / "out" / "DepthSnapshot.parquet")
    assert [[[int(n) for n in level] for level in bids] for bids in depth["bids"]] == [
        [list(level) for level in each.bids]
        for each in events(wide, DepthSnapshot)
        if isinstance(each, DepthSnapshot)
    ]


def test_a_state_is_shown_with_whole_numbers(wide: Path) -> None:
    result = kaiju("state", wide, "positions", "--json")

    shown = json.loads(result.output)["state"]["positions"]["maker"]["TOKENDAI.SIM"]
    last = [
        each
        for each in events(wide, PositionUpdated)
        if isinstance(each, PositionUpdated) and each.strategy == "maker"
        if each.instrument == "TOKENDAI.SIM"
    ][-1]
    assert shown["bought_qty"] == str(last.bought_qty)


def test_amounts_beyond_64_bits_cross_links_of_nodes_as_processes(tmp_path: Path) -> None:
    topology = write_wide_topology(tmp_path)

    result = kaiju("up", topology, "--for", "4s", "--runs", tmp_path / "runs")

    assert result.exit_code == 0, result.output
    [directory] = (tmp_path / "runs").iterdir()
    found = [
        qty
        for core in directory.rglob("events.kaiju")
        for depth in events(core, DepthSnapshot)
        if isinstance(depth, DepthSnapshot)
        for _, qty in depth.bids
    ]
    assert max(found) > TEN_TO_THE_30
