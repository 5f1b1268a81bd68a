"""Nodes as real processes, linked: nothing is lost, doubled or reordered, whatever happens."""

from __future__ import annotations

import pytest

from tests.linked import LinkedRun, linked, until

KILLS = 5


def finish(run: LinkedRun) -> None:
    """Wait until all is well again, end the run, and look at what everybody was told."""
    until(run.is_live, "live inputs", run.logs)
    steps = run.status("three")["steps"]
    until(lambda: run.status("three").get("steps", 0) > steps + 200, "more events", run.logs)
    run.stop()
    assert run.defects() == []


@pytest.mark.parametrize("tcp", [False, True], ids=["ipc", "tcp"])
def test_undisturbed_nodes_hand_on_every_event(tcp: bool) -> None:
    with linked(tcp=tcp) as run:
        run.start()
        until(run.is_live, "live inputs", run.logs)
        finish(run)
        assert run.resets() == 0


@pytest.mark.parametrize("node", ["one", "two", "three"])
def test_a_node_that_is_killed_again_and_again_takes_nothing_along(node: str) -> None:
    with linked(tcp=node == "two") as run:
        run.start()
        until(run.is_live, "live inputs", run.logs)
        for number in range(KILLS):
            steps = run.status("three").get("steps", 0) if node != "three" else 0
            run.processes[node].kill()
            run.start(node)
            until(lambda: run.is_live(node), f"life after kill {number}", run.logs)
            until(lambda: run.status("three").get("steps", 0) > steps, "events", run.logs)
        finish(run)
        lost = KILLS if node == "one" else 0
        assert run.resets() == lost * 3, "one reset of each reader of the one that lost its state"
