"""The few kinds of panel that a dashboard here is made of, as Grafana's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]
Words = Mapping[int, tuple[str, str]]
"""(word, color) by value, for figures that stand for a state."""

SOURCE: Json = {"type": "prometheus", "uid": "prometheus"}
GRID_WIDTH = 24


class Query(NamedTuple):
    """One query; `legend` names a series by its labels, such as ``{{actor}}``, or a column."""

    promql: str
    legend: str = ""


class Row(NamedTuple):
    """Panels side by side; a row without a title continues the one above."""

    title: str
    height: int
    panels: Sequence[tuple[int, Json]]
    """(width, panel); widths add up to the grid's 24 columns."""


def lines(
    title: str,
    unit: str,
    meaning: str,
    *queries: Query,
    stacked: bool = False,
    log: bool = False,
    reach: float | None = None,
) -> Json:
    """Return a panel with one line a series.

    Args:
        title: what the lines are.
        unit: Grafana's id of their unit, such as ``s`` or ``short``.
        meaning: what a reader must know to judge them.
        queries: each gives any number of series.
        stacked: whether the series are parts of one whole.
        log: whether the axis is logarithmic, for durations that differ a thousandfold.
        reach: the axis goes from 0 to this at least, where lines are mostly 0.
    """
    custom: Json = {"fillOpacity": 35 if stacked else 0, "showPoints": "never"}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    if log:
        custom["scaleDistribution"] = {"type": "log", "log": 10}
    if reach is not None:
        custom |= {"axisSoftMin": 0, "axisSoftMax": reach}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    defaults: Json = {"custom": custom}
    return _panel("timeseries", title, unit, meaning, queries, defaults=defaults, options=options)


def figure(
    title: str, unit: str, meaning: str, query: Query, *, red_from: float | None = None
) -> Json:
    """Return a panel with the newest value, red from `red_from` on."""
    steps: list[Json] = [{"color": "text" if red_from is None else "green", "value": None}]
    if red_from is not None:
        steps.append({"color": "red", "value": red_from})
    defaults = {"thresholds": {"mode": "absolute", "steps": steps}}
    options = _newest("value_and_name" if query.legend else "value")
    return _panel("stat", title, unit, meaning, [query], defaults=defaults, options=options)


def verdict(title: str, meaning: str, query: Query, words: Words) -> Json:
    """Return a panel that says in a word what the newest value stands for."""
    defaults = {"mappings": _mappings(words)}
    options = _newest("value_and_name" if query.legend else "value")
    return _panel("stat", title, "none", meaning, [query], defaults=defaults, options=options)


def bands(title: str, meaning: str, query: Query, words: Words) -> Json:
    """Return a panel with one band a series that shows what it stood for over time."""
    defaults = {"mappings": _mappings(words), "custom": {"fillOpacity": 70, "lineWidth": 0}}
    options = {"mergeValues": True, "showValue": "auto", "rowHeight": 0.8}
    return _panel(
        "state-timeline", title, "none", meaning, [query], defaults=defaults, options=options
    )


def table(title: str, meaning: str, value: str, query: Query) -> Json:
    """Return a panel with the newest values as a table: a column a label, then `value`."""
    hidden = {"id": "custom.hidden", "value": True}
    renamed = {"id": "displayName", "value": value}
    overrides = [
        {"matcher": {"id": "byName", "options": "Time"}, "properties": [hidden]},
        {"matcher": {"id": "byName", "options": "Value"}, "properties": [renamed]},
    ]
    options = {"cellHeight": "sm", "showHeader": True}
    panel = _panel("table", title, "locale", meaning, [query], defaults={}, options=options)
    panel["fieldConfig"]["overrides"] = overrides
    panel["targets"][0] |= {"format": "table", "instant": True, "range": False}
    return panel


def dashboard(uid: str, title: str, rows: Sequence[Row]) -> Json:
    """Return a dashboard; `uid` is its address, ``/d/<uid>``."""
    placed: list[Json] = []
    top = 0
    for row in rows:
        if row.title:
            heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
            placed.append({**heading, "gridPos": {"x": 0, "y": top, "w": GRID_WIDTH, "h": 1}})
            top += 1
        left = 0
        for width, panel in row.panels:
            position = {"x": left, "y": top, "w": width, "h": row.height}
            placed.append({**panel, "gridPos": position})
            left += width
        top += row.height
    return {
        "uid": uid,
        "title": title,
        "tags": ["kaiju"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "graphTooltip": 1,
        "panels": [{"id": number, **panel} for number, panel in enumerate(placed, start=1)],
    }


def _newest(text: str) -> Json:
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": text,
    }


def _mappings(words: Words) -> list[Json]:
    options = {str(value): {"text": text, "color": color} for value, (text, color) in words.items()}
    return [{"type": "value", "options": options}]


def _panel(
    kind: str,
    title: str,
    unit: str,
    meaning: str,
    queries: Sequence[Query],
    *,
    defaults: Json,
    options: Json,
) -> Json:
    targets: list[Json] = [
        {"refId": ref, "expr": query.promql, "legendFormat": query.legend, "datasource": SOURCE}
        for ref, query in zip("ABCDEFGH", queries, strict=False)
    ]
    return {
        "type": kind,
        "title": title,
        "description": meaning,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, **defaults}, "overrides": []},
        "options": options,
        "targets": targets,
    }
