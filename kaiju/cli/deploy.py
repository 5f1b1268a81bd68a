"""The command line: keys, render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import TopologyFile
from topology.check.check import check_file
from topology.deploy.compose import render_compose, render_prometheus, write_all
from topology.errors import RefusedError
from topology.links.keygen import make_keys, make_token


def keys_command(
    file: TopologyFile,
    *,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where the keys go; made if it is missing.")
    ],
    nodes: Annotated[
        list[str] | None,
        typer.Option("--node", metavar="NAME", help="Only for this node; may be given repeatedly."),
    ] = None,
    secrets: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the secret keys go instead, such as to another volume."
        ),
    ] = None,
    token: Annotated[
        bool, typer.Option("--token", help="Make the token of a venue instead, DIR/venue.token.")
    ] = False,
) -> None:
    """Make the missing key pairs of a topology's nodes; none is ever overwritten.

    `<node>.public` is for everybody: `public_key:` of the node names it. `<node>.secret` is for
    that node alone: `kaiju run --node` reads it from `--secret`, from the file that the variable
    KAIJU_SECRET_FILE names, or from the container's secret `kaiju_<node>`.

    **Example**

    - `kaiju keys topology/paper.yaml --dir keys`
    - `kaiju keys topology/venue.yaml --dir keys --token`: what `token_file:` of the venue and of
      those who trade there names
    """
    with exit_on_error():
        if token:
            path, made = make_token(directory)
            typer.echo(f"{path}: {'made' if made else 'already there'}")
            return
        known = check_file(file).topology.nodes
        for node in nodes or known:
            if node not in known:
                raise RefusedError(f"{file}: no node '{node}'; there are {', '.join(known)}")
            public, made = make_keys(directory, node, secrets)
            typer.echo(f"{public}: {'made' if made else 'already there'}")


def render_command(
    what: Annotated[
        Literal["all", "compose", "prometheus"], typer.Argument(help="Which file to write.")
    ],
    file: TopologyFile,
) -> None:
    """Write the files that Docker Compose and Prometheus need to run a topology.

    `all` writes `docker-compose.yml` and `grafana/prometheus.yml`; `docker compose up -d` then
    restarts what the edit affects. `compose` and `prometheus` print that one file.
    Run it in the project's folder, so that FILE has the same name in the containers.

    **Examples**

    - `kaiju render all topology/compose.yaml`
    - `kaiju render compose user/mine.yaml`
    """
    with exit_on_error():
        checked = check_file(file)
        if what == "all":
            for path, changed in write_all(checked, str(file), Path()).items():
                typer.echo(f"{path}: {'written' if changed else 'unchanged'}")
        else:
            render = {"compose": render_compose, "prometheus": render_prometheus}[what]
            typer.echo(render(checked, str(file)), nl=False)
