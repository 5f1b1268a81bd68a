"""The same file in one process, in two over ipc and in two over tcp: the same events come of it."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from actors.recorder import EVENTS_FILE
from actors.runtime.journal import frames
from kaiju.journals.verify import verify
from tests.kit.commands import KAIJU
from tests.kit.paths import DATA, ROOT
from tests.kit.shipped import needs_recordings

pytestmark = pytest.mark.xdist_group("live")

TOPOLOGY = """\
version: 1
name: placed
nodes:
  md:   {host: md, port: 7000}
  core: {host: core, port: 7100}
currencies: {USDT: {scale: 8}, BTC: {scale: 8}}
instruments:
  BTCUSDT.BINANCE:
    {base: BTC, quote: USDT, price_scale: 2, qty_scale: 6, tick_size: "0.01", lot_size: "0.00001"}
actors:
  feed:
    class: gateways.recorded:RecordedFeed
    node: md
    durable: os
    inputs: [book.requests]
    settings:
      recordings: {BTCUSDT.BINANCE: DATA/binance/spot/btcusdt_*.gz}
  book:
    class: actors.order_book:OrderBook
    node: md
    durable: os
    inputs: [feed.depth, feed.connection, feed.discarded]
  taker:
    class: tests.kit.small_system:Eager
    node: core
    durable: os
    inputs: [book.top]
  nobody: {class: "tests.kit.small_system:Nobody", node: core, inputs: [taker.signals]}
  recorder: {class: "actors.recorder:Recorder", node: core, inputs: ["*"]}
"""
SAME = ("feed.depth", "feed.trades", "book.top", "book.deltas", "taker.signals")
"""Streams of actors that, like all before them, have one input, no timer and no `latest`."""


def kaiju(*arguments: object) -> None:
    done = subprocess.run(
        [*KAIJU, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def payloads(directory: Path) -> dict[str, list[bytes]]:
    """Return the events of a run by stream, without envelopes."""
    [path] = directory.rglob(EVENTS_FILE)
    found: dict[str, list[bytes]] = defaultdict(list)
    with frames.FrameFile(path) as file:
        for body in file.bodies(frames.EVENT):
            stream, *_, event = msgspec.msgpack.decode(body)
            found[stream].append(msgspec.msgpack.encode(event))
    return found


@needs_recordings
def test_where_an_actor_lives_changes_nothing_in_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "placed.yaml"
    file.write_text(TOPOLOGY.replace("DATA", str(DATA)))
    runs = {placement: tmp_path / placement for placement in ("alone", "ipc", "tcp")}
    kaiju("run", file, "--runs", runs["alone"], "--quiet")
    for link in ("ipc", "tcp"):
        kaiju("up", file, "--fast", "--link", link, "--runs", runs[link], "--quiet")

    found = {placement: payloads(directory) for placement, directory in runs.items()}
    for stream in SAME:
        assert len(found["alone"][stream]) > 20, stream
        for link in ("ipc", "tcp"):
            assert found[link][stream] == found["alone"][stream], (link, stream)
    for link in ("ipc", "tcp"):
        [run] = runs[link].iterdir()
        assert verify(run / "placed").equal
