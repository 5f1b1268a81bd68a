"""The command line: up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actors.runtime.settings import parse_duration
from kaiju.cli.errors import refusals
from kaiju.cluster.cluster import UpOptions, up
from kaiju.cluster.layout import ClusterPlan, Link


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def up_command(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A topology of several nodes.")
    ] = None,
    *,
    link: Annotated[
        Link | None,
        typer.Option(
            help="How nodes speak: through files that only you can open, or encrypted over the"
            " loopback, as between hosts. Default: ipc.",
        ),
    ] = None,
    duration: Annotated[
        int | None,
        typer.Option(
            "--for",
            metavar="TIME",
            parser=_duration,
            help="How long, in real time: 30s, 5m, 1h. Default: to the end of the data, or Ctrl-C.",
        ),
    ] = None,
    runs: Annotated[
        Path, typer.Option(metavar="DIR", help="Where each run gets a directory of its own.")
    ] = Path("runs"),
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with this run; it knows its own FILE and link."),
    ] = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="Recorded data as fast as its readers take it, not as fast as it was recorded.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Run every node of a topology as a process of this host, linked to each other.

    A node that dies is started again, first after 0.2 s, later up to 10 s apart, and goes on from
    its journals; after eight deaths within a minute the run ends. Nodes that read from it halt
    trading, if the topology wants that, and wait.

    The first Ctrl-C ends the run in order: sources pause, open orders are canceled, and when
    nothing is left to do the nodes stop. A second one does not wait for that, a third one kills.
    Nodes also stop when this process is killed.

    A run leaves `runs/<id>/` behind: `<node>.log` is what a node printed, `<topology>/<node>/` its
    report and record, `<topology>/journal/` what durable actors did, for `kaiju verify`.

    **Examples**

    - `kaiju up FILE --for 60s`
    - `kaiju up FILE --link tcp`
    - `kaiju up --resume runs/paper-20240101-120000`

    **Exit codes**: the worst of all nodes, the higher the worse: 0 all went well, 1 a node failed
    or something was lost, 2 the topology or the command was wrong, 3 trading was halted by a
    failure, 4 a journal could not be synced.
    """
    if (file is None) == (resume is None):
        raise typer.BadParameter("give a topology FILE to begin a run, or --resume RUN to go on")
    if resume is not None and (link or fast):
        raise typer.BadParameter("--resume goes on as the run began: leave out --link and --fast")
    plan = None
    if file is not None:
        plan = ClusterPlan(file=str(file.resolve()), link=link or "ipc", fast=fast)
    with refusals():
        code = up(UpOptions(plan, resume, runs, duration, quiet))
    raise typer.Exit(code)
