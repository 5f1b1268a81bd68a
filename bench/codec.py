"""What numbers beyond 64 bits cost a step that has none, beside msgspec alone, and one that has."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from actors.events.market import Side
from actors.events.order_words import Liquidity
from actors.events.orders import OrderFilled
from actors.runtime import codec
from actors.runtime.envelope import Position, Root
from actors.runtime.journal.steps import step_decoder
from bench.hop import OURS, best_of
from bench.rounds import Contestant, Figures, Results, run_rounds, write_raw
from bench.table import Row

ROUNDS = 3
STEPS = 50_000
TASK = "a step with a fill"
ORDINARY, WIDE = 2_000, 10**30


def step(qty: int) -> tuple[Any, ...]:
    """Return a step of the position keeper whose input is a fill of `qty`."""
    fill = OrderFilled(
        *("0-maker-1", "maker", "BTCUSDT.SIM", Side.BUY, qty, 5_000_050, qty, 0, "e1", 150_000),
        *("USDT", Liquidity.TAKER),
    )
    place = ("oms.orders", 1, 7)
    return (7, 7, 0, place, place, (*place, 0), 0, 0, fill, ((fill,), ()))


def encode(value: Any) -> bytes:
    """Return a step as `StepJournal` encodes it."""
    try:
        return codec.encode_narrow(value)
    except OverflowError:
        return codec.encode_wide(value)


def measure() -> Figures:
    """Return microseconds of encoding and of decoding a step, bare and with the codec."""
    kind: Any = OrderFilled
    encoder = msgspec.msgpack.Encoder().encode

    def bare_encode(value: Any) -> bytes:  # a call around it, as around ours
        return encoder(value)

    bare_decode = msgspec.msgpack.Decoder(
        tuple[int, int, int, Position, Position | None, Root, int, int, kind, msgspec.Raw]
    ).decode
    decode, ordinary, wide = step_decoder(kind), step(ORDINARY), step(WIDE)

    def us(work: Callable[[Any], Any], value: Any, times: int = STEPS) -> float:
        def once() -> float:
            began = time.perf_counter()
            for _ in range(times):
                work(value)
            return (time.perf_counter() - began) / times

        return best_of(once)

    return {
        "encode_bare": us(bare_encode, ordinary),
        "encode": us(encode, ordinary),
        "encode_wide": us(encode, wide, STEPS // 10),
        "decode_bare": us(bare_decode, bare_encode(ordinary)),
        "decode": us(decode, bare_encode(ordinary)),
        "decode_wide": us(decode, encode(wide), STEPS // 10),
    }


def contestants() -> list[Contestant]:
    """Return all that is measured in a round."""
    return [Contestant(OURS, TASK, "bench.codec", "measure")]


def run(progress: Callable[[str], None]) -> list[Row]:
    """Measure and return the rows of the table."""
    results = run_rounds(contestants(), ROUNDS, progress)
    write_raw("codec", results)
    return [_row(way, results) for way in ("encode", "decode")]


def _row(way: str, results: Results) -> Row:
    figures = {
        name: results.median(OURS, TASK, f"{way}{name}") or 0 for name in ("", "_bare", "_wide")
    }
    return Row(
        f"{way} {TASK}",
        f"{figures['']:.2f} us",
        note=f"msgspec alone {figures['_bare']:.2f} us; wide numbers {figures['_wide']:.1f} us",
    )
