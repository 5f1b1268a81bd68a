"""Charts of a run, as SVG; the only module that imports matplotlib."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actors.events.durations import MICROSECOND
from actors.events.market import Side
from kaiju.record.scales import Scales
from kaiju.record.series import Curve, PlottedFill, Series
from kaiju.record.totals import Key
from kaiju.report.report import ActorReport

WIDTH, HEIGHT = 10.5, 3.0
"""Inches; the height is that of one plot."""
MAX_PLOTS = 6
"""Instruments in a chart, those with most fills first."""
MAX_MARKS = 600
"""Fills drawn of one side of one strategy; if there are more, every n-th."""
STYLE: Any = {
    "date.converter": "concise",
    "svg.fonttype": "none",
    "svg.hashsalt": "kaiju",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
COLORS = {Side.BUY: "tab:green", Side.SELL: "tab:red"}
MARKS = ({Side.BUY: "^", Side.SELL: "v"}, {Side.BUY: "o", Side.SELL: "s"})
"""Colors of the strategies, in turn."""
QUANTILES = {"p50": "p50", "p99": "p99", "p999": "p99.9"}


def draw_equity(series: Series, scales: Scales) -> str:
    """Return net profit and loss over time, a line per strategy and a plot per currency."""
    curves: dict[str, dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for (strategy, instrument), curve in series.equity.items():
        definition = scales.instruments.get(instrument)
        curves[definition.settle if definition else ""][strategy].append(curve)
    with mpl.rc_context(STYLE):
        figure, plots = _figure(len(curves))
        for plot, (currency, strategies) in zip(plots, sorted(curves.items()), strict=True):
            for strategy, parts in sorted(strategies.items()):
                times, values = _sum(parts)
                plot.step(times, values, where="post", label=strategy, linewidth=1.2)
            plot.set_ylabel(f"net, {currency}")
            plot.axhline(0, color="gray", linewidth=0.8)
            plot.legend(ncols=4)
        return _svg(figure)


def draw_positions(series: Series) -> str:
    """Return positions over time, a line per strategy and a plot per instrument."""
    shown = _busiest(series, series.positions)
    with mpl.rc_context(STYLE):
        figure, plots = _figure(len(shown))
        for plot, instrument in zip(plots, shown, strict=True):
            for (strategy, of), curve in sorted(series.positions.items()):
                if of == instrument:
                    times = _times(curve.times)
                    plot.step(times, curve.values, where="post", label=strategy, linewidth=1.2)
            plot.set_ylabel(instrument)
            plot.axhline(0, color="gray", linewidth=0.8)
            plot.legend(ncols=4)
        return _svg(figure)


def draw_fills(series: Series) -> str:
    """Return the mid price of each instrument with own fills on it."""
    shown = _busiest(series, series.fills)
    with mpl.rc_context(STYLE):
        figure, plots = _figure(len(shown))
        for plot, instrument in zip(plots, shown, strict=True):
            curve = series.prices.get(instrument, Curve())
            plot.plot(_times(curve.times), curve.values, color="black", linewidth=0.7, zorder=3)
            for marks, (strategy, fills) in zip(
                cycle(MARKS), _fills_in(series, instrument), strict=False
            ):
                _mark_fills(plot, marks, strategy, fills)
            plot.set_ylabel(instrument)
            plot.legend(ncols=4)
        return _svg(figure)


def draw_latency(actors: Iterable[ActorReport]) -> str:
    """Return the time from an outside event's arrival to each actor's turn, and in its handlers."""
    hops = [actor for actor in actors if actor.since_arrival_ns.count][::-1]
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 1.0 + 0.28 * len(hops)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _bars(left, "from arrival to this actor's turn", [h.since_arrival_ns for h in hops])
        _bars(right, "in its handler", [h.handle_ns for h in hops])
        left.set_yticks(range(len(hops)), [hop.name for hop in hops])
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return _svg(figure)


def _figure(plots: int) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure((WIDTH, HEIGHT * max(1, plots)), layout="constrained")
    if not plots:
        return figure, ()
    return figure, list(figure.subplots(plots, 1, sharex=True, squeeze=False)[:, 0])


def _busiest(series: Series, keys: Iterable[Key]) -> list[str]:
    fills: dict[str, int] = {instrument: 0 for _, instrument in keys}
    for (_, instrument), found in series.fills.items():
        if instrument in fills:
            fills[instrument] += len(found)
    return sorted(fills, key=lambda instrument: (-fills[instrument], instrument))[:MAX_PLOTS]


def _fills_in(series: Series, instrument: str) -> list[tuple[str, list[PlottedFill]]]:
    return [(key[0], fills) for key, fills in sorted(series.fills.items()) if key[1] == instrument]


def _mark_fills(
    plot: Axes, marks: dict[Side, str], strategy: str, fills: list[PlottedFill]
) -> None:
    for side, marker in marks.items():
        of_side = [fill for fill in fills if fill.side == side]
        drawn = of_side[:: 1 + len(of_side) // MAX_MARKS]
        if drawn:
            plot.scatter(
                _times([fill.time for fill in drawn]),
                [fill.price for fill in drawn],
                marker=marker,
                s=14,
                c=COLORS[side],
                edgecolors="none",
                alpha=0.6,
                label=f"{strategy} {side.name.lower()} ({len(of_side):,})",
            )


def _bars(plot: Axes, title: str, durations: Sequence[Any]) -> None:
    rows = np.arange(len(durations))
    for index, (quantile, label) in enumerate(QUANTILES.items()):
        values = [max(1, getattr(each, quantile)) / MICROSECOND for each in durations]
        plot.barh(rows + 0.25 * (1 - index), values, height=0.25, label=label)
    plot.set_xscale("log")
    plot.set_xlabel("microseconds")
    plot.set_title(title, fontsize=9)


def _times(nanoseconds: Sequence[int]) -> Any:
    return np.array(nanoseconds, dtype="datetime64[ns]")


def _sum(curves: Sequence[Curve]) -> tuple[Any, list[float]]:
    changes = sorted(
        (time, index, value)
        for index, curve in enumerate(curves)
        for time, value in zip(curve.times, curve.values, strict=True)
    )
    latest = [0.0] * len(curves)
    times, values = [], []
    for time, index, value in changes:
        latest[index] = value
        times.append(time)
        values.append(sum(latest))
    return _times(times), values


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    # Without a date the same run gives the same picture.
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
