"""The topologies that ship with kaiju, and where their virtual time begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.testing import SECOND
from tests.kit.paths import NO_RECORDINGS, TOPOLOGIES

PAPER = TOPOLOGIES / "paper.yaml"
RECORDED = TOPOLOGIES / "recorded.yaml"
START = 1_704_067_200 * SECOND

needs_recordings = pytest.mark.skipif(bool(NO_RECORDINGS), reason=NO_RECORDINGS)


def start_of(file: Path) -> int:
    return START if file == PAPER else 0
