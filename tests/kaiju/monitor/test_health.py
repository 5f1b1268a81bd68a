"""When a node is healthy and ready: a node that cannot trade does not look well."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from actors.events.durations import SECOND
from actors.events.event import Event
from actors.events.system import ConnectionEstablished, ConnectionLost, ConnectionRestored
from actors.runtime.envelope import Envelope
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.statistics import SurroundingsRecord
from gateways.simulated.session.client import VenueGateway
from kaiju.monitor.health import SILENCE, unhealthy, unready
from kaiju.monitor.node_metrics import NodeCollector
from kaiju.monitor.observer import NodeObserver, NodeView
from kaiju.monitor.venues import VenueFollower
from tests.kit.commands import run
from tests.kit.metrics_text import samples_in, value
from tests.kit.paths import TOPOLOGIES

ENDPOINT = "tcp://127.0.0.1:7100"
LOST = ConnectionLost("gateway", "the venue was silent for 2 s")
TAKEN = ConnectionLost("gateway", "another process has taken the session over", final=True)


@pytest.fixture
def view() -> NodeView:
    return NodeObserver(Node(NodeConfig("one")), "small").observe()


def after(view: NodeView, *news: Event, ago: int = 0) -> NodeView:
    """Return a node whose gateway heard this of its venue, the last of it so long ago."""
    follower = VenueFollower("gateway", ENDPOINT)
    for n, event in enumerate(news, 1):
        follower.perform([Envelope(("g", 1, n), None, ("g", 1, n, 0), 0, event)])
    found = follower.view._replace(since=time.monotonic_ns() - ago)
    return replaced(view, venues=(found,))


def replaced(view: NodeView, **changes: Any) -> NodeView:
    return type(view)(**{**vars(view), **changes})


def with_surroundings(view: NodeView, **changes: int) -> NodeView:
    around = msgspec.structs.replace(SurroundingsRecord(1, 0, 10, 5, 0), **changes)
    statistics = msgspec.structs.replace(view.statistics, surroundings=around)
    return replaced(view, statistics=statistics)


def health(view: NodeView) -> tuple[str, str]:
    return unhealthy(view, time.monotonic_ns()), unready(view)


def test_a_node_without_venues_is_healthy_and_ready(view: NodeView) -> None:
    assert health(view) == ("", "")


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        ((), "never reached"),
        ((ConnectionEstablished("gateway"), LOST), "the venue was silent for 2 s"),
    ],
)
def test_a_node_without_its_venue_is_not_ready_and_soon_not_healthy(
    view: NodeView, news: tuple[Event, ...], reason: str
) -> None:
    problem = f"gateway is not connected to {ENDPOINT}: {reason}"
    assert health(after(view, *news)) == ("", problem)
    assert health(after(view, *news, ago=SILENCE + SECOND)) == (problem, problem)


def test_a_gateway_that_can_never_log_on_again_is_unhealthy_at_once(view: NodeView) -> None:
    up = ConnectionEstablished("gateway")
    problem = f"gateway is not connected to {ENDPOINT} for good: {TAKEN.reason}"
    assert health(after(view, up, TAKEN)) == (problem, problem)
    assert health(after(view, up, TAKEN, ConnectionRestored("gateway"))) == ("", "")


def test_a_disk_that_will_be_full_and_a_wrong_clock_are_no_readiness(view: NodeView) -> None:
    assert health(with_surroundings(view)) == ("", "")
    low = "the disk is nearly full: 4 bytes, min_free is 5"
    assert health(with_surroundings(view, disk_free=4)) == ("", low)
    ahead = "the clock is 864000 s ahead of the machine's"
    assert health(with_surroundings(view, clock_ahead=864_000 * SECOND)) == ("", ahead)


def test_metrics_have_the_venue_the_disk_the_clock_and_the_limit(view: NodeView) -> None:
    collector = NodeCollector(frozenset())
    collector.view = after(with_surroundings(view, clock_ahead=2 * SECOND, memory_limit=7), LOST)
    registry = CollectorRegistry()
    registry.register(collector)
    samples = samples_in(generate_latest(registry).decode())

    assert value(samples, "kaiju_venue_connected", actor="gateway", endpoint=ENDPOINT) == 0
    assert value(samples, "kaiju_clock_ahead_seconds") == 2
    assert value(samples, "kaiju_memory_limit_bytes") == 7
    assert value(samples, "kaiju_disk_free_bytes") == 10
    assert value(samples, "kaiju_disk_min_free_bytes") == 5


def test_the_venues_of_a_node_are_those_of_its_gateways_over_a_network() -> None:
    node = Node(NodeConfig("one"))
    node.add("gateway", VenueGateway, {"endpoint": ENDPOINT})
    [venue] = NodeObserver(node, "small").observe().venues
    assert (venue.actor, venue.endpoint, venue.up, venue.reached) == (
        "gateway", ENDPOINT, False, False,
    )  # fmt: skip


@pytest.mark.xdist_group("live")
def test_a_run_that_never_reached_its_venue_says_so_and_exits_with_1(tmp_path: Path) -> None:
    file = tmp_path / "live.yaml"
    text = (TOPOLOGIES / "paper_live.yaml").read_text()
    file.write_text(text.replace("tcp://127.0.0.1:7100", f"ipc://{tmp_path}/nobody"))
    result, _ = run(file, "--live", "--for", "1s")

    assert result.exit_code == 1
    for actor in ("feed", "gateway"):
        said = f"{actor}: the venue at ipc://{tmp_path}/nobody was never reached"
        assert said in result.stderr
