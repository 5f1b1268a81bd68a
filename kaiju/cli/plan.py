"""The command line: plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from actors.runtime.errors import ExitCode
from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import table_console
from topology.check.check import check_file
from topology.plan.plan import SIGNS, Plan, plan


def plan_command(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The topology as it runs.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The topology as it shall be.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Print what an edit of a topology would do, before anything is touched.

    It lists what is added `+`, removed `-`, changed `~` or moved `>`; which nodes must restart, and
    why; whose readers change; and which actors start without their state. An edit that would lose
    something is refused.

    **Example**

    - `git show HEAD:topology/compose.yaml > old.yaml; kaiju plan old.yaml topology/compose.yaml`

    **Exit codes**: 0 nothing is lost, 2 something would be, or a file has mistakes.
    """
    with exit_on_error():
        found = plan(check_file(old), check_file(new))
    if as_json:
        typer.echo(json.dumps(_as_data(found), indent=2))
    else:
        _print(found)
    for finding in (*found.warnings, *found.refused):
        typer.echo(str(finding), err=True)
    if found.refused:
        raise typer.Exit(ExitCode.MISUSED)


def _print(found: Plan) -> None:
    console = table_console()
    if found.empty:
        console.print("nothing changes")
        return
    changes = Table(box=None, show_header=False)
    for change in found.changes:
        changes.add_row(SIGNS[change.kind], change.what, change.name, change.detail)
    console.print(changes)
    for node, reasons in found.restarts.items():
        console.print(f"restart {node}: {'; '.join(reasons)}", markup=False)
    for name in found.begins_anew:
        console.print(f"{name} begins anew: it is not durable", markup=False)


def _as_data(found: Plan) -> dict[str, object]:
    return {
        "changes": [change._asdict() for change in found.changes],
        "readings": [reading._asdict() for reading in found.readings],
        "restarts": found.restarts,
        "begins_anew": found.begins_anew,
        "refused": [str(finding) for finding in found.refused],
        "warnings": [str(finding) for finding in found.warnings],
    }
