"""The command line: tap, top."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import table_console
from kaiju.cluster.attach import attach
from kaiju.cluster.tap import Wanted, tap
from kaiju.cluster.top import draw, look

INTERVAL = 1.0
"""Seconds between two refreshes."""

Target = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|FILE",
        help="A run started by `kaiju up`, or a topology whose nodes run elsewhere.",
    ),
]


def tap_command(
    target: Target,
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="A stream, such as book.top.")],
    *,
    position: Annotated[
        int,
        typer.Option("--from", metavar="N", help="Start at event N; 1 for all that is kept."),
    ] = 0,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--event", metavar="CLASS", help="Only events of this class; may be given repeatedly."
        ),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="FIELD=VALUE",
            help="Only events with this value; may be given repeatedly.",
        ),
    ] = None,
    count: Annotated[
        int, typer.Option(min=0, metavar="N", help="End after N events; 0 for no end.")
    ] = 0,
    node: Annotated[
        str,
        typer.Option(metavar="NAME", help="Ask as this node, where links are encrypted."),
    ] = "",
    secret: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The secret key of that node.")
    ] = None,
) -> None:
    """Print the events of a stream as they come, from now on or from a position.

    Missed events are requested again, as between nodes. No publisher waits for you, and nothing is
    kept.

    **Examples**

    - `kaiju tap runs/paper-20240101-120000 book.top`
    - `kaiju tap RUN oms.orders --from 1 --event OrderFilled --where strategy=maker`
    - `kaiju tap topology/compose.yaml book.top --node core --secret keys/core.secret`

    **Exit codes**: 0 N events were printed, 2 there is no such stream or run.
    """
    pairs = [text.partition("=") for text in fields or ()]
    if wrong := next((text for text, equals, _ in pairs if not equals), None):
        raise typer.BadParameter(f"was {wrong!r}, allowed is FIELD=VALUE")
    wanted = Wanted(stream, position, tuple(tags or ()), tuple((f, v) for f, _, v in pairs), count)
    with exit_on_error():
        tap(attach(target), wanted, typer.echo, node=node, secret=secret)


def top_command(
    target: Target,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
) -> None:
    """Show nodes, actors and the streams between nodes: rates, depths, waits, lag and gaps.

    What is in trouble comes first. Rates are those of the last second.

    **Examples**

    - `kaiju top runs/paper-20240101-120000`
    - `kaiju top topology/compose.yaml --once`
    """
    console = table_console()
    with exit_on_error():
        run = attach(target)
        if once:
            console.print(draw(look(run), {}, 0))
            return
        before, looked = look(run), time.monotonic()
        with Live(draw(before, {}, 0), console=console, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(INTERVAL)
                now, at = look(run), time.monotonic()
                live.update(draw(now, before, at - looked), refresh=True)
                before, looked = now, at
