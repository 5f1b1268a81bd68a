"""The whole path on recorded data: each quote to the exchange, the strategy, risk and PnL.

Every hundredth quote makes the strategy trade at market, buying and selling in turn: signal,
execution, risk, order management, gateway, exchange, and back to positions and PnL.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from actors.events.event import Event
from actors.events.market import Quote, Side, TopOfBook
from actors.events.orders import Signal
from actors.execution import Execution
from actors.order_management import OrderManagement
from actors.pnl import ProfitAndLoss
from actors.positions import PositionKeeper
from actors.risk import Risk
from actors.runtime.actor import Actor, handles
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from bench.recorded import (
    ABSENT,
    BTC,
    BTCUSDT,
    FILES,
    ORDER_QTY,
    QUOTES_PER_ORDER,
    TAKER_FEE,
    USDT,
    looped_quotes,
)
from bench.rounds import Contestant, Figures, Results, run_rounds, write_raw
from bench.table import Row, figure, our_figure
from gateways.gateway import Gateway
from gateways.simulated.recorded_exchange import RecordedExchange

ROUNDS = 3
OURS, METERED, NAUTILUS = "kaiju", "kaiju, metrics on", "NautilusTrader"
AIM = 1.5
TASK = "path"
QTY = BTCUSDT.qty(ORDER_QTY)

WIRING: Mapping[str, tuple[str, ...]] = {
    "market": ("feed.quotes", "gateway.venue"),
    "strategy": ("feed.quotes",),
    "execution": ("strategy.signals", "risk.decisions", "oms.requests", "oms.orders"),
    "risk": ("execution.orders", "oms.orders", "positions.positions", "pnl.pnl"),
    "oms": ("risk.decisions", "execution.cancels", "gateway.reports"),
    "gateway": ("oms.requests", "risk.control", "market.reports", "market.connection"),
    "positions": ("oms.orders",),
    "pnl": ("positions.positions",),
}
LATEST = ("risk", "pnl")
"""Readers of the newest top, as in topology/recorded.yaml."""


class QuoteFeed(Actor):
    """Emit quotes that were read beforehand, and what they say of the top of the book."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "quotes": (Quote,),
        "top": (TopOfBook,),
    }
    quotes: ClassVar[list[tuple[int, Event]]] = []

    @handles(Quote)
    def on_quote(self, quote: Quote) -> None:
        """Pass on."""
        self.emit(quote)
        self.emit(
            TopOfBook(
                quote.instrument,
                quote.update_id,
                quote.bid_px,
                quote.bid_qty,
                quote.ask_px,
                quote.ask_qty,
                quote.venue_time,
            )
        )

    def source(self) -> Iterator[tuple[int, Event]]:
        """Return the quotes at their times."""
        return iter(self.quotes)


class Alternating(Actor):
    """Trade on every so many-th quote, buying and selling in turn."""

    class Settings(Actor.Settings):
        """How often."""

        quotes_per_order: int = QUOTES_PER_ORDER

    class State(msgspec.Struct):
        """How many quotes came, and which side is next."""

        quotes: int = 0
        side: Side = Side.BUY

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"signals": (Signal,)}
    settings: Alternating.Settings
    state: State

    @handles(Quote)
    def on_quote(self, quote: Quote) -> None:
        """Count, and trade when it is time."""
        state = self.state
        state.quotes += 1
        if state.quotes % self.settings.quotes_per_order == 0:
            self.emit(Signal(self.name, quote.instrument, state.side, QTY))
            state.side = Side.SELL if state.side is Side.BUY else Side.BUY


Actors = Mapping[str, tuple[type[Actor], Mapping[str, Any]]]

ACTORS: Actors = {
    "feed": (QuoteFeed, {}),
    "market": (RecordedExchange, {"taker_fee": TAKER_FEE}),
    "strategy": (Alternating, {}),
    "execution": (Execution, {}),
    "risk": (Risk, {}),
    "oms": (OrderManagement, {}),
    "gateway": (Gateway, {}),
    "positions": (PositionKeeper, {}),
    "pnl": (ProfitAndLoss, {}),
}


def trading_node(actors: Actors, durable: Collection[str] = (), **node: Any) -> Node:
    """Return a node with these actors, some of them `os`, wired as the whole path."""
    path = Node(NodeConfig("path", instruments=[BTCUSDT], currencies=[USDT, BTC], **node))
    for name, (actor_class, settings) in actors.items():
        path.add(name, actor_class, settings, durable="os" if name in durable else "none")
    for reader, streams in WIRING.items():
        for stream in streams:
            path.connect(reader, stream)
    for reader in LATEST:
        path.connect(reader, "feed.top", "latest")
    return path


def measure(*, metrics: bool) -> Figures:
    """Return quotes a second, and how many orders and fills there were."""
    QuoteFeed.quotes = [
        (moment, replace(quote, venue_time=moment)) for moment, quote in looped_quotes()
    ]
    node = trading_node(ACTORS, metrics=metrics)
    began = time.perf_counter()
    node.run()
    took = time.perf_counter() - began
    assert not node.supervisor.failures, node.supervisor.failures
    desk = node.actors["market"].state.venue.desk
    position = node.actors["positions"].state.positions["strategy"][BTCUSDT.instrument]
    return {
        "per_second": len(QuoteFeed.quotes) / took,
        "quotes": len(QuoteFeed.quotes),
        "orders": desk.order_ids,
        "fills": node.actors["positions"].context.inputs[0].handled,
        "fees": position.fees["USDT"] / 10**8,
        "steps": node.loop.steps,
    }


def contestants() -> list[Contestant]:
    """Return all that is measured in a round; nothing where there are no recordings."""
    if not FILES:
        return []
    return [
        Contestant(OURS, TASK, "bench.path", "measure", {"metrics": False}),
        Contestant(NAUTILUS, TASK, "bench.peers.nautilus_backtest", "measure"),
        Contestant(METERED, TASK, "bench.path", "measure", {"metrics": True}),
    ]


def run(progress: Callable[[str], None]) -> list[Row]:
    """Measure all systems and return the rows of the table.

    Raises:
        RuntimeError: the systems did not do the same orders and fills.
    """
    if not FILES:
        return [Row("the whole path", "-", note=ABSENT)]
    results = run_rounds(contestants(), ROUNDS, progress)
    write_raw("path", results)
    work = {
        tuple(figures[name] for name in ("quotes", "orders", "fills"))
        for rounds in results.rounds.values()
        for figures in rounds
    }
    if len(work) > 1:
        raise RuntimeError(f"the systems did different work (quotes, orders, fills): {work}")
    quotes, orders, fills = work.pop()
    note = f"{quotes:,.0f} quotes, {orders:,.0f} orders, {fills:,.0f} fills"
    return [_row(results, OURS, "", note), _row(results, METERED, ", metrics on", "")]


def _row(results: Results, system: str, suffix: str, note: str) -> Row:
    ratio = results.ratio((system, TASK), (NAUTILUS, TASK), "per_second")
    peer = figure(results.median(NAUTILUS, TASK, "per_second"), ratio, AIM, "/s")
    ours = our_figure(results.median(system, TASK, "per_second"), "/s")
    return Row(f"whole path, quotes{suffix}", ours, {NAUTILUS: peer}, "1.5x, then 2x", note)
