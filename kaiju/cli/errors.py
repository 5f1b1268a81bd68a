"""Errors as a message on standard error and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from actors.runtime.errors import ExitCode, KaijuError


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a user can mend into a message and an exit code."""
    try:
        yield
    except KaijuError as error:
        typer.echo(error.console_text, err=True)
        raise typer.Exit(error.exit_code) from None
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        fail(str(error), ExitCode.MISUSED if missing else ExitCode.FAILED)


def fail(message: str, code: ExitCode) -> NoReturn:
    """Say what went wrong, and exit."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)
