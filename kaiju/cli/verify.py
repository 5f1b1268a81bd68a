"""The command line: verify, state."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from actors.runtime.errors import ExitCode
from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import JournalSource, table_console
from kaiju.journals.state import state_of
from kaiju.journals.verify import Verdict, Verification, verify
from kaiju.record.plain import EXACT
from kaiju.record.plain import as_json as exact
from topology.config.document import as_yaml

DIGITS = 12
"""Hexadecimal digits of a digest that are shown: enough to compare by eye."""


def verify_command(
    source: JournalSource,
    *,
    actors: Annotated[
        list[str] | None,
        typer.Option("--actor", metavar="ACTOR", help="Only this actor; may be given repeatedly."),
    ] = None,
) -> None:
    """Repeat every step of a run's durable actors from their journals, and compare.

    Each actor is built from its own journal alone and gets its inputs again; nothing else of the
    run is needed. All outputs and timers of each step are compared, and at each snapshot the
    actor's whole memory. The digest is of its memory at the end: two runs with the same digests
    ended alike.

    A difference comes from something that is no input: a clock, chance, the order of a set, a
    variable outside of the actor's State; or the code is not that of the run.

    **Examples**

    - `kaiju verify runs/paper-20240101-120000`
    - `kaiju verify runs/paper-20240101-120000 --actor oms --actor risk`

    **Exit codes**: 0 HASH EQUAL, 1 something differs or cannot be repeated, 2 there is no such
    journal.
    """
    with exit_on_error():
        verification = verify(source, actors or ())
    console = table_console()
    console.print(_as_table(verification))
    speed = verification.steps / verification.seconds
    typer.echo(
        f"all together {verification.digest[:DIGITS]}; {verification.steps:,} steps in"
        f" {verification.seconds:.1f} s, {speed:,.0f} a second"
    )
    typer.echo(verification.summary)
    raise typer.Exit(0 if verification.equal else ExitCode.FAILED)


def state_command(
    source: JournalSource,
    actor: Annotated[
        str | None,
        typer.Argument(metavar="ACTOR", help="Whose state; needed if there are several journals."),
    ] = None,
    *,
    step: Annotated[
        int | None,
        typer.Option(
            "--at", min=1, metavar="STEP", help="A step of the actor; default: the last one."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print what an actor knew after one of its steps.

    The actor repeats its steps from the snapshot before that one. Its state is printed with the
    names of all fields; prices, quantities and amounts are whole numbers, as the actor has them.
    `kaiju journal cat` prints the steps.

    **Examples**

    - `kaiju state runs/paper-20240101-120000 oms`
    - `kaiju state runs/paper-20240101-120000 risk --at 120 --json`

    **Exit codes**: 0 the state was printed, 1 the journal is damaged or a step had another outcome,
    2 there is no such journal or step.
    """
    with exit_on_error():
        state = state_of(source, actor, step)
    if as_json:
        actors_own = {"state", "input", "outputs"} & state.keys()
        shown = {
            key: exact(state[key], EXACT) if key in actors_own else state[key] for key in state
        }
        typer.echo(json.dumps(shown, indent=2))
    else:
        typer.echo(as_yaml(state), nl=False)


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
