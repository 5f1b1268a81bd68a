"""What `kaiju run` prints when a run is over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kaiju.monitor.discarded import summaries
from kaiju.monitor.live_table import ORDER_COLUMNS
from kaiju.report.report import Report

VERDICTS = {True: ("ok", "green"), False: ("VIOLATED", "bold red"), None: ("not checked", "yellow")}


def print_summary(report: Report, directory: Path, files: Iterable[str], console: Console) -> None:
    """Print what happened, whether it adds up, and where the files are.

    Args:
        report: of the run.
        directory: of the run.
        files: names of what is in it.
        console: where to print.
    """
    run = report.run
    console.print(
        Text.assemble(
            (run.topology, "bold"),
            f": {report.events:,} events in {run.seconds:,.2f} s,",
            f" {report.events_per_second:,.0f} a second; stopped: {run.stopped}",
        )
    )
    if report.cut:
        cut = f"the record is not whole: {report.cut}; orders and PnL stop where it does"
        console.print(Text(cut, "bold red"), soft_wrap=True)
    for table in (_orders(report), _pnl(report)):
        if table.row_count:
            console.print(table)
    for said in summaries(report.discarded):
        console.print(Text(said, "yellow"), soft_wrap=True)
    for check in report.checks:
        word, style = VERDICTS[check.holds]
        line = Text.assemble((f"{word:>11}", style), f"  {check.name}: {check.detail}")
        console.print(line, soft_wrap=True)
    console.print(Text(f"{directory}: {', '.join(files)}"), soft_wrap=True)


def _table(*columns: str, left: int) -> Table:
    table = Table(pad_edge=False, box=None)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < left else "right")
    return table


def _orders(report: Report) -> Table:
    table = _table("strategy", *ORDER_COLUMNS, left=1)
    for strategy, counts in report.orders.items():
        table.add_row(strategy, *(f"{counts.get(state, 0):,}" for state in ORDER_COLUMNS))
    return table


def _pnl(report: Report) -> Table:
    columns = ("fills", "position", "realized", "unrealized", "fees", "net", "")
    table = _table("strategy", "instrument", *columns, left=2)
    for each in report.pnl:
        table.add_row(
            *(each.strategy, each.instrument, f"{each.fills:,}", each.position, each.realized),
            *(each.unrealized, each.fees, each.net, each.currency),
        )
    return table
