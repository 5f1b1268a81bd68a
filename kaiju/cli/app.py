"""The command line: run, replay, check, graph, schema, export, venue, journal, verify, state."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from actors.runtime.errors import ExitCode
from actors.runtime.settings import parse_duration
from kaiju.cli.deploy import keys_command, render_command
from kaiju.cli.errors import fail, refusals
from kaiju.cli.journal import journal
from kaiju.cli.plan import plan_command
from kaiju.cli.tap_top import tap_command, top_command
from kaiju.cli.up import up_command
from kaiju.cli.verify import state_command, verify_command
from kaiju.record.export import export_jsonl, export_parquet
from kaiju.replay.what_if import WhatIf, replay
from kaiju.run.local import Options, run
from kaiju.run.node import NodeOptions, run_node
from kaiju.run.parent_watch import end_with_parent
from kaiju.run.preflight import preflight
from kaiju.run.venue import VenueOptions, serve
from topology.check.check import check_file
from topology.check.json_schema import schema
from topology.config.findings import TopologyError
from topology.config.mermaid import draw
from topology.errors import RefusedError
from topology.links.endpoints import LOOPBACK, endpoints_of

EXIT_CODES = """
**Signals**: SIGINT (Ctrl-C) and SIGTERM stop the run in order, a second one at once; SIGUSR1 halts
trading and SIGUSR2 resumes it.

**Exit codes**: 0 all went well, 1 the run failed or something was lost, 2 the topology or the
command was wrong, 3 trading was halted by a failure, 4 a journal could not be synced.
"""

main = typer.Typer(
    name="kaiju",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run an event-driven trading system from one topology file.\n\n"
    "- `kaiju check FILE` finds every mistake in a topology at once\n"
    "- `kaiju run FILE --for 60s` runs it and leaves a report behind\n"
    "- `kaiju up FILE` runs every node of it as a process\n"
    "- `kaiju replay RUN --set risk.order_burst=5` runs it again, and shows what differs\n"
    "- `kaiju venue FILE --data DIR` runs a simulated venue as a process of its own\n"
    "- `kaiju graph FILE` draws who listens to whom\n"
    "- `kaiju export RUN --parquet DIR` hands its events to pandas or polars\n"
    "- `kaiju journal ls RUN` shows what its durable actors wrote\n"
    "- `kaiju verify RUN` lets them do it again, and says HASH EQUAL or what differs\n"
    "- `kaiju state RUN ACTOR --at STEP` prints what an actor knew\n\n"
    "Begin with `kaiju run topology/paper.yaml --for 60s`: a synthetic market, two strategies and "
    "no network.\n\n" + EXIT_CODES,
)

main.add_typer(journal, name="journal")
main.command("up")(up_command)
main.command("keys")(keys_command)
main.command("tap")(tap_command)
main.command("top")(top_command)
main.command("plan")(plan_command)
main.command("render")(render_command)
main.command("verify")(verify_command)
main.command("state")(state_command)

TopologyFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A topology, such as topology/paper.yaml.")
]


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _finite(number: float) -> float:
    if math.isfinite(number):
        return number
    raise typer.BadParameter(f"was {number}, allowed is a finite number")


@main.command("run")
def run_command(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A topology, such as topology/paper.yaml."),
    ] = None,
    *,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Go on with this run from where it was killed; it knows its own FILE and options.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Run in DIR/<topology's name>, and go on from what an earlier run left there.",
        ),
    ] = None,
    duration: Annotated[
        int | None,
        typer.Option(
            "--for",
            metavar="TIME",
            parser=_duration,
            help="How long, by the run's own clock: 500ms, 30s, 5m, 1h. Default: to the end of "
            "the data; a synthetic market for ten minutes, with --live or --speed until Ctrl-C.",
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Use the machine's clock instead of a virtual one.")
    ] = False,
    speed: Annotated[
        float,
        typer.Option(
            min=0,
            callback=_finite,
            help="Virtual seconds in one real second; 0 is as fast as possible.",
            metavar="N",
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of all random numbers.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the report here: a page if the name ends in .html, else JSON.",
        ),
    ] = None,
    runs: Annotated[
        Path, typer.Option(metavar="DIR", help="Where each run gets a directory of its own.")
    ] = Path("runs"),
    metrics_host: Annotated[
        str,
        typer.Option(
            metavar="HOST",
            help="Address of /metrics; 0.0.0.0 in a container. Default: the loopback.",
        ),
    ] = "",
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Its port; 0 is any free one.")
    ] = 0,
    node: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Run this node of FILE alone, linked to the others; needs --data.",
        ),
    ] = "",
    endpoints: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --node: where all nodes are, as `kaiju up` writes it; default: what the "
            "topology says.",
        ),
    ] = None,
    secret: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --node: its secret key, as `kaiju keys` makes it."),
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End when standard input does.")
    ] = False,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="With --node: recorded data as fast as its readers take it, not as fast as it "
            "was recorded.",
        ),
    ] = False,
) -> None:
    """Run a topology in this process, and leave a report behind.

    Time is virtual unless `--live` is given: it jumps from event to event, and the same file with
    the same seed gives the same events, byte for byte.

    The first Ctrl-C stops in order: sources pause, open orders are canceled, mailboxes drain. A
    second one stops at once.

    A run leaves `runs/<id>/` behind: `report.html` to look at, `report.json` for programs, and
    `events.kaiju` with every event, where the topology has a recorder; `run.json` is what
    `kaiju replay` needs to do the run again. What actors do that are `durable:` is in `journal/`:
    `--resume` goes on from there, byte for byte as if the run had never been killed.

    **Examples**

    - `kaiju run topology/paper.yaml --for 60s`
    - `kaiju run topology/paper.yaml --for 10m --live`
    - `kaiju run topology/recorded.yaml --speed 10`
    - `kaiju run --resume runs/paper-20240101-120000`
    - `kaiju run topology/paper.yaml --for 1h --quiet --report paper.html`

    **Exit codes**: 0 all went well, 1 the run failed or something was lost, 2 the topology or
    the command was wrong, 3 trading was halted by a failure, 4 a journal could not be synced.
    """
    if live and speed:
        raise typer.BadParameter("--speed paces virtual time; with --live there is none")
    if resume is not None and (live or speed or seed or data is not None):
        raise typer.BadParameter(
            "--resume goes on with the clock, speed and seed of the run: leave out the others"
        )
    if node:
        if file is None or data is None or live or speed or duration is not None:
            raise typer.BadParameter(
                "--node runs by the machine's clock until it is stopped: give FILE and --data DIR,"
                " and leave out --live, --speed and --for"
            )
        if with_parent:
            end_with_parent()
        _run_node(NodeOptions(file, node, data, endpoints, secret, seed, fast, quiet, metrics_host))
    if endpoints is not None or secret is not None or fast or with_parent:
        raise typer.BadParameter("--endpoints, --secret and --fast are of one --node NAME")
    if (file is None) == (resume is None):
        raise typer.BadParameter("give a topology FILE to begin a run, or --resume RUN to go on")
    options = Options(
        file=file,
        resume=resume,
        data=data,
        runs=runs,
        duration=duration,
        live=live,
        speed=speed,
        seed=seed,
        quiet=quiet,
        report=report,
        metrics_host=metrics_host or LOOPBACK,
        metrics_port=metrics_port,
    )
    try:
        with refusals():
            code = run(options).code
    except KeyboardInterrupt:
        fail("stopped at once; there is no report", ExitCode.FAILED)
    raise typer.Exit(code)


def _run_node(options: NodeOptions) -> NoReturn:
    try:
        with refusals():
            code = run_node(options)
    except KeyboardInterrupt:
        fail("stopped at once; there is no report", ExitCode.FAILED)
    raise typer.Exit(code)


@main.command("replay")
def replay_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run.")],
    *,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="ACTOR.SETTING=VALUE",
            help="A setting that changes; give it several times for several.",
        ),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the new run gets a directory of its own; default: beside RUN.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every difference, not the first 20 of each kind.")
    ] = False,
) -> None:
    """Run a recorded run again with other settings, and print what differs.

    What came from outside comes again: recorded data or the synthetic market, the seed, the
    duration; the venue is simulated and answers the orders of the new run. Time is virtual. Orders
    and fills are matched by strategy, instrument, time, side, quantity and price, so an order more
    or less does not make all later ones differ. Without `--set`, nothing differs.

    A run that was live, or that reached out of its process, is done again open loop: twice from
    what its journals say came from outside, without and with the settings. Nothing leaves, the
    venue's answers are the recorded ones, and decisions alone are compared.

    In ACTOR.SETTING, a setting inside another one is reached by further dots, an item of a list by
    its number from 0. VALUE is YAML; decimal numbers need no quotes.

    **Examples**

    - `kaiju replay runs/paper-20240101-120000`
    - `kaiju replay runs/paper-20240101-120000 --set risk.max_position.BTCUSDT.SIM=0.5`
    - `kaiju replay runs/paper-20240101-120000 --set 'risk.max_position={"*": 1}' --all`

    **Exit codes**: 0 it was run again, 1 the new run failed or a file is damaged, 2 the settings
    or the command were wrong, 3 trading was halted by a failure in the new run.
    """
    asked = WhatIf(run, tuple(overrides or ()), runs, everything)
    try:
        with refusals():
            code = replay(asked)
    except KeyboardInterrupt:
        fail("stopped at once; there is no comparison", ExitCode.FAILED)
    raise typer.Exit(code)


@main.command("venue")
def venue_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A topology with a door: topology/venue.yaml.")
    ],
    *,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Where its ledger is; made if it is missing.")
    ],
    bind: Annotated[
        str,
        typer.Option(
            metavar="ENDPOINT",
            help="Where to listen instead of what FILE says: tcp://HOST:PORT or ipc:///PATH.",
        ),
    ] = "",
) -> None:
    """Run a simulated venue as a process of its own, on the machine's clock, until it is stopped.

    Orders, sessions and reports are in the ledger before anybody hears of them. Killed and started
    again with the same DIR, the venue goes on where it was, and whoever trades there logs on
    again and gets the reports that it missed.

    Nobody who connects is asked for a key: an endpoint that other machines can reach is for
    networks in which everybody may trade.

    **Examples**

    - `kaiju venue topology/venue.yaml --data venue-data`, and in another terminal
      `kaiju run topology/paper_live.yaml --live`
    - `kaiju venue topology/venue.yaml --data venue-data --bind ipc:///tmp/venue`

    **Exit codes**: 0 it was stopped, 1 it failed, 2 the topology or the command was wrong, 3 an
    actor failed.
    """
    try:
        with refusals():
            code = serve(VenueOptions(file, data, bind))
    except KeyboardInterrupt:
        fail("stopped at once", ExitCode.FAILED)
    raise typer.Exit(code)


@main.command()
def check(
    file: TopologyFile,
    *,
    node: Annotated[
        str, typer.Option(metavar="NAME", help="Also find out whether this node can run here.")
    ] = "",
    secret: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --node: its secret key.")
    ] = None,
) -> None:
    """Find every mistake in a topology, each with its line and the nearest fix.

    With `--node` also what would keep that node from running on this host: a secret key that is
    missing or that others may read, a port that is taken.

    **Examples**

    - `kaiju check topology/paper.yaml`
    - `kaiju check topology/paper.yaml --node core --secret keys/core.secret`

    **Exit codes**: 0 the topology can be run, 2 it has mistakes.
    """
    checked = check_file(file)
    findings = checked.findings
    said = [str(finding) for finding in findings.all]
    with refusals():
        if node and not findings.errors:
            if node not in checked.topology.nodes:
                known = ", ".join(checked.topology.nodes)
                raise RefusedError(f"{file}: there is no node '{node}'; there are {known}")
            said += (found := list(preflight(node, endpoints_of(checked), secret)))
            if found:
                said.append(f"{file}: node '{node}' cannot run here")
    for line in said:
        typer.echo(line, err=True)
    if findings.errors or (node and len(said) > len(findings.all)):
        raise typer.Exit(ExitCode.MISUSED)
    typer.echo(f"{file}: no mistakes found")


@main.command()
def graph(file: TopologyFile) -> None:
    """Draw a topology as a Mermaid flowchart.

    **Examples**

    - `kaiju graph topology/paper.yaml`
    - `kaiju graph topology/paper.yaml > graph.mmd`, and paste it into a Markdown file or into
      https://mermaid.live
    """
    with refusals():
        checked = check_file(file)
        if checked.findings.errors:
            raise TopologyError(checked.findings)
        typer.echo(draw(checked.graph), nl=False)


@main.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of topology files, for editors.

    **Example**

    - `kaiju schema > topology.schema.json`, and in the first line of a topology:
      `# yaml-language-server: $schema=topology.schema.json`
    """
    typer.echo(json.dumps(schema(), indent=2))


@main.command()
def export(
    source: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run's directory, or its events.kaiju.")
    ],
    parquet: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="One Parquet file for each event class goes here."),
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="All events, one line of JSON each.")
    ] = None,
) -> None:
    """Hand the events of a run to pandas, polars or anything else.

    Parquet files have the envelope's columns (stream, epoch, seq, time, cause and root), then the
    event's fields: integers as the system counts them, and beside each price, quantity and amount
    its exact decimal, such as `bid_px` and `bid_px_decimal`.

    **Examples**

    - `kaiju export runs/paper-20240101-120000 --parquet out`, then
      `polars.read_parquet("out/OrderFilled.parquet")`
    - `kaiju export runs/paper-20240101-120000 --jsonl events.jsonl`
    """
    if parquet is None and jsonl is None:
        raise typer.BadParameter("say where to: --parquet DIR, --jsonl FILE, or both")
    with refusals():
        if parquet is not None:
            for name, count in sorted(export_parquet(source, parquet).items()):
                typer.echo(f"{parquet / name}.parquet: {count:,} events")
        if jsonl is not None:
            typer.echo(f"{jsonl}: {export_jsonl(source, jsonl).total():,} events")
    raise typer.Exit(ExitCode.OK)
