"""Seeded order flow of background traders around a drifting fair value.

Limit orders, market orders and cancels arrive as Poisson processes. Limit orders are placed around
the fair value; as it moves, stale quotes are traded through or canceled, and the book follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from random import Random
from typing import Annotated

import msgspec
from pydantic import Field

from actors.events.durations import SECOND
from actors.events.market import Side
from actors.events.reference import Instrument, from_units
from actors.runtime.settings import Amount, Settings, misfit
from gateways.simulated.engine.limit_order_book import BookSide, LimitOrderBook, PriceLevel
from gateways.simulated.engine.matching_venue import BackgroundCancel, BackgroundOrder

YEAR = 365 * 24 * 3600
FAIR_SCALE = 10**6
"""The fair value is kept in millionths of a price unit: most moves are far below one unit."""
STEP_SCALE = 10**12

Positive = Annotated[Amount, Field(gt=0)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FlowSettings(Settings):
    """The background traders of one instrument; prices and quantities are its decimals."""

    start_price: Positive
    """Fair value at the start."""
    spread: Positive
    """Distance between the innermost background bids and asks, at least two ticks."""
    depth: Positive
    """Mean distance of resting orders from the innermost price of their side."""
    min_qty: Positive
    max_qty: Positive
    volatility: Annotated[Amount, Field(ge=0)] = Amount("0.6")
    """Volatility of the fair value per year: 0.6 is 60 %."""
    limit_rate: Rate = 50.0
    """Limit orders per second, both sides together."""
    market_rate: Rate = 6.0
    cancel_rate: Rate = 40.0
    orders: Annotated[int, Field(ge=4)] = 100
    """Orders per side at the start; later about half to twice as many."""


class SyntheticFlow(msgspec.Struct):
    """The background traders of one instrument, in price and quantity units."""

    tick_size: int
    lot_size: int
    half_spread: int
    depth: int
    min_lots: int
    more_lots: int
    """Difference between the largest and the smallest order, in lots."""
    orders: int
    limit_rate: float
    market_rate: float
    cancel_rate: float
    step: int
    """Move of the fair value per arrival, in units of ``1 / STEP_SCALE`` of itself."""
    fair: int
    """Fair value in units of ``1 / FAIR_SCALE`` of a price unit."""

    def wait(self, rng: Random) -> int:
        """Return the nanoseconds until the next arrival, at least 1."""
        rate = self.limit_rate + self.market_rate + self.cancel_rate
        return int(rng.expovariate(rate) * SECOND) + 1

    def opening(self, rng: Random) -> list[BackgroundOrder]:
        """Return the orders that fill an empty book; none of them crosses another."""
        return [
            self._limit_order(rng, side)
            for _ in range(self.orders)
            for side in (Side.BUY, Side.SELL)
        ]

    def arrive(
        self, rng: Random, book: LimitOrderBook
    ) -> BackgroundOrder | BackgroundCancel | None:
        """Move the fair value, and return the next order or cancel; None if there is none."""
        move = self.fair * self.step // STEP_SCALE
        self.fair += move if rng.getrandbits(1) else -move
        side = Side.BUY if rng.getrandbits(1) else Side.SELL
        for thin in (side, Side(-side)):
            if 2 * book.side(thin).orders < self.orders:
                return self._limit_order(rng, thin)
        kind = rng.random() * (self.limit_rate + self.market_rate + self.cancel_rate)
        if kind < self.limit_rate:
            return self._place(rng, book.side(side), side)
        if kind < self.limit_rate + self.market_rate:
            return BackgroundOrder(side, self._qty(rng))
        return self._withdraw(rng, book.side(side))

    def _place(
        self, rng: Random, queue: BookSide, side: Side
    ) -> BackgroundOrder | BackgroundCancel | None:
        if queue.orders < 2 * self.orders:
            return self._limit_order(rng, side)
        return _newest_background(queue.levels[queue.keys[0]])

    def _withdraw(self, rng: Random, queue: BookSide) -> BackgroundCancel | None:
        best = queue.keys[-1]
        # A quote on the wrong side of the fair value loses money, so it is canceled first.
        if best * FAIR_SCALE > queue.sign * self.fair:
            return _newest_background(queue.levels[best])
        key = queue.keys[int(rng.random() * len(queue.keys))]
        return _newest_background(queue.levels[key])

    def _limit_order(self, rng: Random, side: Side) -> BackgroundOrder:
        offset = self.half_spread + int(rng.expovariate(1 / self.depth))
        tick = self.tick_size
        if side == Side.BUY:
            px = (self.fair // FAIR_SCALE - offset) // tick * tick
        else:
            px = -((-self.fair // FAIR_SCALE - offset) // tick) * tick
        return BackgroundOrder(side, self._qty(rng), max(px, tick))

    def _qty(self, rng: Random) -> int:
        # Squared, so that small orders are more frequent than large ones.
        return (self.min_lots + int(rng.random() ** 2 * (self.more_lots + 1))) * self.lot_size


def flow_mistakes(instrument: Instrument, settings: FlowSettings) -> Iterator[tuple[str, str]]:
    """Yield (key, message) of each setting that does not fit the instrument."""
    scales = dict.fromkeys(("start_price", "spread", "depth"), instrument.price_scale)
    scales |= dict.fromkeys(("min_qty", "max_qty"), instrument.qty_scale)
    found = {key: misfit(getattr(settings, key), scale) for key, scale in scales.items()}
    yield from ((key, message) for key, message in found.items() if message)
    lot = from_units(instrument.lot_size, instrument.qty_scale)
    if not (found["min_qty"] or lot <= settings.min_qty <= settings.max_qty):
        allowed = f"one lot to max_qty: {lot:f} to {settings.max_qty:f}"
        yield "min_qty", f"was {settings.min_qty:f}, allowed are {allowed}"


def synthetic_flow(instrument: Instrument, settings: FlowSettings) -> SyntheticFlow:
    """Return the background traders that `settings` describe, at their start.

    Raises:
        ValueError: a price or quantity has more decimals than the instrument, the smallest
            quantity is less than a lot or the largest less than the smallest.
    """
    tick, lot = instrument.tick_size, instrument.lot_size
    smallest, largest = instrument.qty(settings.min_qty), instrument.qty(settings.max_qty)
    if not lot <= smallest <= largest:
        raise ValueError(
            f"flow of {instrument.instrument}: min_qty was {settings.min_qty} and max_qty "
            f"{settings.max_qty}, allowed are at least one lot and min_qty <= max_qty"
        )
    rate = settings.limit_rate + settings.market_rate + settings.cancel_rate
    return SyntheticFlow(
        tick_size=tick,
        lot_size=lot,
        half_spread=max(instrument.price(settings.spread) // 2, tick),
        depth=instrument.price(settings.depth),
        min_lots=-(-smallest // lot),
        more_lots=largest // lot + smallest // -lot,
        orders=settings.orders,
        limit_rate=settings.limit_rate,
        market_rate=settings.market_rate,
        cancel_rate=settings.cancel_rate,
        step=round(float(settings.volatility) / sqrt(YEAR * rate) * STEP_SCALE),
        fair=instrument.price(settings.start_price) * FAIR_SCALE,
    )


def _newest_background(level: PriceLevel) -> BackgroundCancel | None:
    for order in reversed(level.orders.values()):
        if not order.client_order_id:
            return BackgroundCancel(order.order_id)
    return None
