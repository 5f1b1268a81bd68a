"""A run and its venue are killed again and again, and in the end agree on everything."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.killed_trading import Trading

KILLS = 6


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a name that is short enough for a socket in it."""
    path = Path(tempfile.mkdtemp(prefix="kaiju-"))
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("seed", [1, 2])
def test_whoever_is_killed_ledger_orders_and_positions_agree_in_the_end(
    folder: Path, seed: int
) -> None:
    trading = Trading(folder, seed)
    try:
        trading.venue.start()
        trading.start_run()
        for _ in range(KILLS):
            trading.kill_at_random()
        trading.await_orders(5)
        assert trading.stop() == (0, 0), trading.log.read_text() + trading.venue.log.read_text()
    finally:
        trading.end()

    assert {n for n in trading.order_ids().values() if n > 1} == set()
    fills = trading.fills()
    assert trading.own_fills() == fills
    ledger: Counter[str] = Counter()
    for instrument, qty in fills.values():
        ledger[instrument] += qty
    assert trading.positions() == dict(ledger)
    assert trading.still_open() == set()
