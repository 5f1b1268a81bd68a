"""The command line: audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import table_console
from kaiju.journals.audit_trail import audit_trail

WIDTH = 200
"""Columns of the table where there is no terminal to measure."""


def audit_command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run's directory, or that of nodes' data.")
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for programs and auditors.")
    ] = False,
) -> None:
    """Print every halt, lift, kill, command and limit of a run: when, who, what and why.

    It is read from the journals of all nodes; the run may be going on.

    **Examples**

    - `kaiju audit runs/paper-20240101-120000`
    - `kaiju audit runs/paper-20240101-120000 --json > audit.json`

    **Exit codes**: 0 it was printed, 1 a journal is damaged, 2 nothing of the run was kept.
    """
    with exit_on_error():
        entries = audit_trail(run)
    if as_json:
        plain = [{"moment": entry.moment, **msgspec.structs.asdict(entry)} for entry in entries]
        typer.echo(json.dumps(plain, indent=2))
        return
    table = Table(pad_edge=False, box=None)
    for column in ("time", "node", "kind", "who", "what", "why"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        table.add_row(entry.moment, entry.node, entry.kind, entry.who, entry.what, entry.why)
    table_console(WIDTH).print(table)
