"""A small trading chain for tests of the topology: the right classes, no trading."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import msgspec

from actors.events.event import Event
from actors.events.market import (
    BookDelta,
    BookStateChanged,
    DepthDiff,
    RequestSnapshot,
    Side,
    TopOfBook,
)
from actors.events.order_words import OrderType, TimeInForce
from actors.events.orders import (
    CancelAll,
    CancelOrder,
    OrderApproved,
    OrderDenied,
    OrderFilled,
    OrderSubmitted,
    QuoteIntent,
    Signal,
    SubmitOrder,
)
from actors.events.system import StreamReset
from actors.events.venue import ExecutionReport, NewOrderSingle
from actors.runtime.actor import Actor, Settings, handles
from actors.runtime.settings import Amount, Duration, InstrumentId, TopologyPath

Outputs = Mapping[str, tuple[type[Event], ...]]


class Market(Actor):
    """Emits depth and fills orders."""

    class Settings(Actor.Settings):
        seed: int = 0
        file: TopologyPath = Path("none")

    role = "venue"
    outputs: ClassVar[Outputs] = {"depth": (DepthDiff,), "reports": (ExecutionReport,)}

    @handles(RequestSnapshot)
    def on_request(self, request: RequestSnapshot) -> None: ...

    @handles(NewOrderSingle)
    def on_order(self, order: NewOrderSingle) -> None: ...


class RemoteMarket(Actor):
    """Reaches a venue in another process."""

    class Settings(Actor.Settings):
        address: str = ""

    outputs: ClassVar[Outputs] = {"depth": (DepthDiff,)}
    venue_endpoint = "address"


class Sessions(Actor):
    """Brings the orders of other systems to a venue."""

    role = "gateway"
    outputs: ClassVar[Outputs] = {"requests": (NewOrderSingle,)}
    orders_are_approved = True


class Book(Actor):
    """Builds books from diffs."""

    outputs: ClassVar[Outputs] = {
        "top": (TopOfBook,),
        "deltas": (BookDelta,),
        "state": (BookStateChanged,),
        "requests": (RequestSnapshot,),
    }

    @handles(DepthDiff)
    def on_diff(self, diff: DepthDiff) -> None: ...


class Quoting(Settings):
    """Settings inside settings."""

    levels: int = 1


class Maker(Actor):
    """Quotes both sides."""

    class Settings(Actor.Settings):
        quote_qty: Amount
        refresh: Duration = 0
        instrument: InstrumentId = ""
        quoting: Quoting = Quoting()

    role = "strategy"
    outputs: ClassVar[Outputs] = {"intents": (QuoteIntent,)}

    @handles(TopOfBook)
    def on_top(self, top: TopOfBook) -> None: ...


class Taker(Actor):
    """Wants to trade now and then."""

    class Settings(Actor.Settings):
        quote_qty: Amount = Decimal(1)

    role = "strategy"
    outputs: ClassVar[Outputs] = {"signals": (Signal,)}

    @handles(TopOfBook)
    def on_top(self, top: TopOfBook) -> None: ...

    @handles(OrderFilled)
    def on_fill(self, fill: OrderFilled) -> None: ...


class Execution(Actor):
    """Turns wishes into orders."""

    role = "execution"
    outputs: ClassVar[Outputs] = {"orders": (SubmitOrder,), "cancels": (CancelOrder,)}

    @handles(QuoteIntent)
    def on_intent(self, intent: QuoteIntent) -> None: ...

    @handles(Signal)
    def on_signal(self, signal: Signal) -> None: ...


class Risk(Actor):
    """Approves orders."""

    role = "approver"
    outputs: ClassVar[Outputs] = {"decisions": (OrderApproved, OrderDenied)}

    @handles(SubmitOrder)
    def on_submit(self, order: SubmitOrder) -> None: ...


class Oms(Actor):
    """Keeps orders."""

    role = "oms"
    outputs: ClassVar[Outputs] = {"requests": (OrderSubmitted,), "orders": (OrderFilled,)}

    @handles(OrderApproved)
    def on_approved(self, approved: OrderApproved) -> None: ...

    @handles(CancelOrder)
    def on_cancel(self, cancel: CancelOrder) -> None: ...

    @handles(ExecutionReport)
    def on_report(self, report: ExecutionReport) -> None: ...

    @handles(StreamReset)
    def on_reset(self, reset: StreamReset) -> None: ...


class Gateway(Actor):
    """Sends orders to the venue."""

    role = "gateway"
    outputs: ClassVar[Outputs] = {"venue": (NewOrderSingle,), "reports": (ExecutionReport,)}

    @handles(OrderSubmitted)
    def on_submitted(self, order: OrderSubmitted) -> None: ...

    @handles(ExecutionReport)
    def on_report(self, report: ExecutionReport) -> None: ...


class Daredevil(Actor):
    """A gateway that takes orders from anybody."""

    role = "gateway"
    outputs: ClassVar[Outputs] = {"venue": (NewOrderSingle,)}

    @handles(SubmitOrder)
    def on_submit(self, order: SubmitOrder) -> None: ...


class Recorder(Actor):
    """Hears everything."""

    @handles(Event)
    def on_event(self, event: Event) -> None: ...


class Unfinished(Actor):
    """Lacks a method."""

    @abstractmethod
    def decide(self) -> None: ...


class Demanding(Actor):
    """Its state cannot begin empty."""

    class State(msgspec.Struct):
        cash: int


NOT_AN_ACTOR = 42


class Asker(Actor):
    """Asks for one order in each instrument, and then for all to be canceled."""

    class Settings(Actor.Settings):
        file: TopologyPath = Path("none")

    outputs: ClassVar[Outputs] = {"orders": (SubmitOrder,), "all": (CancelAll,)}

    def on_start(self) -> None:
        for instrument in self.instruments:
            order_id = f"{self.session}-{instrument}"
            self.emit(
                SubmitOrder(
                    order_id, self.name, instrument, Side.BUY, 1, OrderType.MARKET, TimeInForce.IOC
                )
            )
        self.emit(CancelAll("the end"))


class Approver(Actor):
    """Approves whatever it is asked."""

    role = "approver"
    outputs: ClassVar[Outputs] = {"decisions": (OrderApproved,)}

    @handles(SubmitOrder)
    def on_submit(self, order: SubmitOrder) -> None:
        self.emit(OrderApproved(order))


class Listener(Actor):
    """Remembers what it hears."""

    class State(msgspec.Struct):
        heard: list[str] = []

    state: State

    @handles(OrderApproved)
    def on_approved(self, approved: OrderApproved) -> None:
        self.state.heard.append(approved.order.instrument)

    @handles(CancelAll)
    def on_cancel_all(self, request: CancelAll) -> None:
        self.state.heard.append(request.reason)


SOUND = """\
version: 1
name: sample
nodes:
  md: {host: md, port: 7000}
  core: {host: core, port: 7000}
currencies: {USDT: {scale: 8}, BTC: {scale: 8}}
instruments:
  BTCUSDT.SIM: {price_scale: 2, qty_scale: 5, tick_size: "0.01", lot_size: "0.00001",
                base: BTC, quote: USDT}
actors:
  market:
    class: tests.kit.sample_actors:Market
    node: md
    inputs: [gateway.venue, book.requests]
  book: {class: "tests.kit.sample_actors:Book", node: md, inputs: [market.depth]}
  maker:
    class: tests.kit.sample_actors:Maker
    node: core
    inputs:
      - from: book.top
        delivery: latest
    settings:
      quote_qty: "0.5"
      instrument: BTCUSDT.SIM
  taker: {class: "tests.kit.sample_actors:Taker", node: core, inputs: [book.top, oms.orders]}
  execution:
    class: tests.kit.sample_actors:Execution
    node: core
    inputs: [maker, "*.signals"]
  risk: {class: "tests.kit.sample_actors:Risk", node: core, inputs: [execution.orders]}
  oms:
    class: tests.kit.sample_actors:Oms
    node: core
    inputs: [risk, execution.cancels, gateway.reports]
  gateway:
    class: tests.kit.sample_actors:Gateway
    node: core
    inputs: [oms.requests, market.reports]
  recorder: {class: "tests.kit.sample_actors:Recorder", node: core, inputs: ["*"]}
"""
