"""Wiring that is no mistake, and yet leaves an actor of the order path deaf: a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.small_system import TOPOLOGY
from topology.check.check import check_file

GATEWAY = "[oms.requests, risk.control, market.reports, market.connection]"


def warnings(folder: Path, old: str = "", new: str = "") -> list[str]:
    assert old in TOPOLOGY
    file = folder / "t.yaml"
    file.write_text(TOPOLOGY.replace(old, new, 1))
    findings = check_file(file).findings
    assert findings.errors == ()
    return [f.message for f in findings.warnings]


def test_a_whole_chain_has_no_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        (
            GATEWAY,
            "[oms.requests, risk.control, market.reports]",
            "'gateway' handles ConnectionEstablished, which 'market.connection' emits",
        ),
        (
            GATEWAY,
            "[oms.requests, risk.control, market.connection]",
            (
                "'gateway' handles ExecutionReport, TradeCaptureReport, OrderMassStatus, which"
                " 'market.reports' emits"
            ),
        ),
        (
            "inputs: [oms.orders]\n  pnl",
            "inputs: []\n  pnl",
            "'positions' handles OrderFilled, FillCorrected, which 'oms.orders' emits",
        ),
        (
            "      - pnl.pnl\n",
            "",
            "'risk' handles PnlUpdated, which 'pnl.pnl' emits",
        ),
    ],
)
def test_an_actor_of_the_order_path_that_misses_what_it_handles_is_warned_of(
    tmp_path: Path, old: str, new: str, warning: str
) -> None:
    assert warnings(tmp_path, old, new) == [f"{warning}, but does not read it"]


def test_what_one_stream_brings_is_one_warning(tmp_path: Path) -> None:
    _, _, inputs = TOPOLOGY.partition("      - execution.orders\n")
    inputs = inputs.partition("    settings:")[0]

    found = warnings(tmp_path, inputs)
    assert all(each.startswith("'risk' handles ") for each in found)
    assert [each.split("'")[3] for each in found].count("oms.orders") == 1
    assert {each.split("'")[3] for each in found} == {
        "positions.positions",
        "oms.orders",
        "pnl.pnl",
        "book.top",
        "book.state",
    }
