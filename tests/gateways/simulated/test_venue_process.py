"""The venue as a process, over real sockets: killed, stopped, spoken to in nonsense, and shared."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.events.event import Event
from actors.events.market import DepthSnapshot, Quote, RequestSnapshot
from actors.events.order_words import ExecType, OrdRejReason
from actors.events.system import (
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    MessageDiscarded,
)
from actors.events.venue import (
    ExecutionReport,
    OrderCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
    OrderStatusRequest,
)
from actors.runtime.actor import Actor
from actors.runtime.clock import LiveClock
from actors.runtime.journal.data_directory import JOURNALS
from actors.runtime.journal.segments import JournalReader
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.testing import Probe
from gateways.simulated.session.client import VenueFeed, VenueGateway
from gateways.simulated.session.messages import (
    ClientAlive,
    Codec,
    Logon,
    LogonAccepted,
    NotConnected,
    NumberedReport,
    SessionEnded,
    SessionRequest,
    Subscribe,
    Subscribed,
    ToVenue,
    VenueAlive,
    encode,
)
from gateways.simulated.session.server_socket import ServerSocketThread
from gateways.sockets import ServerSocket, Wake
from tests.kit.builders import BTCUSDT, ETHUSDT, buy, report_new
from tests.kit.commands import KAIJU
from tests.kit.descriptors import no_descriptors_left
from tests.kit.paths import ROOT
from tests.kit.venue_client import VENUE, RawClient, VenueProcess, market_order, resting_order
from tests.kit.waiting import PATIENCE, until
from topology.check.check import load

pytestmark = pytest.mark.xdist_group("live")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a name that is short enough for a socket in it."""
    path = Path(tempfile.mkdtemp(prefix="kaiju-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def venue(folder: Path, tmp_path: Path) -> Iterator[VenueProcess]:
    with VenueProcess(folder, tmp_path / "venue") as venue:
        yield venue


def execution(client: RawClient) -> ExecutionReport:
    report = client.report().report
    assert isinstance(report, ExecutionReport)
    return report


def until_done(client: RawClient, order_id: str) -> list[NumberedReport]:
    """Return all reports up to the one after which nothing of an order is left.

    At how many prices a market order is filled depends on the moment at which it arrives.
    """
    reports = [client.report()]
    while True:
        report = reports[-1].report
        assert isinstance(report, ExecutionReport)
        if report.client_order_id == order_id and not report.leaves_qty:
            return reports
        reports.append(client.report())


def listed(client: RawClient) -> list[str]:
    client.request(OrderMassStatusRequest("q"))
    while True:
        report = client.report().report
        if isinstance(report, OrderMassStatus):
            return [order.client_order_id for order in report.orders]


def test_orders_sessions_and_reports_survive_that_the_venue_is_killed(venue: VenueProcess) -> None:
    with RawClient(venue.endpoint) as client:
        assert client.log_on().incarnation == 1
        client.request(resting_order("A-1"))
        client.request(market_order("A-2"))
        before = until_done(client, "A-2")
        last = len(before)
        assert [report.number for report in before] == list(range(1, last + 1))

        venue.kill()
        venue.start()
        client.say(ClientAlive())
        client.hear(NotConnected)
        accepted = client.log_on(after=1)
        assert (accepted.incarnation, accepted.last_report) == (2, last)
        assert [client.report() for _ in before[1:]] == before[1:]
        assert listed(client) == ["A-1"]

        client.request(resting_order("A-1"))
        again = execution(client)
        assert (again.exec_type, again.text) == (
            ExecType.REJECTED,
            "duplicate client order id A-1",
        )
        client.request(OrderCancelRequest("A-1", "BTCUSDT.SIM"))
        assert execution(client).exec_type is ExecType.CANCELED
    assert venue.stop() == 0


def test_what_nobody_was_there_to_hear_comes_after_the_next_logon(venue: VenueProcess) -> None:
    with RawClient(venue.endpoint) as client:
        client.log_on()
        client.request(resting_order("A-1"))
        client.report()
        client.request(OrderCancelRequest("A-1", "BTCUSDT.SIM"))
        until(lambda: noted(venue, b"OrderCancelRequest"), "the cancel in the ledger")
    with RawClient(venue.endpoint) as client:
        until(lambda: client.log_on(after=1).last_report == 2, "the cancel's report")
        assert execution(client).exec_type is ExecType.CANCELED


def test_after_a_logon_unknown_means_that_the_order_will_never_arrive(
    venue: VenueProcess,
) -> None:
    with RawClient(venue.endpoint) as old, RawClient(venue.endpoint) as new:
        old.log_on(client="old")
        new.log_on(client="new")
        assert old.hear(SessionEnded).reason == "another process logged on"

        new.request(OrderStatusRequest("A-1", "BTCUSDT.SIM"))
        assert execution(new).ord_rej_reason is OrdRejReason.NEVER_RECEIVED
        old.request(resting_order("A-1"))
        old.hear(NotConnected)
        # Nor does it pass from a connection that the venue knows.
        new.say(SessionRequest("test", 1, 1, resting_order("A-1")))
        assert listed(new) == []
        until(lambda: noted(venue, b"fenced"), "the refusal in the ledger")


def noted(venue: VenueProcess, text: bytes) -> bool:
    """Tell whether a step in the ledger has `text` in it; a header names every class there is."""
    return any(text in body for body in JournalReader(venue.data / JOURNALS / "door").steps())


def test_garbage_is_counted_and_harms_nobody(venue: VenueProcess) -> None:
    numbers = random.Random(7)  # noqa: S311 - nonsense, but the same every time
    with RawClient(venue.endpoint) as client, RawClient(venue.endpoint) as vandal:
        client.log_on()
        for _ in range(2_000):
            vandal.say_frame(numbers.randbytes(numbers.randrange(1, 300)))
        vandal.say_frame(b"\x01" + bytes(5 * 2**20))
        vandal.say_frame(bytes(9 * 2**20))

        client.request(market_order("A-1"))
        assert execution(client).exec_type is ExecType.NEW
        assert execution(client).exec_type is ExecType.TRADE
        until(lambda: "version: " in venue.log.read_text(), "a count of the garbage")
    assert venue.stop() == 0


def test_a_second_venue_neither_takes_the_endpoint_nor_the_ledger(
    venue: VenueProcess, folder: Path
) -> None:
    with RawClient(venue.endpoint) as client:
        client.log_on()
        for data, bind, problem in (
            (folder / "other", venue.endpoint, f"cannot listen on {venue.endpoint}"),
            (venue.data, f"ipc://{folder}/w", "in use by process"),
        ):
            done = subprocess.run(
                [*KAIJU, "venue", "topology/venue.yaml", "--data", data, "--bind", bind],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
        client.log_on()
        client.request(market_order("A-1"))
        assert execution(client).exec_type is ExecType.NEW


def test_whoever_subscribes_gets_market_data_and_signs_of_life(venue: VenueProcess) -> None:
    with RawClient(venue.endpoint) as client:
        client.say(RequestSnapshot("BTCUSDT.SIM"))
        client.hear(NotConnected)
        client.say(Subscribe())
        client.hear(Subscribed)
        client.say(RequestSnapshot("BTCUSDT.SIM"))
        assert client.hear(DepthSnapshot).instrument == "BTCUSDT.SIM"
        client.hear(VenueAlive)


@contextmanager
def running(*actors: tuple[str, type[Actor], dict[str, Any]]) -> Iterator[Node]:
    """Run actors and a probe of all their outputs, live, on a thread of their own."""
    node = Node(
        NodeConfig("client", instruments=[BTCUSDT, ETHUSDT], session="c"), clock=LiveClock()
    )
    for name, actor_class, settings in actors:
        node.add(name, actor_class, settings)
    streams = [stream for stream in node.streams if not stream.endswith(".inbox")]
    node.add("probe", Probe)
    for stream in streams:
        node.connect("probe", stream)
    thread = threading.Thread(target=node.run)
    thread.start()
    try:
        yield node
    finally:
        node.request_stop("the test is over")
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not node.supervisor.failures


def heard(node: Node, stream: str) -> list[Event]:
    """Return what was emitted on a stream so far."""
    probe: Probe.State = node.actors["probe"].state
    return [e.event for e in list(probe.envelopes) if e.id[0] == stream]


def gateway(venue: VenueProcess) -> tuple[str, type[Actor], dict[str, Any]]:
    return "gateway", VenueGateway, {"endpoint": venue.endpoint}


def test_a_gateway_says_when_the_venue_went_and_when_it_is_back(venue: VenueProcess) -> None:
    up, back = ConnectionEstablished("gateway"), ConnectionRestored("gateway")
    lost = ConnectionLost("gateway", "the venue was silent for 2 s")
    with running(gateway(venue)) as node:
        until(lambda: heard(node, "gateway.connection") == [up], "a connection")
        assert venue.process is not None
        venue.process.send_signal(signal.SIGSTOP)
        until(lambda: heard(node, "gateway.connection") == [up, lost], "its loss")
        venue.process.send_signal(signal.SIGCONT)
        until(lambda: heard(node, "gateway.connection") == [up, lost, back], "its return")
        until(lambda: len(heard(node, "gateway.reports")) == 2, "a list of orders each time")


def test_a_feed_asks_for_whole_books_after_each_loss(venue: VenueProcess) -> None:
    def last(event_class: type[Event]) -> Any:
        found = [e for e in heard(node, "feed.connection") if isinstance(e, event_class)]
        return found[-1] if found else None

    def books() -> int:
        depth = heard(node, "feed.depth")
        return sum(isinstance(e, DepthSnapshot) and e.instrument == "BTCUSDT.SIM" for e in depth)

    with running(("feed", VenueFeed, {"endpoint": venue.endpoint})) as node:
        until(books, "a whole book")
        before = books()
        venue.kill()
        until(lambda: last(ConnectionLost), "the loss of the connection")
        venue.start()
        until(lambda: last(ConnectionRestored), "its return")
        until(lambda: books() > before, "another whole book")


def test_of_two_gateways_in_one_session_the_first_stays_out(venue: VenueProcess) -> None:
    with running(gateway(venue)) as first:
        until(lambda: heard(first, "gateway.connection"), "the first connection")
        with running(gateway(venue)) as second:
            until(lambda: heard(second, "gateway.connection"), "the second connection")
            until(lambda: len(heard(first, "gateway.connection")) == 3, "the loss of the first")
            with RawClient(venue.endpoint) as other:
                # By the time of five of its signs of life, a gateway would have logged on again.
                other.say(Subscribe())
                for _ in range(5):
                    other.hear(VenueAlive)
            assert heard(first, "gateway.connection") == [
                ConnectionEstablished("gateway"),
                ConnectionLost("gateway", "another process logged on"),
                ConnectionLost("gateway", "another process has taken the session over", final=True),
            ]
            assert first.halts.reason == (
                "no connection to the venue for good: another process has taken the session over"
            )
            assert heard(second, "gateway.connection") == [ConnectionEstablished("gateway")]


def test_a_gateway_waits_for_a_venue_that_comes_later(folder: Path, tmp_path: Path) -> None:
    late = VenueProcess(folder, tmp_path / "venue")
    with running(gateway(late)) as node, late:
        until(lambda: heard(node, "gateway.connection"), "a connection")


def test_a_gateway_without_descriptors_tries_until_it_has_some(venue: VenueProcess) -> None:
    up, back = ConnectionEstablished("gateway"), ConnectionRestored("gateway")
    lost = ConnectionLost("gateway", "the venue was silent for 2 s")
    with running(gateway(venue)) as node:
        until(lambda: heard(node, "gateway.connection") == [up], "a connection")
        assert venue.process is not None
        with no_descriptors_left():
            venue.process.send_signal(signal.SIGSTOP)
            until(lambda: heard(node, "gateway.connection") == [up, lost], "its loss")
            venue.process.send_signal(signal.SIGCONT)
            [connection] = (t for t in threading.enumerate() if t.name.startswith("gateway "))
            connection.join(1.0)
            assert connection.is_alive()
        until(lambda: heard(node, "gateway.connection") == [up, lost, back], "its return")


class FakeVenue:
    """The venue's end of a socket, of which a test says every frame itself."""

    def __init__(self, folder: Path) -> None:
        self.endpoint = f"ipc://{folder}/v"
        self._wake = Wake()
        self._socket = ServerSocket(self.endpoint, self._wake)
        self._codec = Codec(ToVenue)

    def say(self, peer: bytes, frame: bytes) -> None:
        assert self._socket.send(peer, frame)

    def hear_logon(self) -> tuple[bytes, Logon]:
        """Return who logs on next, and how."""
        while True:
            self._socket.wait(1)
            for peer, frame in self._socket.receive():
                event = self._codec.decode(frame)
                if isinstance(event, Logon):
                    return peer, event

    def close(self) -> None:
        self._socket.close()
        self._wake.close()


def test_a_gateway_outlives_nonsense_and_logs_on_again_when_a_report_is_missing(
    folder: Path,
) -> None:
    venue = FakeVenue(folder)
    with running(("gateway", VenueGateway, {"endpoint": venue.endpoint})) as node:
        peer, first = venue.hear_logon()
        assert (first.again, first.after) == (False, -1)
        venue.say(peer, encode(LogonAccepted(peer, "kaiju", 1, 7, 7)))
        venue.say(peer, b"nonsense")
        venue.say(peer, encode(NumberedReport("kaiju", 8, report_new(buy(1)))))
        venue.say(peer, encode(NumberedReport("kaiju", 10, report_new(buy(1), "E-10"))))

        other, again = venue.hear_logon()
        assert (again.client, again.again, again.after) == (first.client, True, 8)
        assert other != peer
        assert [*map(type, heard(node, "gateway.discarded"))] == [MessageDiscarded]
        assert heard(node, "gateway.reports") == [report_new(buy(1))]
        assert heard(node, "gateway.connection")[1:] == [
            ConnectionLost("gateway", "report 9 is missing, 10 came")
        ]
    venue.close()


def test_a_subscriber_that_takes_nothing_is_dropped_and_the_others_get_everything(
    folder: Path,
) -> None:
    told: list[Event] = []
    server = ServerSocketThread(f"ipc://{folder}/v", told.append)
    server.open()
    with RawClient(server.endpoint) as stuck, RawClient(server.endpoint) as other:
        for client in (stuck, other):
            client.say(Subscribe())
            client.hear(Subscribed)
        for n in range(60):
            server.send(Quote("BTCUSDT.SIM", 1_000 * n + m, 1, 1, 2, 1) for m in range(1_000))
            for m in range(1_000):
                assert other.hear(Quote).update_id == 1_000 * n + m
        stuck.say(ClientAlive())
        stuck.hear(NotConnected)
    server.close()
    assert told == []


def test_an_ipc_endpoint_is_for_its_own_user_alone(folder: Path) -> None:
    wake = Wake()
    socket = ServerSocket(f"ipc://{folder}/v", wake)
    assert (folder / "v").stat().st_mode & 0o777 == 0o600
    socket.close()
    wake.close()


def test_an_ipc_endpoint_is_not_stolen(folder: Path) -> None:
    wake = Wake()
    first = ServerSocket(f"ipc://{folder}/v", wake)
    with pytest.raises(OSError, match=r"cannot listen on ipc://.*Address already in use"):
        ServerSocket(f"ipc://{folder}/v", wake)
    first.close()
    ServerSocket(f"ipc://{folder}/v", wake).close()
    wake.close()


def without(topology: Path, *actors: str) -> dict[str, Any]:
    """Return a topology's content, apart from its name and some of its actors."""
    content = load(topology).model_dump(exclude={"name"})
    return content | {"actors": {k: v for k, v in content["actors"].items() if k not in actors}}


def test_the_live_topology_differs_from_the_other_only_at_the_venue() -> None:
    paper, live = ROOT / "topology" / "paper.yaml", ROOT / "topology" / "paper_live.yaml"
    at_the_venue = ("market", "feed", "book", "gateway")

    assert without(live, *at_the_venue) == without(paper, *at_the_venue)
    assert load(VENUE).instruments == load(paper).instruments
    exchange, market = (load(f).actors[n] for f, n in ((VENUE, "exchange"), (paper, "market")))
    assert exchange.settings == market.settings


def test_a_run_in_virtual_time_cannot_reach_a_venue(tmp_path: Path) -> None:
    done = subprocess.run(
        [*KAIJU, "run", "topology/paper_live.yaml", "--runs", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0
    assert "--live" in done.stderr
