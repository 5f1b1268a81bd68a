"""A venue that asks for a token: who does not have it, gets nothing and disturbs nobody."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.events.event import Event
from actors.events.order_words import ExecType
from actors.events.venue import ExecutionReport
from actors.runtime.clock import LiveClock
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from gateways.simulated.session.client import VenueFeed, VenueGateway
from gateways.simulated.session.emergency import VenueEmergency
from gateways.simulated.session.messages import (
    Logon,
    LogonRefused,
    NotConnected,
    SessionEnded,
    Subscribe,
    Subscribed,
)
from gateways.simulated.session.server_socket import LogonRequested, ServerSocketThread
from tests.kit.builders import BTCUSDT
from tests.kit.commands import KAIJU, kaiju
from tests.kit.node_processes import free_port
from tests.kit.paths import ROOT
from tests.kit.venue_client import VENUE, RawClient, VenueProcess, resting_order
from tests.kit.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("live")

RIGHT = "right-horse-battery-staple"
WRONG = "wrong-horse-battery-staple"


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="kaiju-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def token_file(folder: Path) -> Path:
    assert kaiju("keys", VENUE, "--dir", folder, "--token").exit_code == 0
    return folder / "venue.token"


@pytest.fixture
def token(token_file: Path) -> str:
    return token_file.read_text().strip()


@pytest.fixture
def venue(folder: Path, tmp_path: Path, token_file: Path) -> Iterator[VenueProcess]:
    with VenueProcess(folder, tmp_path / "venue", token=token_file) as venue:
        yield venue


def test_a_token_is_made_once_and_for_its_owner_alone(folder: Path, token_file: Path) -> None:
    before = token_file.read_bytes()
    again = kaiju("keys", VENUE, "--dir", folder, "--token")
    assert "already there" in again.output
    assert token_file.read_bytes() == before
    assert token_file.stat().st_mode & 0o777 == 0o600
    assert len(before.strip()) == 64


def test_a_logon_without_the_token_does_not_reach_the_venues_actor() -> None:
    told: list[Event] = []
    server = ServerSocketThread(f"tcp://127.0.0.1:{free_port()}", told.append, RIGHT)
    server.open()
    try:
        with RawClient(server.endpoint) as stranger, RawClient(server.endpoint) as client:
            stranger.say(Logon("kaiju", "stranger", again=False, after=-1, token=WRONG))
            stranger.hear(LogonRefused, patience=5.0)
            client.say(Logon("kaiju", "client", again=False, after=-1, token=RIGHT))
            until(lambda: logons(told), "a logon")
    finally:
        server.close()
    [logon] = logons(told)
    assert (logon.client, logon.token) == ("client", "")


def logons(told: list[Event]) -> list[Logon]:
    return [event.logon for event in told if isinstance(event, LogonRequested)]


@pytest.mark.parametrize(("found", "why"), [("", "asks for a token"), (WRONG, "not this venue's")])
def test_a_stranger_neither_takes_a_session_nor_gets_market_data(
    venue: VenueProcess, token: str, found: str, why: str
) -> None:
    with RawClient(venue.endpoint) as owner, RawClient(venue.endpoint) as stranger:
        owner.log_on(session="kaiju", token=token)
        stranger.say(Logon("kaiju", "stranger", again=False, after=-1, token=found))
        refused = stranger.hear(LogonRefused)
        assert (refused.final, why in refused.reason) == (True, True)
        stranger.say(Subscribe(token=found))
        assert why in stranger.hear(LogonRefused).reason
        stranger.session, stranger.incarnation = "kaiju", owner.incarnation
        stranger.request(resting_order("S-1"))
        stranger.hear(NotConnected)

        owner.request(resting_order("A-1"))
        report = owner.report().report
        assert isinstance(report, ExecutionReport)
        assert (report.client_order_id, report.exec_type) == ("A-1", ExecType.NEW)
        with pytest.raises(AssertionError, match="no SessionEnded"):
            owner.hear(SessionEnded, patience=0.5)
    until(lambda: "unauthorized: " in venue.log.read_text(), "a count of strangers")


def test_who_has_the_token_trades_and_gets_market_data(venue: VenueProcess, token: str) -> None:
    with RawClient(venue.endpoint) as client:
        client.log_on(token=token)
        client.say(Subscribe(token=token))
        client.hear(Subscribed)


def test_the_token_is_in_no_journal_and_no_log(venue: VenueProcess, token: str) -> None:
    with RawClient(venue.endpoint) as client, RawClient(venue.endpoint) as stranger:
        client.log_on(token=token)
        stranger.say(Subscribe(token=WRONG))
        stranger.hear(LogonRefused)
    assert venue.stop() == 0
    files = [path for path in venue.data.rglob("*") if path.is_file()]
    for path in (*files, venue.log):
        content = path.read_bytes()
        assert token.encode() not in content, path
        assert WRONG.encode() not in content, path


def test_a_node_trades_with_the_token_and_halts_for_good_without_it(
    venue: VenueProcess, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENUE_TOKEN", WRONG)
    right = {"endpoint": venue.endpoint, "token_file": token_file}
    wrong = {"endpoint": venue.endpoint, "token_env": "VENUE_TOKEN"}
    node = Node(NodeConfig("client", instruments=[BTCUSDT], session="c"), clock=LiveClock())
    for name, settings in (("good", right), ("bad", wrong)):
        node.add(name, VenueGateway, {**settings, "venue_session": name})
        node.add(f"{name}_feed", VenueFeed, settings)
    thread = threading.Thread(target=node.run)
    thread.start()
    try:
        until(lambda: node.halts.reason, "a halt")
        until(
            lambda: all(actor.snapshot("connection") for actor in node.actors.values()),
            "connections and refusals",
        )
    finally:
        node.request_stop("the test is over")
        thread.join(PATIENCE)
    reason = "the token is not this venue's"
    assert node.halts.reason == f"no connection to the venue for good: {reason}"
    for name, lost in (("good", False), ("good_feed", False), ("bad", True), ("bad_feed", True)):
        [news] = node.actors[name].snapshot("connection")
        assert getattr(news, "final", False) == lost


def test_an_emergency_has_the_token_as_well(venue: VenueProcess, token: str) -> None:
    assert VenueEmergency(venue.endpoint, "kaiju", lambda: token).cancel_all(PATIENCE) == ""
    refused = VenueEmergency(venue.endpoint, "kaiju", lambda: WRONG).cancel_all(PATIENCE)
    assert "the token is not this venue's" in refused


@pytest.mark.parametrize("command", ["venue", "run"])
def test_an_address_that_others_can_reach_needs_a_token(tmp_path: Path, command: str) -> None:
    if command == "venue":
        endpoint = f"tcp://0.0.0.0:{free_port()}"
        arguments: list[str | Path] = [
            "venue",
            VENUE,
            "--data",
            tmp_path / "venue",
            "--bind",
            endpoint,
        ]
    else:
        endpoint = "tcp://10.0.0.7:7100"
        file = tmp_path / "live.yaml"
        text = (ROOT / "topology" / "paper_live.yaml").read_text()
        file.write_text(text.replace("tcp://127.0.0.1:7100", endpoint))
        arguments = ["run", file, "--live", "--runs", tmp_path]
    done = subprocess.run(
        [*KAIJU, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert f"was {endpoint}, which others than this host can reach" in done.stderr
    assert not (tmp_path / "venue").exists()
