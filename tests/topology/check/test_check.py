"""The check: every mistake of a file at once, with its line and the nearest fix."""
# ruff: noqa: E501 - a finding is one line, however long

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.kit.sample_actors import SOUND, Sessions
from topology.check.check import check, load
from topology.config.findings import Findings, TopologyError

TAKER = '  taker: {class: "tests.kit.sample_actors:Taker", node: core, inputs: [book.top, oms.orders]}\n'
RISK = '  risk: {class: "tests.kit.sample_actors:Risk", node: core, inputs: [execution.orders]}\n'

DAMAGED: dict[str, tuple[dict[str, str], list[str]]] = {
    "unknown_keys_and_missing_ones": (
        {"version: 1": "version: 2", "  md: {host: md,": "  md: {hots: md,", "name: sample\n": ""},
        [
            "1:1: name: is missing",
            "1:10: version: was 2; allowed is '1'",
            "3:8: nodes.md: unknown key 'hots'; did you mean 'host'?",
        ],
    ),
    "values_of_the_wrong_kind": (
        {
            "port: 7000}\n  core": 'port: "7000"}\n  core',
            'tick_size: "0.01"': "tick_size: 0.01",
            "delivery: latest": "delivery: lastest",
            "inputs: [market.depth]}": "inputs: [market.depth], durable: disk}",
        },
        [
            "4:24: nodes.md.port: was '7000', should be a number: write it without quotes",
            '8:58: instruments.BTCUSDT.SIM.tick_size: was the float 0.01, which is rounded: quote it, "0.01"',
            "15:92: actors.book.durable: was 'disk'; allowed are 'none', 'os', 'fsync'",
            "21:19: actors.maker.inputs.0.delivery: was 'lastest'; did you mean 'latest'?",
        ],
    ),
    "names_that_break_the_rules": (
        {"  taker:": "  Taker:", "BTCUSDT.SIM: {": "BTCUSDT: {", "BTC: {scale": "btc: {scale"},
        [
            "6:32: currencies: was 'btc', allowed are capitals and digits, such as 'USDT'",
            "8:3: instruments: was 'BTCUSDT', allowed are 'SYMBOL.VENUE' in capitals, such as 'BTCUSDT.BINANCE'",
            "9:23: there is no currency 'BTC'; did you mean 'btc'?",
            "24:19: actors.maker.settings.instrument: no instrument 'BTCUSDT.SIM'; did you mean 'BTCUSDT'?",
            "25:3: actors: was 'Taker', allowed are lower-case letters, digits and '_', a letter first",
        ],
    ),
    "names_that_stand_for_nothing": (
        {
            "market.depth": "market.dept",
            "book.top, oms.orders": "bok.top, oms.order",
            "node: md\n": "node: mf\n",
            "quote: USDT": "quote: USDC",
            "instrument: BTCUSDT.SIM": "instrument: BTCUSD.SIM",
            '"*.signals"': '"*.signal"',
        },
        [
            "9:35: there is no currency 'USDC'; did you mean 'USDT'?",
            "13:11: there is no node 'mf'; allowed are 'md', 'core'",
            "15:68: 'market' has no output 'dept'; did you mean 'market.depth'?",
            "24:19: actors.maker.settings.instrument: no instrument 'BTCUSD.SIM'; did you mean 'BTCUSDT.SIM'?",
            "25:72: there is no actor 'bok'; did you mean 'book.top'?",
            "25:81: 'oms' has no output 'order'; did you mean 'oms.orders'?",
            "29:21: no actor has an output like '*.signal'; did you mean '*.signals'?",
        ],
    ),
    "inputs_that_are_not_clear": (
        {
            "inputs: [gateway.venue, book.requests]": "inputs: [gateway.venue, book]",
            "inputs: [execution.orders]": "inputs: [execution.orders, risk, execution.orders]",
            "inputs: [oms.requests,": "inputs: [recorder, oms.requests,",
        },
        [
            "14:29: 'book' has several outputs; allowed are 'book.top', 'book.deltas', 'book.state', 'book.requests'",
            "30:88: 'risk' cannot read itself",
            "30:94: 'execution.orders' is read by inputs.0 already",
            "38:14: 'recorder' emits nothing: Recorder.outputs is empty",
        ],
    ),
    "classes_that_cannot_be_used": (
        {
            "sample_actors:Book": "sample_actors:Bok",
            "tests.kit.sample_actors:Taker": "tests.sample_actor:Taker",
            "sample_actors:Market": "sample_actors:NOT_AN_ACTOR",
            "sample_actors:Recorder": "sample_actors:Unfinished",
            "sample_actors:Risk": "sample_actors:Demanding",
        },
        [
            "12:12: 'tests.kit.sample_actors:NOT_AN_ACTOR' is not an actor: it does not extend actors.runtime.actor.Actor",
            "15:17: 'tests.kit.sample_actors' has no 'Bok'; did you mean 'tests.kit.sample_actors:Book'?",
            "25:18: there is no module 'tests.sample_actor'; looked in the installed packages, the working directory and its 'user'",
            "30:17: 'tests.kit.sample_actors:Demanding': its State must start without arguments: Missing required argument 'cash'",
            "39:21: 'tests.kit.sample_actors:Unfinished' is abstract: it lacks decide",
        ],
    ),
    "settings_that_do_not_fit_the_class": (
        {
            'quote_qty: "0.5"': "quote_qty: 0.5",
            "      instrument:": "      refesh: 1s\n      refresh: 100\n      quoting:"
            " {levls: 2}\n      instrument:",
            "    inputs: [gateway.venue, book.requests]": "    settings: {seed: seven, file: 3}\n"
            "    inputs: [gateway.venue, book.requests]",
        },
        [
            "14:22: actors.market.settings.seed: was 'seven', should be a valid integer, unable to parse string as an integer",
            "14:35: actors.market.settings.file: was 3, allowed is a path as text",
            '24:18: actors.maker.settings.quote_qty: was the float 0.5, which is rounded: quote it, "0.5"',
            "25:7: actors.maker.settings: unknown key 'refesh'; did you mean 'refresh'?",
            "26:16: actors.maker.settings.refresh: was 100, which has no unit: write '100s' or '100ms'",
            "27:17: actors.maker.settings.quoting: unknown key 'levls'; did you mean 'levels'?",
        ],
    ),
    "inputs_that_nobody_handles": (
        {"inputs: [execution.orders]": "inputs: [execution.orders, book.deltas, market.depth]"},
        [
            "30:88: 'risk' handles only SubmitOrder, and nothing that 'book.deltas' carries: BookDelta",
            "30:101: 'risk' handles only SubmitOrder, and nothing that 'market.depth' carries: DepthDiff",
        ],
    ),
    "requests_that_nobody_or_two_handle": (
        {
            "inputs: [gateway.venue, book.requests]": "inputs: [gateway.venue]",
            RISK: RISK + RISK.replace("risk", "risk_two"),
        },
        [
            "15:3: 'book.requests' asks for something (RequestSnapshot) and nobody who reads it acts on it; add 'book.requests' to the inputs of 'market'",
            "31:74: 'risk' acts on SubmitOrder of 'execution.orders' already, and 'risk_two' would do it again; remove one of them, or give both 'accepts' without overlap",
        ],
    ),
    "latest_where_nothing_may_be_lost": (
        {
            "book.top, oms.orders": "book.top, {from: oms.orders, delivery: latest}",
            "[maker,": "[{from: maker, delivery: latest}, {from: taker.signals, delivery: latest},",
        },
        [
            "25:111: 'latest' keeps the newest value per key, and OrderFilled of 'oms.orders' has no key: read it with 'stream'",
            "29:79: 'latest' keeps the newest value per key, and Signal of 'taker.signals' has no key: read it with 'stream'",
        ],
    ),
    "paths_to_a_venue_without_risk": (
        {
            RISK: RISK + '  wild: {class: "tests.kit.sample_actors:Daredevil", node: core,'
            " inputs: [execution.orders]}\n",
            "[gateway.venue, book": "[gateway.venue, wild.venue, book",
            "inputs: [oms.requests, market.reports]": "inputs: [market.reports]",
        },
        [
            "31:75: 'risk' acts on SubmitOrder of 'execution.orders' already, and 'wild' would do it again; remove one of them, or give both 'accepts' without overlap",
            "31:75: orders can reach a venue without risk: execution -> wild; put an actor of the role 'approver' between them",
            "36:3: 'gateway' sends orders to a venue (NewOrderSingle) and reads none that risk approved",
        ],
    ),
    "durable_readers_of_what_is_not": (
        {
            "inputs: [execution.orders]": "durable: os, inputs: [execution.orders]",
            "    inputs: [risk, ex": "    durable: fsync\n    inputs: [risk, ex",
        },
        [
            "30:83: 'risk' is durable and 'execution' is not: after a restart its stream begins again, and Risk does not handle StreamReset; make 'execution' durable or handle it",
        ],
    ),
    "scales_filters_and_ports_that_do_not_fit": (
        {
            "USDT: {scale: 8}": "USDT: {scale: 6}",
            '"0.01"': '"0.005"',
            '"0.00001",': '"0.00001", min_notional: "0.0000001",',
            "core: {host: core, port: 7000}": "core: {host: md, port: 7001}",
        },
        [
            "5:26: port 7001 (live) on host 'md' is the recovery port of node 'md' already; free is 7003",
            "8:3: warning: 'BTCUSDT.SIM' has price_scale 2 + qty_scale 5 = 7 decimals of notional, 'USDT' has only 6: every fill is rounded half-even to them; give 'USDT' scale 7 unless its venue rounds so too",
            "8:58: was 0.005, which has more than the 2 decimals of its scale",
            "8:102: was 0.0000001, which has more than the 6 decimals of its scale",
        ],
    ),
    "filters_that_no_order_passes_or_no_integer_holds": (
        {
            '"0.00001",\n': '"0.00001", min_qty: 3, max_qty: 2, min_px: "0.02", max_px: "0.01",'
            ' min_notional: "1000000000000000000",\n',
        },
        [
            "8:96: min_qty was 3, allowed is at most max_qty, 2",
            "8:119: min_px was 0.02, allowed is at most max_px, 0.01",
            "8:157: instruments.BTCUSDT.SIM.min_notional: was '1000000000000000000', allowed are amounts below 1e18 with at most 18 decimals",
        ],
    ),
    "amounts_that_are_no_amounts": (
        {
            'quote_qty: "0.5"': 'quote_qty: "1e999999"',
            '"0.00001",\n': '"0.00001", min_notional: "1e30", max_qty: "1e-30",\n',
        },
        [
            "8:101: instruments.BTCUSDT.SIM.min_notional: was '1e30', allowed are amounts below 1e18 with at most 18 decimals",
            "8:118: instruments.BTCUSDT.SIM.max_qty: was '1e-30', allowed are amounts below 1e18 with at most 18 decimals",
            "23:18: actors.maker.settings.quote_qty: was '1e999999', allowed are amounts below 1e18 with at most 18 decimals",
        ],
    ),
    "two_recorders_of_one_run": (
        {
            "tests.kit.sample_actors:Recorder": "actors.recorder:Recorder",
            "  taker:": '  audit: {class: "actors.recorder:Recorder", node: md, inputs: ["*"]}\n'
            "  taker:",
        },
        [
            "40:21: 'recorder' would write the file of 'audit', events.kaiju: a run has one recorder",
        ],
    ),
    "keys_given_twice": (
        {"version: 1": "version: 1\nversion: 1", "node: md\n": "node: md\n    node: core\n"},
        [
            "2:1: the key 'version' was given on line 1 already",
            "15:5: the key 'node' was given on line 14 already",
        ],
    ),
}


def found(folder: Path, text: str) -> Findings:
    file = folder / "t.yaml"
    file.write_text(text, encoding="utf-8")
    return check(file)


def places(findings: Findings) -> list[str]:
    return [
        f"{f.line}:{f.column}: {'warning: ' if f.level == 'warning' else ''}{f.message}"
        for f in findings.all
    ]


def edited(edits: dict[str, str]) -> str:
    text = SOUND
    for old, new in edits.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_a_sound_file_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path, SOUND) == Findings(())


@pytest.mark.parametrize("name", DAMAGED)
def test_every_mistake_is_found_with_its_line(tmp_path: Path, name: str) -> None:
    edits, expected = DAMAGED[name]

    assert places(found(tmp_path, edited(edits))) == expected


def test_findings_read_like_a_compiler_s(tmp_path: Path) -> None:
    findings = found(tmp_path, SOUND.replace("[market.depth]", "[market.dept]"))

    assert str(findings) == (
        f"{tmp_path}/t.yaml:15:68: 'market' has no output 'dept'; did you mean 'market.depth'?"
    )


def test_a_warning_is_no_error(tmp_path: Path) -> None:
    spare = "  spare: {host: spare, port: 7000}\ncurrencies"
    findings = found(tmp_path, SOUND.replace("currencies", spare, 1))

    assert findings.errors == ()
    [warning] = findings.warnings
    assert str(warning) == f"{tmp_path}/t.yaml:6:3: warning: no actor lives on node 'spare'"
    assert "spare" in load(tmp_path / "t.yaml").nodes


def test_load_refuses_with_every_mistake_in_its_text(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(SOUND.replace("node: md\n", "node: mf\n").replace("version: 1", "version: 2"))

    with pytest.raises(TopologyError) as refused:
        load(file)

    assert str(refused.value) == str(check(file))
    assert len(refused.value.findings.errors) == 2


def test_load_returns_what_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(SOUND)

    topology = load(file)

    assert topology.actors["maker"].inputs[0].from_ == "book.top"
    assert topology.actors["maker"].inputs[0].delivery == "latest"
    assert topology.actors["recorder"].durable == "none"
    instrument = topology.instruments["BTCUSDT.SIM"].build("BTCUSDT.SIM", topology.currencies)
    assert (instrument.venue, instrument.symbol, instrument.settle) == ("SIM", "BTCUSDT", "USDT")
    assert (instrument.tick_size, instrument.lot_size, instrument.settle_scale) == (1, 1, 8)


def two_risks(first: str, second: str) -> str:
    second_risk = RISK.replace("risk:", "risk_two:").replace("]}", f"], accepts: {second}}}")
    text = SOUND.replace(RISK, RISK.replace("]}", f"], accepts: {first}}}") + second_risk)
    text = text.replace("[risk, ex", "[risk, risk_two, ex")
    eth = '\n  ETHUSDT.ELSEWHERE: {price_scale: 2, qty_scale: 5, tick_size: "0.01",'
    return text.replace("\nactors:", eth + ' lot_size: "1", base: BTC, quote: USDT}\nactors:')


def test_two_may_act_on_a_request_when_their_shares_do_not_overlap(tmp_path: Path) -> None:
    assert not found(tmp_path, two_risks("{venue: SIM}", "{venue: [ELSEWHERE]}")).all
    assert not found(tmp_path, two_risks("{venue: SIM}", "{instrument: ETHUSDT.ELSEWHERE}")).all

    [rival] = found(tmp_path, two_risks("{venue: SIM}", "{instrument: BTCUSDT.SIM}")).all
    assert "'risk' acts on SubmitOrder of 'execution.orders' already" in rival.message


def test_a_share_of_what_does_not_exist_is_found(tmp_path: Path) -> None:
    findings = found(tmp_path, two_risks("{venue: SIM}", "{venue: ELSEWERE}"))

    assert [f.message for f in findings.all] == [
        "there is no venue 'ELSEWERE'; did you mean 'ELSEWHERE'?"
    ]


def test_orders_that_come_approved_from_another_system_need_no_risk_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = '  other: {class: "tests.kit.sample_actors:Sessions", node: md}\n'
    text = SOUND.replace(RISK, RISK + other).replace("[gateway.venue,", "[gateway.venue, other,")
    assert not found(tmp_path, text).errors

    monkeypatch.setattr(Sessions, "orders_are_approved", False)
    assert [f.message for f in found(tmp_path, text).errors] == [
        "'other' sends orders to a venue (NewOrderSingle) and reads none that risk approved"
    ]


def test_a_node_where_nobody_lives_is_a_warning(tmp_path: Path) -> None:
    text = SOUND.replace("  core: {host", "  spare: {host: spare, port: 7000}\n  core: {host")

    assert places(found(tmp_path, text)) == ["5:3: warning: no actor lives on node 'spare'"]


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "user").mkdir()
    return tmp_path


def test_a_user_s_actor_is_found_in_the_folder_user(working_directory: Path) -> None:
    module = working_directory / "user" / "my_sample_strategy.py"
    module.write_text("from tests.kit.sample_actors import Taker\nclass Mine(Taker):\n    pass\n")

    mine = "my_sample_strategy:Mine"
    assert not found(working_directory, SOUND.replace("tests.kit.sample_actors:Taker", mine)).all

    findings = found(working_directory, SOUND.replace("tests.kit.sample_actors:Taker", mine + "s"))
    assert [f.message for f in findings.all] == [
        "'my_sample_strategy' has no 'Mines'; did you mean 'my_sample_strategy:Mine'?"
    ]


def test_a_user_s_module_that_fails_is_one_finding(working_directory: Path) -> None:
    (working_directory / "user" / "broken_sample.py").write_text("import no_such_library\n")

    findings = found(
        working_directory, SOUND.replace("tests.kit.sample_actors:Taker", "broken_sample:A")
    )

    assert [f.message for f in findings.all] == [
        "importing 'broken_sample' failed: No module named 'no_such_library'"
    ]


JUNK = st.sampled_from(
    ["~", "0", "-1", "1.5", "true", "''", "x", "'*'", "a.b", "[]", "[~]", "{x: 1}"]
)


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damage=st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=5), JUNK), max_size=6))
def test_a_file_however_damaged_is_answered_with_findings(
    tmp_path: Path, damage: list[tuple[list[int], str]]
) -> None:
    yaml = YAML(typ="safe", pure=True)
    tree = yaml.load(SOUND)
    for way, junk in damage:
        holder = tree
        for turn in [*way, 0]:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = keys[turn % len(keys)]
            if turn == 0 or not isinstance(holder[key], dict | list):
                holder[key] = yaml.load(junk)
                break
            holder = holder[key]
    text = StringIO()
    yaml.dump(tree, text)

    findings = found(tmp_path, text.getvalue())

    assert all(finding.line >= 1 for finding in findings.all)
    if not findings.errors:
        assert load(tmp_path / "t.yaml").name


HOSTILE = {
    "ends": ("import os\nos._exit(0)\n", "called os._exit(0)"),
    "leaves": ("raise SystemExit(0)\n", "SystemExit: 0"),
    "is_replaced": ("import os\nos.execv('/bin/true', ['true'])\n", "called os.execv("),
    "raises_in_its_state": (
        """\
from kaiju import Actor
class Found(Actor):
    class State(Actor.State):
        def __post_init__(self):
            raise RuntimeError("no state today")
""",
        "RuntimeError: no state today",
    ),
    "ends_in_its_state": (
        """\
import os
from kaiju import Actor
class Found(Actor):
    class State(Actor.State):
        def __post_init__(self):
            os._exit(0)
""",
        "called os._exit(0)",
    ),
    "raises_in_its_settings": (
        """\
from kaiju import Actor
class Found(Actor):
    @classmethod
    def check_settings(cls, settings, instruments):
        raise RuntimeError("no settings today")
""",
        "RuntimeError: no settings today",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_class_that_ends_the_process_or_raises_is_a_mistake_of_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    code, found = HOSTILE[name]
    (tmp_path / f"hostile_{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "t.yaml"
    file.write_text(
        "version: 1\nname: t\nnodes: {one: {host: one, port: 7000}}\ncurrencies: {}\n"
        f"instruments: {{}}\nactors:\n  a: {{class: 'hostile_{name}:Found', node: one}}\n"
    )
    [finding] = check(file).errors
    assert finding.line == 7
    assert found in finding.message
