"""The command line: up, keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actors.runtime.settings import parse_duration
from topology.check import examine
from topology.links.key_pairs import make_keys
from topology.outcome import RefusedError
from topology.refusals import refusals
from topology.up import Link, UpOptions, up


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def up_command(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A topology, such as topology/paper.yaml."),
    ] = None,
    *,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that `kaiju up` began.")
    ] = None,
    link: Annotated[
        Link,
        typer.Option(help="Nodes speak over files of this host, or over its network, encrypted."),
    ] = "ipc",
    duration: Annotated[
        int | None,
        typer.Option("--for", metavar="TIME", parser=_duration, help="How long: 30s, 5m, 1h."),
    ] = None,
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Recorded data as fast as its readers take it."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    runs: Annotated[
        Path, typer.Option(metavar="DIR", help="Where each run gets a directory of its own.")
    ] = Path("runs"),
) -> None:
    """Run every node of a topology as a process of this host, until it is stopped.

    A node that dies is started again, and goes on from its journals; the others notice that its
    streams are stale, and resume when it is back. The first Ctrl-C stops in order: sources pause,
    open orders are canceled, mailboxes drain. A second one stops at once.

    The run's directory has a log of each node, and below the topology's name the journals of all
    actors and what belongs to each node.

    **Examples**

    - `kaiju up topology/paper.yaml --for 60s`
    - `kaiju up topology/paper.yaml --link tcp`
    - `kaiju up --resume runs/paper-20240101-120000`

    **Exit codes**: 0 all nodes ended well, else the highest of theirs; 1 one was given up.
    """
    if (file is None) == (resume is None):
        raise typer.BadParameter("give a topology FILE to begin a run, or --resume RUN to go on")
    options = UpOptions(file, resume, link, runs, duration, fast, quiet)
    with refusals():
        code = up(options)
    raise typer.Exit(code)


def keys_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A topology.")],
    *,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where the keys are; made if missing.")
    ],
    nodes: Annotated[
        list[str] | None,
        typer.Option("--node", metavar="NAME", help="Only of this node; may be given repeatedly."),
    ] = None,
    secrets: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where secret keys go instead, such as another volume."),
    ] = None,
) -> None:
    """Make the missing key pairs of a topology's nodes; none is ever overwritten.

    `<node>.public` is for everybody: `public_key:` of the node names it. `<node>.secret` is for
    that node alone: `kaiju run --node` finds it by `--secret`, in the variable KAIJU_SECRET_FILE,
    or as the container's secret `kaiju_<node>`.

    **Example**

    - `kaiju keys topology/paper.yaml --dir keys`
    """
    with refusals():
        known = examine(file).topology.nodes
        for node in nodes or known:
            if node not in known:
                raise RefusedError(f"{file}: no node '{node}'; there are {', '.join(known)}")
            public, made = make_keys(directory, node, secrets)
            typer.echo(f"{public}: {'made' if made else 'was there'}")
