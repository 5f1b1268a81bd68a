"""Options, arguments and consoles that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from actors.runtime.settings import parse_duration
from kaiju.run.outcome import WIDTH

TopologyFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A topology, such as topology/paper.yaml.")
]
JournalSource = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's directory, or that of one journal.")
]
Runs = Annotated[
    Path, typer.Option(metavar="DIR", help="Where each run gets a directory of its own.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]

RUNS = Path("runs")


def nanoseconds(text: str) -> int:
    """Return a duration such as ``30s`` in nanoseconds.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def table_console(width: int = WIDTH) -> Console:
    """Return a console for tables, `width` columns wide where there is no terminal to measure."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = width
    return console
