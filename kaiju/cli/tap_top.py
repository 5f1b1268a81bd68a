"""The command line: tap, top."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from kaiju.cli.errors import refusals
from kaiju.cluster.attach import attach
from kaiju.cluster.tap import Wanted, tap
from kaiju.cluster.top import draw, look
from kaiju.run.outcome import WIDTH

EVERY = 1.0
"""Seconds between two looks."""

Target = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|FILE", help="A run that `kaiju up` began, or a topology of nodes elsewhere."
    ),
]


def tap_command(
    target: Target,
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="Such as book.top.")],
    *,
    position: Annotated[
        int,
        typer.Option("--from", metavar="N", help="From event N on; 1 for all there is."),
    ] = 0,
    tags: Annotated[
        list[str] | None,
        typer.Option("--event", metavar="CLASS", help="Only these; may be given repeatedly."),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="FIELD=VALUE", help="Only with these values."),
    ] = None,
    count: Annotated[
        int, typer.Option(min=0, metavar="N", help="End after so many; 0 for no end.")
    ] = 0,
    node: Annotated[
        str,
        typer.Option(metavar="NAME", help="As whom to ask, where links are encrypted."),
    ] = "",
    secret: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The secret key of that node.")
    ] = None,
) -> None:
    """Print the events of a stream as they come, from now on or from a position.

    What is missed is asked for again, as between nodes; nobody waits for you, and nothing is kept.

    **Examples**

    - `kaiju tap runs/paper-20240101-120000 book.top`
    - `kaiju tap RUN oms.orders --from 1 --event OrderFilled --where strategy=maker`
    - `kaiju tap topology/compose.yaml book.top --node core --secret keys/core.secret`

    **Exit codes**: 0 all that was wanted was printed, 2 there is no such stream or run.
    """
    pairs = [text.partition("=") for text in fields or ()]
    if wrong := next((text for text, equals, _ in pairs if not equals), None):
        raise typer.BadParameter(f"was {wrong!r}, allowed is FIELD=VALUE")
    wanted = Wanted(stream, position, tuple(tags or ()), tuple((f, v) for f, _, v in pairs), count)
    with refusals():
        tap(attach(target), wanted, typer.echo, node=node, secret=secret)


def top_command(
    target: Target,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
) -> None:
    """Show nodes, actors and the streams between nodes: rates, depths, waits, lag and gaps.

    What is in trouble comes first. Rates are of the last second.

    **Examples**

    - `kaiju top runs/paper-20240101-120000`
    - `kaiju top topology/compose.yaml --once`
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    with refusals():
        run = attach(target)
        if once:
            console.print(draw(look(run), {}, 0))
            return
        before, looked = look(run), time.monotonic()
        with Live(draw(before, {}, 0), console=console, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(EVERY)
                now, at = look(run), time.monotonic()
                live.update(draw(now, before, at - looked), refresh=True)
                before, looked = now, at
