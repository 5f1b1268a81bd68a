"""The three recorded captures, read once a test session; absent data skips the tests."""

from __future__ import annotations

import functools
import gc
import gzip
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Level
from actors.events.reference import Instrument, from_units
from actors.model.book import Book
from gateways.binance.messages import Malformed, MessageDecoder
from gateways.captures import parse_line
from tests.kit.builders import BTCUSD_INVERSE, BTCUSDT
from tests.kit.paths import DATA, NO_RECORDINGS
from tests.kit.reference_book import Levels

SPOT = replace(
    BTCUSDT,
    instrument="BTCUSDT.BINANCE",
    venue="BINANCE",
    qty_scale=6,  # seven quantities have six decimals, although lots have five
    lot_size=10,
)
USDM = replace(
    BTCUSDT,
    instrument="BTCUSDT.BINANCE_USDM",
    venue="BINANCE_USDM",
    price_scale=1,
    qty_scale=3,
)
COINM = replace(BTCUSD_INVERSE, instrument="BTCUSD_PERP.BINANCE_COINM", venue="BINANCE_COINM")


@dataclass(frozen=True)
class Source:
    """Where a capture is, and what it is about."""

    instrument: Instrument
    pattern: str
    facts: str

    def files(self) -> list[Path]:
        return sorted(DATA.glob(f"binance/{self.pattern}"))


SOURCES = {
    "spot": Source(SPOT, "spot/btcusdt_*.gz", "spot_btcusdt.json"),
    "usdm": Source(USDM, "usdm/btcusdt_*.gz", "usdm_btcusdt.json"),
    "coinm": Source(COINM, "cm/btcusd_perp_*.gz", "cm_btcusd.json"),
}


@dataclass(frozen=True)
class Capture:
    """One instrument's capture: the depth as raw lines and as events, the rest as events."""

    instrument: Instrument
    facts: dict[str, Any]
    first_received: int
    last_received: int
    depth_lines: list[bytes]
    """Whole lines of the snapshot and the diffs, in the order of `depth`."""
    depth: list[DepthSnapshot | DepthDiff]
    others: list[Event]

    @property
    def snapshot_at(self) -> int:
        """Index of the snapshot in `depth`."""
        return next(n for n, event in enumerate(self.depth) if isinstance(event, DepthSnapshot))

    def decimals(self, levels: tuple[Level, ...]) -> Levels:
        price_scale, qty_scale = self.instrument.price_scale, self.instrument.qty_scale
        return [(from_units(px, price_scale), from_units(qty, qty_scale)) for px, qty in levels]

    def price(self, units: int) -> Decimal:
        return from_units(units, self.instrument.price_scale)

    def qty(self, units: int) -> Decimal:
        return from_units(units, self.instrument.qty_scale)


def skip_without_data() -> None:
    if NO_RECORDINGS:
        pytest.skip(NO_RECORDINGS)


@functools.cache
def load(name: str) -> Capture:
    """Read a capture line by line through the parser; any damaged line is an error."""
    skip_without_data()
    source = SOURCES[name]
    decoder = MessageDecoder(source.instrument)
    received: list[int] = []
    depth_lines: list[bytes] = []
    depth: list[DepthSnapshot | DepthDiff] = []
    others: list[Event] = []
    for file in source.files():
        with gzip.open(file) as lines:
            for number, text in enumerate(lines, 1):
                line = parse_line(file.name, number, text)
                event = decoder.decode(line.payload)
                assert event is not None
                assert not isinstance(event, Malformed), (line, event)
                assert line.stamp is not None
                received.append(line.stamp)
                if isinstance(event, DepthSnapshot | DepthDiff):
                    depth_lines.append(text)
                    depth.append(event)
                else:
                    others.append(event)
    gc.freeze()  # millions of tuples that live as long as the session: not worth collecting
    facts = json.loads((DATA / "facts" / source.facts).read_text())
    return Capture(source.instrument, facts, received[0], received[-1], depth_lines, depth, others)


def take(book: Book, event: DepthSnapshot | DepthDiff) -> bool:
    """Give an event of a capture to a book; return whether it was used."""
    return book.apply(event) if isinstance(event, DepthDiff) else book.restore(event)
