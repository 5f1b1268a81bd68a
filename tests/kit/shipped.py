"""The topologies that ship with kaiju, and where their virtual time begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.testing import SECOND
from tests.kit.paths import DATA, TOPOLOGIES

PAPER = TOPOLOGIES / "paper.yaml"
RECORDED = TOPOLOGIES / "recorded.yaml"
BINANCE = DATA / "binance"
START = 1_704_067_200 * SECOND

needs_recordings = pytest.mark.skipif(
    not BINANCE.is_dir(), reason=f"the recorded market data is not at {BINANCE}"
)


def start_of(file: Path) -> int:
    return START if file == PAPER else 0
