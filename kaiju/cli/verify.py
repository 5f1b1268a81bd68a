"""The command line: verify, state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from actors.runtime.errors import ExitCode
from kaiju.cli.errors import refusals
from kaiju.journals.state import state_of
from kaiju.journals.verify import Verdict, Verification, verify
from kaiju.run.outcome import WIDTH
from topology.config.document import as_yaml

DIGITS = 12
"""Hexadecimal digits of a digest that are shown: enough to compare by eye."""

Source = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's directory, or that of one journal.")
]


def verify_command(
    source: Source,
    *,
    actors: Annotated[
        list[str] | None,
        typer.Option("--actor", metavar="ACTOR", help="Only this one; may be given several times."),
    ] = None,
) -> None:
    """Let every durable actor of a run do its journal again, and compare.

    Each actor is made from its own journal alone and gets its inputs again; nothing else of the
    run is needed. All outputs and timers of each step are compared, and at each snapshot all that
    the actor knows. The digest is of what it knows at the end: two runs with the same digests
    ended alike.

    What differs was decided by something that is no input: a clock, chance, the order of a set, a
    variable outside of the actor's State; or the code is not that of the run.

    **Examples**

    - `kaiju verify runs/paper-20240101-120000`
    - `kaiju verify runs/paper-20240101-120000 --actor oms --actor risk`

    **Exit codes**: 0 HASH EQUAL, 1 something differs or cannot be done again, 2 there is no such
    journal.
    """
    with refusals():
        verification = verify(source, actors or ())
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(_as_table(verification))
    speed = verification.steps / verification.seconds
    typer.echo(
        f"all together {verification.digest[:DIGITS]}; {verification.steps:,} steps in"
        f" {verification.seconds:.1f} s, {speed:,.0f} a second"
    )
    typer.echo(verification.summary)
    raise typer.Exit(0 if verification.equal else ExitCode.FAILED)


def state_command(
    source: Source,
    actor: Annotated[
        str | None,
        typer.Argument(metavar="ACTOR", help="Whose state; needed if there are several journals."),
    ] = None,
    *,
    step: Annotated[
        int | None,
        typer.Option("--at", min=1, metavar="STEP", help="Of the actor; default: the last one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print what an actor knew after one of its steps.

    The actor does its journal again, from the snapshot before that step. Its state is printed with
    the names of all fields; prices, quantities and amounts are whole numbers, as the actor has
    them. `kaiju journal cat` prints the steps.

    **Examples**

    - `kaiju state runs/paper-20240101-120000 oms`
    - `kaiju state runs/paper-20240101-120000 risk --at 120 --json`

    **Exit codes**: 0 it is printed, 1 the journal is damaged or the actor does not do it again, 2
    there is no such journal or step.
    """
    with refusals():
        state = state_of(source, actor, step)
    typer.echo(json.dumps(state, indent=2) if as_json else as_yaml(state), nl=as_json)


def _as_table(verification: Verification) -> Table:
    table = Table(pad_edge=False, box=None)
    table.add_column("actor", overflow="fold")
    for column in ("steps", "snapshots"):
        table.add_column(column, justify="right")
    for column in ("digest", "verdict"):
        table.add_column(column)
    for each in verification.verdicts:
        table.add_row(
            *(each.actor, f"{each.steps:,}", f"{each.snapshots:,}"),
            *(each.digest[:DIGITS], _said(each)),
        )
    return table


def _said(verdict: Verdict) -> str:
    if verdict.difference is not None:
        return "different"
    if verdict.trouble:
        return "not verified"
    return "equal" if verdict.digest else "whole"
