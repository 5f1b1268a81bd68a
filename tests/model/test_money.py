from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import LARGEST
from actors.events.reference import Instrument
from actors.model.money import (
    checked,
    divide_half_even,
    fee,
    fee_rate,
    mark_value,
    notional,
    quantity_worth,
)
from tests.kit.builders import BTCUSD_INVERSE, BTCUSDT

COARSE = msgspec.structs.replace(BTCUSDT, settle_scale=2)


def test_a_linear_amount_is_quantity_times_price() -> None:
    amount = notional(BTCUSDT, BTCUSDT.qty("0.1"), BTCUSDT.price("50000"))

    assert amount == 5_000 * 10**8


def test_an_inverse_amount_is_contract_value_over_price_in_the_base_currency() -> None:
    amount = notional(BTCUSD_INVERSE, 3, BTCUSD_INVERSE.price("40000"))

    assert amount == 750_000  # 3 x 100 USD / 40,000 = 0.0075 BTC


def test_an_amount_has_the_sign_of_its_quantity() -> None:
    assert notional(BTCUSDT, -7, 3) == -notional(BTCUSDT, 7, 3)
    assert notional(BTCUSD_INVERSE, -7, 3) == -notional(BTCUSD_INVERSE, 7, 3)


@pytest.mark.parametrize(("qty", "amount"), [(50_000, 0), (150_000, 2), (250_000, 2), (50_001, 1)])
def test_an_amount_that_the_currency_cannot_hold_is_rounded_half_even(
    qty: int, amount: int
) -> None:
    assert notional(COARSE, qty, 1) == amount


def test_a_mark_between_two_prices_loses_nothing() -> None:
    assert mark_value(BTCUSDT, 2, 100 + 101) == notional(BTCUSDT, 1, 201)


def test_an_inverse_mark_agrees_with_its_price() -> None:
    assert mark_value(BTCUSD_INVERSE, 5, 2 * 70_000) == notional(BTCUSD_INVERSE, 5, 70_000)


def test_an_amount_beyond_64_bits_is_one_like_any_other() -> None:
    assert notional(BTCUSDT, 10**15, 10**9) == 10**25


def test_an_amount_of_more_than_38_digits_is_an_error_that_names_it() -> None:
    with pytest.raises(OverflowError, match=r"amount of 10{30} BTCUSDT.SIM at 10{9} was"):
        notional(BTCUSDT, 10**30, 10**9)


def test_the_range_of_38_digits_includes_its_ends() -> None:
    assert LARGEST == 10**38 - 1
    for sign in (1, -1):
        assert checked(sign * LARGEST, "it") == sign * LARGEST
        with pytest.raises(OverflowError, match="it was"):
            checked(sign * (LARGEST + 1), "it")


def test_a_fee_is_a_cost_whatever_the_side() -> None:
    rate = fee_rate("0.00075")

    assert (fee(10**8, rate), fee(-(10**8), rate)) == (75_000, 75_000)


def test_a_rebate_is_a_negative_fee() -> None:
    assert fee(10**8, fee_rate("-0.0001")) == -10_000


def test_a_fee_rate_finer_than_its_unit_is_an_error() -> None:
    with pytest.raises(ValueError, match="fee rate was 1E-9, allowed are at most 8 decimals"):
        fee_rate("0.000000001")


@pytest.mark.parametrize("instrument", [BTCUSDT, COARSE, BTCUSD_INVERSE])
@given(amount=st.integers(1, 10**14), px=st.integers(1, 10**9))
def test_a_quantity_worth_an_amount_is_the_largest_that_does_not_exceed_it(
    instrument: Instrument, amount: int, px: int
) -> None:
    lots = msgspec.structs.replace(instrument, lot_size=10)
    qty = quantity_worth(lots, amount, px)
    rounding = 1

    assert qty % 10 == 0
    assert qty == 0 or notional(lots, qty, px) <= amount + rounding
    assert notional(lots, qty + 10, px) > amount - rounding


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**12))
def test_division_rounds_as_exact_decimals_do(numerator: int, denominator: int) -> None:
    quotient, remainder = divmod(abs(numerator), denominator)
    exact = Decimal(2 * remainder).compare(Decimal(denominator))
    rounded = quotient + (exact > 0 or (exact == 0 and quotient % 2 == 1))

    assert divide_half_even(numerator, denominator) == (rounded if numerator >= 0 else -rounded)


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**9))
def test_a_linear_amount_equals_the_decimal_product(qty: int, px: int) -> None:
    exact = Decimal(qty).scaleb(-5) * Decimal(px).scaleb(-2)
    rounded = exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)

    assert notional(COARSE, qty, px) == int(rounded.scaleb(2))
