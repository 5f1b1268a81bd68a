"""The command line: status, orders, positions, fills, limits, halt, reduce, resume, ..."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from actors.events.durations import SECOND
from actors.runtime.errors import ExitCode
from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import nanoseconds, table_console
from kaiju.operate.command import Result, Wanted, flatten, give, show

WAIT = 10 * SECOND
CONFIRMED: Mapping[str, str] = {
    "halt": "halted; the venue lists nothing open",
    "reduce": "reducing: only what makes a position smaller passes",
    "cancel-all": "every order that was open has ended",
    "kill": "KILL is in force; the venue lists nothing open",
    "resume": "trading is active",
    "flatten": "flat: every position is 0 by the venue's reports, and no order is open",
    "disable": "the strategy is halted, and no order of it is open",
}
"""What is so once a command is confirmed."""

Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="Directory of a run: of `kaiju run`, of `kaiju up`, or of nodes' data."
    ),
]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Your reason, for the journals.")]
Wait = Annotated[
    int | None,
    typer.Option(
        "--wait",
        metavar="TIME",
        parser=nanoseconds,
        help="How long to wait for the confirmation. Default: 10s.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def status_command(run: Run, *, as_json: Json = False) -> None:
    """Show of every node whether trading is halted, why, by whom and what lifts it.

    **Example**

    - `kaiju status runs/paper-20240101-120000`

    **Exit codes**: 0 every node answered, 2 there is no such run, 3 a node did not answer.
    """
    with exit_on_error():
        found = show(run, "status", WAIT / SECOND)
    if as_json:
        _print_json(found)
    else:
        for name, answer in found:
            if answer is None:
                typer.echo(f"{name}: no answer")
                continue
            status = json.loads(answer)
            ending = f"; ending: {status['ending']}" if status["ending"] else ""
            typer.echo(f"{name}: {status['level']}; {status['open_orders']} orders open{ending}")
            if abs(ahead := status["clock_ahead"] / SECOND) > 1:
                clock = datetime.fromtimestamp(status["clock"] / SECOND, UTC)
                typer.echo(f"  clock: {clock:%Y-%m-%d %H:%M:%S} UTC, {ahead:+,.0f} s off")
            for connection, state in status["connections"].items():
                typer.echo(f"  {connection}: {state}")
            for halt in status["halts"]:
                typer.echo(f"  {_halt_text(halt)}")
    _exit_unanswered(found)


def orders_command(run: Run, *, as_json: Json = False) -> None:
    """Show every open order.

    **Example**

    - `kaiju orders runs/paper-20240101-120000 --json`

    **Exit codes**: 0 every node answered, 2 there is no such run, 3 a node did not answer.
    """
    _show_table(run, "orders", as_json=as_json)


def positions_command(run: Run, *, as_json: Json = False) -> None:
    """Show every position, with its cost and result.

    **Example**

    - `kaiju positions runs/paper-20240101-120000`

    **Exit codes**: 0 every node answered, 2 there is no such run, 3 a node did not answer.
    """
    _show_table(run, "positions", as_json=as_json)


def fills_command(run: Run, *, as_json: Json = False) -> None:
    """Show the newest 1,000 fills since each node's start, oldest first.

    **Example**

    - `kaiju fills runs/paper-20240101-120000`

    **Exit codes**: 0 every node answered, 2 there is no such run, 3 a node did not answer.
    """
    _show_table(run, "fills", as_json=as_json)


def limits_command(run: Run, *, as_json: Json = False) -> None:
    """Show the limits of risk, as they are in force.

    **Example**

    - `kaiju limits runs/paper-20240101-120000`

    **Exit codes**: 0 every node answered, 2 there is no such run, 3 a node did not answer.
    """
    _show_table(run, "limits", as_json=as_json)


def halt_command(run: Run, *, why: Why = "", wait: Wait = None, as_json: Json = False) -> None:
    """Stop new orders and cancel what is open; confirmed once the venue lists nothing.

    A node that does not answer finds the halt in its directory before its first input.

    **Example**

    - `kaiju halt runs/paper-20240101-120000 --why "the feed looks wrong"`

    **Exit codes**: 0 every node confirmed, 2 there is no such run, 3 one did not in time.
    """
    _give(run, "halt", {}, why, wait, as_json=as_json)


def reduce_command(run: Run, *, why: Why = "", wait: Wait = None, as_json: Json = False) -> None:
    """Let only orders pass that make a position smaller.

    **Example**

    - `kaiju reduce runs/paper-20240101-120000`

    **Exit codes**: 0 every node confirmed, 2 there is no such run, 3 one did not in time.
    """
    _give(run, "reduce", {}, why, wait, as_json=as_json)


def resume_command(
    run: Run,
    *,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why it is safe again.")],
    wait: Wait = None,
    as_json: Json = False,
) -> None:
    """Lift every halt, KILL too; refused while an actor of the order path is down.

    **Example**

    - `kaiju resume runs/paper-20240101-120000 --why "positions compared by hand"`

    **Exit codes**: 0 trading is active on every node, 2 there is no such run, 3 it stays halted.
    """
    _give(run, "resume", {}, why, wait, as_json=as_json)


def cancel_all_command(
    run: Run, *, why: Why = "", wait: Wait = None, as_json: Json = False
) -> None:
    """Cancel every open order once; strategies go on, and may place new ones.

    **Example**

    - `kaiju cancel-all runs/paper-20240101-120000`

    **Exit codes**: 0 every order that was open has ended, 2 there is no such run, 3 not in time.
    """
    _give(run, "cancel-all", {}, why, wait, as_json=as_json)


def kill_command(run: Run, *, why: Why = "", wait: Wait = None, as_json: Json = False) -> None:
    """Halt for good: kept on disk first, in force after every restart, lifted by resume alone.

    **Example**

    - `kaiju kill runs/paper-20240101-120000 --why "unknown positions"`

    **Exit codes**: 0 every node confirmed, 2 there is no such run, 3 one did not in time.
    """
    _give(run, "kill", {}, why, wait, as_json=as_json)


def disable_command(
    run: Run,
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="Its name, such as maker.")],
    *,
    why: Why = "",
    wait: Wait = None,
    as_json: Json = False,
) -> None:
    """Stop one strategy: its orders are canceled, and it places no new ones.

    **Example**

    - `kaiju disable runs/paper-20240101-120000 maker`

    **Exit codes**: 0 every node confirmed, 2 there is no such run or strategy, 3 not in time.
    """
    _give(run, "disable", {"strategy": strategy}, why, wait, as_json=as_json)


def flatten_command(
    run: Run,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    why: Why = "",
    wait: Wait = None,
    as_json: Json = False,
) -> None:
    """Close every position at market; strategies stay out of it until you resume.

    Quotes are withdrawn first. Only orders pass then that make a position smaller, and each
    position is closed with one of them; a restart repeats none.

    **Example**

    - `kaiju flatten runs/paper-20240101-120000`

    **Exit codes**: 0 every position is 0 by the venue's reports, 2 there is no such run, or you
    said no, 3 a position is left, or trading is halted by others than an operator.
    """
    if not (yes or typer.confirm(f"close every position of {run} at market?")):
        raise typer.Exit(ExitCode.MISUSED)
    seconds = WAIT if wait is None else wait
    with exit_on_error():
        results = flatten(run, why, getpass.getuser(), seconds / SECOND)
    _print("flatten", results, seconds, as_json=as_json)
    if not all(result.confirmed for result in results):
        raise typer.Exit(ExitCode.HALTED)


def _give(
    run: Path,
    command: str,
    arguments: Mapping[str, str],
    why: str,
    given: int | None,
    *,
    as_json: bool,
) -> None:
    wait = WAIT if given is None else given
    with exit_on_error():
        results = give(run, Wanted(command, arguments, why, getpass.getuser()), wait / SECOND)
    _print(command, results, wait, as_json=as_json)
    refusals = [r.answer.refused for r in results if r.answer is not None and r.answer.refused]
    if refusals and len(refusals) == len(results) and command == "disable":
        raise typer.Exit(ExitCode.MISUSED)
    concerned = [r for r in results if not (command == "disable" and r.answer and r.answer.refused)]
    if not all(result.confirmed for result in concerned):
        raise typer.Exit(ExitCode.HALTED)


def _print(command: str, results: list[Result], wait: int, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({r.node: _plain(r) for r in results}, indent=2))
        return
    for result in results:
        typer.echo(f"{result.node}: {_text(command, result, wait)}")


def _text(command: str, result: Result, wait: int) -> str:
    answer = result.answer
    if answer is None:
        return f"no answer within {wait / SECOND:g} s" + (f"; {result.left}" if result.left else "")
    if answer.refused:
        return f"refused: {answer.refused}"
    if answer.missing:
        return f"not confirmed: {answer.missing}"
    return CONFIRMED[command]


def _plain(result: Result) -> dict[str, Any]:
    answer = result.answer
    return {
        "answered": answer is not None,
        "confirmed": result.confirmed,
        "refused": "" if answer is None else answer.refused,
        "missing": result.left if answer is None else answer.missing,
    }


def _show_table(run: Path, what: str, *, as_json: bool) -> None:
    with exit_on_error():
        found = show(run, what, WAIT / SECOND)
    if as_json:
        _print_json(found)
    else:
        rows = [
            {"node": name, **{key: value for key, value in row.items() if key != "units"}}
            for name, answer in found
            if answer is not None
            for row in json.loads(answer)["rows"]
        ]
        table = Table(pad_edge=False, box=None)
        for column in rows[0] if rows else ():
            table.add_column(column)
        for row in rows:
            table.add_row(*map(str, row.values()))
        table_console().print(table if rows else f"no {what}")
        for name, answer in found:
            if answer is None:
                typer.echo(f"{name}: no answer")
    _exit_unanswered(found)


def _print_json(found: list[tuple[str, bytes | None]]) -> None:
    plain = {name: None if answer is None else json.loads(answer) for name, answer in found}
    typer.echo(json.dumps(plain, indent=2))


def _exit_unanswered(found: list[tuple[str, bytes | None]]) -> None:
    if any(answer is None for _, answer in found):
        raise typer.Exit(ExitCode.HALTED)


def _halt_text(halt: Mapping[str, Any]) -> str:
    about = ", ".join(
        halt[name] for name in ("venue", "account", "instrument", "strategy") if halt[name]
    )
    owner = f"; raised by {halt['owner']}" if halt["owner"] else ""
    scope = f" ({about})" if about else ""
    verified = f"; verified by {', '.join(halt['verified_by'])}" if halt["verified_by"] else ""
    lifted = f"; lifted by: {halt['lifted_by']}"
    return f"{halt['level']}: {halt['reason']}{scope}{owner}{verified}{lifted}"
