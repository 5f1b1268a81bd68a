"""The emergency connection: it ends a session for its owner, and leaves nothing open."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.events.order_words import ExecType
from actors.events.venue import ExecutionReport
from gateways.simulated.session.client import VenueGateway
from gateways.simulated.session.emergency import VenueEmergency
from gateways.simulated.session.messages import NotConnected, SessionEnded
from tests.kit.killed_trading import Accounts
from tests.kit.venue_client import RawClient, VenueProcess, resting_order
from tests.kit.waiting import PATIENCE

pytestmark = pytest.mark.xdist_group("live")


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="kaiju-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def venue(folder: Path, tmp_path: Path) -> Iterator[VenueProcess]:
    with VenueProcess(folder, tmp_path / "venue") as venue:
        yield venue


def ledger(venue: VenueProcess) -> Accounts:
    return Accounts(venue.data, venue.data)


def test_all_orders_are_canceled_and_who_had_the_session_has_it_no_more(
    venue: VenueProcess,
) -> None:
    with RawClient(venue.endpoint) as client:
        client.log_on()
        for number in range(5):
            client.request(resting_order(f"A-{number}"))
            client.report()
        assert len(ledger(venue).open_in_ledger()) == 5
        assert VenueEmergency(venue.endpoint, "test").cancel_all(PATIENCE) == ""

        assert ledger(venue).open_in_ledger() == set()
        assert client.hear(SessionEnded).reason == "another process logged on"
        client.request(resting_order("late"))
        client.hear(NotConnected)
    assert "late" not in ledger(venue).orders_in_ledger()
    assert venue.stop() == 0


def test_the_reports_are_kept_for_the_gateway(venue: VenueProcess) -> None:
    with RawClient(venue.endpoint) as client:
        client.log_on()
        client.request(resting_order("A-1"))
        client.report()
    assert VenueEmergency(venue.endpoint, "test").cancel_all(PATIENCE) == ""
    with RawClient(venue.endpoint) as client:
        client.log_on(after=1)
        report = client.report().report
        assert isinstance(report, ExecutionReport)
        assert (report.client_order_id, report.exec_type) == ("A-1", ExecType.CANCELED)
    assert venue.stop() == 0


def test_a_venue_that_is_not_there_verifies_nothing(folder: Path) -> None:
    settings = VenueGateway.Settings(endpoint=f"ipc://{folder}/nobody", venue_session="test")

    assert VenueGateway.emergency(settings).cancel_all(0.2) == (
        "the venue did not accept the logon within 0.2 s"
    )
