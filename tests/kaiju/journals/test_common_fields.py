"""A state is compared with one that code of before wrote, in the fields that both have."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.events.event import Event, tag_of
from kaiju.journals.common_fields import common_fields

encode = msgspec.msgpack.encode


class Fill(Event):
    px: int
    fee: int = 0


class Position(msgspec.Struct):
    qty: int = 0
    cost: int = 0


class State(msgspec.Struct):
    positions: dict[str, Position] = {}
    fills: list[Fill] = []
    seen: int = 0


NOW = State({"BTC": Position(3, 7)}, [Fill(100, 5)], 9)
TAG = tag_of(Fill)
WHOLE: dict[str, Any] = {
    "positions": {"BTC": {"qty": 3, "cost": 7}},
    "fills": [[TAG, 100, 5]],
    "seen": 9,
}


@pytest.mark.parametrize(
    "before",
    [
        WHOLE,
        {"positions": {"BTC": {"qty": 3, "cost": 7}}, "fills": [[TAG, 100, 5]]},
        {"positions": {"BTC": {"qty": 3}}, "fills": [[TAG, 100]], "seen": 9},
        {"gone": {"a": 1}, **WHOLE},
        {**WHOLE, "positions": {"BTC": {"qty": 3, "gone": 2}}},
        {},
    ],
)
def test_a_field_that_only_one_state_has_is_left_out(before: object) -> None:
    one, other = common_fields(encode(NOW), encode(before), State)

    assert one == other


@pytest.mark.parametrize(
    "before",
    [
        {**WHOLE, "positions": {}},
        {**WHOLE, "positions": {"BTC": {"qty": 4}}},
        {**WHOLE, "positions": {**WHOLE["positions"], "ETH": {"qty": 1}}},
        {**WHOLE, "fills": []},
        {**WHOLE, "fills": [[TAG, 101]]},
        {**WHOLE, "fills": [[TAG, 100, 5], [TAG, 100, 5]]},
        {"positions": {"BTC": {"qty": 3, "cost": 7}}, "seen": 8},
    ],
)
def test_another_entry_item_or_value_is_a_difference(before: object) -> None:
    one, other = common_fields(encode(NOW), encode(before), State)

    assert one != other
