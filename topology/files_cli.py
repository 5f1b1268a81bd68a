"""The command line: keys, render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from topology.check import examine
from topology.links.key_pairs import make_keys
from topology.outcome import RefusedError
from topology.refusals import refusals
from topology.render import render_compose, render_prometheus


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


def render_command(
    what: Annotated[
        Literal["compose", "prometheus"], typer.Argument(help="The file that is wanted.")
    ],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A topology, such as topology/compose.yaml.")
    ],
) -> None:
    """Print the file of another program that follows from a topology.

    Write it from the project's folder, so that FILE is found in the containers by the same name.

    **Examples**

    - `kaiju render compose topology/compose.yaml > docker-compose.yml`
    - `kaiju render prometheus topology/compose.yaml > grafana/prometheus.yml`
    """
    with refusals():
        render = {"compose": render_compose, "prometheus": render_prometheus}[what]
        typer.echo(render(examine(file), str(file)), nl=False)
