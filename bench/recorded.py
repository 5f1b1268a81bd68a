"""Every spot quote of BTCUSDT that was recorded, looped until there are enough of them."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from actors.events.durations import SECOND
from actors.events.market import Quote
from actors.events.reference import Currency, Instrument
from bench.rounds import ROOT
from gateways.binance.messages import MessageDecoder

ENOUGH = 700_000
QUOTES_PER_ORDER = 100
ORDER_QTY = "0.00001"
TAKER_FEE = "0.0005"
USDT, BTC = Currency("USDT", 8), Currency("BTC", 8)
BTCUSDT = Instrument("BTCUSDT.BINANCE", "BINANCE", "BTCUSDT", "BTC", "USDT", "USDT", 2, 6, 8)
FOLDER = Path(os.environ.get("KAIJU_DATA", ROOT.parent / "shared" / "data")) / "binance" / "spot"
FILES = sorted(FOLDER.glob("btcusdt_*.gz"))
ABSENT = f"no btcusdt_*.gz in {FOLDER}: KAIJU_DATA names the folder above binance/spot"
"""What the table says where there is no recording."""


def recorded_quotes() -> list[tuple[int, Quote]]:
    """Return (UTC nanoseconds, quote) of both days, in the order in which they came."""
    decoder = MessageDecoder(BTCUSDT)
    quotes = []
    for path in FILES:
        for line in gzip.decompress(path.read_bytes()).splitlines():
            stamp, _, message = line.partition(b" ")
            if b"bookTicker" in message and isinstance(event := decoder.decode(message), Quote):
                quotes.append((int(stamp), event))
    return quotes


def looped_quotes() -> Iterator[tuple[int, Quote]]:
    """Yield the recorded quotes again and again, later and with higher ids, at least `ENOUGH`."""
    quotes = recorded_quotes()
    span = quotes[-1][0] - quotes[0][0] + SECOND
    ids = quotes[-1][1].update_id
    for lap in range(-(-ENOUGH // len(quotes))):
        for time, quote in quotes:
            later = quote.update_id + lap * ids
            yield time + lap * span, msgspec.structs.replace(quote, update_id=later)
