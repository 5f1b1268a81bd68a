"""Settings against the rest of their file: refused before a run, not in it."""
# ruff: noqa: E501 - a finding is one line, however long

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from actors.events.durations import MILLISECOND
from actors.runtime.clock import VirtualClock
from kaiju.run.build import compose
from kaiju.run.local import VIRTUAL_START
from tests.kit.small_system import TOPOLOGY
from topology.check.check import check_file

PLACE = "actors.market.settings.flow.BTCUSDT.SIM"


def mistakes(folder: Path, old: str, new: str) -> list[str]:
    assert old in TOPOLOGY
    file = folder / "t.yaml"
    file.write_text(TOPOLOGY.replace(old, new))
    return [f"{f.line}:{f.column}: {f.message}" for f in check_file(file).findings.all]


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        (
            'start_price: "60000"',
            'start_price: "60000.123456"',
            f"17:25: {PLACE}.start_price: was 60000.123456, which has more than the 2 decimals of its scale",
        ),
        (
            'spread: "2"',
            'spread: "2.001"',
            f"17:42: {PLACE}.spread: was 2.001, which has more than the 2 decimals of its scale",
        ),
        (
            'depth: "15"',
            'depth: "1000000000000000000"',
            f"17:54: {PLACE}.depth: was '1000000000000000000', allowed are amounts below 1e18 with at most 18 decimals",
        ),
        (
            'min_qty: "0.001"',
            'min_qty: "0.7"',
            f"17:69: {PLACE}.min_qty: was 0.7, allowed are one lot to max_qty: 0.00001 to 0.5",
        ),
        (
            'min_qty: "0.001"',
            'min_qty: "0.0000001"',
            f"17:69: {PLACE}.min_qty: was 0.0000001, which has more than the 5 decimals of its scale",
        ),
        (
            'max_qty: "0.5"}',
            'max_qty: "0.5", limit_rate: .inf}',
            f"17:106: {PLACE}.limit_rate: was inf, should be a finite number",
        ),
        (
            'max_qty: "0.5"}',
            'max_qty: "0.5"}\n      taker_fee: "-1"',
            "18:18: actors.market.settings.taker_fee: was -1, allowed is a fraction of the notional between -1 and 1",
        ),
        (
            'max_daily_loss: {USDT: "20000"}',
            'max_daily_loss: {USDX: "20000"}',
            "40:59: actors.risk.settings.max_daily_loss: no currency 'USDX'; did you mean 'USDT'?",
        ),
        (
            'max_daily_loss: {USDT: "20000"}',
            'max_gross_exposure: {XYZ: "20000"}',
            "40:63: actors.risk.settings.max_gross_exposure: no currency 'XYZ'; allowed are USDT, BTC",
        ),
        (
            'max_position: {"*": "2"}',
            'max_position: {"*": "1e999999"}',
            "40:36: actors.risk.settings.max_position.*: was '1e999999', allowed are amounts below 1e18 with at most 18 decimals",
        ),
    ],
)
def test_what_would_fail_at_the_start_is_found_by_the_check(
    tmp_path: Path, old: str, new: str, mistake: str
) -> None:
    assert mistakes(tmp_path, old, new) == [mistake]


AMOUNTS = st.one_of(
    st.decimals(min_value=-10, max_value=10**7, places=2).map(str),
    st.builds(
        "{}e{}".format,
        st.decimals(allow_nan=False, allow_infinity=False).map(str),
        st.integers(-40, 40) | st.sampled_from([-(10**6), 10**6, 10**19]),
    ),
    st.sampled_from(["0", "NaN", "inf", "9" * 400, "0." + "3" * 400]),
)
"""Sensible ones, and whatever has the form of a decimal."""

OF_INSTRUMENT = ("min_qty", "max_qty", "min_notional", "min_px", "max_px")
OF_FLOW = ("start_price", "spread", "depth", "min_qty", "max_qty", "volatility")
OF_VENUE = ("maker_fee", "taker_fee")
OF_RISK = ("max_order_qty", "max_order_notional", "max_position", "max_gross_exposure")


def some(keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(keys), AMOUNTS, max_size=2)


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(some(OF_INSTRUMENT), some(OF_FLOW), some(OF_VENUE), some(OF_RISK))
def test_a_file_with_any_amounts_has_findings_or_starts(
    tmp_path: Path,
    instrument: dict[str, str],
    flow: dict[str, str],
    venue: dict[str, str],
    risk: dict[str, str],
) -> None:
    yaml = YAML(typ="safe", pure=True)
    tree = yaml.load(TOPOLOGY.partition("  recorder:")[0])
    tree["instruments"]["BTCUSDT.SIM"] |= instrument
    market = tree["actors"]["market"]["settings"]
    market["flow"]["BTCUSDT.SIM"] |= flow
    market |= venue
    tree["actors"]["risk"]["settings"] |= {key: {"*": value} for key, value in risk.items()}
    file = tmp_path / "t.yaml"
    yaml.dump(tree, file)

    checked = check_file(file)
    if not checked.findings.errors:
        node = compose(checked, clock=VirtualClock(VIRTUAL_START))
        node.run(MILLISECOND)
        assert node.supervisor.failures == []
