"""The command line: run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from kaiju.cli.errors import exit_on_error
from kaiju.cli.options import RUNS, Quiet, Runs, nanoseconds
from kaiju.run.local import Options, resume_run, run
from kaiju.run.node import NodeOptions, run_node
from kaiju.run.outcome import Presentation
from kaiju.run.parent_watch import end_with_parent
from topology.links.endpoints import LOOPBACK

HELP = """Run a topology in this process, and leave a report behind.

Time is virtual unless `--live` is given: it jumps from event to event, and the same file with
the same seed gives the same events, byte for byte.

The first Ctrl-C stops in order: sources pause, open orders are canceled, mailboxes drain. A
second one stops at once.

A run leaves `runs/<id>/` behind: `report.html` to look at, `report.json` for programs, and
`events.kaiju` with every event, where the topology has a recorder; `run.json` is what
`kaiju replay` needs to repeat the run. What actors that are `durable:` did is in `journal/`:
`--resume` goes on from there, byte for byte as if the run had never been killed.

**Examples**

- `kaiju run topology/paper.yaml --for 60s`
- `kaiju run topology/paper.yaml --for 10m --live`
- `kaiju run topology/recorded.yaml --speed 10`
- `kaiju run --resume runs/paper-20240101-120000`
- `kaiju run topology/paper.yaml --for 1h --quiet --report paper.html`
- `kaiju run topology/compose.yaml --node core --data data --secret keys/core.secret`

**Exit codes**: 0 all went well, 1 the run failed or something was lost, 2 the topology or
the command is wrong, 3 trading is halted or orders are left open, 4 a journal could not be
synced, 5 KILL is in force.
"""


def _finite(number: float) -> float:
    if math.isfinite(number):
        return number
    raise typer.BadParameter(f"was {number}, allowed is a finite number")


File = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="A topology, such as topology/paper.yaml.")
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Continue this run from where it was killed; it knows its own FILE and options.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Run in DIR/<topology's name>, and continue what an earlier run left there.",
    ),
]
For = Annotated[
    int | None,
    typer.Option(
        "--for",
        metavar="TIME",
        parser=nanoseconds,
        help="How long, by the run's own clock: 500ms, 30s, 5m, 1h. Default: to the end of "
        "the data; a synthetic market for ten minutes, with --live or --speed until Ctrl-C.",
    ),
]
Live = Annotated[
    bool, typer.Option("--live", help="Use the machine's clock instead of a virtual one.")
]
Speed = Annotated[
    float,
    typer.Option(
        min=0,
        callback=_finite,
        help="Virtual seconds per real second; 0 is as fast as possible.",
        metavar="N",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all random numbers.")]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Also write the report here: a page if the name ends in .html, else JSON.",
    ),
]
MetricsHost = Annotated[
    str,
    typer.Option(
        metavar="HOST", help="Address of /metrics; 0.0.0.0 in a container. Default: the loopback."
    ),
]
MetricsPort = Annotated[
    int, typer.Option(min=0, max=65535, metavar="PORT", help="Port of /metrics; 0 is any free one.")
]
Node = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Run only this node of FILE, linked to the others; needs --data.",
    ),
]
Endpoints = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --node: where all nodes are, as `kaiju up` writes it. Default: what the"
        " topology says.",
    ),
]
Secret = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="With --node: its secret key, as `kaiju keys` makes it."),
]
WithParent = Annotated[
    bool, typer.Option("--with-parent", hidden=True, help="End when standard input does.")
]
Fast = Annotated[
    bool,
    typer.Option(
        "--fast",
        help="With --node: take recorded data as fast as its readers can, not as fast as it"
        " was recorded.",
    ),
]


COMMON = frozenset({"quiet", "runs", "metrics_host"})
NEW_RUN = COMMON | {
    *("file", "data", "duration", "live", "speed", "seed", "report", "metrics_port"),
}
RESUMED_RUN = COMMON | {"resume", "duration", "report", "metrics_port"}
ONE_NODE = COMMON | {
    *("file", "node", "data", "endpoints", "secret", "seed", "fast", "with_parent"),
}


def run_command(
    context: typer.Context,
    file: File = None,
    *,
    resume: Resume = None,
    data: Data = None,
    duration: For = None,
    live: Live = False,
    speed: Speed = 0.0,
    seed: Seed = 0,
    quiet: Quiet = False,
    report: Report = None,
    runs: Runs = RUNS,
    metrics_host: MetricsHost = "",
    metrics_port: MetricsPort = 0,
    node: Node = "",
    endpoints: Endpoints = None,
    secret: Secret = None,
    with_parent: WithParent = False,
    fast: Fast = False,
) -> None:
    """Run FILE, continue RUN, or run one node of FILE."""
    shown = Presentation(quiet, report, metrics_host or LOOPBACK, metrics_port)
    with exit_on_error(interrupted="stopped at once; there is no report"):
        if node:
            _allow(ONE_NODE, context, "with --node NAME")
            if file is None or data is None:
                raise typer.BadParameter("--node NAME needs a topology FILE and --data DIR")
            if with_parent:
                end_with_parent()
            code = run_node(
                NodeOptions(file, node, data, endpoints, secret, seed, fast, quiet, metrics_host)
            )
        elif resume is not None:
            _allow(RESUMED_RUN, context, "with --resume RUN")
            code = resume_run(resume, duration, shown).code
        elif file is not None:
            _allow(NEW_RUN, context, "without --node NAME")
            if live and speed:
                raise typer.BadParameter("--speed paces virtual time; with --live there is none")
            code = run(Options(file, data, runs, duration, live, speed, seed, shown)).code
        else:
            raise typer.BadParameter("give a topology FILE to run, or --resume RUN to continue one")
    raise typer.Exit(code)


def _allow(names: frozenset[str], context: typer.Context, when: str) -> None:
    """Refuse every option that was given and is not among `names`."""
    others = [
        "FILE" if each.name == "file" else each.opts[0]
        for each in context.command.params
        if each.name not in names and _was_given(context, str(each.name))
    ]
    if others:
        raise typer.BadParameter(f"{', '.join(others)} cannot be used {when}")


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
