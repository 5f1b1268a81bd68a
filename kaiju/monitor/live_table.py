"""The table that `kaiju run` shows while it runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from actors.events.durations import SECOND
from actors.events.market import BookState, TopOfBook
from actors.events.reference import from_units
from kaiju.monitor.observer import NodeView
from kaiju.record.scales import Scales
from kaiju.record.totals import PARTLY_FILLED

MAX_ROWS = 12
"""Rows of one table that fit on a screen."""
ORDER_COLUMNS = ("submitted", "denied", "filled", PARTLY_FILLED, "canceled", "rejected", "expired")


class LiveTable:
    """Shows a node on a terminal.

    Args:
        console: where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._began = self._shown = time.monotonic_ns()
        self._steps = 0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, view: NodeView) -> None:
        """Draw the node as it is now."""
        now = time.monotonic_ns()
        rate = (view.statistics.steps - self._steps) * SECOND / max(1, now - self._shown)
        self._steps, self._shown = view.statistics.steps, now
        self._live.update(render(view, rate, (now - self._began) / SECOND), refresh=True)


def render(view: NodeView, rate: float, seconds: float) -> Group:
    """Return what to show on the terminal.

    Args:
        view: the node.
        rate: events handled a second of real time.
        seconds: real time since the start.
    """
    parts: list[RenderableType] = [_headline(view, rate, seconds)]
    if view.progress is not None:
        done, total = view.progress
        parts.append(ProgressBar(total=max(1, total), completed=done, width=60))
    parts.append(_actors(view))
    parts += [table for table in (_books(view), _orders(view), _pnl(view)) if table.row_count]
    return Group(*parts)


def _headline(view: NodeView, rate: float, seconds: float) -> Text:
    statistics = view.statistics
    clock = datetime.fromtimestamp(statistics.now / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
    line = Text.assemble(
        (view.topology, "bold"),
        f"  {clock} UTC  {seconds:,.0f} s  ",
        (f"{statistics.steps:,}", "bold"),
        " events  ",
        (f"{rate:,.0f}", "bold"),
        " a second",
    )
    if view.progress is not None:
        line.append(f"  {view.progress[0] / max(1, view.progress[1]):.0%}")
    if statistics.halted:
        line.append(f"\nTRADING HALTED: {statistics.halted}", style="bold red")
    return line


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False, box=None)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    return table


def _actors(view: NodeView) -> Table:
    table = _table("actors", "actor", "handled", "mailbox", "p50 us", "p99 us", "arrival p99 us")
    for actor in view.statistics.actors:
        table.add_row(
            Text(actor.name, "" if actor.alive else "red"),
            f"{actor.handled:,}",
            f"{actor.mailbox_depth:,}",
            microseconds(actor.handle.quantile(0.5)),
            microseconds(actor.handle.quantile(0.99)),
            microseconds(actor.since_arrival.quantile(0.99)),
        )
    return table


def _books(view: NodeView) -> Table:
    table = _table("books", "instrument", "state", "bid", "bid qty", "ask", "ask qty")
    for instrument in sorted(view.books.keys() | view.tops.keys())[:MAX_ROWS]:
        state = view.books.get(instrument, BookState.LIVE)
        table.add_row(
            instrument,
            Text(state, "green" if state is BookState.LIVE else "red"),
            *_top(view.scales, view.tops.get(instrument)),
        )
    return table


def _top(scales: Scales, top: TopOfBook | None) -> tuple[str, ...]:
    if top is None:
        return ("", "", "", "")
    price, qty = scales.prices.get(top.instrument, 0), scales.quantities.get(top.instrument, 0)
    units = ((top.bid_px, price), (top.bid_qty, qty), (top.ask_px, price), (top.ask_qty, qty))
    return tuple(decimal(*pair) for pair in units)


def _orders(view: NodeView) -> Table:
    table = _table("orders", "strategy", *ORDER_COLUMNS)
    for strategy in sorted({strategy for strategy, _ in view.orders})[:MAX_ROWS]:
        counts = (view.orders.get((strategy, state), 0) for state in ORDER_COLUMNS)
        table.add_row(strategy, *(f"{count:,}" for count in counts))
    return table


def _pnl(view: NodeView) -> Table:
    columns = ("position", "realized", "unrealized", "fees", "net", "")
    table = _table("profit and loss", "strategy", "instrument", *columns)
    for (strategy, instrument), pnl in sorted(view.pnl.items())[:MAX_ROWS]:
        scale = view.scales.settle.get(instrument, 0)
        amounts = (pnl.realized, pnl.unrealized, pnl.fees, pnl.net)
        table.add_row(
            strategy,
            instrument,
            decimal(pnl.qty, view.scales.quantities.get(instrument, 0)),
            *(decimal(units, scale) for units in amounts),
            pnl.currency,
        )
    return table


def decimal(units: int, scale: int) -> str:
    """Return `units` of ``10 ** -scale`` as text, with a mark between thousands."""
    value: Decimal = from_units(units, scale)
    return f"{value:,f}"


def microseconds(nanoseconds: int) -> str:
    """Return a duration as text; empty where nothing was measured."""
    return f"{nanoseconds / 1000:,.1f}" if nanoseconds else ""
