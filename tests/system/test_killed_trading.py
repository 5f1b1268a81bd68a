"""A run and its venue are killed again and again, and in the end agree on everything.

Both are processes on the machine's clock, with a socket between them. After each kill, every
journal of the dead begins with all that it held after the kill before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.events.venue import OrderCancelRequest
from actors.model.answers import NEVER_RECEIVED
from tests.kit.killable_kaiju import Failpoint
from tests.kit.killed_trading import LONGER_THAN_SILENCE, Trading, emitted
from tests.kit.waiting import until

pytestmark = pytest.mark.xdist_group("live")

KILLS = 50
"""At random, in all lives together."""
SEEDS = (1, 2)


def around(operation: str, *abouts: bytes, number: int = 1) -> list[Failpoint]:
    """Return a failpoint before and one after each; a write is torn as well."""
    moments = ("before", "within", "after") if operation == "write" else ("before", "after")
    return [Failpoint(operation, when, about, number) for about in abouts for when in moments]


TORN = [
    Failpoint("write", "within", b"DepthDiff"),
    *around("truncate", b""),
    Failpoint("create", "after", b"steps-"),
    *around("remove", b"steps-"),
]
"""What one process leaves unfinished, the next one cleans up, and dies."""
DISK = [
    *around("create", b"node.json", b"steps-", b"snapshot-"),
    *around("rename", b"node.json", b"steps-", b"snapshot-"),
    *around("sync_directory", b"journal/"),
    *(point for number in (1, 5, 20) for point in around("sync", b"", number=number)),
    *TORN,
]
OF_THE_RUN = [
    *around("rename", b"run.json"),
    *DISK,
    *around("write", b"LogonAccepted", b"SessionBegan", b"OrderMassStatus"),
    *around("write", b"ReconciliationCompleted", b"OrderSubmitted", b"NewOrderSingle"),
    *around("write", b"ExecutionReport", b"OrderFilled", b"PositionUpdated", b"PnlUpdated"),
    *around("write", b"OrderPendingCancel", b"OrderCancelRequest"),
    *around("send", b"Logon", b"Subscribe", b"RequestSnapshot", b"OrderMassStatusRequest"),
    *around("send", b"NewOrderSingle", b"OrderCancelRequest", b"ReportsHandled"),
    Failpoint("send", "before", b"NewOrderSingle"),  # leaves an order in doubt
    *around("write", b"OrderUnknown"),
    *around("send", b"OrderStatusRequest"),
]
OF_THE_VENUE = [
    *DISK,
    *around("write", b"LogonRequested", b"LogonAccepted", b"SessionRequest", b"NewOrderSingle"),
    *around("write", b"NumberedReport", b"TRADE", b"CANCELED", b"OrderMassStatus"),
    *around("write", b"ReportsHandled"),
    *around("send", b"Subscribed", b"LogonAccepted", b"OrderMassStatus", b"NumberedReport"),
    *around("send", b"TRADE", b"CANCELED", b"DepthSnapshot"),
    Failpoint("write", "before", b"NewOrderSingle"),  # leaves an order in doubt
    *around("send", b"ORDER_STATUS"),
]


@pytest.fixture
def trading(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Trading]:
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="kaiju-") as folder:
        seed = getattr(request, "param", 0)
        with Trading(tmp_path, Path(folder) / "v", seed) as trading:
            yield trading
        print(trading.logs)  # noqa: T201 - seen where the test fails


def test_a_run_killed_around_whatever_it_does_agrees_with_its_venue(trading: Trading) -> None:
    trading.venue.start()
    for failpoint in OF_THE_RUN:
        trading.die_at(trading.run, failpoint)
    trading.run.start()
    trading.await_orders(5)
    trading.stop()

    assert trading.disagreements() == {}


def test_a_venue_killed_around_whatever_it_does_agrees_with_its_run(trading: Trading) -> None:
    trading.run.start()
    for number, failpoint in enumerate(OF_THE_VENUE):
        trading.die_at(trading.venue, failpoint)
        if number % 2:
            trading.restart(trading.run)
    trading.venue.start()
    trading.await_orders(5)
    trading.stop()

    assert trading.disagreements() == {}


@pytest.mark.parametrize("trading", SEEDS, indirect=True)
def test_whoever_is_killed_ledger_orders_and_positions_agree_in_the_end(trading: Trading) -> None:
    trading.venue.start()
    trading.run.start()
    while trading.kills < KILLS // len(SEEDS):
        trading.kill_at_random()
    trading.await_orders(5)
    trading.stop()

    assert trading.disagreements() == {}


def test_whoever_stands_still_for_a_while_trades_on(trading: Trading) -> None:
    trading.venue.start()
    trading.run.start()
    for process in (trading.venue, trading.run):
        trading.await_orders(5)
        process.pause(LONGER_THAN_SILENCE)
    trading.await_orders(5)
    trading.stop()

    assert trading.disagreements() == {}


@pytest.mark.parametrize(
    "failpoint",
    [
        Failpoint("write", "after", b"NewOrderSingle"),
        Failpoint("send", "before", b"NewOrderSingle"),
    ],
    ids=["unsynced", "synced"],
)
def test_an_order_that_was_journaled_and_never_sent_is_rejected_with_that_reason(
    trading: Trading, failpoint: Failpoint
) -> None:
    trading.venue.start()
    trading.die_at(trading.run, failpoint)
    lost = set(trading.sent_orders())
    assert lost
    trading.run.start()
    until(lambda: lost <= trading.rejections().keys(), "the fate of the lost orders")
    trading.await_orders(5)
    trading.stop()

    assert trading.disagreements() == {}
    rejections = trading.rejections()
    assert {order: rejections[order] for order in lost} == dict.fromkeys(lost, NEVER_RECEIVED)
    assert lost.isdisjoint(trading.orders_in_ledger())


def test_a_cancel_that_was_journaled_and_never_sent_is_sent_again(trading: Trading) -> None:
    trading.venue.start()
    trading.die_at(trading.run, Failpoint("send", "before", b"OrderCancelRequest"))
    cancels = emitted(trading.data, "gateway", OrderCancelRequest)
    lost = {cancel.client_order_id for cancel in cancels}
    assert lost - trading.ended_in_ledger()
    trading.run.start()

    until(lambda: lost <= trading.ended_in_ledger(), "the end of the orders")
    trading.await_orders(5)
    trading.stop()

    assert trading.disagreements() == {}
