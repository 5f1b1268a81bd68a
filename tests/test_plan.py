"""`kaiju plan`: what an edit of a topology means, and what of it would lose something."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from typer.testing import CliRunner

from topology.check import Checked, examine
from topology.cli import main
from topology.plan import Change, Plan, Reading, plan

ROOT = Path(__file__).parents[1]
TOPOLOGY = """\
version: 1
name: planned
nodes:
  one: {host: here, port: 7000}
  two: {host: here, port: 7100}
  far: {host: there, port: 7000}
currencies: {USDT: {scale: 8}, BTC: {scale: 8}}
instruments:
  BTCUSDT.SIM:
    {base: BTC, quote: USDT, price_scale: 2, qty_scale: 5, tick_size: "0.01", lot_size: "0.00001"}
actors:
  feed: {class: "tests.relays:Feed", node: one}
  origin: {class: "tests.relays:Feed", node: one, durable: os}
  relay: {class: "tests.relays:Relay", node: one, durable: os, inputs: [origin.ticks]}
  sink: {class: "tests.relays:Sink", node: two, durable: os, inputs: [relay.ticks]}
  other: {class: "tests.relays:Sink", node: far, inputs: [relay.ticks, feed.ticks]}
"""
BASE: dict[str, Any] = YAML(typ="safe").load(TOPOLOGY)


def checked(data: dict[str, Any], name: str = "new.yaml") -> Checked:
    text = StringIO()
    YAML().dump(data, text)
    return examine(Path(name), text=text.getvalue())


def planned(edit: Callable[[dict[str, Any]], object]) -> Plan:
    data = deepcopy(BASE)
    edit(data)
    return plan(checked(BASE, "old.yaml"), checked(data))


def test_the_same_file_changes_nothing() -> None:
    assert planned(lambda _data: None).empty


@pytest.mark.parametrize("file", ["paper", "paper_live", "compose", "venue"])
def test_the_shipped_topologies_do_not_differ_from_themselves(file: str) -> None:
    path = ROOT / "topology" / f"{file}.yaml"
    assert plan(examine(path), examine(path)).empty


def test_an_actor_that_comes_restarts_its_node_and_that_of_whom_it_reads() -> None:
    new = {"class": "tests.relays:Sink", "node": "two", "inputs": ["feed.ticks"]}
    found = planned(lambda data: data["actors"].update(more=new))

    assert found.changes == (Change("added", "actor", "more", "on two"),)
    assert found.readings == (Reading("feed.ticks", ("two",), ()),)
    assert found.restarts == {"two": ("more added",), "one": ("feed.ticks: read by two",)}
    assert not found.refused


def test_an_actor_that_moves_on_its_host_keeps_what_it_knows() -> None:
    found = planned(lambda data: data["actors"]["relay"].update(node="two"))

    assert found.changes == (Change("moved", "actor", "relay", "one -> two"),)
    assert set(found.readings) == {
        Reading("origin.ticks", ("two",), ()),
        Reading("relay.ticks", (), ("two",)),
    }
    assert set(found.restarts) == {"one", "two"}
    assert (found.refused, found.begins_anew) == ((), ())


def test_an_actor_that_is_not_durable_begins_anew_where_it_moves_to() -> None:
    found = planned(lambda data: data["actors"]["feed"].update(node="far"))

    assert found.begins_anew == ("feed",)
    assert not found.refused


def test_what_an_actor_has_otherwise_is_told_from_and_to() -> None:
    found = planned(lambda data: data["actors"]["feed"].update(settings={"count": 5}))
    assert found.changes == (Change("changed", "actor", "feed", "settings: {} -> {'count': 5}"),)

    found = planned(lambda data: data["actors"]["sink"].update(inputs=["feed.ticks"]))
    detail = "no longer reads relay.ticks; reads feed.ticks (stream)"
    assert found.changes == (Change("changed", "actor", "sink", detail),)


def test_a_node_that_comes_is_heard_by_all_others() -> None:
    def edit(data: dict[str, Any]) -> None:
        data["nodes"]["more"] = {"host": "more", "port": 7000}
        data["actors"]["other"]["node"] = "more"
        del data["nodes"]["far"]

    found = planned(edit)
    assert {c.name for c in found.changes if c.what == "node"} == {"more", "far"}
    assert set(found.restarts) == {"one", "two", "more"}


def durable_to_another_host(data: dict[str, Any]) -> None:
    data["actors"]["relay"]["node"] = "far"


def no_longer_durable(data: dict[str, Any]) -> None:
    data["actors"]["relay"]["durable"] = "none"


def another_class(data: dict[str, Any]) -> None:
    data["actors"]["sink"]["class"] = "tests.relays:Counter"


def another_scale(data: dict[str, Any]) -> None:
    data["instruments"]["BTCUSDT.SIM"]["qty_scale"] = 6


def another_currency(data: dict[str, Any]) -> None:
    data["currencies"]["BTC"]["scale"] = 9


def another_name(data: dict[str, Any]) -> None:
    data["name"] = "renamed"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (durable_to_another_host, "its journal is on host 'here'"),
        (no_longer_durable, "'relay' would begin anew"),
        (another_class, "'sink' was tests.relays:Sink"),
        (another_scale, "BTCUSDT.SIM: qty_scale: 5 -> 6: scales are for life"),
        (another_currency, "BTC: scale: 8 -> 9: scales are for life"),
        (another_name, "the topology was 'planned'"),
    ],
)
def test_what_would_lose_something_is_refused_with_its_place(
    edit: Callable[[dict[str, Any]], None], said: str
) -> None:
    [finding] = planned(edit).refused

    assert said in finding.message
    assert (finding.file, finding.line > 1) == ("new.yaml", True)


def test_all_losses_are_told_at_once() -> None:
    def edit(data: dict[str, Any]) -> None:
        for one in (durable_to_another_host, another_class, another_scale):
            one(data)

    assert len(planned(edit).refused) == 3


def test_a_durable_actor_that_goes_is_a_warning() -> None:
    found = planned(lambda data: data["actors"].pop("sink"))

    assert not found.refused
    [warning] = found.warnings
    assert "its journal stays, put aside" in warning.message


EDITS = st.fixed_dictionaries(
    {name: st.sampled_from(["one", "two", "far"]) for name in BASE["actors"]}
)


@given(EDITS)
def test_any_moves_are_told_as_exactly_those_moves(places: dict[str, str]) -> None:
    def edit(data: dict[str, Any]) -> None:
        for name, node in places.items():
            data["actors"][name]["node"] = node

    found = planned(edit)
    moved = {name for name, node in places.items() if BASE["actors"][name]["node"] != node}
    assert {(c.kind, c.name) for c in found.changes} == {("moved", name) for name in moved}
    hosts = {name: node["host"] for name, node in BASE["nodes"].items()}
    crossed = {
        name
        for name in moved & {"origin", "relay", "sink"}
        if hosts[BASE["actors"][name]["node"]] != hosts[places[name]]
    }
    assert len(found.refused) == len(crossed)
    assert {BASE["actors"][n]["node"] for n in moved} <= found.restarts.keys()
    assert {places[n] for n in moved} <= found.restarts.keys()


def test_the_command_prints_it_and_refuses_by_its_exit_code(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(TOPOLOGY)
    new.write_text(TOPOLOGY.replace('Sink", node: two', 'Sink", node: one'))
    done = CliRunner().invoke(main, ["plan", str(old), str(new)])
    assert done.exit_code == 0
    assert done.output.split("\n")[0].split() == [">", "actor", "sink", "two", "->", "one"]
    done = CliRunner().invoke(main, ["plan", str(old), str(new), "--json"])
    assert json.loads(done.output)["changes"][0]["kind"] == "moved"
    new.write_text(TOPOLOGY.replace('Sink", node: two', 'Sink", node: far'))
    assert CliRunner().invoke(main, ["plan", str(old), str(new)]).exit_code == 2
    assert CliRunner().invoke(main, ["plan", str(old), str(old)]).output == "nothing changes\n"
