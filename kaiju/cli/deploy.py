"""The command line: keys, render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kaiju.cli.errors import refusals
from topology.check.check import check_file
from topology.deploy.compose import render_compose, render_prometheus, write_all
from topology.errors import RefusedError
from topology.links.keygen import make_keys


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
        known = check_file(file).topology.nodes
        for node in nodes or known:
            if node not in known:
                raise RefusedError(f"{file}: no node '{node}'; there are {', '.join(known)}")
            public, made = make_keys(directory, node, secrets)
            typer.echo(f"{public}: {'made' if made else 'was there'}")


def render_command(
    what: Annotated[
        Literal["all", "compose", "prometheus"], typer.Argument(help="The file that is wanted.")
    ],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A topology, such as topology/compose.yaml.")
    ],
) -> None:
    """Write the files of other programs that follow from a topology.

    `all` writes `docker-compose.yml` and `grafana/prometheus.yml`; `docker compose up -d` then
    starts again what the edit concerns. `compose` and `prometheus` print the one file.
    It is to be run from the project's folder, so that FILE is found in the containers by the same
    name.

    **Examples**

    - `kaiju render all topology/compose.yaml`
    - `kaiju render compose user/mine.yaml`
    """
    with refusals():
        checked = check_file(file)
        if what == "all":
            for path, changed in write_all(checked, str(file), Path()).items():
                typer.echo(f"{path}: {'written' if changed else 'was so'}")
        else:
            render = {"compose": render_compose, "prometheus": render_prometheus}[what]
            typer.echo(render(checked, str(file)), nl=False)
