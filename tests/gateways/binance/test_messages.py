"""Raw Binance messages become events exactly; what cannot be understood is named, not guessed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import LARGEST, Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, Side, Trade
from actors.events.reference import from_units
from gateways.binance.decimals import Units
from gateways.binance.messages import Malformed, MessageDecoder
from tests.kit.captures import COINM, SPOT, USDM


def stream(name: str, **data: Any) -> bytes:
    return json.dumps({"stream": name, "data": data}, separators=(",", ":")).encode()


SPOT_DIFF: dict[str, Any] = {
    "e": "depthUpdate",
    "E": 1723161255208,
    "s": "BTCUSDT",
    "U": 189,
    "u": 202,
    "b": [["61737.63000000", "0.00000000"]],
    "a": [["61837.64000000", "1.54698000"], ["200000.00000000", "25.42618900"]],
}
QUOTE: dict[str, Any] = {
    "u": 212,
    "s": "BTCUSDT",
    "b": "61837.63000000",
    "B": "3.78826000",
    "a": "61837.64000000",
    "A": "1.54698000",
}
TRADE: dict[str, Any] = {
    "e": "trade",
    "E": 1723161255343,
    "s": "BTCUSDT",
    "t": 3735683259,
    "p": "61837.63000000",
    "q": "0.02000000",
    "T": 1723161255342,
    "m": True,
    "M": True,
}


def spot(payload: bytes) -> Event | Malformed | None:
    return MessageDecoder(SPOT).decode(payload)


def reason(outcome: Event | Malformed | None) -> str:
    assert isinstance(outcome, Malformed), outcome
    return outcome.reason


def test_a_spot_diff_has_no_predecessor() -> None:
    assert spot(stream("btcusdt@depth@100ms", **SPOT_DIFF)) == DepthDiff(
        instrument=SPOT.instrument,
        first_update_id=189,
        last_update_id=202,
        prev_update_id=-1,
        bids=((6173763, 0),),
        asks=((6183764, 1546980), (20000000, 25426189)),
        venue_time=1723161255208_000_000,
    )


def test_a_futures_diff_names_its_predecessor() -> None:
    payload = stream(
        "btcusdt@depth@0ms",
        e="depthUpdate",
        E=1723161256299,
        T=1723161256298,
        s="BTCUSDT",
        U=6,
        u=57,
        pu=5,
        b=[["58710.20", "0.014"]],
        a=[],
    )
    assert MessageDecoder(USDM).decode(payload) == DepthDiff(
        instrument=USDM.instrument,
        first_update_id=6,
        last_update_id=57,
        prev_update_id=5,
        bids=((587102, 14),),
        asks=(),
        venue_time=1723161256299_000_000,
    )


def test_quantities_of_coin_margined_diffs_are_contracts() -> None:
    data = {"E": 1, "s": "BTCUSD_PERP", "ps": "BTCUSD", "U": 2, "u": 3, "pu": 1}
    payload = stream("btcusd_perp@depth@0ms", **data, b=[["61773.6", "1001"]], a=[])
    assert MessageDecoder(COINM).decode(payload) == DepthDiff(
        COINM.instrument, 2, 3, 1, ((617736, 1001),), (), 1_000_000
    )


def test_a_rest_snapshot_is_recognized_with_and_without_a_time() -> None:
    body: dict[str, Any] = {"lastUpdateId": 218, "bids": [["61837.63", "3.7"]], "asks": []}
    expected = DepthSnapshot(SPOT.instrument, 218, ((6183763, 3700000),), ())
    assert spot(json.dumps(body).encode()) == expected
    timed = {**body, "E": 7, "T": 6, "symbol": "BTCUSD_PERP", "bids": []}
    assert MessageDecoder(COINM).decode(json.dumps(timed).encode()) == DepthSnapshot(
        COINM.instrument, 218, (), (), 7_000_000
    )


def test_a_book_ticker_is_a_quote() -> None:
    assert spot(stream("btcusdt@bookTicker", **QUOTE)) == Quote(
        instrument=SPOT.instrument,
        update_id=212,
        bid_px=6183763,
        bid_qty=3788260,
        ask_px=6183764,
        ask_qty=1546980,
        venue_time=0,
    )


@pytest.mark.parametrize(("buyer_is_maker", "aggressor"), [(True, Side.SELL), (False, Side.BUY)])
def test_the_aggressor_of_a_trade_is_who_was_not_the_maker(
    buyer_is_maker: bool, aggressor: Side
) -> None:
    assert spot(stream("btcusdt@trade", **{**TRADE, "m": buyer_is_maker})) == Trade(
        instrument=SPOT.instrument,
        trade_id=3735683259,
        px=6183763,
        qty=20000,
        aggressor=aggressor,
        venue_time=1723161255343_000_000,
    )


@pytest.mark.parametrize(
    "payload",
    [
        stream("btcusdt@trade", **{**TRADE, "X": "INSURANCE_FUND"}),
        stream("btcusdt@trade", **{**TRADE, "X": "NA", "p": "0", "q": "0"}),
        stream("btcusdt@kline_1m", e="kline"),
        stream("btcusdt@aggTrade", e="aggTrade"),
        b'{"result":null,"id":1}',
    ],
    ids=["insurance fund", "empty trade", "candle", "aggregate trade", "answer to a request"],
)
def test_sound_messages_that_say_nothing_here_are_passed_over(payload: bytes) -> None:
    assert spot(payload) is None


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "json"),
        (b"1723161254087891268", "fields"),
        (b"null", "fields"),
        (b"\x00\xff\xfe", "json"),
        (b"[" * 100_000, "fields"),
        (stream("btcusdt@trade", **TRADE)[:-1], "json"),
        (stream("btcusdt@trade", **TRADE) + b"}", "json"),
        (stream("btcusdt@trade", **TRADE).replace(b"61837", b"\xff1837"), "json"),
        (stream("btcusdt@trade", **{**TRADE, "t": "12"}), "fields"),
        (stream("btcusdt@trade", **{**TRADE, "t": 1 << 63}), "fields"),
        (stream("btcusdt@trade", **{**TRADE, "E": 1 << 62}), "fields"),
        (stream("btcusdt@trade", **{**TRADE, "q": "0.0000"}), "number"),
        (stream("btcusdt@trade", **{**TRADE, "p": "-61837.63"}), "number"),
        (stream("btcusdt@trade", **{**TRADE, "p": "61837.631"}), "number"),
        (stream("btcusdt@trade", **{**TRADE, "s": "ETHUSDT"}), "symbol"),
        (stream("ethusdt@trade", **TRADE), "stream"),
        (stream("btcusdt@trades", **TRADE), "stream"),
        (stream("btcusdt@depth20", **SPOT_DIFF), "stream"),
        (b'{"straem":"btcusdt@trade","data":{}}', "stream"),
        (b"{}", "stream"),
        (stream("btcusdt@depth", **{**SPOT_DIFF, "b": [["1"]]}), "fields"),
        (stream("btcusdt@depth", **{**SPOT_DIFF, "b": [["1", "-2"]]}), "number"),
        (stream("btcusdt@depth", **{**SPOT_DIFF, "U": 203}), "number"),
        (stream("btcusdt@depth"), "fields"),
        (b'{"lastUpdateId":5,"bids":[]}', "fields"),
        (b'{"lastUpdateId":5,"bids":[],"asks":[],"symbol":"ETHUSDT"}', "symbol"),
    ],
)
def test_a_damaged_message_is_named_by_a_reason(payload: bytes, expected: str) -> None:
    assert reason(spot(payload)) == expected


def test_the_detail_of_a_damaged_number_says_what_was_found_and_what_is_allowed() -> None:
    outcome = spot(stream("btcusdt@trade", **{**TRADE, "p": "61837.631"}))
    assert outcome == Malformed("number", "number was '61837.631', allowed are at most 2 decimals")


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_the_decoder_raise(payload: bytes) -> None:
    outcome = spot(payload)
    assert outcome is None or isinstance(outcome, Malformed)


@given(place=st.integers(0, 10_000), replacement=st.binary(max_size=3))
def test_no_damage_to_a_message_makes_the_decoder_raise(place: int, replacement: bytes) -> None:
    payload = stream("btcusdt@depth@100ms", **SPOT_DIFF)
    place %= len(payload)
    outcome = spot(payload[:place] + replacement + payload[place + 1 :])
    assert isinstance(outcome, DepthDiff | Malformed)


@given(
    units=st.integers(0, LARGEST),
    scale=st.integers(0, 18),
    zeros=st.integers(0, 10),
)
def test_decimal_text_becomes_exactly_its_units(units: int, scale: int, zeros: int) -> None:
    text = f"{from_units(units, scale):f}"
    if "." in text:
        text += "0" * zeros
    table = Units(scale)
    assert table[text] == units
    assert table[text] == units


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1_000",
        "1e3",
        "NaN",
        "0x10",
        "1.2.3",
        "\u0661",
        "1,5",
    ],
)
def test_text_that_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed is a plain decimal"):
        Units(2)[text]


def test_quantities_beyond_64_bits_are_read() -> None:
    level = ("99999999999.00000000", "99999999999.00000000")
    shib = msgspec.structs.replace(SPOT, price_scale=8, qty_scale=8)
    payload = stream("btcusdt@depth@100ms", **SPOT_DIFF | {"b": [level], "a": []})

    diff = MessageDecoder(shib).decode(payload)
    assert isinstance(diff, DepthDiff)
    assert diff.bids == ((9_999_999_999_900_000_000, 9_999_999_999_900_000_000),)


def test_a_number_of_more_than_38_digits_is_refused() -> None:
    assert Units(0)["9" * 38] == LARGEST
    for digits in (39, 5_000):
        with pytest.raises(ValueError, match="38 digits"):
            Units(0)["9" * digits]


def test_remembered_numbers_are_bounded() -> None:
    table = Units(0, remembered=10)
    assert [table[str(n)] for n in range(100)] == list(range(100))
    assert len(table) <= 10
