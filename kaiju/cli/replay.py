"""The command line: replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaiju.cli.errors import exit_on_error
from kaiju.replay.what_if import WhatIf, replay


def replay_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run.")],
    *,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="ACTOR.SETTING=VALUE",
            help="A setting to change; may be given repeatedly.",
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

    All outside inputs are the same again: recorded data or the synthetic market, the seed, the
    duration. The venue is simulated and answers the orders of the new run. Time is virtual. Orders
    and fills are matched by strategy, instrument, time, side, quantity and price, so an order more
    or less does not make all later ones differ. Without `--set`, nothing differs.

    A run that was live, or that reached out of its process, is repeated open loop: twice from
    the outside inputs in its journals, without and with the settings. Nothing leaves, the
    venue's answers are the recorded ones, and only decisions are compared.

    In ACTOR.SETTING, further dots lead to a setting inside another one, a number from 0 to an item
    of a list. VALUE is YAML; decimal numbers need no quotes.

    **Examples**

    - `kaiju replay runs/paper-20240101-120000`
    - `kaiju replay runs/paper-20240101-120000 --set risk.max_position.BTCUSDT.SIM=0.5`
    - `kaiju replay runs/paper-20240101-120000 --set 'risk.max_position={"*": 1}' --all`

    **Exit codes**: 0 it was run again, 1 the new run failed or a file is damaged, 2 the settings
    or the command are wrong, 3 trading was halted by a failure in the new run.
    """
    with exit_on_error(interrupted="stopped at once; there is no comparison"):
        code = replay(WhatIf(run, tuple(overrides or ()), runs, everything))
    raise typer.Exit(code)
