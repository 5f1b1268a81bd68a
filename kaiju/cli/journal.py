"""The command line: journal ls, journal cat, journal repair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from actors.runtime.errors import ExitCode
from actors.runtime.journal.repair import apply_cut, find_cut
from actors.runtime.journal.segments import JournalReader
from kaiju.cli.errors import refusals
from kaiju.journals.catalog import as_table, journal_of, listing, told
from kaiju.journals.step_text import step_lines

WIDTH = 160
"""Columns of a table where there is no terminal to measure."""

journal = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Look at the journals of a run, and cut a damaged one to what is whole.",
)

Source = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's directory, or that of one journal.")
]
Actor = Annotated[
    str | None,
    typer.Argument(metavar="ACTOR", help="Whose journal; needed if there are several."),
]


@journal.command("ls")
def list_command(source: Source) -> None:
    """List the journals of a run: their steps, files and bytes, and whether they are whole.

    All headers and each last segment are read; `kaiju journal repair` reads every byte.

    **Example**

    - `kaiju journal ls runs/paper-20240101-120000`

    **Exit codes**: 0 all is well, 1 a journal is damaged, 2 there is none.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    with refusals():
        journals = listing(source)
    console.print(as_table(journals))
    if any(each.damaged for each in journals):
        raise typer.Exit(ExitCode.FAILED)


@journal.command("cat")
def print_command(
    source: Source,
    actor: Actor = None,
    *,
    first: Annotated[
        int | None, typer.Option("--from", min=1, metavar="STEP", help="Default: the oldest kept.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=1, metavar="STEP", help="Default: the last one.")
    ] = None,
) -> None:
    """Print the steps of an actor: each input, and the outputs and timers that came of it.

    Prices, quantities and amounts are decimals where the journal knows their scale. Fields that
    have their default are left out.

    **Example**

    - `kaiju journal cat runs/paper-20240101-120000 oms --from 120 --to 140`

    **Exit codes**: 0 all is printed, 1 the journal is damaged behind what is printed, 2 there is
    no such journal.
    """
    with refusals():
        reader = JournalReader(journal_of(source, actor))
        oldest = reader.segments()[0].first_step
        until = reader.last_step if last is None else last
        for line in step_lines(reader, oldest if first is None else first, until):
            typer.echo(line)


@journal.command("repair")
def repair_command(
    source: Source,
    actor: Actor = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it, not only say it.")] = False,
) -> None:
    """Say what of a damaged journal can be kept; with `--yes`, cut it to that.

    Every byte is read. A journal is whole up to its first damage: what follows cannot be played
    back without what is missing. What is cut off is kept in files `broken-...` beside it.

    An actor whose journal was cut comes back as it was then. Others may know more of it than it
    does itself, and refuse to go on with it.

    **Examples**

    - `kaiju journal repair runs/paper-20240101-120000 oms`
    - `kaiju journal repair runs/paper-20240101-120000 oms --yes`

    **Exit codes**: 0 the journal is whole, now or already before, 1 it is damaged, 2 there is no
    such journal or a node is using it.
    """
    with refusals():
        directory = journal_of(source, actor)
        cut = find_cut(directory)
        if cut is None:
            typer.echo(f"{directory}: every step is whole")
            return
        for line in told(directory, cut):
            typer.echo(line)
        if not yes:
            typer.echo("nothing was changed; --yes does it")
            raise typer.Exit(ExitCode.FAILED)
        for path in apply_cut(directory, cut):
            typer.echo(f"kept aside: {path}")
