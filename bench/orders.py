"""An OMS at work for a desk: what journaling its steps costs, and doing them again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import ExecType, Liquidity, OrderType, OrdStatus, TimeInForce
from actors.events.orders import OrderApproved, OrderSubmitted, SubmitOrder
from actors.events.venue import ExecutionReport
from actors.order_management import OrderManagement
from actors.runtime.actor import Actor, handles
from actors.runtime.node.config import Durability, NodeConfig
from actors.runtime.node.node import Node
from bench.kept import Stopwatch, journal_of, seconds_of, step_bytes, temporary_directory
from bench.rounds import Figures

ONE_SEGMENT = 1 << 30
"""Bytes; no snapshot is taken on the way."""


class Desk(Actor):
    """Approve one order after the other, and accept and fill each at once."""

    class Settings(Actor.Settings):
        """How much work there is."""

        orders: int

    class State(msgspec.Struct):
        """How many orders there were."""

        orders: int = 0

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "approvals": (OrderApproved,),
        "reports": (ExecutionReport,),
    }
    settings: Desk.Settings
    state: State

    def on_start(self) -> None:
        """Approve the first order."""
        self._approve()

    @handles(OrderSubmitted)
    def on_order_submitted(self, submitted: OrderSubmitted) -> None:
        """Accept, fill, and approve the next."""
        order = submitted.order
        accepted = ExecutionReport(
            order.client_order_id,
            f"V{self.state.orders}",
            f"A{self.state.orders}",
            ExecType.NEW,
            OrdStatus.NEW,
            order.instrument,
            order.side,
            last_qty=0,
            last_px=0,
            cum_qty=0,
            leaves_qty=order.qty,
        )
        self.emit(accepted)
        self.emit(
            replace(
                accepted,
                exec_id=f"F{self.state.orders}",
                exec_type=ExecType.TRADE,
                ord_status=OrdStatus.FILLED,
                last_qty=order.qty,
                last_px=6_000_000,
                cum_qty=order.qty,
                leaves_qty=0,
                fee=30,
                fee_currency="USDT",
                liquidity=Liquidity.TAKER,
            )
        )
        self._approve()

    def _approve(self) -> None:
        if self.state.orders == self.settings.orders:
            return
        self.state.orders += 1
        order = SubmitOrder(
            f"0-desk-{self.state.orders}",
            "desk",
            "BTCUSDT.SIM",
            Side.BUY,
            1_000,
            OrderType.MARKET,
            TimeInForce.IOC,
        )
        self.emit(OrderApproved(order))


def order_node(orders: int, durable: Durability, **options: Any) -> Node:
    """Return a node whose OMS alone may be durable; a desk gives it work."""
    node = Node(NodeConfig("orders", metrics=False, **options))
    node.add("desk", Desk, {"orders": orders})
    node.add("oms", OrderManagement, durable=durable)
    node.connect("desk", "oms.requests")
    node.connect("oms", "desk.approvals")
    node.connect("oms", "desk.reports")
    return node


def measure_orders(durable: Durability, orders: int) -> Figures:
    """Return microseconds of the whole node for each step of its OMS, and a step's bytes."""
    with temporary_directory() as directory:
        node = order_node(orders, durable, data=directory)
        took = seconds_of(node)
        handled = sum(reader.handled for reader in node.actors["oms"].context.readers)
        return {
            "us": took / handled * 1e6,
            "steps": handled,
            "bytes": step_bytes(node, "oms") if durable != "none" else 0.0,
        }


def measure_recovery(orders: int) -> Figures:
    """Return how many OMS steps a second are done again when a node starts on its journal.

    Everything from opening the journal until inputs are taken is in it: each byte read and checked,
    handlers run, outputs compared.
    """
    with temporary_directory() as directory:
        node = order_node(orders, "os", data=directory, segment_bytes=ONE_SEGMENT)
        seconds_of(node)
        steps = journal_of(node, "oms").last_step
        for snapshot in directory.rglob("snapshot-*"):  # as if killed before the first was taken
            snapshot.unlink()
        del node
        again = order_node(0, "os", data=directory, segment_bytes=ONE_SEGMENT)
        watch = again.add("stopwatch", Stopwatch)
        began = time.perf_counter()
        again.run()
        assert isinstance(watch, Stopwatch)
        assert journal_of(again, "oms").last_step >= steps
        return {"per_second": steps / (watch.began - began), "steps": steps}
