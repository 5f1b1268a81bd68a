"""How a run ends of which a part was halted: that is no reason to exit with 3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from kaiju.record.record import Record
from tests.kit.commands import run
from tests.kit.small_system import HALTER, TOPOLOGY, write_topology

pytestmark = pytest.mark.xdist_group("live")

LIFTED = "trading was halted: looks odd{}; lifted by: an operator who resumes"


def halted(folder: Path, **scope: str) -> tuple[Result, Path]:
    text = TOPOLOGY + HALTER.replace("SCOPE", json.dumps(scope))
    return run(write_topology(folder, text), "--for", "6s")


def sent(directory: Path) -> list[int]:
    """Return the times of all new orders, in seconds of the run."""
    with Record(directory) as record:
        events: list[Any] = list(record)
    began = events[0].time
    return [(e.time - began) // 10**9 for e in events if e.tag == "NewOrderSingle"]


@pytest.mark.parametrize(
    ("scope", "shown"),
    [
        ({"instrument": "BTCUSDT.SIM"}, " (BTCUSDT.SIM)"),
        ({"strategy": "metronome"}, " (metronome)"),
    ],
)
def test_a_halt_of_an_instrument_or_a_strategy_is_a_warning(
    tmp_path: Path, scope: dict[str, str], shown: str
) -> None:
    result, directory = halted(tmp_path, **scope)

    assert result.exit_code == 0
    assert f"warning: {LIFTED.format(shown)}" in result.stderr
    assert max(sent(directory)) < 2


@pytest.mark.parametrize(("scope", "shown"), [({"venue": "SIM"}, " (SIM)"), ({}, "")])
def test_a_halt_of_all_or_of_a_venue_is_exit_code_3(
    tmp_path: Path, scope: dict[str, str], shown: str
) -> None:
    result, directory = halted(tmp_path, **scope)

    assert result.exit_code == 3
    assert f"error: {LIFTED.format(shown)}" in result.stderr
    assert max(sent(directory)) < 2


def test_a_halt_of_another_venue_holds_nothing_up_here(tmp_path: Path) -> None:
    _, directory = halted(tmp_path, venue="OTHER")

    assert max(sent(directory)) > 2
