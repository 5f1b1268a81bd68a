"""An actor is moved between running nodes: those that `kaiju plan` names are started again."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.kit.node_processes import TOPOLOGY, LinkedRun, linked
from tests.kit.waiting import until
from topology.check.check import CheckedTopology, check_file
from topology.plan.plan import plan

pytestmark = pytest.mark.xdist_group("live")

FOUR = TOPOLOGY.replace("}\ncurrencies", "}\n  four: {host: four, port: 7300}\ncurrencies") + (
    '  apart:   {class: "tests.kit.runtime_actors:Counter", node: four, durable: os,\n'
    "    inputs: [kept.ticks]}\n"
)
FOUR = FOUR.replace("{host: ", "{machine: here, host: ")
"""With a node that has nothing to do with the actor that moves."""
RELAY = '  relay:   {class: "tests.kit.runtime_actors:Relay", node: '


def begin(run: LinkedRun) -> None:
    run.start()
    until(run.is_live, "live nodes", run.logs)
    run.until_emitted("relay.ticks", 100)


def move_relay(run: LinkedRun) -> CheckedTopology:
    """Edit the file, and return what it was before."""
    before = run.checked
    run.file.write_text(FOUR.replace(f"{RELAY}two", f"{RELAY}one"))
    run.checked = check_file(run.file)
    return before


def restart(run: LinkedRun, nodes: Iterable[str]) -> None:
    named = list(nodes)
    assert {run.processes[node].stop() for node in named} == {0}
    run.start(*named)


def test_nodes_that_the_plan_names_are_started_again_and_nothing_is_lost() -> None:
    with linked(FOUR) as run:
        begin(run)
        found = plan(move_relay(run), run.checked)
        assert (set(found.restarts), found.refused) == ({"one", "two", "three"}, ())
        restart(run, found.restarts)

        until(run.is_live, "live nodes", run.logs)
        run.until_emitted("relay.ticks", run.emitted("relay.ticks") + 200)
        run.stop()
        assert run.defects() == []


def test_a_node_that_asks_the_old_place_halts_so_the_plan_is_right_to_name_it() -> None:
    with linked(FOUR) as run:
        begin(run)
        restart(run, plan(move_relay(run), run.checked).restarts.keys() - {"three"})

        until(lambda: bool(run.known_status("three").halted), "a halt", run.logs)
        assert "relay.ticks is not given to node 'three'" in run.known_status("three").halted
