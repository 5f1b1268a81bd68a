"""`kaiju up`: every node of a topology a process of this host, started, watched and stopped."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path
from random import Random
from typing import Any, Literal

import msgspec
import pytest

from actors.runtime.errors import ExitCode
from actors.runtime.journal.data_directory import JOURNALS, NODE_FILE, NodeFile
from actors.runtime.journal.segments import JournalReader
from actors.runtime.node.node import END_OF_DATA
from gateways.sockets import IPC
from kaiju.cluster import child
from kaiju.cluster.backoff import FIRST_DELAY, JITTER, MAX_DEATHS, MAX_DELAY, STEADY, Restarts
from kaiju.cluster.child import end_reason, pending_work
from kaiju.cluster.cluster import UpOptions, up
from kaiju.cluster.layout import UP_FILE, ClusterPlan
from kaiju.journals.verify import verify
from kaiju.monitor.status import LinkStatus, NodeStatus
from tests.kit.node_processes import told as told_of
from tests.kit.running_cluster import ONE, TWO, running, split
from tests.kit.small_system import STUBBORN, write_topology
from tests.kit.statuses import link_status, node_status
from tests.kit.waiting import PATIENCE
from topology.links.endpoints import ENDPOINTS_FILE

pytestmark = pytest.mark.xdist_group("live")

RECORDED = """\
version: 1
name: recorded
nodes: {one: {host: one, port: 7000}, two: {host: two, port: 7100}}
currencies: {}
instruments: {}
actors:
  short: {class: "tests.kit.runtime_actors:Feed", node: one, durable: os, settings: {count: 3}}
  long:  {class: "tests.kit.runtime_actors:Feed", node: two, durable: os, settings: {count: 2000}}
  sink:  {class: "tests.kit.runtime_actors:Sink", node: one, durable: os,
    inputs: [short.ticks, long.ticks]}
"""


def link(kind: Literal["input", "output"], node: str) -> LinkStatus:
    return link_status(kind, node, "a.b", behind=3)


def fresh_restarts() -> Restarts:
    return Restarts(Random(1))  # noqa: S311 - no secret


def test_nodes_trade_with_each_other_until_ctrl_c_and_leave_nothing_open(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        one.start()
        one.until_it_trades()
        found = one.endpoints.nodes[ONE]
        one.signal(signal.SIGINT)
        assert one.wait() == ExitCode.OK, one.said()
    assert one.restarts() == {ONE: 0, TWO: 0}
    assert found.live.startswith(IPC)
    assert not Path(found.live.removeprefix(IPC)).parent.exists()
    assert "nothing queued at the end" in (one.run / "one.log").read_text()
    assert "one | " in one.said()


def test_a_node_that_is_killed_is_started_again_and_the_run_ends_well(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        one.start("--link", "tcp")
        one.until_it_trades()
        assert all(node.key for node in one.endpoints.nodes.values())
        killed = one.pid(ONE)
        os.kill(killed, signal.SIGKILL)
        one.until(lambda: one.pid(ONE) != killed, "second start")
        one.until_it_trades(one.fills() + 1)
        one.signal(signal.SIGTERM)
        assert one.wait() == ExitCode.OK, one.said()
    assert verify(one.run / "small").equal
    assert "one was killed by SIGKILL; it is restarted in 0." in one.said()
    assert one.restarts() == {ONE: 1, TWO: 0}


def test_when_it_is_killed_its_nodes_stop_and_the_run_can_go_on(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        one.start()
        one.until_it_trades()
        left = Path(one.endpoints.nodes[ONE].live.removeprefix(IPC)).parent
        nodes = [os.pidfd_open(one.pid(node)) for node in (ONE, TWO)]
        one.signal(signal.SIGKILL)
        for node in nodes:
            assert select.select([node], [], [], PATIENCE)[0], "a node is still there"
            os.close(node)
        one.wait()
        one.start("--resume", one.run, "--quiet")
        before = one.fills()
        one.until_it_trades(before + 1)
        one.signal(signal.SIGINT)
        assert one.wait() == ExitCode.OK, one.said()
    assert not left.exists()


def test_it_ends_when_its_time_is_up(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        one.start("--for", "1s", "--quiet")
        assert one.wait() == ExitCode.OK, one.said()
    assert one.said() == ""


def test_a_node_that_cannot_run_ends_the_run_at_once_and_with_its_words(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        mistaken = one.runs / "mistaken"
        data = mistaken / "small" / TWO
        data.mkdir(parents=True)
        (data / NODE_FILE).write_bytes(msgspec.json.encode(NodeFile(node="three", session="s")))
        (mistaken / UP_FILE).write_bytes(msgspec.json.encode(ClusterPlan(file=str(one.file))))
        one.start("--resume", mistaken)
        assert one.wait() == ExitCode.MISUSED, one.said()
    assert "two cannot run; the end of" in one.said()
    assert "three" in one.said()
    assert one.restarts() == {ONE: 0, TWO: 0}


def test_a_second_signal_no_longer_waits_for_rest(tmp_path: Path) -> None:
    with running(tmp_path, STUBBORN) as one:
        one.start()
        one.until(lambda: one.status(ONE) is not None, "start")
        one.signal(signal.SIGINT)
        one.until(lambda: one.is_ending(ONE), "news of the end")
        one.signal(signal.SIGINT)
        assert one.wait() == ExitCode.OK, one.said()
    assert "after the end" not in one.said()


def test_a_run_is_nobody_elses_and_a_third_signal_kills_a_node_that_hangs(tmp_path: Path) -> None:
    with running(tmp_path, STUBBORN) as one:
        one.start()
        one.until(lambda: one.status(ONE) is not None, "start")
        command = [*child.KAIJU, "up", "--resume", str(one.run)]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.returncode == ExitCode.MISUSED
        assert "this run is still running, in another process" in refused.stderr
        os.kill(one.pid(ONE), signal.SIGSTOP)
        for seen in ("the run ends", "every node is stopped", "is killed"):
            one.signal(signal.SIGINT)
            one.until(lambda seen=seen: seen in one.said(), seen)  # type: ignore[misc]
        assert one.wait() == ExitCode.FAILED, one.said()


def test_ctrl_c_before_nodes_have_begun_is_no_failure(tmp_path: Path) -> None:
    with running(tmp_path) as one:
        one.start()
        one.until(lambda: any(one.runs.glob(f"*/{ENDPOINTS_FILE}")), "run")
        one.until(lambda: bool(one.pid(ONE)), "process")
        one.signal(signal.SIGINT)
        assert one.wait() == ExitCode.OK, one.said()
    assert "Traceback" not in one.said()


def test_a_node_that_dies_again_and_again_ends_the_run_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(child, "KAIJU", ("/bin/sh", "-c", "echo the spring is broken; exit 1"))
    monkeypatch.setattr("kaiju.cluster.backoff.FIRST_DELAY", 0.001)
    plan = ClusterPlan(file=str(write_topology(tmp_path, STUBBORN)))
    assert up(UpOptions(plan, runs=tmp_path / "runs", quiet=True)) == ExitCode.FAILED
    said = capfd.readouterr().err
    assert f"one died {MAX_DEATHS} times within 60 s" in said
    assert said.endswith("the spring is broken\n")


def test_each_start_after_a_death_waits_twice_as_long_up_to_a_bound() -> None:
    restarts, now, expected = fresh_restarts(), 0.0, FIRST_DELAY
    for _ in range(12):
        now += 10
        delay = restarts.died(now, lived=1)
        assert delay is not None
        assert (1 - JITTER) * expected <= delay <= expected
        expected = min(2 * expected, MAX_DELAY)
    assert restarts.count == 12


def test_a_node_that_lived_for_a_minute_is_started_again_as_after_a_first_death() -> None:
    restarts = fresh_restarts()
    for now in range(MAX_DEATHS - 1):
        assert restarts.died(now, lived=0.5) is not None
    delay = restarts.died(MAX_DEATHS + STEADY, lived=STEADY)
    assert delay is not None
    assert delay <= FIRST_DELAY


def test_eight_deaths_within_a_minute_are_enough() -> None:
    restarts = fresh_restarts()
    delays = [restarts.died(7.0 * n, lived=0.5) for n in range(MAX_DEATHS)]
    assert None not in delays[:-1]
    assert delays[-1] is None


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({}, ""),
        ({"ending": ""}, "it has not heard of the end"),
        ({"busy": True, "queued": 2}, "orders or other business open, 2 events to handle"),
        ({"links": [link("input", ONE)]}, "3 events of a.b on their way from one"),
        ({"links": [link("input", TWO)]}, ""),
        ({"links": [link("output", ONE)]}, ""),
    ],
)
def test_a_node_is_at_rest_once_nothing_is_left_to_do_or_to_come(
    changed: dict[str, Any], left: str
) -> None:
    status = node_status(ONE, **{"ending": "SIGINT", **changed})
    assert pending_work(status, {ONE}) == left
    assert pending_work(None, {ONE}) == "it does not answer"


@pytest.mark.parametrize(
    ("before", "now", "left"),
    [
        ({"queued": 3, "steps": 10}, {"queued": 2, "steps": 13}, ""),
        ({"queued": 0, "steps": 10}, {"queued": 2, "steps": 10}, ""),
        ({"queued": 3, "steps": 10}, {"queued": 3, "steps": 10}, "3 events to handle"),
        ({"queued": 9, "steps": 10}, {"queued": 5, "steps": 14}, "5 events to handle"),
        ({"queued": 3, "steps": 99}, {"queued": 2, "steps": 7}, "2 events to handle"),
    ],
)
def test_what_waited_and_was_handled_since_is_nothing_that_is_left(
    before: dict[str, Any], now: dict[str, Any], left: str
) -> None:
    earlier, later = (node_status(ONE, ending="SIGINT", **each) for each in (before, now))
    assert pending_work(later, {ONE}, earlier) == left


def test_what_was_on_its_way_and_came_since_is_nothing_that_is_left() -> None:
    def at(position: int, behind: int) -> NodeStatus:
        arriving = msgspec.structs.replace(link("input", ONE), position=position, behind=behind)
        return node_status(TWO, ending="SIGINT", links=[arriving])

    assert pending_work(at(13, 4), {ONE}, at(10, 3)) == ""
    left = "4 events of a.b on their way from one"
    assert pending_work(at(12, 4), {ONE}, at(10, 3)) == left


def says(node: str, ending: str = "", *, has_data: bool = False) -> NodeStatus:
    return node_status(node, ending=ending, has_data=has_data)


@pytest.mark.parametrize(
    ("statuses", "end"),
    [
        ([says(ONE), says(TWO)], ""),
        ([says(ONE, END_OF_DATA), says(TWO)], "one: end of data"),
        ([says(ONE, END_OF_DATA), says(TWO, has_data=True)], ""),
        ([says(ONE, END_OF_DATA), None], ""),
        ([says(ONE, "SIGINT"), says(TWO, has_data=True)], "one: SIGINT"),
    ],
)
def test_a_run_ends_when_no_node_has_more_data_or_somebody_ends_a_node(
    statuses: list[NodeStatus | None], end: str
) -> None:
    assert end_reason(statuses) == end


def test_a_run_ends_by_itself_when_the_longest_data_is_at_its_end(tmp_path: Path) -> None:
    with running(tmp_path, RECORDED) as one:
        one.start("--fast")
        assert one.wait() == ExitCode.OK, one.said()
    assert "end of data" in one.said()
    journal = JournalReader(one.run / "recorded" / JOURNALS / "sink")
    told = [seq for kind, _, seq in told_of(journal, "long.ticks") if kind == "event"]
    assert told == list(range(1, 2001))


def test_a_mistake_in_the_topology_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with running(tmp_path, split().replace("actors.risk:Risk", "actors.risk:Rask")) as one:
        one.start()
        assert one.wait() == ExitCode.MISUSED
    assert "Risk" in one.said()
    assert not one.runs.exists()
