"""Settings beside the file: like an edit of it, and mistakes are found like mistakes in it."""
# ruff: noqa: E501 - a finding is one line, however long

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.kit.paths import ROOT
from tests.kit.small_system import TOPOLOGY, write_topology
from topology.check.check import CheckedTopology, check_file
from topology.config.document import load_document
from topology.config.overrides import override


def examined(folder: Path, *overrides: str, text: str = TOPOLOGY) -> CheckedTopology:
    return check_file(write_topology(folder, text), overrides=overrides)


def settings(folder: Path, actor: str, *overrides: str) -> dict[str, Any]:
    checked = examined(folder, *overrides)
    assert checked.findings.all == ()
    return checked.topology.actors[actor].settings


def test_a_setting_of_the_file_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    assert settings(tmp_path, "risk", "risk.max_position={'*': 1}") == {
        "max_position": {"*": 1},
        "max_daily_loss": {"USDT": "20000"},
    }


@pytest.mark.parametrize(
    ("given", "actor", "expected"),
    [
        ("metronome.breaks_after=3", "metronome", {"breaks_after": 3}),
        (" metronome.breaks_after = 3", "metronome", {"breaks_after": 3}),
        ("metronome.breaks_after=null", "metronome", None),
    ],
)
def test_a_setting_that_the_file_does_not_have_is_added(
    tmp_path: Path, given: str, actor: str, expected: dict[str, Any] | None
) -> None:
    checked = examined(tmp_path, given)
    assert checked.document.data["actors"][actor]["settings"] == (
        expected or {"breaks_after": None}
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("risk.max_position.*=1", {"*": 1}),
        ("risk.max_position.BTCUSDT.SIM=0.5", {"*": "2", "BTCUSDT.SIM": "0.5"}),
        ("risk.max_position.BTCUSDT.SIM=1e-2", {"*": "2", "BTCUSDT.SIM": "1e-2"}),
    ],
)
def test_an_instrument_is_one_key_and_an_amount_is_exact_without_quotes(
    tmp_path: Path, given: str, expected: dict[str, Any]
) -> None:
    assert settings(tmp_path, "risk", given)["max_position"] == expected


def test_the_last_of_several_is_what_counts(tmp_path: Path) -> None:
    given = ("risk.max_position.*=1", "risk.max_position={}", "risk.max_position.*=3")
    assert settings(tmp_path, "risk", *given)["max_position"] == {"*": 3}


def test_a_setting_deep_inside_is_reached_through_the_keys_of_the_file(tmp_path: Path) -> None:
    found = settings(tmp_path, "market", "market.flow.BTCUSDT.SIM.spread=4")
    assert found["flow"]["BTCUSDT.SIM"] == {
        "start_price": "60000",
        "spread": 4,
        "depth": "15",
        "min_qty": "0.001",
        "max_qty": "0.5",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a.levels.1=9", [1, 9]), ("a.levels.0.x=9", [{"x": 9}, 2]), ("a.levels.0=[]", [[], 2])],
)
def test_items_of_a_list_are_counted_from_0(
    tmp_path: Path, given: str, expected: list[Any]
) -> None:
    file = tmp_path / "t.yaml"
    first = "{}" if ".x" in given else "1"
    file.write_text(f"actors: {{a: {{settings: {{levels: [{first}, 2]}}}}}}")
    document = load_document(file)
    override(document, [given])

    assert document.findings == []
    assert document.data["actors"]["a"]["settings"]["levels"] == expected


MARKET = "market.flow.BTCUSDT.SIM"


@pytest.mark.parametrize(
    ("given", "mistakes"),
    [
        ("rsk.max_position=1", ["there is no actor 'rsk'; did you mean 'risk'?"]),
        (
            "risk.max_positon=1",
            ["actors.risk.settings: unknown key 'max_positon'; did you mean 'max_position'?"],
        ),
        (
            "metronome.break_after=1",
            ["actors.metronome.settings: unknown key 'break_after'; did you mean 'breaks_after'?"],
        ),
        (
            "risk.order_burst=0",
            ["actors.risk.settings.order_burst: was 0, should be greater than or equal to 1"],
        ),
        (
            "risk.max_position=1",
            ["actors.risk.settings.max_position: was 1, should be a mapping of keys to values"],
        ),
        (
            "risk.max_position.BTCUSD.SIM=1",
            ["actors.risk.settings.max_position: no instrument 'BTCUSD.SIM'; did you mean 'BTCUSDT.SIM'?"],
        ),
        (
            f"{MARKET}.depth=1e18",
            [f"actors.{MARKET.replace('.flow', '.settings.flow')}.depth: was '1e18', allowed are amounts below 1e18 with at most 18 decimals"],
        ),
        (f"{MARKET}.depth.x=1", ["'settings.flow.BTCUSDT.SIM.depth' is '15': there is nothing inside it to set"]),
        ("risk", ["allowed is ACTOR.SETTING=VALUE, such as risk.price_collar_bps=100"]),
        ("risk=1", ["allowed is ACTOR.SETTING=VALUE, such as risk.price_collar_bps=100"]),
        ("risk.order_burst=", ["allowed is ACTOR.SETTING=VALUE, such as risk.price_collar_bps=100"]),
        ("risk..order_burst=1", ["allowed is ACTOR.SETTING=VALUE, such as risk.price_collar_bps=100"]),
        ("risk.x=[", ["the value is not YAML: expected the node content, but found '<stream end>'"]),
    ],
)  # fmt: skip
def test_a_mistake_names_the_option_instead_of_a_line(
    tmp_path: Path, given: str, mistakes: list[str]
) -> None:
    findings = examined(tmp_path, given).findings
    assert [str(f) for f in findings.all] == [f"--set {given}: {mistake}" for mistake in mistakes]
    assert findings.errors == findings.all


def test_what_an_option_leaves_out_is_its_mistake(tmp_path: Path) -> None:
    given = "market.flow={BTCUSDT.SIM: {spread: 2}}"
    found = [str(f) for f in examined(tmp_path, given).findings.all]

    assert found
    assert all(each.startswith(f"--set {given}: ") for each in found)


def test_mistakes_of_the_file_keep_their_lines(tmp_path: Path) -> None:
    text = TOPOLOGY.replace('max_position: {"*": "2"}', 'max_positon: {"*": "2"}')
    found = [str(f) for f in examined(tmp_path, "risk.order_burst=0", text=text).findings.all]

    assert [each.partition(": ")[0].removeprefix(f"{tmp_path}/") for each in found] == [
        "--set risk.order_burst=0",
        "small.yaml:40:16",
    ]


@pytest.mark.parametrize("text", ["", "- 1\n", "actors: 1\n", "actors: {risk: 1}\n", "{"])
def test_a_file_that_has_no_such_place_is_reported_as_it_is(tmp_path: Path, text: str) -> None:
    plain = examined(tmp_path, text=text).findings
    assert examined(tmp_path, "risk.order_burst=5", text=text).findings == plain


def test_what_a_file_says_can_be_given_instead_of_read(tmp_path: Path) -> None:
    checked = check_file(tmp_path / "gone.yaml", text=TOPOLOGY)
    assert checked.findings.all == ()
    assert checked.document.text == TOPOLOGY


def test_the_examples_of_the_documentation_fit_the_topology_that_comes_with_us() -> None:
    text = (ROOT / "docs" / "replay.md").read_text()
    examples = re.findall(r"^(?:kaiju replay \S+ )?(--set .*)$", text, re.MULTILINE)
    given = [shlex.split(example)[1] for example in examples]

    assert len(given) == 6
    assert check_file(ROOT / "topology" / "paper.yaml", overrides=given).findings.errors == ()
