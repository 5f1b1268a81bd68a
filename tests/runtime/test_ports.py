"""A port that is closed to everything but cancels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.venue import NewOrderSingle, OrderCancelRequest
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import VirtualClock
from actors.runtime.envelope import Envelope
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node

ORDER = NewOrderSingle("A-1", "BTCUSDT.SIM", Side.BUY, 1, OrderType.LIMIT, TimeInForce.GTC, 1)
CANCEL = OrderCancelRequest("A-0", "BTCUSDT.SIM")


class Wire:
    """A port that remembers what left."""

    output = "venue"

    def __init__(self) -> None:
        self.left: list[Event] = []

    def resume(self) -> int | None:
        return None

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        self.left += [envelope.event for envelope in envelopes]

    def close(self) -> None:
        """There is nothing to release."""


class Sender(Actor):
    """Passes requests on to a venue."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "venue": (NewOrderSingle, OrderCancelRequest)
    }
    wire: ClassVar[Wire]

    @handles(NewOrderSingle, OrderCancelRequest)
    def on_request(self, request: NewOrderSingle | OrderCancelRequest) -> None:
        self.emit(request)

    def ports(self) -> Sequence[Wire]:
        return [self.wire]


def test_a_port_that_is_closed_lets_out_cancels_and_nothing_else() -> None:
    Sender.wire = Wire()
    node = Node(NodeConfig("node"), clock=VirtualClock())
    node.add("sender", Sender)
    for request in (ORDER, CANCEL, ORDER):
        node.ref("sender").tell(request)
    node.call(node.let_out_only_cancels)
    node.run()

    assert Sender.wire.left == [CANCEL]
    (edge,) = [edge for edge in node.statistics().edges if edge.stream == "sender.venue"]
    assert edge.dropped == {"emergency": 2}
