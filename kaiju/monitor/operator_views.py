"""What a running node shows an operator, as JSON; each view is made on the loop's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from actors.events.accounts import PnlUpdated, PositionUpdated
from actors.events.durations import DAY, SECOND
from actors.events.event import Event
from actors.events.reference import from_units
from actors.events.system import ConnectionLost
from actors.order_management import OrderManagement
from actors.risk import Risk
from actors.runtime.actor import Actor
from actors.runtime.stream_name import output_of
from kaiju.monitor.observer import NodeObserver
from kaiju.record.scales import Scales

A = TypeVar("A", bound=Actor)
E = TypeVar("E", bound=Event)


class HaltView(msgspec.Struct, frozen=True):
    """An entry of the trading state."""

    level: str
    reason: str
    owner: str
    by: str
    since: int
    lifted_by: str
    verified_by: tuple[str, ...] = ()
    """Gateways at whose venue nothing that it covers is open any more."""
    instrument: str = ""
    strategy: str = ""
    venue: str = ""
    account: str = ""


class StatusView(msgspec.Struct, frozen=True):
    """A node at a glance."""

    node: str
    topology: str
    clock: int
    """UTC nanoseconds of the node's clock."""
    level: str
    """The strictest level that is in force for trading as a whole."""
    halts: tuple[HaltView, ...]
    open_orders: int
    connections: dict[str, str]
    """``up``, or why not, by actor that reaches a venue."""
    ending: str
    clock_ahead: int = 0
    """Nanoseconds that the node's clock is ahead of the machine's; negative where it is behind."""


class TableView(msgspec.Struct, frozen=True):
    """Rows of one kind; prices and quantities are decimals."""

    node: str
    rows: list[dict[str, Any]]


def views_of(watch: NodeObserver) -> Mapping[str, Callable[[], bytes]]:
    """Return what can be asked of a node, by the path of the request."""
    return {
        "/status": lambda: msgspec.json.encode(_status(watch)),
        "/orders": lambda: _table(watch, _orders(watch)),
        "/positions": lambda: _table(watch, _positions(watch)),
        "/fills": lambda: _table(watch, _fills(watch)),
        "/limits": lambda: _table(watch, _limits(watch)),
    }


def _table(watch: NodeObserver, rows: Iterator[dict[str, Any]]) -> bytes:
    return msgspec.json.encode(TableView(watch.node.name, list(rows)))


def _status(watch: NodeObserver) -> StatusView:
    node = watch.node
    entries = node.halts.entries
    halts = (
        HaltView(
            *(entry.level, entry.reason, entry.owner, entry.by, entry.since),
            *(record.lifted_by, record.verified_by),
            *(entry.instrument, entry.strategy, entry.venue, entry.account),
        )
        for entry, record in zip(entries.entries.values(), node.halts.records(), strict=True)
    )
    connections = {
        name: f"lost: {connection.reason}" if isinstance(connection, ConnectionLost) else "up"
        for name, actor in node.actors.items()
        if (connection := getattr(actor.state, "connection", None)) is not None
    }
    return StatusView(
        node.name,
        watch.topology,
        node.loop.now,
        entries.strictest()[0],
        tuple(halts),
        sum(len(actor.open_orders()) for actor in node.actors.values()),
        connections,
        node.stop_reason or node.end_reason,
        node.clock.ahead(),
    )


def _orders(watch: NodeObserver) -> Iterator[dict[str, Any]]:
    for oms in _actors(watch, OrderManagement):
        for record in oms.state.table.open.values():
            order, scales = record.order, watch.scales
            yield {
                "order": order.client_order_id,
                "strategy": order.strategy,
                "instrument": order.instrument,
                "side": order.side.name,
                "qty": _qty(scales, order.instrument, order.qty),
                "filled": _qty(scales, order.instrument, record.cum_qty),
                "limit": _px(scales, order.instrument, order.limit_px),
                "status": record.status,
                "venue_order": record.venue_order_id,
            }


def _positions(watch: NodeObserver) -> Iterator[dict[str, Any]]:
    results = {(p.strategy, p.instrument): p for p in _snapshot(watch, PnlUpdated)}
    for position in _snapshot(watch, PositionUpdated):
        name, scales = position.instrument, watch.scales
        pnl = results.get((position.strategy, name))
        yield {
            "strategy": position.strategy,
            "instrument": name,
            "qty": _qty(scales, name, position.qty),
            "units": position.qty,
            "cost": _money(scales, name, position.cost),
            "realized": _money(scales, name, position.realized),
            "fees": _money(scales, name, position.fees),
            "unrealized": "" if pnl is None else _money(scales, name, pnl.unrealized),
        }


def _fills(watch: NodeObserver) -> Iterator[dict[str, Any]]:
    for time, fill in watch.fills():
        name, scales = fill.instrument, watch.scales
        yield {
            "time": time,
            "order": fill.client_order_id,
            "strategy": fill.strategy,
            "instrument": name,
            "side": fill.side.name,
            "qty": _qty(scales, name, fill.last_qty),
            "px": _px(scales, name, fill.last_px),
            "left": _qty(scales, name, fill.leaves_qty),
            "execution": fill.exec_id,
        }


def _limits(watch: NodeObserver) -> Iterator[dict[str, Any]]:
    scales = watch.scales
    for risk in _actors(watch, Risk):
        for name, limits in risk.instrument_limits.items():
            for limit, value in msgspec.structs.asdict(limits).items():
                money = limit.endswith(("notional", "exposure"))
                text = (_money if money else _qty)(scales, name, value)
                yield _limit(risk, limit, name, text)
        day = risk.state.day.day * DAY
        for currency, loss in risk.loss_limits.items():
            value = f"{from_units(loss, scales.currencies[currency]):f}"
            yield _limit(risk, "max_daily_loss", currency, value, day)
        for limit, value in msgspec.structs.asdict(risk.account_limits).items():
            yield _limit(risk, limit, "", str(value))


def _limit(risk: Risk, limit: str, about: str, value: str, day: int = 0) -> dict[str, Any]:
    """Return a row; `day` is when the day began of which the limit is, in UTC nanoseconds."""
    date = f"{datetime.fromtimestamp(day / SECOND, UTC):%Y-%m-%d}" if day else ""
    return {"actor": risk.name, "limit": limit, "about": about, "value": value, "day": date}


def _actors(watch: NodeObserver, actor_class: type[A]) -> Iterator[A]:
    return (a for a in watch.node.actors.values() if isinstance(a, actor_class))


def _snapshot(watch: NodeObserver, event_class: type[E]) -> Iterator[E]:
    for actor in watch.node.actors.values():
        for output, classes in actor.outputs.items():
            if event_class in classes:
                name = output_of(actor.context.streams[output].name)
                yield from (e for e in actor.snapshot(name) if isinstance(e, event_class))


def _qty(scales: Scales, instrument: str, units: int) -> str:
    return f"{from_units(units, scales.quantities[instrument]):f}"


def _px(scales: Scales, instrument: str, units: int) -> str:
    return f"{from_units(units, scales.prices[instrument]):f}"


def _money(scales: Scales, instrument: str, units: int) -> str:
    return f"{from_units(units, scales.settle[instrument]):f}"
