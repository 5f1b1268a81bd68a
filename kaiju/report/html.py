"""``report.html``: a run on one self-contained page with charts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from actors.events.durations import MICROSECOND, SECOND
from kaiju.record.totals import ORDER_STATES, PARTLY_FILLED
from kaiju.report.charts import draw_equity, draw_fills, draw_latency, draw_positions
from kaiju.report.report import Report, RunHistory
from topology.files import atomic_write

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
       color: #1c2330; background: #fff; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #d9dee8; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .8rem .2rem 0; vertical-align: top; }
th { font-weight: 600; color: #5a6475; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
tbody tr:nth-child(even) { background: #f5f7fa; }
img { max-width: 100%; height: auto; }
.good { color: #12753c; } .bad { color: #b3261e; font-weight: 600; } .open { color: #8a6100; }
.scroll { overflow-x: auto; }
"""
VERDICTS = {
    True: '<span class="good">holds</span>',
    False: '<span class="bad">violated</span>',
    None: '<span class="open">not checked</span>',
}


def render_html(report: Report, story: RunHistory | None) -> str:
    """Return the page.

    Args:
        report: what it says.
        story: the curves for its pictures; None leaves those out.
    """
    sections = [
        _facts(report),
        _section("Does it add up?", _checks(report)),
        *(_pictures(story) if story else ()),
        _section("Latency by hop", _picture(draw_latency(report.actors), "latency by hop")),
        _section("Orders", _orders(report)),
        _section("Profit and loss", _pnl(report)),
        _section("Discarded input", _discarded(report)),
        _section("Actors", _actors(report)),
        _section("Edges", _edges(report)),
        _section("Recorded events", _table(("event", "count"), report.recorded.items())),
    ]
    title = escape(f"{report.run.topology} {report.run.started}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f"<body>{''.join(sections)}</body></html>\n"
    )


def write_html(report: Report, story: RunHistory | None, path: Path) -> None:
    """Write the page to `path`.

    Raises:
        OSError: the file cannot be written.
    """
    page = render_html(report, story)
    with atomic_write(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")


def _facts(report: Report) -> str:
    run = report.run
    facts = [
        ("file", run.file),
        ("started", run.started),
        ("clock", f"{run.clock}, {_clock(report.began)} to {_clock(report.ended)}"),
        ("seed", str(run.seed)),
        ("took", f"{run.seconds:,.2f} s"),
        ("events", f"{report.events:,} handled, {report.events_per_second:,.0f} a second"),
        ("stopped", run.stopped),
    ]
    rows = "".join(f"<tr><th>{name}</th><td class=text>{escape(v)}</td></tr>" for name, v in facts)
    problems = [f"Trading was halted: {report.halted}"] if report.halted else []
    if report.cut:
        problems.append(f"The record is not whole: {report.cut}; orders and PnL stop where it does")
    problems += [failure for failure in run.failures if failure != report.halted]
    alarms = "".join(f'<p class="bad">{escape(problem)}</p>' for problem in problems)
    return f"<h1>{escape(run.topology)}</h1>{alarms}<table>{rows}</table>"


def _pictures(story: RunHistory) -> Iterable[str]:
    series = story.series
    if series.equity:
        yield _section("Equity", _picture(draw_equity(series, story.scales), "equity"))
    if series.positions:
        yield _section("Positions", _picture(draw_positions(series), "positions"))
    if series.fills:
        yield _section("Own fills on the price", _picture(draw_fills(series), "own fills"))


def _picture(svg: str, what: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{what}" src="data:image/svg+xml;base64,{data}">'


def _section(title: str, body: str) -> str:
    return f'\n<h2>{title}</h2><div class="scroll">{body}</div>' if body else ""


def _checks(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{escape(check.name)}</td><td class=text>{VERDICTS[check.holds]}</td>"
        f"<td class=text>{escape(check.detail)}</td></tr>"
        for check in report.checks
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _orders(report: Report) -> str:
    found = {state for counts in report.orders.values() for state in counts}
    states = [state for state in (*ORDER_STATES.values(), PARTLY_FILLED) if state in found]
    return _table(
        ("strategy", *states),
        (
            (strategy, *(counts.get(state, 0) for state in states))
            for strategy, counts in report.orders.items()
        ),
    )


def _pnl(report: Report) -> str:
    columns = ("strategy", "instrument", "fills", "bought", "sold", "position")
    return _table(
        (*columns, "realized", "unrealized", "fees", "net", "currency", "other fees"),
        (
            (
                *(each.strategy, each.instrument, each.fills, each.bought, each.sold),
                *(each.position, each.realized, each.unrealized, each.fees, each.net),
                each.currency,
                ", ".join(f"{amount} {currency}" for currency, amount in each.other_fees.items()),
            )
            for each in report.pnl
        ),
    )


def _discarded(report: Report) -> str:
    return _table(
        ("source", "actor", "reason", "count", "first line", "what it was"),
        (
            (
                *(each.source, each.actor, each.reason, each.count, each.first_line),
                each.first_detail,
            )
            for each in report.discarded
        ),
    )


def _actors(report: Report) -> str:
    return _table(
        ("actor", "class", "handled", "failed", "p50 us", "p99 us", "p99.9 us"),
        (
            (
                *(actor.name, actor.class_name, actor.handled, actor.failed),
                *(
                    f"{nanoseconds / MICROSECOND:,.1f}" if actor.handle_ns.count else ""
                    for nanoseconds in (
                        actor.handle_ns.p50,
                        actor.handle_ns.p99,
                        actor.handle_ns.p999,
                    )
                ),
            )
            for actor in report.actors
        ),
    )


def _edges(report: Report) -> str:
    columns = ("stream", "reader", "delivery", "sent", "handled", "unhandled", "conflated")
    return _table(
        (*columns, "dropped", "queued"),
        (
            (
                *(edge.stream, edge.reader, edge.delivery, edge.sent, edge.handled),
                *(edge.unhandled, edge.conflated),
                ", ".join(f"{reason}: {count}" for reason, count in edge.dropped.items()) or 0,
                edge.queued,
            )
            for edge in report.edges
        ),
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows
    )
    if not body:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def _clock(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
