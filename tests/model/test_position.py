from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import LARGEST
from actors.events.market import Side
from actors.events.reference import Instrument
from actors.model.money import mark_value, notional, value_sign
from actors.model.position import Position, unrealized
from tests.kit.builders import BTCUSD_INVERSE, BTCUSDT

BUY, SELL = Side.BUY, Side.SELL
CENT_SETTLED = msgspec.structs.replace(BTCUSDT, settle_scale=2)
WHOLE = msgspec.structs.replace(BTCUSDT, price_scale=0, qty_scale=0, settle_scale=0)

Fill = tuple[Side, int, int]
FILLS = st.lists(
    st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 10**6), st.integers(1, 10**7)),
    max_size=30,
)


def unrealized_in(instrument: Instrument, position: Position, mark_px: int) -> int:
    return unrealized(instrument, position.qty, position.cost, mark_px)


def position_after(instrument: Instrument, *fills: tuple[Side, str, str]) -> Position:
    position = Position()
    for side, qty, px in fills:
        position.fill(instrument, side, instrument.qty(qty), instrument.price(px))
    return position


def usdt(value: str) -> int:
    return int(Decimal(value).scaleb(8))


def test_buying_opens_a_long_at_its_cost() -> None:
    position = position_after(BTCUSDT, (BUY, "0.1", "50000"))

    assert position == Position(
        qty=10_000, cost=usdt("5000"), cash_flow=-usdt("5000"), bought_qty=10_000
    )


def test_closing_a_part_releases_its_share_of_the_cost() -> None:
    position = position_after(BTCUSDT, (BUY, "0.1", "50000"), (SELL, "0.05", "60000"))

    assert position == Position(
        qty=5_000,
        cost=usdt("2500"),
        realized=usdt("500"),
        cash_flow=-usdt("2000"),
        bought_qty=10_000,
        sold_qty=5_000,
    )


def test_fees_stay_out_of_the_realized_profit() -> None:
    position = position_after(BTCUSDT, (BUY, "0.1", "50000"), (SELL, "0.05", "60000"))
    position.pay(usdt("5"), "USDT")
    position.pay(usdt("2.5"), "USDT")

    assert position.realized - position.fees["USDT"] == usdt("492.5")


def test_each_currency_of_fees_has_its_own_ledger() -> None:
    position = Position()
    position.pay(5, "USDT")
    position.pay(7, "BNB")
    position.pay(-2, "USDT")

    assert position.fees == {"USDT": 3, "BNB": 7}


def test_a_flip_realizes_on_what_it_closed_and_opens_the_rest_at_its_own_price() -> None:
    position = position_after(BTCUSDT, (SELL, "0.1", "50000"), (BUY, "0.2", "40000"))

    assert (position.qty, position.cost, position.realized) == (
        10_000,
        usdt("4000"),
        usdt("1000"),
    )


def test_a_flip_from_one_short_to_a_half_long_realizes_on_one() -> None:
    position = position_after(BTCUSDT, (SELL, "1", "100"), (BUY, "1.5", "90"))

    assert (position.qty, position.cost, position.realized) == (50_000, usdt("45"), usdt("10"))


def test_a_position_that_opens_twice_realizes_over_both() -> None:
    position = position_after(
        BTCUSDT, (BUY, "100", "50"), (SELL, "100", "55"), (SELL, "50", "54"), (BUY, "50", "52")
    )

    assert (position.qty, position.cost, position.realized) == (0, 0, usdt("600"))


def test_several_fills_of_one_order_equal_one_fill() -> None:
    parts = position_after(BTCUSDT, (BUY, "0.1", "50000"), (BUY, "0.3", "50000"))

    assert parts == position_after(BTCUSDT, (BUY, "0.4", "50000"))


def test_an_inverse_long_gains_in_base_currency_as_the_price_rises() -> None:
    position = position_after(BTCUSD_INVERSE, (BUY, "400", "40000"), (SELL, "400", "50000"))

    # 400 x 100 USD x (1 / 40,000 - 1 / 50,000) = 0.2 BTC
    assert (position.qty, position.cost, position.realized) == (0, 0, 20_000_000)


def test_an_inverse_short_gains_as_the_price_falls() -> None:
    position = position_after(BTCUSD_INVERSE, (SELL, "400", "50000"))

    assert unrealized_in(BTCUSD_INVERSE, position, 2 * 400_000) == 20_000_000


def test_a_released_share_between_two_units_goes_to_the_even_one() -> None:
    position = position_after(WHOLE, (BUY, "1", "2"), (BUY, "1", "3"), (SELL, "1", "5"))

    assert (position.cost, position.realized) == (3, 3)  # cost 5 x 1 / 2 = 2.5, released 2


def test_without_a_mark_nothing_is_unrealized() -> None:
    assert unrealized_in(BTCUSDT, position_after(BTCUSDT, (BUY, "1", "100")), 0) == 0


def test_quantities_that_add_up_to_too_much_are_refused_before_anything_is_booked() -> None:
    position = Position(qty=LARGEST, bought_qty=LARGEST)
    before = msgspec.structs.replace(position)

    with pytest.raises(OverflowError, match="bought quantity was"):
        position.fill(BTCUSDT, BUY, 1, 1)
    assert position == before


def test_what_risk_lets_through_at_8_and_8_decimals_can_be_booked() -> None:
    shib = msgspec.structs.replace(BTCUSDT, price_scale=8, qty_scale=8, settle_scale=16)
    position = Position()
    position.fill(shib, BUY, shib.qty("400000000000"), shib.price("0.00001234"))

    assert position.cost == 4_936_000 * 10**16
    assert position.bought_qty == 4 * 10**19


def test_a_fill_that_overflows_leaves_the_position_as_it_was() -> None:
    position = Position(qty=1, cost=LARGEST, cash_flow=-LARGEST, bought_qty=1)
    before = msgspec.structs.replace(position)

    with pytest.raises(OverflowError, match="cost of the position was"):
        position.fill(BTCUSDT, BUY, 1, 100)
    assert position == before


def replayed(instrument: Instrument, fills: list[Fill]) -> Position:
    position = Position()
    for side, qty, px in fills:
        position.fill(instrument, side, qty, px)
    return position


def cash_of(instrument: Instrument, fills: list[Fill]) -> int:
    return -value_sign(instrument) * sum(
        side * notional(instrument, qty, px) for side, qty, px in fills
    )


@pytest.mark.parametrize("instrument", [BTCUSDT, CENT_SETTLED, BTCUSD_INVERSE])
@given(fills=FILLS, mark=st.integers(1, 2 * 10**7))
def test_profit_equals_cash_flow_plus_the_marked_position_exactly(
    instrument: Instrument, fills: list[Fill], mark: int
) -> None:
    position = replayed(instrument, fills)
    value = value_sign(instrument) * mark_value(instrument, position.qty, mark)

    assert position.cash_flow == cash_of(instrument, fills)
    assert (
        position.realized + unrealized_in(instrument, position, mark) == position.cash_flow + value
    )


@pytest.mark.parametrize("instrument", [BTCUSDT, CENT_SETTLED, BTCUSD_INVERSE])
@given(fills=FILLS)
def test_a_flat_position_has_no_cost_and_an_open_one_has_its_sign(
    instrument: Instrument, fills: list[Fill]
) -> None:
    position = replayed(instrument, fills)

    assert position.qty == position.bought_qty - position.sold_qty
    assert position.cost * position.qty >= 0
    if position.qty == 0:
        assert position.cost == 0


@given(fills=FILLS)
def test_the_order_of_fills_at_one_price_changes_nothing_but_what_was_realized_when(
    fills: list[Fill],
) -> None:
    level = [(side, qty, 12_345) for side, qty, _ in fills]

    assert replayed(BTCUSDT, level) == replayed(BTCUSDT, level[::-1])


@given(fills=FILLS)
def test_a_position_survives_messagepack(fills: list[Fill]) -> None:
    position = replayed(BTCUSDT, fills)

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(position), type=Position) == position
