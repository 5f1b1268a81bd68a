"""Metrics: what Prometheus sees of a node, and when a node is healthy."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from actors.events.accounts import TradingState
from actors.events.durations import SECOND
from actors.events.system import HaltTrading
from actors.runtime.clock import VirtualClock
from actors.runtime.envelope import Envelope
from actors.runtime.journal.data_directory import JOURNALS
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.frames import encode_header
from actors.runtime.journal.writer import Journal
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.halts import Halts
from actors.runtime.node.kill import Kill
from actors.runtime.node.node import Node
from actors.runtime.statistics import ActorRecord, Histogram
from actors.testing import START
from kaiju.monitor.alarms import AlarmCounter
from kaiju.monitor.http_server import NodeServer
from kaiju.monitor.node_metrics import NodeCollector, order_edges
from kaiju.monitor.observer import NodeObserver, NodeView
from kaiju.run.build import compose
from kaiju.run.local import VIRTUAL_START
from tests.kit.failing_disk import trading
from tests.kit.metrics_text import Samples, samples_in, value
from tests.kit.small_system import write_topology
from tests.kit.waiting import PATIENCE
from topology.check.check import check_file


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Node, NodeView]:
    folder = tmp_path_factory.mktemp("metrics")
    file = write_topology(folder)
    file.write_text(file.read_text().partition("  recorder:")[0])
    node = compose(check_file(file), clock=VirtualClock(VIRTUAL_START))
    watch = NodeObserver(node, "small", 20 * SECOND)
    node.run(20 * SECOND)
    return node, watch.observe()


def samples_of(node: Node, view: NodeView | None) -> Samples:
    collector = NodeCollector(order_edges(node))
    collector.view = view
    registry = CollectorRegistry()
    registry.register(collector)
    return samples_in(generate_latest(registry).decode())


def histogram_record(name: str, histogram: Histogram) -> ActorRecord:
    return ActorRecord(
        name=name,
        class_name="A",
        handled=histogram.count,
        failed=0,
        mailbox_depth=0,
        handle=histogram,
        since_arrival=Histogram(),
        order_path=False,
        alive=True,
    )


def changed(view: NodeView, **changes: Any) -> NodeView:
    return replace(view, statistics=msgspec.structs.replace(view.statistics, **changes))


def test_nothing_is_claimed_before_the_first_look(ran: tuple[Node, NodeView]) -> None:
    assert samples_of(ran[0], None) == {}


def test_every_edge_has_its_counters(ran: tuple[Node, NodeView]) -> None:
    node, view = ran
    samples = samples_of(node, view)

    for edge in view.statistics.edges:
        labels = {"stream": edge.stream, "reader": edge.reader}
        assert value(samples, "kaiju_edge_sent_total", **labels) == edge.sent
        assert value(samples, "kaiju_edge_handled_total", **labels) == edge.handled
        assert value(samples, "kaiju_edge_conflated_total", **labels) == edge.conflated
        assert value(samples, "kaiju_edge_queued", **labels) == 0


def test_money_and_positions_are_in_whole_units(ran: tuple[Node, NodeView]) -> None:
    node, view = ran
    samples = samples_of(node, view)
    [(key, pnl)] = view.pnl.items()
    labels = {"strategy": key[0], "instrument": key[1]}

    assert value(samples, "kaiju_position", **labels) == view.positions[key].qty / 10**5
    net = value(samples, "kaiju_pnl", **labels, currency="USDT", part="net")
    assert net == pnl.net / 10**8
    assert abs(net) < 1_000


def test_orders_are_counted_by_strategy_and_state(ran: tuple[Node, NodeView]) -> None:
    node, view = ran
    samples = samples_of(node, view)
    submitted = value(samples, "kaiju_orders_total", strategy="metronome", state="submitted")
    filled = value(samples, "kaiju_orders_total", strategy="metronome", state="filled")

    assert submitted == filled == 80 == view.orders["metronome", "submitted"]


def test_alarms_about_orders_are_counted_by_kind(
    ran: tuple[Node, NodeView], caplog: pytest.LogCaptureFixture
) -> None:
    node, view = ran
    counts = Counter[str]()
    halt = HaltTrading("overfill: 8 + 8 of 10", "oms-0-1", instrument="BTCUSDT.SIM")
    AlarmCounter(counts).perform([Envelope(("oms.requests", 1, 1), None, ("", 0, 0, 0), 0, halt)])

    assert value(samples_of(node, view), "kaiju_order_alarms_total", kind="transition_failed") == 0
    counted = samples_of(node, replace(view, alarms=dict(counts)))
    assert value(counted, "kaiju_order_alarms_total", kind="instrument_halted") == 1
    assert caplog.messages == ["trading in BTCUSDT.SIM is halted: overfill: 8 + 8 of 10"]


def test_a_book_is_in_exactly_one_state(ran: tuple[Node, NodeView]) -> None:
    samples = samples_of(*ran)
    states = {
        dict(labels)["state"]: found
        for (name, labels), found in samples.items()
        if name == "kaiju_book_state"
    }

    assert states == {"EMPTY": 0, "BUFFERING": 0, "LIVE": 1, "STALE": 0, "GAP": 0}
    assert value(samples, "kaiju_book_age_seconds", instrument="BTCUSDT.SIM") >= 0
    assert value(samples, "kaiju_feed_age_seconds", stream="market.depth") >= 0


def test_tick_to_order_is_the_time_until_an_order_reaches_the_gateway(
    ran: tuple[Node, NodeView],
) -> None:
    node, view = ran
    samples = samples_of(node, view)
    orders = {e.stream: e for e in view.statistics.edges if e.reader == "gateway"}["oms.requests"]

    assert order_edges(node) == {("gateway", "oms.requests")}
    count = value(samples, "kaiju_tick_to_order_seconds_count", actor="gateway")
    assert count == orders.since_arrival.count > 0


def test_a_node_that_keeps_nothing_has_no_figures_of_journals(ran: tuple[Node, NodeView]) -> None:
    assert not [name for name, _ in samples_of(*ran) if "journal" in name or "recovery" in name]


def test_a_node_that_is_alone_has_no_figures_of_links(ran: tuple[Node, NodeView]) -> None:
    assert not [name for name, _ in samples_of(*ran) if "link" in name]


def test_journals_and_recovery_have_figures(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    node = trading(tmp_path, clock, Disk(), durable="fsync", ticks=100, slice_steps=16)
    watch = NodeObserver(node, "kept", None)
    node.run()
    samples = samples_of(node, watch.observe())
    size = sum(path.stat().st_size for path in (tmp_path / JOURNALS / "desk").glob("steps-*"))
    header = Journal.reading(tmp_path / JOURNALS / "desk").segments()[0].header

    written = value(samples, "kaiju_journal_bytes_total", actor="desk")
    assert written == size - len(encode_header(header)[0])
    steps = value(samples, "kaiju_journal_steps_total")
    assert steps > 300
    assert value(samples, "kaiju_journal_synced_steps_total") == steps
    assert 1 < value(samples, "kaiju_journal_sync_seconds_count") < steps / 4
    assert value(samples, "kaiju_journal_held_steps") == 0
    assert value(samples, "kaiju_recovery_steps") == 0
    again = trading(tmp_path, clock, Disk(), durable="fsync", ticks=100)
    watch = NodeObserver(again, "kept", None)
    again.run()
    samples = samples_of(again, watch.observe())
    assert value(samples, "kaiju_recovery_seconds") > 0


def test_a_histogram_keeps_its_count_and_its_bounds() -> None:
    node = Node(NodeConfig("alone"))
    histogram = Histogram()
    for nanoseconds in (100, 700, 900, 1_500, 10**12):
        histogram.observe(nanoseconds)
    view = NodeObserver(node, "alone").observe()
    actor = histogram_record("a", histogram)
    samples = samples_of(node, changed(view, actors=(actor,)))

    def below(seconds: str) -> float:
        return value(samples, "kaiju_handle_seconds_bucket", actor="a", le=seconds)

    assert below("5.12e-07") == 1
    assert below("1.024e-06") == 3
    assert below("2.048e-06") == 4
    assert below("+Inf") == value(samples, "kaiju_handle_seconds_count", actor="a") == 5


@pytest.fixture
def server(ran: tuple[Node, NodeView]) -> Iterator[NodeServer]:
    with NodeServer(ran[0]) as served:
        yield served


def get(server: NodeServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{server.address}{path}", timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_server_answers_on_the_loopback(server: NodeServer, ran: tuple[Node, NodeView]) -> None:
    assert server.address.startswith("127.0.0.1:")
    assert get(server, "/healthz") == (503, "starting\n")

    server.show(ran[1])
    status, text = get(server, "/metrics")
    assert status == 200
    assert f"kaiju_steps_total {float(ran[1].statistics.steps)}" in text
    assert "process_resident_memory_bytes" in text
    assert get(server, "/healthz") == (200, "ok\n")
    assert get(server, "/") == (404, "not found\n")


def test_a_halted_node_is_not_healthy(server: NodeServer, ran: tuple[Node, NodeView]) -> None:
    server.show(changed(ran[1], halted="the disk is full"))
    assert get(server, "/healthz") == (503, "trading halted: the disk is full\n")


def test_a_node_of_which_a_part_is_halted_is_healthy_and_says_so(
    server: NodeServer, ran: tuple[Node, NodeView]
) -> None:
    part = "overfill: 8 + 8 of 10 (BTCUSDT.SIM)"
    server.show(changed(ran[1], halted=part, halted_in_part=True))

    assert get(server, "/healthz") == (200, f"degraded: trading halted: {part}\n")


def test_the_trading_state_is_a_level_for_each_thing_that_it_is_about(
    ran: tuple[Node, NodeView],
) -> None:
    node, view = ran
    halts = Halts(lambda _event: None)
    nothing = {"venue": "", "account": "", "instrument": "", "strategy": ""}

    def level(**about: str) -> float:
        shown = samples_of(node, changed(view, halts=halts.records()))
        return value(shown, "kaiju_trading_state", **{**nothing, **about})

    assert level() == 0
    halts.hear("risk", HaltTrading("loss", "risk-0-1", level=TradingState.REDUCING))
    halts.hear("oms", HaltTrading("overfill", "oms-0-1", instrument="BTCUSDT.SIM"))
    assert (level(), level(instrument="BTCUSDT.SIM")) == (2, 3)
    halts.halt("by hand")
    assert level() == 3
    halts.kill(Kill("by hand"))
    assert level() == 4


@pytest.mark.parametrize(("part", "halted"), [(False, 1), (True, 0)])
def test_trading_is_halted_while_all_of_it_or_a_venue_is(
    ran: tuple[Node, NodeView], part: bool, halted: int
) -> None:
    node, view = ran
    shown = samples_of(node, changed(view, halted="overfill", halted_in_part=part))

    assert value(shown, "kaiju_trading_halted") == halted


def test_a_loop_that_does_not_turn_is_not_healthy(
    server: NodeServer, ran: tuple[Node, NodeView], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.show(ran[1])
    monkeypatch.setattr("kaiju.monitor.health.SILENCE", -1)
    assert get(server, "/healthz") == (503, "no turn of the loop for 0 s\n")


def test_a_port_that_is_taken_is_refused(server: NodeServer, ran: tuple[Node, NodeView]) -> None:
    port = int(server.address.partition(":")[2])
    with pytest.raises(OSError, match="in use"):
        NodeServer(ran[0], port=port)


def test_a_view_of_an_idle_node_is_empty() -> None:
    view = NodeObserver(Node(NodeConfig("idle")), "idle").observe()
    assert (view.orders, view.tops, view.pnl, view.progress) == ({}, {}, {}, None)
