"""The command line: journal ls, journal cat, journal repair."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.runtime.errors import ExitCode
from actors.runtime.journal.repair import apply_cut, find_cut
from actors.runtime.journal.segments import JournalReader
from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import JournalSource, table_console
from kaiju.journals.catalog import as_table, cut_lines, journal_of, listing
from kaiju.journals.step_text import step_lines

WIDTH = 160
"""Columns of a table where there is no terminal to measure."""

journal = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="List, print and repair the journals of a run.",
)

Actor = Annotated[
    str | None,
    typer.Argument(metavar="ACTOR", help="Whose journal; needed if there are several."),
]


@journal.command("ls")
def list_command(source: JournalSource) -> None:
    """List the journals of a run: their steps, files and bytes, and whether they are whole.

    Only headers and each last segment are read; `kaiju journal repair` reads every byte.

    **Example**

    - `kaiju journal ls runs/paper-20240101-120000`

    **Exit codes**: 0 all are whole, 1 a journal is damaged, 2 there is none.
    """
    console = table_console(WIDTH)
    with exit_on_error():
        journals = listing(source)
    console.print(as_table(journals))
    if any(each.damaged for each in journals):
        raise typer.Exit(ExitCode.FAILED)


@journal.command("cat")
def print_command(
    source: JournalSource,
    actor: Actor = None,
    *,
    first: Annotated[
        int | None, typer.Option("--from", min=1, metavar="STEP", help="Default: the oldest kept.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=1, metavar="STEP", help="Default: the last one.")
    ] = None,
) -> None:
    """Print the steps of an actor: each input, and the outputs and timers that followed from it.

    Prices, quantities and amounts are decimals where the journal knows their scale. Fields with
    their default value are left out.

    **Example**

    - `kaiju journal cat runs/paper-20240101-120000 oms --from 120 --to 140`

    **Exit codes**: 0 all steps were printed, 1 the journal is damaged after the last one printed,
    2 there is no such journal.
    """
    with exit_on_error():
        reader = JournalReader(journal_of(source, actor))
        oldest = reader.segments()[0].first_step
        until = reader.last_step if last is None else last
        for line in step_lines(reader, oldest if first is None else first, until):
            typer.echo(line)


@journal.command("repair")
def repair_command(
    source: JournalSource,
    actor: Actor = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it, instead of only saying it.")] = False,
) -> None:
    """Print how much of a damaged journal can be kept; with `--yes`, cut off the rest.

    Every byte is read. A journal is whole up to its first damage: what follows cannot be replayed
    without what is missing. What is cut off is kept in files `broken-...` beside it.

    An actor whose journal was cut recovers as it was at its last whole step. Others may have seen
    later events of it, and then refuse to continue with it.

    **Examples**

    - `kaiju journal repair runs/paper-20240101-120000 oms`
    - `kaiju journal repair runs/paper-20240101-120000 oms --yes`

    **Exit codes**: 0 the journal is whole, now or already before, 1 it is damaged, 2 there is no
    such journal or a node is using it.
    """
    with exit_on_error():
        directory = journal_of(source, actor)
        cut = find_cut(directory)
        if cut is None:
            typer.echo(f"{directory}: every step is whole")
            return
        for line in cut_lines(directory, cut):
            typer.echo(line)
        if not yes:
            typer.echo("nothing was changed; --yes does it")
            raise typer.Exit(ExitCode.FAILED)
        for path in apply_cut(directory, cut):
            typer.echo(f"kept aside: {path}")
