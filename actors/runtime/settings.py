"""What an actor may be told by the topology file: typed, checked before anything starts.

Money is never a float here: `Amount` refuses one, because ``0.1`` in YAML is already rounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as short
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)

from actors.events.reference import from_units, to_units

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_INTEGER_DIGITS = _DECIMALS = 18
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m|h)")


class Settings(BaseModel):
    """Base of every actor's settings: frozen, and a key that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    ABSENT: ClassVar[Mapping[str, Any]] = {}
    """What a journal means whose header was written before these settings were there."""


def parse_duration(text: str) -> int:
    """Return the nanoseconds that `text` such as ``100ms``, ``1.5s`` or ``5m`` means.

    Raises:
        ValueError: no number with a unit, or not a whole number of nanoseconds.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"was {text!r}, allowed is a number with a unit, such as '100ms', '2s', '5m' or '1h'"
        )
    nanoseconds = Decimal(match[1]) * _UNITS[match[2]]
    if nanoseconds != nanoseconds.to_integral_value():
        raise ValueError(f"was {text!r}, allowed are whole nanoseconds")
    return int(nanoseconds)


def format_duration(nanoseconds: int) -> str:
    """Return `nanoseconds` in the largest unit that says it with a whole number."""
    exact = [(size, unit) for unit, size in _UNITS.items() if nanoseconds % size == 0]
    size, unit = max(exact)
    return f"{nanoseconds // size}{unit}"


def _to_nanoseconds(value: Any) -> int:
    match value:
        case str():
            return parse_duration(value)
        case int() | float() if value and not isinstance(value, bool):
            raise ValueError(f"was {value!r}, which has no unit: write '{value}s' or '{value}ms'")
        case int() if not isinstance(value, bool):
            return 0
    raise ValueError(f"was {value!r}, allowed is a duration such as '100ms'")


def _to_decimal(value: Any) -> Decimal:
    match value:
        case float():
            raise ValueError(f'was the float {value!r}, which is rounded: quote it, "{value}"')
        case str() | int() | Decimal() if not isinstance(value, bool):
            return _parse_decimal(value)
    raise ValueError(f'was {value!r}, allowed is a quoted decimal such as "0.01"')


def _parse_decimal(value: str | int | Decimal) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f'was {short(value)}, allowed is a quoted decimal such as "0.01"')
    if not number:
        return Decimal(0)
    if int(number.as_tuple().exponent) < -_DECIMALS or number.adjusted() >= _INTEGER_DIGITS:
        raise ValueError(
            f"was {short(value)}, allowed are amounts below 1e{_INTEGER_DIGITS} with at most"
            f" {_DECIMALS} decimals"
        )
    return number


def misfit(value: Decimal, scale: int) -> str:
    """Return why an `Amount` is no whole number of units of ``10 ** -scale``; empty if it is."""
    if from_units(to_units(value, scale), scale) != value:
        return f"was {value:f}, which has more than the {scale} decimals of its scale"
    return ""


def _against_base(value: Any, info: ValidationInfo) -> Any:
    match value:
        case str() | Path():
            base = Path((info.context or {}).get("base", ""))
            return str(base / Path(value).expanduser())  # JSON would refuse a Path
    raise ValueError(f"was {value!r}, allowed is a path as text")


def _known_instrument(name: str, info: ValidationInfo) -> str:
    return _known(name, "instrument", (info.context or {}).get("instruments"))


def _known_currency(name: str, info: ValidationInfo) -> str:
    return _known(name, "currency", (info.context or {}).get("currencies"))


def _known(name: str, what: str, known: Sequence[str] | None) -> str:
    if known is None or name in known:
        return name
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"allowed are {', '.join(known)}"
    raise ValueError(f"no {what} '{name}'; {hint}")


Duration = Annotated[
    int,
    BeforeValidator(_to_nanoseconds),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": rf"^\s*{_DURATION.pattern}\s*$"},
                {"const": 0},
            ],
            "examples": ["100ms", "2s", "5m"],
        }
    ),
]
"""Nanoseconds, written with a unit: ``100ms``, ``2s``, ``5m``; a bare 0 needs none."""

Amount = Annotated[
    Decimal,
    BeforeValidator(_to_decimal),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[-+]?\d+(\.\d+)?([eE][-+]?\d+)?$"},
                {"type": "integer"},
            ],
            "examples": ["0.01"],
        }
    ),
]
"""An exact decimal, written as text (``"0.01"``) or as a whole number; a float is refused.

It is less than 1e18 in size and has at most 18 decimals.
"""

TopologyPath = Annotated[
    Path,
    BeforeValidator(_against_base),
    WithJsonSchema({"type": "string", "examples": ["data/capture.gz"]}),
]
"""A path; a relative one is resolved against the folder of the topology file.

The folder is the entry ``base`` of pydantic's validation context; without one, paths stay
relative to the working directory.
"""

InstrumentId = Annotated[str, AfterValidator(_known_instrument)]
"""The id of an instrument; one that the topology does not have is refused.

The ids are the entry ``instruments`` of pydantic's validation context; without one, any passes.
"""

CurrencyCode = Annotated[str, AfterValidator(_known_currency)]
"""The code of a currency; one that the topology does not have is refused.

The codes are the entry ``currencies`` of pydantic's validation context; without one, any passes.
"""
