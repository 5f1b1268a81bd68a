"""What a command refuses or cannot do, as a message and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from actors.runtime.journal.data_directory import DataDirectoryError
from actors.runtime.journal.frames import DamagedFileError
from actors.runtime.journal.writer import JournalLockedError
from actors.runtime.recovery.recovery import RecoveryError
from actors.runtime.recovery.replay import DivergedError
from kaiju.run.run_file import RunFileError
from topology.config.findings import TopologyError
from topology.config.keys import KeysError
from topology.errors import FAILED, MISUSED, RefusedError
from topology.files import ExportError
from topology.links.endpoints import EndpointsError


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
        DataDirectoryError,
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
