"""The command line: up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import RUNS, Quiet, Runs, nanoseconds
from kaiju.cluster.cluster import UpOptions, up
from kaiju.cluster.layout import ClusterPlan, Link

HELP = """Run every node of a topology as a process of this host, linked to each other.

A node that dies is restarted, first after 0.2 s, later up to 10 s apart, and continues from
its journals; after eight deaths within a minute the run ends. Nodes that read from it halt
trading, if the topology says so, and wait.

The first Ctrl-C ends the run in order: sources pause, open orders are canceled, and the nodes
stop when nothing is left to do. A second one stops them at once, a third one kills them.
Nodes also stop when this process is killed.

A run leaves `runs/<id>/` behind: `<node>.log` with what a node printed, `<topology>/<node>/`
with its report and record, `<topology>/journal/` with what durable actors did, for
`kaiju verify`.

**Examples**

- `kaiju up FILE --for 60s`
- `kaiju up FILE --link tcp`
- `kaiju up --resume runs/paper-20240101-120000`

**Exit codes**: the highest of all nodes: 0 all went well, 1 a node failed or something was
lost, 2 the topology or the command is wrong, 3 trading is halted or orders are left open, 4 a
journal could not be synced, 5 KILL is in force.
"""


def up_command(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A topology of several nodes.")
    ] = None,
    *,
    link: Annotated[
        Link | None,
        typer.Option(
            help="How nodes are linked: ipc by sockets that only you can open, tcp encrypted over"
            " the loopback, as between hosts. Default: ipc.",
        ),
    ] = None,
    duration: Annotated[
        int | None,
        typer.Option(
            "--for",
            metavar="TIME",
            parser=nanoseconds,
            help="How long, in real time: 30s, 5m, 1h. Default: to the end of the data, or Ctrl-C.",
        ),
    ] = None,
    runs: Runs = RUNS,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Continue this run; it knows its own FILE and link."),
    ] = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="Take recorded data as fast as its readers can, not as fast as it was recorded.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run every node of FILE as a process, or continue RUN."""
    if (file is None) == (resume is None):
        raise typer.BadParameter("give a topology FILE to run, or --resume RUN to continue one")
    if resume is not None and (link or fast):
        raise typer.BadParameter("--link and --fast cannot be used with --resume RUN")
    plan = None
    if file is not None:
        plan = ClusterPlan(file=str(file.resolve()), link=link or "ipc", fast=fast)
    with exit_on_error():
        code = up(UpOptions(plan, resume, runs, duration, quiet))
    raise typer.Exit(code)
