"""Exact money: amounts, fees and marks as integers of up to 38 digits, rounded half-even.

A price is in units of ``10 ** -price_scale``, a quantity in units of ``10 ** -qty_scale`` and an
amount in settle units, the smallest unit of the instrument's settle currency. Rounding happens
once, where a quantity at a price becomes an amount; everything after that adds and subtracts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from actors.events.event import LARGEST
from actors.events.reference import Contract, Instrument, exact_units

FEE_RATE_SCALE: Final = 8
"""Fee rates are integers of ``10 ** -8`` of the notional: 1 basis point is 10,000."""

BASIS_POINTS: Final = 10_000

_POWERS: Final = tuple(10**exponent for exponent in range(64))


def checked(amount: int, what: str) -> int:
    """Return `amount` if it is one that can be kept: of up to 38 digits.

    Args:
        amount: any integer; its unit does not matter.
        what: names the amount in the message.

    Raises:
        OverflowError: `amount` has more digits.
    """
    if -LARGEST <= amount <= LARGEST:
        return amount
    raise OverflowError(f"{what} was {amount}, allowed are 38 digits")


def divide_half_even(numerator: int, denominator: int) -> int:
    """Return `numerator` / `denominator` rounded half-even; `denominator` must be positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def amount(instrument: Instrument, qty: int, px: int, parts: int = 1) -> int:
    """Return what `qty` at ``px / parts`` amounts to, however large: to compare, not to keep.

    Args:
        instrument: gives the scales and the contract.
        qty: signed quantity units.
        px: price units times `parts`; positive for an inverse instrument.
        parts: 2 where a price is in half price units.

    Returns:
        Settle units, rounded half-even.
    """
    if instrument.contract is Contract.LINEAR:
        shift = instrument.settle_scale - instrument.price_scale - instrument.qty_scale
        numerator = qty * px * instrument.contract_size
        divisor = parts
    else:
        shift = instrument.settle_scale + instrument.price_scale - instrument.qty_scale
        numerator = qty * instrument.contract_size * parts
        divisor = px
    if shift >= 0:
        numerator *= _POWERS[shift]
    else:
        divisor *= _POWERS[-shift]
    return numerator if divisor == 1 else divide_half_even(numerator, divisor)


def notional(instrument: Instrument, qty: int, px: int) -> int:
    """Return what `qty` at `px` amounts to, signed like `qty`.

    Args:
        instrument: gives the scales and the contract; linear amounts are quantity x price,
            inverse ones contracts x contract size / price.
        qty: signed quantity units.
        px: price units; positive for an inverse instrument.

    Returns:
        Settle units, rounded half-even.

    Raises:
        OverflowError: the amount has more than 38 digits.
        ZeroDivisionError: an inverse instrument has no amount at price 0.
    """
    return _kept(amount(instrument, qty, px), instrument, qty, px)


def mark_value(instrument: Instrument, qty: int, mark_px: int) -> int:
    """Return what `qty` is worth at a mid price, signed like `qty`.

    Args:
        instrument: gives the scales and the contract.
        qty: signed quantity units.
        mark_px: half price units, the sum of bid and ask; positive for an inverse instrument.

    Returns:
        Settle units, rounded half-even.

    Raises:
        OverflowError: the amount has more than 38 digits.
    """
    return _kept(amount(instrument, qty, mark_px, 2), instrument, qty, mark_px)


def quantity_worth(instrument: Instrument, amount: int, px: int) -> int:
    """Return the largest whole number of lots whose notional at `px` does not exceed `amount`.

    Args:
        instrument: gives scales, contract and lot size.
        amount: settle units, positive.
        px: price units, positive.

    Returns:
        Quantity units; 0 if not even one lot is worth so little.
    """
    shift = instrument.settle_scale - instrument.qty_scale
    if instrument.contract is Contract.LINEAR:
        shift -= instrument.price_scale
        numerator, denominator = amount, px * instrument.contract_size
    else:
        shift += instrument.price_scale
        numerator, denominator = amount * px, instrument.contract_size
    if shift >= 0:
        denominator *= _POWERS[shift]
    else:
        numerator *= _POWERS[-shift]
    return numerator // denominator // instrument.lot_size * instrument.lot_size


def _kept(amount: int, instrument: Instrument, qty: int, px: int) -> int:
    if -LARGEST <= amount <= LARGEST:
        return amount
    return checked(amount, f"amount of {qty} {instrument.instrument} at {px}")


def value_sign(instrument: Instrument) -> int:
    """Return 1 where a long position gains as its notional grows (linear), else -1 (inverse)."""
    return 1 if instrument.contract is Contract.LINEAR else -1


def fee_rate(rate: Decimal | str) -> int:
    """Return a rate such as ``"0.00075"`` as the integer that `fee` takes; negative for a rebate.

    Raises:
        ValueError: `rate` has more than `FEE_RATE_SCALE` decimals.
    """
    return exact_units(Decimal(rate), FEE_RATE_SCALE, "fee rate")


def fee(amount: int, rate: int) -> int:
    """Return the fee on a fill, rounded half-even: a cost, negative for a rebate.

    Args:
        amount: notional of the fill, settle units, of either sign.
        rate: units of ``10 ** -FEE_RATE_SCALE``, as `fee_rate` returns them.

    Returns:
        Settle units.
    """
    return checked(divide_half_even(abs(amount) * rate, _POWERS[FEE_RATE_SCALE]), "fee")
