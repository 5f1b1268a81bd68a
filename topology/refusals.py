"""What a command refuses or cannot do, as a message and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from actors.runtime.data import DataError
from actors.runtime.frames import DamagedFileError
from actors.runtime.journal import JournalLockedError
from actors.runtime.recovery import RecoveryError
from actors.runtime.replay import DivergedError
from topology.endpoints import EndpointsError
from topology.findings import TopologyError
from topology.links.keys import KeysError
from topology.outcome import FAILED, MISUSED, RefusedError
from topology.output import ExportError
from topology.run_file import RunFileError


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a user can mend into a message and an exit code."""
    try:
        yield
    except TopologyError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(MISUSED) from None
    except (
        FileNotFoundError,
        RefusedError,
        DataError,
        JournalLockedError,
        KeysError,
        EndpointsError,
    ) as error:
        fail(str(error), MISUSED)
    except (
        DamagedFileError,
        DivergedError,
        RecoveryError,
        RunFileError,
        ExportError,
        OSError,
    ) as error:
        fail(str(error), FAILED)


def fail(message: str, code: int) -> NoReturn:
    """Say what went wrong, and exit."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)
