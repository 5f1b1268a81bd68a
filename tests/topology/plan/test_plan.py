"""`kaiju plan`: what an edit of a topology means, and what of it would lose something."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.kit import commands
from tests.kit.paths import ROOT
from topology.check.check import CheckedTopology, check_file
from topology.config.findings import TopologyError
from topology.plan.changes import Change
from topology.plan.fingerprint import digest_of
from topology.plan.plan import Plan, plan
from topology.plan.restarts import Reading

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
  feed: {class: "tests.kit.runtime_actors:Feed", node: one}
  origin: {class: "tests.kit.runtime_actors:Feed", node: one, durable: os}
  relay: {class: "tests.kit.runtime_actors:Relay", node: one, durable: os, inputs: [origin.ticks]}
  sink: {class: "tests.kit.runtime_actors:Sink", node: two, durable: os, inputs: [relay.ticks]}
  other: {class: "tests.kit.runtime_actors:Sink", node: far, inputs: [relay.ticks, feed.ticks]}
"""
BASE: dict[str, Any] = YAML(typ="safe").load(TOPOLOGY)


def checked(data: dict[str, Any], name: str = "new.yaml") -> CheckedTopology:
    text = StringIO()
    YAML().dump(data, text)
    return check_file(Path(name), text=text.getvalue())


def planned(edit: Callable[[dict[str, Any]], object]) -> Plan:
    data = deepcopy(BASE)
    edit(data)
    return plan(checked(BASE, "old.yaml"), checked(data))


def test_the_same_file_changes_nothing() -> None:
    assert planned(lambda _data: None).empty


@pytest.mark.parametrize("file", ["paper", "paper_live", "compose", "venue"])
def test_the_shipped_topologies_do_not_differ_from_themselves(file: str) -> None:
    path = ROOT / "topology" / f"{file}.yaml"
    assert plan(check_file(path), check_file(path)).empty


def test_an_actor_that_comes_restarts_its_node_and_that_of_whom_it_reads() -> None:
    new = {"class": "tests.kit.runtime_actors:Sink", "node": "two", "inputs": ["feed.ticks"]}
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
    assert set(found.restarts) == {"one", "two", "far"}
    assert "relay.ticks: relay moved" in found.restarts["far"]
    assert not found.refused


@pytest.mark.parametrize(
    "edit",
    [{"node": "two"}, {"durable": "fsync"}, {"class": "tests.kit.runtime_actors:OrderPathRelay"}],
)
def test_nodes_that_read_an_actor_restart_when_it_lives_elsewhere_or_is_another(
    edit: dict[str, str],
) -> None:
    """See that nobody asks the old place, or expects what it said before."""
    found = planned(lambda data: data["actors"]["relay"].update(edit))
    assert any(why.startswith("relay.ticks: relay ") for why in found.restarts["far"])


def test_settings_of_a_publisher_concern_its_own_node_alone() -> None:
    found = planned(lambda data: data["actors"]["feed"].update(settings={"count": 5}))
    assert set(found.restarts) == {"one"}


def test_an_actor_that_is_not_durable_begins_anew_where_it_moves_to() -> None:
    found = planned(lambda data: data["actors"]["feed"].update(node="far"))

    assert found.begins_anew == ("feed", "other")  # `other` lives where it moves to
    assert not found.refused


def test_what_an_actor_has_otherwise_is_told_from_and_to() -> None:
    found = planned(lambda data: data["actors"]["feed"].update(settings={"count": 5}))
    assert found.changes == (Change("changed", "actor", "feed", "settings: {} -> {'count': 5}"),)

    found = planned(lambda data: data["actors"]["sink"].update(inputs=["feed.ticks"]))
    detail = "no longer reads relay.ticks (stream); reads feed.ticks (stream)"
    assert found.changes == (Change("changed", "actor", "sink", detail),)


def test_a_node_that_comes_is_heard_by_all_others() -> None:
    def edit(data: dict[str, Any]) -> None:
        data["nodes"]["more"] = {"host": "more", "port": 7000}
        data["actors"]["other"]["node"] = "more"
        del data["nodes"]["far"]

    found = planned(edit)
    assert {c.name for c in found.changes if c.what == "node"} == {"more", "far"}
    assert set(found.restarts) == {"one", "two", "more"}


def test_a_node_that_goes_is_no_longer_waited_for() -> None:
    def edit(data: dict[str, Any]) -> None:
        del data["nodes"]["far"]
        del data["actors"]["other"]

    found = planned(edit)
    assert {(c.kind, c.what, c.name) for c in found.changes} == {
        ("removed", "node", "far"),
        ("removed", "actor", "other"),
    }
    assert set(found.restarts) == {"one", "two"}


def test_who_keeps_nothing_begins_anew_wherever_its_node_restarts() -> None:
    found = planned(lambda data: data["actors"]["sink"].update(accepts={"venue": "SIM"}))
    assert (set(found.restarts), found.begins_anew) == ({"two"}, ())

    found = planned(lambda data: data["actors"]["origin"].update(settings={"count": 5}))
    assert (set(found.restarts), found.begins_anew) == ({"one"}, ("feed",))

    found = planned(lambda data: data["actors"]["feed"].update(durable="os"))
    assert "feed" in found.begins_anew


def test_how_much_is_kept_of_journals_concerns_all_nodes() -> None:
    found = planned(lambda data: data.update(journal={"keep_bytes": 4096}))

    [change] = found.changes
    assert change == Change("changed", "journal", "", "keep_bytes: 1073741824 -> 4096")
    assert set(found.restarts) == {"one", "two", "far"}


def test_who_is_served_first_on_a_node_is_told() -> None:
    def edit(data: dict[str, Any]) -> None:
        data["actors"]["feed"] = data["actors"].pop("feed")

    found = planned(edit)
    detail = "feed, origin, relay -> origin, relay, feed"
    assert found.changes == (Change("changed", "order", "one", detail),)
    assert set(found.restarts) == {"one"}


def test_nodes_with_one_machine_take_over_from_each_other_whatever_their_hosts() -> None:
    def on_one_machine(data: dict[str, Any]) -> dict[str, Any]:
        found = deepcopy(data)
        for node in found["nodes"].values():
            node["machine"] = "desk"
        return found

    edited = deepcopy(BASE)
    durable_to_another_host(edited)
    found = plan(checked(on_one_machine(BASE), "old.yaml"), checked(on_one_machine(edited)))
    assert not found.refused
    assert found.changes == (Change("moved", "actor", "relay", "one -> far"),)


def test_what_the_guide_of_the_containers_moves_can_be_moved() -> None:
    path = ROOT / "topology" / "compose.yaml"
    before, _, behind = path.read_text().partition("  taker:\n")
    text = f"{before}  taker:\n{behind.replace('node: core', 'node: md', 1)}"
    found = plan(check_file(path), check_file(path, text=text))

    assert found.changes == (Change("moved", "actor", "taker", "core -> md"),)
    assert (set(found.restarts), found.refused, found.begins_anew) == ({"md", "core"}, (), ())


def durable_to_another_host(data: dict[str, Any]) -> None:
    data["actors"]["relay"]["node"] = "far"


def no_longer_durable(data: dict[str, Any]) -> None:
    data["actors"]["relay"]["durable"] = "none"


def another_class(data: dict[str, Any]) -> None:
    data["actors"]["sink"]["class"] = "tests.kit.runtime_actors:Counter"


def another_scale(data: dict[str, Any]) -> None:
    data["instruments"]["BTCUSDT.SIM"]["qty_scale"] = 6


def another_currency(data: dict[str, Any]) -> None:
    data["currencies"]["BTC"]["scale"] = 9


def another_name(data: dict[str, Any]) -> None:
    data["name"] = "renamed"


def another_kind_of_contract(data: dict[str, Any]) -> None:
    data["instruments"]["BTCUSDT.SIM"] |= {"contract": "inverse"}


def node_on_another_machine(data: dict[str, Any]) -> None:
    data["nodes"]["two"]["host"] = "elsewhere"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (another_kind_of_contract, "BTCUSDT.SIM: contract: linear -> inverse"),
        (node_on_another_machine, "'sink' is durable, and its journal is on machine 'here'"),
        (durable_to_another_host, "its journal is on machine 'here'"),
        (no_longer_durable, "'relay' would begin from nothing"),
        (another_class, "'sink' was tests.kit.runtime_actors:Sink"),
        (another_scale, "BTCUSDT.SIM: qty_scale: 5 -> 6: this can never change"),
        (another_currency, "BTC: scale: 8 -> 9: this can never change"),
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


def test_mistakes_of_both_files_are_told_at_once() -> None:
    bad = deepcopy(BASE)
    bad["actors"]["sink"]["node"] = "nowhere"
    with pytest.raises(TopologyError) as caught:
        plan(checked(bad, "old.yaml"), checked(bad, "new.yaml"))
    assert {finding.file for finding in caught.value.findings.all} == {"old.yaml", "new.yaml"}


def test_a_durable_actor_that_goes_is_a_warning() -> None:
    found = planned(lambda data: data["actors"].pop("sink"))

    assert not found.refused
    [warning] = found.warnings
    assert "its journal is put aside" in warning.message


EDITS = st.fixed_dictionaries(
    {name: st.sampled_from(["one", "two", "far"]) for name in BASE["actors"]}
)


@pytest.mark.slow
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


def moved(data: dict[str, Any], actor: str, node: str) -> None:
    data["actors"][actor]["node"] = node


def set_to(key: str, value: Any) -> Callable[[dict[str, Any], str, str], None]:
    def edit(data: dict[str, Any], actor: str, _node: str) -> None:
        data["actors"][actor][key] = value

    return edit


def put_last(data: dict[str, Any], actor: str, _node: str) -> None:
    data["actors"][actor] = data["actors"].pop(actor)


def added(data: dict[str, Any], actor: str, node: str) -> None:
    data["actors"][f"{actor}_more"] = {
        "class": "tests.kit.runtime_actors:Sink",
        "node": node,
        "inputs": ["relay.ticks"],
    }


def at_another_port(data: dict[str, Any], _actor: str, node: str) -> None:
    data["nodes"][node]["port"] += 300


KINDS = [
    *(moved, put_last, added, at_another_port),
    *(set_to("accepts", {"venue": "SIM"}), set_to("durable", "fsync"), set_to("settings", {})),
]
ANY_EDITS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from([*BASE["actors"]]),
        st.sampled_from([*BASE["nodes"]]),
    ),
    max_size=3,
)


@pytest.mark.slow
@given(ANY_EDITS)
def test_exactly_the_nodes_that_hold_something_else_restart(
    edits: list[tuple[Callable[[dict[str, Any], str, str], None], str, str]],
) -> None:
    """See that the plan and the labels of the containers say the same."""
    data = deepcopy(BASE)
    for edit, actor, node in edits:
        edit(data, actor, node)
    old, new = checked(BASE, "old.yaml"), checked(data)
    assume(not new.findings.errors)

    differ = {node for node in new.topology.nodes if digest_of(old, node) != digest_of(new, node)}
    assert set(plan(old, new).restarts) == differ


def test_the_command_prints_it_and_refuses_by_its_exit_code(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(TOPOLOGY)
    new.write_text(TOPOLOGY.replace('Sink", node: two', 'Sink", node: one'))
    done = commands.kaiju("plan", old, new)
    assert done.exit_code == 0
    assert done.output.split("\n")[0].split() == [">", "actor", "sink", "two", "->", "one"]
    done = commands.kaiju("plan", old, new, "--json")
    assert json.loads(done.output)["changes"][0]["kind"] == "moved"
    new.write_text(TOPOLOGY.replace('Sink", node: two', 'Sink", node: far'))
    assert commands.kaiju("plan", old, new).exit_code == 2
    assert commands.kaiju("plan", old, old).output == "nothing changes\n"
