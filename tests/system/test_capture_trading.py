"""The whole chain on recorded depth with a diff taken out: in a gap nobody trades."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

from actors.events.event import Event
from actors.events.market import BookState, BookStateChanged, DepthDiff, DepthSnapshot
from actors.events.orders import (
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    QuoteIntent,
)
from actors.execution import Execution
from actors.model.book import Book
from actors.order_book import OrderBook
from actors.order_management import OrderManagement
from actors.positions import PositionKeeper
from actors.risk import Risk
from actors.runtime.actor import Actor, handles
from actors.strategies.maker import Maker
from actors.strategies.taker import Taker
from actors.testing import SECOND, SystemTest
from gateways.captures import parse_line
from gateways.gateway import Gateway
from gateways.simulated.recorded_exchange import RecordedExchange
from tests.kit.builders import CURRENCIES
from tests.kit.captures import SOURCES, Capture, load, take

pytestmark = pytest.mark.slow

DIFFS = 100
"""Before the place, in the gap, and after the snapshot."""
PLACES = 2
ROUND_TRIP = SECOND // 100
"""A request's way to the venue and the report's way back."""
TRADES: dict[str, tuple[str, str]] = {
    "spot": ("1000", "500"),
    "usdm": ("1000", "500"),
    "coinm": ("0.02", "0.01"),
}
"""What a quote and a trade are worth, in the settle currency."""
ANY = {"*": "1000000000"}
LIMITS = {
    "max_order_qty": ANY,
    "max_order_notional": ANY,
    "max_position": ANY,
    "max_account_position": ANY,
    "max_gross_exposure": ANY,
}

Depth: TypeAlias = DepthSnapshot | DepthDiff


class Replay(Actor):
    """Publishes depth as it was received."""

    outputs = {"depth": (DepthSnapshot, DepthDiff)}
    depth: list[tuple[int, Depth]]

    def source(self) -> Iterator[tuple[int, Event]]:
        return iter(self.depth)

    @handles(DepthSnapshot, DepthDiff)
    def on_depth(self, depth: Depth) -> None:
        self.emit(depth)


def snapshot_of(book: Book, instrument: str) -> DepthSnapshot:
    return DepthSnapshot(
        instrument, book.last_update_id, book.bids.levels(), book.asks.levels(), book.venue_time
    )


def torn_at(capture: Capture, place: int) -> list[tuple[int, Depth]]:
    """Return the depth around a place with the diff there taken out, and a snapshot later."""
    first, mended, last = place - DIFFS, place + DIFFS, place + 2 * DIFFS
    name = capture.instrument.instrument
    book, depth = Book(), list[tuple[int, Depth]]()
    for n, event in enumerate(capture.depth[:last]):
        received = parse_line(name, n + 1, capture.depth_lines[n]).stamp or 0
        if n in (first, mended):
            depth.append((received, snapshot_of(book, name)))
        if n >= first and n != place:
            depth.append((received, event))
        take(book, event)
    return depth


def chain(name: str, depth: list[tuple[int, Depth]]) -> SystemTest:
    quote_amount, trade_amount = TRADES[name]
    latency = {"order_latency": "5ms", "report_latency": "5ms"}
    making = {"quote_amount": quote_amount, "max_position_amount": str(100 * float(quote_amount))}
    taking = {
        "trade_amount": trade_amount,
        "max_position_amount": str(100 * float(trade_amount)),
        "imbalance_pct": 1,
        "cooldown": "500ms",
    }
    system = SystemTest(
        instruments=[SOURCES[name].instrument], currencies=CURRENCIES, start=depth[0][0] - 1
    )

    def add(name: str, actor: type[Actor], *inputs: str, **settings: Any) -> Actor:
        return system.add(name, actor, settings=settings, inputs=inputs)

    replay = add("feed", Replay)
    assert isinstance(replay, Replay)
    replay.depth = depth
    add("market", RecordedExchange, "feed.depth", "gateway.venue", **latency)
    add("gateway", Gateway, "oms.requests", "risk.control", "market.reports", "market.connection")
    add("book", OrderBook, "feed.depth")
    add("maker", Maker, "book.top", "book.state", "positions.positions", **making)
    add("taker", Taker, "book.top", "book.state", "positions.positions", **taking)
    # Execution does not hear the book here: the strategies themselves must withdraw.
    wanted = ("maker.intents", "taker.signals")
    add("execution", Execution, *wanted, "risk.decisions", "oms.requests", "oms.orders")
    facts = ("execution.orders", "oms.orders", "positions.positions")
    add("risk", Risk, *facts, "book.top", "book.state", **LIMITS)
    add("oms", OrderManagement, "risk.decisions", "execution.cancels", "gateway.reports")
    add("positions", PositionKeeper, "oms.orders")
    system.run()
    return system


def decisions(system: SystemTest) -> dict[str, list[int]]:
    """Return when there was a signal, a quote and an approval."""
    quotes = [
        e.time
        for e in system.envelopes("maker.intents")
        if isinstance(e.event, QuoteIntent) and (e.event.bid_qty or e.event.ask_qty)
    ]
    approvals = system.envelopes("risk.decisions")
    return {
        "signals": [e.time for e in system.envelopes("taker.signals")],
        "quotes": quotes,
        "approvals": [e.time for e in approvals if isinstance(e.event, OrderApproved)],
    }


def working_at(system: SystemTest, time: int) -> set[str]:
    """Return the orders that worked at a time, as the OMS knew."""
    working = set()
    for envelope in system.envelopes("oms.orders"):
        event = envelope.event
        if envelope.time > time:
            break
        if isinstance(event, OrderAccepted):
            working.add(event.client_order_id)
        elif isinstance(event, OrderCanceled | OrderExpired) or (
            isinstance(event, OrderFilled) and not event.leaves_qty
        ):
            working.discard(event.client_order_id)
    return working


def places(name: str) -> list[int]:
    rng = random.Random(f"trading {name}")  # noqa: S311 - reproducible on purpose
    capture = load(name)
    within = range(capture.snapshot_at + 1 + DIFFS, len(capture.depth) - 2 * DIFFS)
    return rng.sample(within, PLACES)


@pytest.mark.parametrize("name", SOURCES)
def test_from_a_gap_until_a_snapshot_nobody_trades_and_quotes_are_withdrawn(name: str) -> None:
    for place in places(name):
        depth = torn_at(load(name), place)
        system = chain(name, depth)
        states = system.envelopes("book.state")
        changes = [(e.event.state, e.time) for e in states if isinstance(e.event, BookStateChanged)]
        (before, _), (gap, torn), (after, mended) = changes[-3:]
        made = decisions(system)

        assert (before, gap, after) == (BookState.LIVE, BookState.GAP, BookState.LIVE)
        assert torn == depth[DIFFS + 1][0]
        assert mended - torn > 10 * ROUND_TRIP
        assert {what: [t for t in times if torn <= t < mended] for what, times in made.items()} == {
            "signals": [],
            "quotes": [],
            "approvals": [],
        }
        assert working_at(system, torn - 1)
        assert not working_at(system, torn + 2 * ROUND_TRIP)
        assert not working_at(system, mended - 1)
        for times in made.values():
            assert min(times) < torn
            assert max(times) >= mended
