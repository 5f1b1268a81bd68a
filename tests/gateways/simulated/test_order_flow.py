from __future__ import annotations

from collections.abc import Iterator
from random import Random
from statistics import median
from typing import NamedTuple

import pytest
from pydantic import ValidationError

from actors.events.durations import SECOND
from actors.events.market import Side, Trade
from actors.events.order_words import ExecType
from actors.events.reference import Instrument
from actors.events.venue import ExecutionReport
from gateways.simulated.engine.matching_venue import Venue
from gateways.simulated.engine.order_flow import (
    FAIR_SCALE,
    FlowSettings,
    SyntheticFlow,
    synthetic_flow,
)
from gateways.simulated.engine.venue_orders import Listing
from tests.kit.builders import BTCUSDT, ETHUSDT, with_filters
from tests.kit.venue_builders import cancel, executions, limit, market

BITCOIN = {
    "start_price": "60000",
    "spread": "2",
    "depth": "20",
    "min_qty": "0.001",
    "max_qty": "0.5",
}
COIN = with_filters(ETHUSDT, tick_size=5, lot_size=100)
CHEAP = {"start_price": "2", "spread": "0.05", "depth": "0.30", "min_qty": "1", "max_qty": "9"}
TURBULENT = {**BITCOIN, "volatility": "2"}


class Session(NamedTuple):
    venue: Venue
    flow: SyntheticFlow
    rng: Random
    name: str


def open_session(instrument: Instrument, settings: dict[str, str], seed: int) -> Session:
    venue, rng = Venue(), Random(seed)  # noqa: S311 - reproducible on purpose
    venue.list_instrument(Listing(instrument, 20_000, 50_000))
    flow = synthetic_flow(instrument, FlowSettings.model_validate(settings))
    for order in flow.opening(rng):
        venue.arrive(instrument.instrument, order, 0)
    return Session(venue, flow, rng, instrument.instrument)


def arrivals(session: Session, number: int) -> Iterator[tuple[int, list[ExecutionReport], int]]:
    """Let so many arrivals come; yield the time, our reports and the number of trades of each."""
    venue, flow, rng, name = session
    book, now = venue.markets[name].book, 0
    for _ in range(number):
        now += flow.wait(rng)
        arrival = flow.arrive(rng, book)
        if arrival is not None:
            outcome = venue.arrive(name, arrival, now)
            trades = sum(isinstance(event, Trade) for event in outcome.market_data)
            yield now, executions(outcome.reports), trades


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("instrument", "settings"), [(BTCUSDT, BITCOIN), (COIN, CHEAP), (BTCUSDT, TURBULENT)]
)
def test_the_book_stays_two_sided_bounded_and_near_the_fair_value(
    instrument: Instrument, settings: dict[str, str], seed: int
) -> None:
    session = open_session(instrument, settings, seed)
    book, flow = session.venue.markets[session.name].book, session.flow
    spreads, distances, trades = [], [], 0
    for _, _, traded in arrivals(session, 50_000):
        trades += traded
        bid, ask = book.bids.best_px(), book.asks.best_px()
        assert 0 < bid < ask
        assert 20 <= book.bids.orders <= 200
        assert 20 <= book.asks.orders <= 200
        assert bid % instrument.tick_size == ask % instrument.tick_size == 0
        spreads.append(ask - bid)
        distances.append(abs((bid + ask) / 2 - flow.fair / FAIR_SCALE))

    assert trades > 1_000
    assert median(spreads) < 10 * flow.half_spread + flow.depth
    assert median(distances) < flow.depth


def test_the_opening_orders_fill_both_sides_without_a_trade() -> None:
    session = open_session(BTCUSDT, BITCOIN, 1)
    book = session.venue.markets[session.name].book

    assert book.bids.orders == book.asks.orders == 100
    assert session.venue.markets[session.name].trades == 0
    assert 200 <= book.asks.best_px() - book.bids.best_px() < 400


def test_arrivals_come_at_the_rates_that_were_asked_for() -> None:
    session = open_session(BTCUSDT, BITCOIN, 1)
    waits = [session.flow.wait(session.rng) for _ in range(20_000)]

    assert sum(waits) / len(waits) == pytest.approx(SECOND / 96, rel=0.05)


def test_sizes_are_whole_lots_within_the_range() -> None:
    session = open_session(COIN, CHEAP, 1)
    sizes = [order.qty for order in session.flow.opening(session.rng) for _ in range(5)]

    assert all(size % 100 == 0 and 10_000 <= size <= 90_000 for size in sizes)


def test_the_fair_value_moves_with_the_volatility_asked_for() -> None:
    ends = []
    for seed in range(100):
        session = open_session(BTCUSDT, {**BITCOIN, "orders": "4"}, seed)
        start, now = session.flow.fair, 0
        for now, _, _ in arrivals(session, 500):  # noqa: B007 - the last time is what counts
            pass
        years = now / SECOND / (365 * 24 * 3600)
        ends.append(((session.flow.fair - start) / start) ** 2 / years)

    assert (sum(ends) / len(ends)) ** 0.5 == pytest.approx(0.6, rel=0.25)


def test_a_maker_is_filled_by_the_others_and_a_taker_pays_the_spread() -> None:
    session = open_session(BTCUSDT, BITCOIN, 4)
    venue, name = session.venue, session.name
    book, made, paid, quoted = venue.markets[name].book, 0, [], ""
    for number, (now, reports, _) in enumerate(arrivals(session, 20_000)):
        made += sum(r.last_qty for r in reports if r.exec_type is ExecType.TRADE)
        if number % 100 == 0:
            venue.handle(cancel(quoted), now)
            quoted = f"m{number}"
            venue.handle(limit(quoted, Side.BUY, 1_000, book.bids.best_px()), now)
        if number % 1_000 == 0:
            mid = (book.bids.best_px() + book.asks.best_px()) / 2
            _, *fills = executions(venue.handle(market(f"t{number}", Side.BUY, 100), now).reports)
            paid.append(sum(fill.last_px * fill.last_qty for fill in fills) / 100 - mid)

    assert made > 10_000
    assert len(paid) == 20
    assert all(cost > 0 for cost in paid)


def test_the_same_seed_gives_the_same_flow() -> None:
    first, second = (open_session(BTCUSDT, BITCOIN, 5) for _ in range(2))

    assert list(arrivals(first, 2_000)) == list(arrivals(second, 2_000))
    assert first[:2] == second[:2]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"min_qty": "0.6"}, "min_qty was 0.6 and max_qty 0.5, allowed are at least one lot"),
        ({"min_qty": "0.000001"}, "at most 5 decimals"),
        ({"start_price": "1.001"}, "at most 2 decimals"),
    ],
)
def test_settings_that_do_not_fit_the_instrument_are_refused(
    change: dict[str, str], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        open_session(BTCUSDT, {**BITCOIN, **change}, 1)


@pytest.mark.parametrize("change", [{"spread": "0"}, {"limit_rate": "-1"}, {"rate": "1"}])
def test_settings_that_mean_nothing_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        FlowSettings.model_validate({**BITCOIN, **change})
