"""Nodes as real processes, linked: nothing is lost, doubled or reordered, whatever happens."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import permutations

import pytest

from kaiju.journals.state import state_of
from tests.kit.network_faults import enter, mistreat_frames, queue_frames, two_hosts, why_no_hosts
from tests.kit.node_processes import TOPOLOGY, LinkedRun, linked
from tests.kit.waiting import until

pytestmark = pytest.mark.xdist_group("live")

TIMES = int(os.environ.get("FAULTS", "5"))
"""How often each fault befalls a run; `make faults` has it twenty times."""
CUTS = (0.2, 4.0, 0.2, 4.0, 0.2, 4.0, 30.0)
"""Seconds for which two hosts are cut off from each other."""
BUSY = TOPOLOGY.replace("interval: 2000000", "interval: 400000")
MISSED = 3_000
"""Events in whose time a stopped reader's queues are full, its own and the kernel's."""
MAX_GROWTH = 8 * 2**20
"""Bytes by which a publisher may grow from the first reader that is stopped to the last."""


def finish(run: LinkedRun) -> None:
    """Wait until all is well again, end the run, and look at what everybody was told."""
    until(run.is_live, "live inputs", run.logs)
    run.until_emitted("relay.ticks", run.emitted("relay.ticks") + 100)
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
        for number in range(TIMES):
            emitted = run.emitted("relay.ticks")
            run.processes[node].kill()
            run.start(node)
            until(lambda: run.is_live(node), f"life after kill {number}", run.logs)
            run.until_emitted("relay.ticks", emitted + 1)
            if node == "one":
                for reader in ("two", "three"):
                    run.until_count("resets", reader, "loose.ticks", number + 1)
        finish(run)
        lost = TIMES if node == "one" else 0
        assert run.resets() == lost * 3, "one reset of each reader of the one that lost its state"


def test_a_reader_that_is_stopped_past_the_high_water_mark_costs_the_others_nothing() -> None:
    preludes = {node: partial(queue_frames, 500) for node in ("one", "two", "three")}
    with linked(BUSY, preludes=preludes) as run:
        run.start()
        until(run.is_live, "live inputs", run.logs)
        other, before = (run.known_link(node, "kept.ticks") for node in ("two", "three"))
        needed = []
        for number in range(TIMES):
            emitted = run.emitted("kept.ticks")
            run.processes["three"].signal(signal.SIGSTOP)
            run.until_emitted("kept.ticks", emitted + MISSED)
            run.processes["three"].signal(signal.SIGCONT)
            until(partial(has_read, run, emitted + MISSED), f"the end of stop {number}", run.logs)
            until(run.is_live, f"life after stop {number}", run.logs)
            needed.append(run.processes["one"].resident)
        assert needed[-1] - needed[0] < MAX_GROWTH, needed
        after = run.known_link("two", "kept.ticks")
        assert (after.gaps, after.resumes) == (other.gaps, other.resumes)
        # On a busy machine a frame has several events, and the queues of one stop may hold them.
        assert run.known_link("three", "kept.ticks").resumes > before.resumes
        finish(run)
        assert run.resets() <= TIMES, "only of the stream that is not durable"


def has_read(run: LinkedRun, count: int) -> bool:
    return run.known_link("three", "kept.ticks").position > count


def test_a_node_that_joins_late_is_given_everything_that_was_kept_for_it() -> None:
    with linked() as run:
        run.start("one", "two")
        run.until_emitted("relay.ticks", 500)
        run.start("three")
        finish(run)
        assert run.resets() == 0


@pytest.mark.parametrize("seed", range(2))
def test_frames_that_are_lost_doubled_late_and_damaged_make_no_difference(seed: int) -> None:
    preludes = {node: partial(mistreat_frames, seed) for node in ("one", "two", "three")}
    with linked(tcp=seed == 0, preludes=preludes) as run:
        run.start()
        run.until_count("gaps", "three", "relay.ticks", 10)
        assert run.known_link("three", "kept.ticks").repeated > 0
        finish(run)
        assert run.resets() == 0


NO_HOSTS = why_no_hosts()


def go_through_cuts(number: int, ways: Sequence[int]) -> None:
    with two_hosts(number) as hosts:
        places = {"one": 0, "two": 1, "three": 1}
        with linked(
            tcp=True,
            hosts={n: (hosts.addresses[p], hosts.seen_from_here[p]) for n, p in places.items()},
            preludes={node: partial(enter, hosts.names[place]) for node, place in places.items()},
        ) as run:
            run.start()
            until(run.is_live, "live inputs", run.logs)
            for seconds in CUTS:
                hosts.cut(*ways)
                time.sleep(seconds)
                hosts.mend(*ways)
                until(run.is_live, f"life after a cut of {seconds} s", run.logs)
            finish(run)
            assert run.resets() == 0


@pytest.fixture(scope="module", autouse=True)
def cuts() -> Iterator[list[Future[None]]]:
    """Begin all cuts with the first test here: most of their time is waiting."""
    with ThreadPoolExecutor(3) as pool:
        ways = () if NO_HOSTS else ((0,), (1,), (0, 1))
        yield [pool.submit(go_through_cuts, number, way) for number, way in enumerate(ways)]


FOUR_NODES = """\
version: 1
name: four
nodes:
  a: {host: a, port: 7000}
  b: {host: b, port: 7100}
  c: {host: c, port: 7200}
  d: {host: d, port: 7300}
currencies: {}
instruments: {}
actors:
  feed: {class: "tests.kit.runtime_actors:Feed", node: a, durable: os, settings: {count: 300}}
  heard: {class: "tests.kit.runtime_actors:Counter", node: a, durable: os, inputs: [second.ticks]}
  first: {class: "tests.kit.runtime_actors:Relay", node: b, durable: os, inputs: [feed.ticks]}
  second: {class: "tests.kit.runtime_actors:Relay", node: c, durable: os, inputs: [first.ticks]}
  last: {class: "tests.kit.runtime_actors:Counter", node: d, durable: os,
    inputs: [second.ticks, feed.ticks]}
"""


def end_of(order: Sequence[str]) -> dict[str, object]:
    """Start four nodes one after the other, and return what their actors know in the end."""
    with linked(FOUR_NODES) as run:
        for node in order:
            run.start(node)
            until(lambda n=node: run.status(n) is not None, f"sign of {node}", run.logs)  # type: ignore[misc]
        run.until_emitted("second.ticks", 300)
        run.stop()
        assert run.defects() == []
        actors = run.checked.topology.actors
        return {actor: state_of(run.data / "four", actor, None)["state"] for actor in actors}


def test_four_nodes_end_in_the_same_state_in_whatever_order_they_are_started() -> None:
    orders = list(permutations("abcd"))
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(end_of, orders))

    assert ends[0]["last"] == {"ticks": 600, "resets": 0}
    assert all(end == ends[0] for end in ends)


@pytest.mark.skipif(bool(NO_HOSTS), reason=NO_HOSTS)
def test_hosts_that_are_cut_off_one_way_or_both_have_lost_nothing_in_the_end(
    cuts: list[Future[None]],
) -> None:
    assert [done.result() for done in cuts] == [None, None, None]
