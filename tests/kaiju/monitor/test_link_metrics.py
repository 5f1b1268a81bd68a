"""Metrics of links: what Prometheus sees of nodes that are linked is what they say themselves."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest
import zmq
from msgspec.structs import replace

from actors.events.durations import MILLISECOND
from kaiju.cluster.top import draw
from kaiju.monitor.status import NodeStatus
from tests.kit.metrics_text import Samples, samples_in, value
from tests.kit.node_processes import LinkedRun, linked
from tests.kit.runtime_actors import Tick
from tests.kit.simulated_network import Log
from tests.kit.waiting import PATIENCE, until
from topology.links.frame import EventDecoder, LinkFrame, encode_frame, read_frame
from topology.links.messages import Resumed
from topology.links.subscription import State, StreamSubscription

pytestmark = pytest.mark.xdist_group("live")

TOPOLOGY = """\
version: 1
name: linked
nodes:
  one: {host: one, port: 7000}
  two: {host: two, port: 7100}
currencies: {}
instruments: {}
actors:
  kept:    {class: "tests.kit.runtime_actors:Clockwork", node: one, durable: os,
    settings: {interval: 2000000}}
  loose:   {class: "tests.kit.runtime_actors:Clockwork", node: one, settings: {interval: 3000000}}
  reader:
    class: tests.kit.runtime_actors:Counter
    node: two
    durable: os
    inputs: [kept.ticks, loose.ticks]
"""
COUNTS = ("gaps", "repeated", "resumes", "malformed")


@pytest.fixture(scope="module")
def run() -> Iterator[LinkedRun]:
    """Return two nodes of which one was killed and has come again."""
    with linked(TOPOLOGY) as found:
        found.start()
        until(found.is_live, "live inputs", found.logs)
        found.processes["one"].kill()
        found.start("one")
        found.until_count("resets", "two", "loose.ticks", 1)
        until(found.is_live, "live inputs", found.logs)
        yield found


def page(run: LinkedRun, node: str) -> Samples:
    host, port = run.endpoints.http(node)
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=PATIENCE) as answer:
        return samples_in(answer.read().decode())


def look(run: LinkedRun, node: str) -> tuple[NodeStatus, Samples]:
    """Return what a node says of itself, and its metrics, both of the same moment."""
    pages: list[tuple[NodeStatus, Samples]] = []

    def of_one_moment() -> bool:
        pages.append((run.known_status(node), page(run, node)))
        status, samples = pages[-1]
        return bool(status.clock / 10**9 == value(samples, "kaiju_clock_seconds"))

    until(of_one_moment, "two pages of one moment", run.logs)
    return pages[-1]


@pytest.mark.parametrize("node", ["one", "two"])
def test_the_figures_of_each_stream_are_those_of_the_status(run: LinkedRun, node: str) -> None:
    status, samples = look(run, node)

    assert status.links
    for link in status.links:
        place = {"peer": link.node, "stream": link.stream}
        states = {
            state: value(samples, "kaiju_link_state", kind=link.kind, **place, state=state)
            for state in State
        }
        assert states == {state: state == link.state for state in State}
        behind = value(samples, "kaiju_link_behind", kind=link.kind, **place)
        assert behind == link.behind
        if link.kind == "input":
            for name in COUNTS:
                assert value(samples, f"kaiju_link_{name}_total", **place) == getattr(link, name), (
                    name
                )
            durable = "yes" if link.durable else "no"
            resets = value(samples, "kaiju_link_resets_total", **place, durable=durable)
            assert resets == link.resets


def test_what_is_counted_of_a_whole_node_is_that_of_its_status(run: LinkedRun) -> None:
    status, samples = look(run, "two")
    counts = status.link_counts
    assert counts is not None

    assert value(samples, "kaiju_link_unsent_total") == counts.unsent
    for what, count in counts.refused.items():
        assert value(samples, "kaiju_link_refused_total", what=what) == count
    for peer, count in counts.malformed.items():
        assert value(samples, "kaiju_link_malformed_total", peer=peer, stream="") == count
    for peer, count in counts.redials.items():
        assert value(samples, "kaiju_link_redials_total", peer=peer) == count
    assert counts.redials.keys() == {"one"}


def test_a_durable_stream_goes_on_after_a_kill_and_another_one_is_reset(run: LinkedRun) -> None:
    samples = page(run, "two")

    def resets(stream: str, durable: str) -> float:
        labels = {"peer": "one", "stream": stream, "durable": durable}
        return value(samples, "kaiju_link_resets_total", **labels)

    assert (resets("kept.ticks", "yes"), resets("loose.ticks", "no")) == (0, 1)
    assert value(samples, "kaiju_link_resumes_total", peer="one", stream="kept.ticks") > 1


def test_the_delay_of_frames_is_measured_between_nodes(run: LinkedRun) -> None:
    samples, place = page(run, "two"), {"peer": "one", "stream": "kept.ticks"}
    count = value(samples, "kaiju_link_delay_seconds_count", **place)

    assert count > 0
    assert 0 < value(samples, "kaiju_link_delay_seconds_sum", **place) / count < 1
    assert 0 < run.known_link("two", "kept.ticks").delay_p50 < 10**9


def test_what_strangers_want_and_what_nobody_can_read_is_counted(run: LinkedRun) -> None:
    live, recovery, _ = run.endpoints.of("one")
    with (
        zmq.Context() as context,
        context.socket(zmq.SUB) as sub,
        context.socket(zmq.DEALER) as ask,
    ):
        sub.connect(live)
        sub.subscribe(b"all that there is")
        ask.connect(recovery)
        ask.send(b"nonsense")

        def counted() -> bool:
            counts = run.known_status("one").link_counts
            assert counts is not None
            return bool(counts.refused["subscription"] and counts.malformed[""])

        until(counted, "count", run.logs)
        context.destroy(linger=0)
    samples = page(run, "one")
    assert value(samples, "kaiju_link_malformed_total", peer="", stream="") == 1
    assert value(samples, "kaiju_link_refused_total", what="subscription") == 1


def test_top_says_what_went_wrong_on_links(run: LinkedRun) -> None:
    status = run.known_status("one")
    assert status.link_counts is not None
    counts = replace(status.link_counts, redials={"two": 3, "three": 4}, unsent=1)
    [nodes, *_] = draw({"one": replace(status, link_counts=counts)}, {}, 0).renderables
    [said] = nodes.columns[-1].cells  # type: ignore[union-attr]

    assert str(said).endswith("7 redials, 1 unsent")


def test_only_frames_that_say_when_they_left_have_a_delay() -> None:
    reader = StreamSubscription("kept.ticks", EventDecoder([Tick]), epoch=1)
    reader.connected(1, 1, 0)
    reader.resumed(Resumed("kept.ticks", 1, 1, reader._request), 0)
    log = Log("kept.ticks", durable=True)
    log.emit(3, 0)

    def frame(seq: int, sent: int) -> LinkFrame:
        return read_frame(encode_frame(log.name, 1, seq, sent, log.events[seq - 1 : seq]))

    reader.frame(frame(1, sent=5 * MILLISECOND), 7 * MILLISECOND)
    reader.frame(frame(1, sent=5 * MILLISECOND), 9 * MILLISECOND)  # once more
    assert (reader.delay.count, reader.delay.total) == (1, 2 * MILLISECOND)

    reader.frame(frame(2, sent=0), 9 * MILLISECOND)
    assert reader.delay.count == 1

    reader.frame(frame(3, sent=10 * MILLISECOND), 9 * MILLISECOND)  # its clock is ahead of ours
    assert (reader.delay.count, reader.delay.total) == (2, 2 * MILLISECOND)
