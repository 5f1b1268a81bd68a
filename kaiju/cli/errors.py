"""Errors as a message on standard error and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from actors.runtime.errors import ExitCode, KaijuError


@contextmanager
def exit_on_error(*, interrupted: str = "") -> Iterator[None]:
    """Turn an error that a user can mend into its message and its exit code.

    Args:
        interrupted: what to say where the command was stopped at once; empty where that is no
            failure of the command.
    """
    try:
        yield
    except KaijuError as error:
        typer.echo(error.console_text, err=True)
        raise typer.Exit(error.exit_code) from None
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        fail(str(error), ExitCode.MISUSED if missing else ExitCode.FAILED)
    except KeyboardInterrupt:
        if not interrupted:
            raise
        fail(interrupted, ExitCode.FAILED)


def fail(message: str, code: ExitCode) -> NoReturn:
    """Print what went wrong, and exit."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)
