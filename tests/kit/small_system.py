"""A whole small system as a topology file, for the tests of the command line and its reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from actors.events.event import Event
from actors.events.market import Side, TopOfBook
from actors.events.orders import Signal
from actors.events.system import HaltTrading, StopRequested, StreamReset, TimerFired
from actors.execution import Execution
from actors.runtime.actor import Actor, handles

INTERVAL = 250_000_000

TOPOLOGY = """\
version: 1
name: small
nodes:
  one: {host: one, port: 7000}
currencies: {USDT: {scale: 8}, BTC: {scale: 8}}
instruments:
  BTCUSDT.SIM:
    {base: BTC, quote: USDT, price_scale: 2, qty_scale: 5, tick_size: "0.01", lot_size: "0.00001"}
actors:
  market:
    class: gateways.simulated.exchange:SimulatedExchange
    node: one
    inputs: [gateway.venue, book.requests]
    settings:
      flow:
        BTCUSDT.SIM:
          {start_price: "60000", spread: "2", depth: "15", min_qty: "0.001", max_qty: "0.5"}
  book:
    class: actors.order_book:OrderBook
    node: one
    inputs: [market.depth, market.connection]
  metronome:
    class: tests.kit.small_system:Metronome
    node: one
    inputs: [{from: book.top, delivery: latest}]
  execution:
    class: actors.execution:Execution
    node: one
    inputs: [metronome.signals, risk.decisions, oms.orders, oms.requests, book.state]
  risk:
    class: actors.risk:Risk
    node: one
    inputs:
      - execution.orders
      - oms.orders
      - positions.positions
      - pnl.pnl
      - {from: book.top, delivery: latest}
      - book.state
    settings: {max_position: {"*": "2"}, max_daily_loss: {USDT: "20000"}}
  oms:
    class: actors.order_management:OrderManagement
    node: one
    inputs: [risk.decisions, execution.cancels, gateway.reports]
  gateway:
    class: gateways.gateway:Gateway
    node: one
    inputs: [oms.requests, risk.control, market.reports, market.connection]
  positions:
    class: actors.positions:PositionKeeper
    node: one
    inputs: [oms.orders]
  pnl:
    class: actors.pnl:ProfitAndLoss
    node: one
    inputs: [positions.positions, {from: book.top, delivery: latest}, book.state]
  recorder:
    class: actors.recorder:Recorder
    node: one
    inputs: ["*"]
"""

QUOTING = TOPOLOGY.replace(
    """  metronome:
    class: tests.kit.small_system:Metronome
    node: one
    inputs: [{from: book.top, delivery: latest}]
""",
    """  maker:
    class: actors.strategies.maker:Maker
    node: one
    inputs: [book.top, book.state, positions.positions]
""",
).replace("metronome.signals", "maker.intents")


class Forgetful(Execution):
    """Leaves its orders where they are when the run ends."""

    @handles(StopRequested)
    def on_stop_requested(self, _stop: StopRequested) -> None:
        self.state.stopping = True


class Metronome(Actor):
    """Buy and sell in turns, twice as often buy, four times a second."""

    class Settings(Actor.Settings):
        """How much to trade, what to leave out, and when to break or to be silent."""

        qty: int = 1_000
        leaves_out: int = 0
        """Number of a signal that is not given; 0 for none."""
        most: int = 0
        """Signals after which there are no more; 0 for no end."""
        breaks_after: int = 0
        """Signals after which the handler raises; 0 for never."""

    class State(msgspec.Struct):
        """What was traded and how often."""

        instrument: str = ""
        signals: int = 0

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"signals": (Signal,)}

    settings: Metronome.Settings
    state: Metronome.State

    def on_start(self) -> None:
        self.set_timer("tick", INTERVAL)

    @handles(TopOfBook)
    def on_top(self, top: TopOfBook) -> None:
        self.state.instrument = top.instrument

    @handles(StreamReset)
    def on_reset(self, _reset: StreamReset) -> None:
        self.state.instrument = ""

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.set_timer("tick", INTERVAL)
        if not self.state.instrument or 0 < self.settings.most <= self.state.signals:
            return
        self.state.signals += 1
        if self.state.signals == self.settings.breaks_after:
            raise RuntimeError("the spring is broken")
        if self.state.signals == self.settings.leaves_out:
            return
        side = Side.SELL if self.state.signals % 3 == 0 else Side.BUY
        self.emit(Signal(self.name, self.state.instrument, side, self.settings.qty))


class Eager(Actor):
    """Buys whenever more is bid than offered, whatever the time is."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"signals": (Signal,)}

    @handles(TopOfBook)
    def on_top(self, top: TopOfBook) -> None:
        if top.bid_qty > top.ask_qty:
            self.emit(Signal(self.name, top.instrument, Side.BUY, top.bid_qty - top.ask_qty))


class Nobody(Actor):
    """Lets every wish be in vain."""

    @handles(Signal)
    def on_signal(self, _signal: Signal) -> None:
        pass


class OrderPathMetronome(Metronome):
    """As important as a gateway."""

    order_path = True


class Note(Event):
    """Says a number, however large."""

    number: int


class Exaggerator(Actor):
    """After two seconds says a number that no file can hold."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"notes": (Note,)}

    def on_start(self) -> None:
        self.set_timer("say", 2_000_000_000)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.emit(Note(10**90))


EXAGGERATOR = """\
  exaggerator:
    class: tests.kit.small_system:Exaggerator
    node: one
"""


class Halter(Actor):
    """After two seconds halts what its settings name; where they name nothing, everything."""

    class Settings(Actor.Settings):
        """The scope."""

        venue: str = ""
        instrument: str = ""
        strategy: str = ""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"halts": (HaltTrading,)}

    settings: Halter.Settings

    def on_start(self) -> None:
        self.set_timer("halt", 2_000_000_000)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        about = self.settings.model_dump()
        self.emit(HaltTrading("looks odd", f"{self.name}-1", **about))


HALTER = """\
  halter:
    class: tests.kit.small_system:Halter
    node: one
    settings: SCOPE
"""


class Stubborn(Actor):
    """Always has business open, so that a stop takes as long as it may."""

    def on_start(self) -> None:
        self.set_timer("again", INTERVAL)

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.set_timer("again", INTERVAL)

    def busy(self) -> bool:
        return True


STUBBORN = """\
version: 1
name: stubborn
nodes:
  one: {host: one, port: 7000}
currencies: {}
instruments: {}
actors:
  stubborn: {class: "tests.kit.small_system:Stubborn", node: one}
"""


def all_durable(text: str) -> str:
    """Return a topology in which every actor is `durable: os`."""
    kept = [line for line in text.splitlines() if "durable:" not in line]
    return "\n".join(kept).replace("    class: ", "    durable: os\n    class: ") + "\n"


def write_topology(folder: Path, text: str = TOPOLOGY) -> Path:
    """Write a topology file into `folder` and return its path."""
    file = folder / "small.yaml"
    file.write_text(text)
    return file
