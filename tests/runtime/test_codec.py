"""The codec: whole numbers of up to 32 bytes, each in one form only, in whatever is encoded."""

from __future__ import annotations

from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.accounts import PositionUpdated
from actors.events.market import DepthSnapshot, Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.orders import OrderApproved, SubmitOrder
from actors.events.reference import Contract
from actors.model.position import Position
from actors.runtime import codec

LEAST, MOST = -(2**255), 2**255 - 1
NUMBERS = st.one_of(
    st.integers(LEAST, MOST),
    st.sampled_from(
        [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30, -(10**30)]
    ),
)
PLAIN = st.recursive(
    st.one_of(
        NUMBERS, st.none(), st.booleans(), st.floats(allow_nan=False), st.text(), st.binary()
    ),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def wide(payload: bytes, code: int = 1) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(code, payload))


class Mixed(msgspec.Struct, omit_defaults=True):
    """What a State may hold."""

    number: int = 0
    named: dict[str, int] = {}
    numbered: dict[int, tuple[int, str]] = {}
    position: Position | None = None
    side: Side = Side.BUY
    raw: Any = None


@given(PLAIN)
def test_what_is_encoded_comes_back(value: Any) -> None:
    assert codec.decode(codec.encode(value)) == value


@given(NUMBERS)
def test_a_number_has_the_bytes_that_messagepack_gives_it_or_the_shortest_extension(n: int) -> None:
    encoded = codec.encode(n)

    if -(2**63) <= n < 2**64:
        assert encoded == msgspec.msgpack.encode(n)
        return
    kind = msgpack.unpackb(encoded)
    assert (kind.code, int.from_bytes(kind.data, "big", signed=True)) == (1, n)
    with pytest.raises(OverflowError):
        n.to_bytes(len(kind.data) - 1, "big", signed=True)


@given(NUMBERS, NUMBERS, st.dictionaries(st.text(), NUMBERS), st.dictionaries(NUMBERS, NUMBERS))
def test_structs_with_wide_numbers_keep_their_types(
    one: int, other: int, named: dict[str, int], numbered: dict[int, int]
) -> None:
    position = Position(qty=one, cost=other, fees=named)
    mixed = Mixed(one, named, {key: (n, "é") for key, n in numbered.items()}, position, Side.SELL)

    assert codec.decoder(Mixed)(codec.encode(mixed)) == mixed


@given(NUMBERS, NUMBERS)
def test_events_with_wide_numbers_keep_their_types(one: int, other: int) -> None:
    order = SubmitOrder("id", "s", "X", Side.BUY, one, OrderType.LIMIT, TimeInForce.GTC, other)
    events = (
        OrderApproved(order),
        DepthSnapshot("X", 1, ((one, other), (1, 2)), ()),
        PositionUpdated("s", "X", one, other, 1, 2, "e", 3, one, other),
    )
    read = codec.decoder(OrderApproved | DepthSnapshot | PositionUpdated)

    assert tuple(read(codec.encode(event)) for event in events) == events


def test_what_has_no_wide_number_is_encoded_as_messagepack_alone_does_it() -> None:
    value = {"a": [1, -5, 2**64 - 1], "b": Mixed(3), "c": Contract.LINEAR, "d": (1.5, b"x", None)}

    assert codec.encode(value) == msgspec.msgpack.encode(value)


def test_defaults_are_left_out_of_a_struct_with_a_wide_number_as_of_any_other() -> None:
    assert msgpack.unpackb(codec.encode(Mixed(10**30))).keys() == {"number"}


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (b"", "0 bytes"),
        ((5).to_bytes(1, "big"), "1 byte"),
        ((2**63).to_bytes(9, "big"), "9 bytes for a number that MessagePack holds"),
        ((-(2**63)).to_bytes(9, "big", signed=True), "that MessagePack holds"),
        ((2**64).to_bytes(10, "big"), "10 bytes where 9 are enough"),
        ((-(2**63) - 1).to_bytes(10, "big", signed=True), "10 bytes where 9 are enough"),
        (bytes([1]) + bytes(32), "33 bytes"),
    ],
)
def test_any_other_form_of_a_number_is_refused(payload: bytes, found: str) -> None:
    for read in (codec.decode, codec.decoder(int), codec.decoder(dict[str, int] | int)):
        with pytest.raises(codec.WideIntegerError, match=found):
            read(wide(payload))


def test_an_extension_of_another_type_is_refused() -> None:
    with pytest.raises(codec.WideIntegerError, match="extension type 2"):
        codec.decode(wide(bytes(9), code=2))


@given(st.binary(min_size=1, max_size=40))
def test_bytes_that_are_taken_are_those_that_would_be_written(payload: bytes) -> None:
    data = wide(payload)
    try:
        number = codec.decode(data)
    except codec.WideIntegerError:
        return
    assert codec.encode(number) == data


@pytest.mark.parametrize("number", [MOST + 1, LEAST - 1])
def test_a_number_of_more_than_32_bytes_is_refused_where_it_would_be_written(number: int) -> None:
    for value in (number, [number], {"a": number}, Mixed(number), Position(cost=number)):
        with pytest.raises(OverflowError, match="32 bytes"):
            codec.encode(value)


def test_what_cannot_be_encoded_at_all_is_told_as_ever() -> None:
    with pytest.raises(TypeError):
        codec.encode([2**70, object()])


def test_a_mistake_that_has_nothing_to_do_with_numbers_is_told_as_ever() -> None:
    with pytest.raises(msgspec.ValidationError, match="Expected `int`, got `str`"):
        codec.decoder(dict[str, int])(codec.encode({"a": "b"}))
    with pytest.raises(msgspec.ValidationError, match="Expected `str`"):
        codec.decoder(dict[str, str])(codec.encode({"a": 10**30}))
