"""The one table that a run prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.table import Table

PEERS = ("NautilusTrader", "vn.py", "pykka")


@dataclass(frozen=True)
class Row:
    """One measurement: ours, and each peer's with the ratio to ours."""

    task: str
    ours: str
    peers: dict[str, str] = field(default_factory=dict)
    aim: str = ""
    note: str = ""


def our_figure(value: float | None, unit: str) -> str:
    """Return a figure of ours as the table shows it."""
    return "-" if value is None else f"{number(value)} {unit}"


def figure(value: float | None, ratio: float | None, aim: float, unit: str) -> str:
    """Return a peer's figure and how many times better ours is, green where the aim is met."""
    if value is None or ratio is None:
        return "not installed"
    return f"{number(value)} {unit} [{'green' if ratio >= aim else 'yellow'}]{ratio:.2f}x[/]"


def draw(rows: list[Row], title: str) -> Table:
    """Return all rows as one table."""
    table = Table(title=title, title_justify="left", caption_justify="left")
    for heading in ("measured", "kaiju"):
        table.add_column(heading)
    for name in PEERS:
        table.add_column(name)
    for heading in ("aim", "note"):
        table.add_column(heading)
    for row in rows:
        peers = [row.peers.get(name, "") for name in PEERS]
        table.add_row(row.task, row.ours, *peers, row.aim, row.note)
    return table


def number(value: float) -> str:
    """Return a figure with as many digits as mean something."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"
