"""Lines of a recorded market by number, and a topology that plays a file of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from actors.events.durations import MILLISECOND

START = 1_723_161_253_000_000_000

PLAYED = """\
version: 1
name: played
nodes:
  one: {host: one, port: 7000}
currencies: {USDT: {scale: 8}, BTC: {scale: 8}}
instruments:
  BTCUSDT.BINANCE:
    {base: BTC, quote: USDT, price_scale: 2, qty_scale: 6, tick_size: "0.01", lot_size: "0.00001"}
actors:
  feed:
    class: gateways.recorded:RecordedFeed
    node: one
    inputs: [book.requests]
    settings: {recordings: {BTCUSDT.BINANCE: day*}}
  book:
    class: actors.order_book:OrderBook
    node: one
    inputs: [feed.depth, feed.connection, feed.discarded]
"""


def line(at: int, message: Any) -> bytes:
    """One recorded line, `at` milliseconds after the start."""
    return b"%d %s\n" % (START + at * MILLISECOND, json.dumps(message).encode())


def snapshot(at: int, last: int) -> bytes:
    body = {"lastUpdateId": last, "bids": [["100.00", "5"]], "asks": [["101.00", "3"]]}
    return line(at, body)


def diff(at: int, n: int, **overrides: Any) -> bytes:
    """The n-th diff of a spot stream; each is ten ids long."""
    data = {"e": "depthUpdate", "E": at, "s": "BTCUSDT", "U": 10 * n + 1, "u": 10 * n + 10}
    data |= {"b": [["99.00", f"{n}"]], "a": [], **overrides}
    return line(at, {"stream": "btcusdt@depth@100ms", "data": data})


def quote(at: int, update_id: int) -> bytes:
    data = {"u": update_id, "s": "BTCUSDT", "b": "100", "B": "5", "a": "101", "A": "3"}
    return line(at, {"stream": "btcusdt@bookTicker", "data": data})


def trade(at: int, trade_id: int, px: str = "100.50") -> bytes:
    data = {"E": at, "s": "BTCUSDT", "t": trade_id, "p": px, "q": "1", "m": False}
    return line(at, {"stream": "btcusdt@trade", "data": data})


def write(path: Path, *lines: bytes) -> Path:
    content = b"".join(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
