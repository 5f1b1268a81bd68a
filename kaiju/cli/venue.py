"""The command line: venue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaiju.cli.errors import exit_on_error
from kaiju.run.venue import VenueOptions, serve


def venue_command(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A topology of a venue, such as topology/venue.yaml."),
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
    token: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the token that clients must have, mode 0600."),
    ] = None,
) -> None:
    """Run a simulated venue as a process of its own, by the machine's clock, until it is stopped.

    Orders, sessions and reports are in the ledger before any client sees them. Killed and started
    again with the same DIR, the venue continues where it was; its clients log on again and get
    the reports that they missed.

    An endpoint that other machines can reach needs a token, by `--token` or as the topology says
    (`token_file`, `token_env`): who does not have it, neither trades nor gets market data.

    **Examples**

    - `kaiju venue topology/venue.yaml --data venue-data`, and in another terminal
      `kaiju run topology/paper_live.yaml --live`
    - `kaiju venue topology/venue.yaml --data venue-data --bind ipc:///tmp/venue`

    **Exit codes**: 0 it was stopped, 1 it failed, 2 the topology or the command is wrong, 3 an
    actor failed.
    """
    with exit_on_error(interrupted="stopped at once"):
        code = serve(VenueOptions(file, data, bind, token))
    raise typer.Exit(code)
