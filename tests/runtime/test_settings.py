"""Settings of actors: exact amounts, durations with a unit, paths beside the file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from reprlib import repr as short
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.runtime.settings import (
    Amount,
    Duration,
    InstrumentId,
    Settings,
    TopologyPath,
    format_duration,
    parse_duration,
)


class Sample(Settings):
    amount: Amount = Decimal(0)
    wait: Duration = 0
    """How long."""
    file: TopologyPath = Path("none")
    instrument: InstrumentId = ""


def refusal(**values: Any) -> str:
    context = {"base": Path("/data"), "instruments": ("BTCUSDT.SIM", "ETHUSDT.SIM")}
    with pytest.raises(ValidationError) as refused:
        Sample.model_validate(values, context=context)
    [error] = refused.value.errors()
    return str(error["msg"]).removeprefix("Value error, ")


@pytest.mark.parametrize(
    "text",
    ["1e18", "-1e18", "1e999999", "1e-19", "0.1234567890123456789", "1." + 19 * "2"],
)
def test_an_amount_that_no_integer_holds_is_refused(text: str) -> None:
    assert refusal(amount=text) == (
        f"was {short(text)}, allowed are amounts below 1e18 with at most 18 decimals"
    )


@pytest.mark.parametrize(
    "text", ["0", "0e999999", "0e-999999", "999999999999999999.9", "-1e-18", f"{9:9<18}.{9:9<18}"]
)
def test_an_amount_may_be_as_large_and_as_exact_as_integers_are(text: str) -> None:
    assert Sample(amount=text).amount == Decimal(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0s", 0),
        ("250ns", 250),
        ("3us", 3_000),
        ("100ms", 100_000_000),
        ("1.5s", 1_500_000_000),
        ("5 m", 300_000_000_000),
        ("2h", 7_200_000_000_000),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text: str, nanoseconds: int) -> None:
    assert Sample(wait=text).wait == nanoseconds  # type: ignore[arg-type]


@given(st.integers(0, 10**18))
def test_a_duration_comes_back_from_its_text(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


def test_a_bare_zero_needs_no_unit_and_anything_else_does() -> None:
    assert Sample(wait=0).wait == 0
    assert refusal(wait=5) == "was 5, which has no unit: write '5s' or '5ms'"
    assert refusal(wait=True) == "was True, allowed is a duration such as '100ms'"
    assert refusal(wait="soon").startswith("was 'soon', allowed is a number with a unit")
    assert refusal(wait="0.5ns") == "was '0.5ns', allowed are whole nanoseconds"


def test_an_amount_is_text_or_a_whole_number_never_a_float() -> None:
    assert Sample(amount="0.10").amount == Decimal("0.10")  # type: ignore[arg-type]
    assert Sample(amount=3).amount == Decimal(3)  # type: ignore[arg-type]
    assert refusal(amount=0.1) == 'was the float 0.1, which is rounded: quote it, "0.1"'
    assert refusal(amount="much") == "was 'much', allowed is a quoted decimal such as \"0.01\""
    assert refusal(amount="NaN") == "was 'NaN', allowed is a quoted decimal such as \"0.01\""
    assert refusal(amount=True) == 'was True, allowed is a quoted decimal such as "0.01"'


def test_a_path_stands_beside_the_file_that_names_it() -> None:
    def path(text: str, base: str | None) -> Path:
        context = {"base": Path(base)} if base else None
        return Sample.model_validate({"file": text}, context=context).file

    assert path("data/a.gz", "/topologies") == Path("/topologies/data/a.gz")
    assert path("/data/a.gz", "/topologies") == Path("/data/a.gz")
    assert path("data/a.gz", None) == Path("data/a.gz")
    assert refusal(file=3) == "was 3, allowed is a path as text"


def test_an_instrument_is_one_of_the_topology() -> None:
    assert Sample(instrument="ANY.WHERE").instrument == "ANY.WHERE"
    assert refusal(instrument="BTCUSD.SIM") == (
        "no instrument 'BTCUSD.SIM'; did you mean 'BTCUSDT.SIM'?"
    )
    assert refusal(instrument="?") == "no instrument '?'; allowed are BTCUSDT.SIM, ETHUSDT.SIM"


def test_settings_survive_json() -> None:
    settings = Sample(amount="0.10", wait="90s", file="/a")  # type: ignore[arg-type]

    assert Sample.model_validate_json(settings.model_dump_json()) == settings


def test_an_unknown_key_is_refused_and_nothing_can_be_changed() -> None:
    assert refusal(wiat="1s") == "Extra inputs are not permitted"
    with pytest.raises(ValidationError):
        Sample().wait = 5


def test_docstrings_of_settings_explain_them_in_editors() -> None:
    assert Sample.model_json_schema()["properties"]["wait"]["description"] == "How long."
