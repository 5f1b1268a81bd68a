"""A small recorded run, for the tests of everything that reads one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from actors.events.event import Event
from actors.events.market import Quote, Side, Trade
from actors.events.order_words import Liquidity, OrderType, TimeInForce
from actors.events.orders import OrderApproved, OrderFilled, SubmitOrder
from actors.events.system import StreamReset
from actors.recorder import Recorder
from actors.runtime.actor import Actor, handles
from actors.testing import START, SystemTest
from tests.kit.builders import BTC, BTCUSDT, ETHUSDT, USDT

ORDER = SubmitOrder(
    "0-taker-1",
    "taker",
    BTCUSDT.instrument,
    Side.BUY,
    2_000,
    OrderType.LIMIT,
    TimeInForce.IOC,
    5_000_050,
)
EVENTS: list[Event] = [
    Quote(BTCUSDT.instrument, 7, 5_000_000, 100_000, 5_000_050, 200_000, START),
    OrderApproved(ORDER),
    OrderFilled(
        client_order_id="0-taker-1",
        strategy="taker",
        instrument=BTCUSDT.instrument,
        side=Side.BUY,
        last_qty=2_000,
        last_px=5_000_050,
        cum_qty=2_000,
        leaves_qty=0,
        exec_id="e1",
        fee=-150_000,
        fee_currency="USDT",
        liquidity=Liquidity.TAKER,
    ),
    Quote(ETHUSDT.instrument, 8, 300_000, 5, 300_001, 6, START + 1),
    Trade("DOGEUSDT.SIM", 9, 41, 1_000, Side.SELL),
    StreamReset("market.depth", 2, 1, "publisher restarted"),
]


class Player(Actor):
    """Emits what its source gives it."""

    outputs = {"played": (Quote, OrderApproved, OrderFilled, Trade, StreamReset)}

    played: Iterable[Event] = ()

    def source(self) -> Iterator[tuple[int, Event]]:
        for index, event in enumerate(self.played):
            yield START + index, event

    @handles(Quote, OrderApproved, OrderFilled, Trade, StreamReset)
    def on_played(self, event: Event) -> None:
        self.emit(event)


def record(
    directory: Path, events: Iterable[Event], player_class: type[Player] = Player
) -> SystemTest:
    """Record a run that emits `events`, one a nanosecond, on ``player.played``."""
    system = SystemTest(instruments=[BTCUSDT, ETHUSDT], currencies=[USDT, BTC], directory=directory)
    player = system.add("player", player_class)
    assert isinstance(player, Player)
    player.played = events
    system.add("recorder", Recorder, inputs=["player.played"])
    return system
