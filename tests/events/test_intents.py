"""What a strategy may say: an intent that cannot be meant fails in the strategy's own handler."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from actors.events.event import LARGEST
from actors.events.market import Side
from actors.events.orders import QuoteIntent, Signal
from actors.runtime import codec
from tests.kit.builders import BTCUSDT

BTC = BTCUSDT.instrument
WHOLE: dict[str, Any] = {
    "strategy": "taker",
    "instrument": BTC,
    "side": Side.BUY,
    "qty": 1,
    "limit_px": 0,
}
QUOTE: dict[str, Any] = {
    "strategy": "maker",
    "instrument": BTC,
    "bid_px": 1,
    "bid_qty": 1,
    "ask_px": 2,
    "ask_qty": 1,
}
RANGE = f"0 to {LARGEST}"


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("qty", 0, f"Signal.qty was 0, allowed is a whole number from 1 to {LARGEST}"),
        ("qty", -1, f"Signal.qty was -1, allowed is a whole number from 1 to {LARGEST}"),
        ("qty", 10**38, f"Signal.qty was {10**38}, allowed is a whole number from 1 to {LARGEST}"),
        ("qty", 0.5, f"Signal.qty was 0.5, allowed is a whole number from 1 to {LARGEST}"),
        ("qty", True, f"Signal.qty was True, allowed is a whole number from 1 to {LARGEST}"),
        ("limit_px", -1, f"Signal.limit_px was -1, allowed is a whole number from {RANGE}"),
        (
            "limit_px",
            10**38,
            f"Signal.limit_px was {10**38}, allowed is a whole number from {RANGE}",
        ),
        ("limit_px", None, f"Signal.limit_px was None, allowed is a whole number from {RANGE}"),
        ("side", 0, "Signal.side was 0, allowed are Side.BUY and Side.SELL"),
        ("side", "BUY", "Signal.side was 'BUY', allowed are Side.BUY and Side.SELL"),
        ("instrument", None, "Signal.instrument was None, allowed is text"),
        ("strategy", 7, "Signal.strategy was 7, allowed is text"),
    ],
)
def test_a_signal_that_cannot_be_meant_is_refused(field: str, value: Any, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        Signal(**{**WHOLE, field: value})


@pytest.mark.parametrize("field", ["bid_px", "bid_qty", "ask_px", "ask_qty"])
@pytest.mark.parametrize("value", [-1, 10**38, 1.0, None])
def test_a_quote_of_numbers_that_cannot_be_meant_is_refused(field: str, value: Any) -> None:
    least = 1 if field.endswith("px") else 0
    text = f"QuoteIntent.{field} was {value}, allowed is a whole number from {least} to {LARGEST}"
    with pytest.raises(ValueError, match=re.escape(text)):
        QuoteIntent(**{**QUOTE, field: value})


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_quoted_side_needs_a_price(side: str) -> None:
    text = f"QuoteIntent.{side}_px was 0, allowed is a whole number from 1 to {LARGEST}"
    with pytest.raises(ValueError, match=re.escape(text)):
        QuoteIntent(**{**QUOTE, f"{side}_px": 0})


@pytest.mark.parametrize("field", ["strategy", "instrument"])
def test_a_quote_names_its_strategy_and_instrument(field: str) -> None:
    with pytest.raises(ValueError, match=f"QuoteIntent.{field} was None, allowed is text"):
        QuoteIntent(**{**QUOTE, field: None})


@pytest.mark.parametrize(
    "intent",
    [
        Signal("taker", BTC, Side.SELL, LARGEST, LARGEST),
        QuoteIntent("maker", BTC, 1, 1, LARGEST, LARGEST),
        QuoteIntent("maker", BTC, 0, 0, 2, 1),
        QuoteIntent("maker", BTC, 0, 0, 0, 0),
    ],
)
def test_what_can_be_meant_is_read_as_it_was_written(intent: Signal | QuoteIntent) -> None:
    assert codec.decoder(type(intent))(codec.encode(intent)) == intent


def test_what_cannot_be_meant_is_not_read() -> None:
    written = msgspec.msgpack.encode(["Signal", "taker", BTC, 1, -5, 0, ""])

    with pytest.raises(msgspec.ValidationError, match=r"Signal\.qty was -5"):
        msgspec.msgpack.decode(written, type=Signal)
