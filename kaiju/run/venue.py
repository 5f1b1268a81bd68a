"""A simulated venue as a process: a topology with a venue server, run from its ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from actors.runtime.clock import LiveClock
from actors.runtime.errors import ExitCode
from gateways.simulated.session.server import VenueServer
from gateways.sockets import ServerSocket, Wake
from kaiju.run.build import compose
from kaiju.run.run_file import new_session
from kaiju.run.signals import signal_handlers
from topology.check.check import CheckedTopology, check_file
from topology.errors import RefusedError


@dataclass(frozen=True)
class VenueOptions:
    """What `kaiju venue` was asked for.

    Attributes:
        file: the topology.
        data: directory of the ledger; the venue continues from what it holds.
        bind: where to listen; empty for what the topology says.
        token: file with the token of its clients; None for what the topology says.
    """

    file: Path
    data: Path
    bind: str = ""
    token: Path | None = None


def serve(options: VenueOptions) -> int:
    """Run a venue until it is stopped, and return the exit code.

    Raises:
        TopologyError: the file has mistakes; the text lists all of them.
        RefusedError: the file has no venue server, or more than one, or its endpoint is taken.
        TokenError: the token of its clients cannot be read.
        DataDirectoryError: the ledger is another node's, or cannot be read.
        RecoveryError: its journals do not fit together, or an actor does not repeat its.
        DamagedFileError: a journal is damaged.
        OSError: it cannot be written, or another venue runs from it.
        KeyboardInterrupt: a second signal came while the venue was stopping.
    """
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    checked = check_file(options.file)
    name = _venue_server(checked)
    overrides = [f"{name}.endpoint={options.bind}"] if options.bind else []
    if options.token is not None:
        overrides.append(f"{name}.token_file={options.token.resolve()}")
    if overrides:
        checked = check_file(options.file, overrides=overrides)
    for warning in checked.findings.warnings:
        errors.print(str(warning), markup=False)
    settings = VenueServer.Settings.model_validate(
        checked.topology.actors[name].settings, context={"base": options.file.resolve().parent}
    )
    settings.read_token()  # before the ledger is touched
    _refuse_taken(settings.endpoint)
    node = compose(
        checked,
        session=new_session(),
        directory=options.data,
        data=options.data,
        clock=LiveClock(),
    )
    Console(highlight=False, soft_wrap=True).print(
        f"{checked.topology.name}: on {settings.endpoint}, ledger in {options.data}; Ctrl-C stops",
        markup=False,
    )
    with signal_handlers(node):
        node.run()
    halted = node.halts.reason
    for failure in dict.fromkeys([halted, *node.supervisor.failures]):
        if failure:
            errors.print(f"error: {failure}", markup=False)
    if halted:
        return ExitCode.KILLED if node.halts.killed else ExitCode.HALTED
    return ExitCode.FAILED if node.supervisor.failures else ExitCode.OK


def _refuse_taken(endpoint: str) -> None:
    """Check before the ledger is touched; later, it would be a failure of the running venue."""
    wake = Wake()
    try:
        ServerSocket(endpoint, wake).close()
    except OSError as error:
        raise RefusedError(str(error.strerror)) from error
    finally:
        wake.close()


def _venue_server(checked: CheckedTopology) -> str:
    doors = [name for name, found in checked.classes.items() if issubclass(found, VenueServer)]
    if len(doors) != 1:
        names = ", ".join(doors) or "none"
        raise RefusedError(
            f"{checked.document.file}: actors of {VenueServer.__module__}:{VenueServer.__name__}"
            f" were {names}; a venue has exactly one, such as in topology/venue.yaml"
        )
    return doors[0]
