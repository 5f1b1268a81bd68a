"""The command line: check, graph, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from actors.runtime.errors import ExitCode
from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import TopologyFile
from kaiju.run.preflight import preflight
from topology.check.check import CheckedTopology, check_file
from topology.check.json_schema import schema
from topology.config.findings import TopologyError
from topology.config.mermaid import draw
from topology.errors import RefusedError
from topology.links.endpoints import endpoints_of


def check_command(
    file: TopologyFile,
    *,
    node: Annotated[
        str, typer.Option(metavar="NAME", help="Also check whether this node can run on this host.")
    ] = "",
    secret: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --node: its secret key.")
    ] = None,
) -> None:
    """Find every mistake in a topology, each with its line and the nearest fix.

    With `--node`, also what would keep that node from running on this host: a secret key that is
    missing or that others may read, a port that is taken.

    Where there is none, it prints who holds which role in the order path.

    **Examples**

    - `kaiju check topology/paper.yaml`
    - `kaiju check topology/paper.yaml --node core --secret keys/core.secret`

    **Exit codes**: 0 the topology can be run, 2 it has mistakes.
    """
    checked = check_file(file)
    for finding in checked.findings.all:
        typer.echo(str(finding), err=True)
    obstacles = list[str]()
    if node and not checked.findings.errors:
        with exit_on_error():
            obstacles = _obstacles(checked, file, node, secret)
    for obstacle in obstacles:
        typer.echo(obstacle, err=True)
    if checked.findings.errors or obstacles:
        raise typer.Exit(ExitCode.MISUSED)
    typer.echo(f"{file}: no mistakes found")
    roles = checked.graph.roles.items()
    typer.echo("; ".join(f"{role or 'no role'}: {', '.join(held)}" for role, held in roles))


def _obstacles(checked: CheckedTopology, file: Path, node: str, secret: Path | None) -> list[str]:
    """Return what keeps a node from running here, and that it cannot; nothing where it can."""
    nodes = checked.topology.nodes
    if node not in nodes:
        raise RefusedError(f"{file}: there is no node '{node}'; there are {', '.join(nodes)}")
    found = list(preflight(node, endpoints_of(checked), secret))
    return [*found, f"{file}: node '{node}' cannot run here"] if found else []


def graph_command(file: TopologyFile) -> None:
    """Draw a topology as a Mermaid flowchart.

    **Examples**

    - `kaiju graph topology/paper.yaml`
    - `kaiju graph topology/paper.yaml > graph.mmd`, and paste it into a Markdown file or into
      https://mermaid.live
    """
    with exit_on_error():
        checked = check_file(file)
        if checked.findings.errors:
            raise TopologyError(checked.findings)
        typer.echo(draw(checked.graph), nl=False)


def schema_command() -> None:
    """Print the JSON Schema of topology files, for editors.

    **Example**

    - `kaiju schema > topology.schema.json`, and in the first line of a topology:
      `# yaml-language-server: $schema=topology.schema.json`
    """
    typer.echo(json.dumps(schema(), indent=2))
