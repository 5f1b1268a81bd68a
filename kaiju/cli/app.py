"""The command line: every command, each from its module."""

from __future__ import annotations

import typer

from actors.runtime.errors import ExitCode
from kaiju.cli.audit import audit_command
from kaiju.cli.check import check_command, graph_command, schema_command
from kaiju.cli.deploy import keys_command, render_command
from kaiju.cli.export import export_command
from kaiju.cli.journal import journal
from kaiju.cli.operate import (
    cancel_all_command,
    disable_command,
    fills_command,
    flatten_command,
    halt_command,
    kill_command,
    limits_command,
    orders_command,
    positions_command,
    reduce_command,
    resume_command,
    status_command,
)
from kaiju.cli.plan import plan_command
from kaiju.cli.replay import replay_command
from kaiju.cli.run import HELP as RUN_HELP
from kaiju.cli.run import run_command
from kaiju.cli.tap_top import tap_command, top_command
from kaiju.cli.up import HELP as UP_HELP
from kaiju.cli.up import up_command
from kaiju.cli.venue import venue_command
from kaiju.cli.verify import state_command, verify_command

HELP = """Run an event-driven trading system from one topology file.

- `kaiju check FILE` finds every mistake in a topology at once
- `kaiju run FILE --for 60s` runs it and leaves a report behind
- `kaiju up FILE` runs each of its nodes as a process
- `kaiju replay RUN --set risk.order_burst=5` runs it again, and shows what differs
- `kaiju venue FILE --data DIR` runs a simulated venue as a process of its own
- `kaiju graph FILE` draws who listens to whom
- `kaiju export RUN --parquet DIR` exports its events for pandas or polars
- `kaiju journal ls RUN` shows what its durable actors wrote
- `kaiju verify RUN` repeats every step of them, and says HASH EQUAL or what differs
- `kaiju state RUN ACTOR --at STEP` prints what an actor knew
- `kaiju status RUN`, `orders`, `positions`, `fills` and `limits` show a running system
- `kaiju halt RUN`, `reduce`, `cancel-all`, `flatten`, `disable`, `kill` and `resume` control it
- `kaiju audit RUN` exports who halted, resumed and commanded what, under which limits

Begin with `kaiju run topology/paper.yaml --for 60s`: a synthetic market, two strategies and
no network.

**Signals**: SIGINT (Ctrl-C) and SIGTERM stop the run in order, a second one at once; SIGUSR1 halts
trading and SIGUSR2 resumes it.

**Exit codes**

""" + "\n".join(f"- {code.value}: {code.meaning}" for code in ExitCode)

app = typer.Typer(
    name="kaiju",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=HELP,
)
app.add_typer(journal, name="journal")
app.command("run", help=RUN_HELP)(run_command)
app.command("up", help=UP_HELP)(up_command)
app.command("venue")(venue_command)
app.command("check")(check_command)
app.command("graph")(graph_command)
app.command("schema")(schema_command)
app.command("plan")(plan_command)
app.command("keys")(keys_command)
app.command("render")(render_command)
app.command("tap")(tap_command)
app.command("top")(top_command)
app.command("replay")(replay_command)
app.command("export")(export_command)
app.command("verify")(verify_command)
app.command("state")(state_command)
app.command("status")(status_command)
app.command("orders")(orders_command)
app.command("positions")(positions_command)
app.command("fills")(fills_command)
app.command("limits")(limits_command)
app.command("halt")(halt_command)
app.command("reduce")(reduce_command)
app.command("resume")(resume_command)
app.command("cancel-all")(cancel_all_command)
app.command("disable")(disable_command)
app.command("kill")(kill_command)
app.command("flatten")(flatten_command)
app.command("audit")(audit_command)
