"""Decimals become whole numbers of units and come back, exactly, however many digits there are."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import LARGEST
from actors.events.reference import exact_units, from_units, to_units

UNITS, SCALES = st.integers(-LARGEST, LARGEST), st.integers(0, 18)


@given(UNITS, SCALES)
def test_units_become_a_decimal_and_come_back(units: int, scale: int) -> None:
    decimal = from_units(units, scale)

    assert exact_units(decimal, scale, "it") == units
    assert to_units(decimal, scale) == units
    assert int(f"{decimal:f}".replace(".", "")) == units


def test_a_decimal_of_more_than_28_digits_is_rounded_at_its_scale_alone() -> None:
    assert to_units(Decimal("123456789012345678901234567890.5"), 0) == int(
        "123456789012345678901234567890"
    )
    assert to_units(Decimal("123456789012345678901234567891.5"), 0) == int(
        "123456789012345678901234567892"
    )
    with pytest.raises(ValueError, match="allowed are at most 0 decimals"):
        exact_units(Decimal("123456789012345678901234567890.5"), 0, "it")
