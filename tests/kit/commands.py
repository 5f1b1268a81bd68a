"""The command line as tests use it: in this process, in one of its own, and as it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from kaiju.cli.app import app

KAIJU = [sys.executable, "-m", "kaiju"]
"""`kaiju` in a process of its own, whatever is installed."""
INSTALLED = Path(sys.executable).with_name("kaiju")
"""The console script."""


def kaiju(*arguments: object) -> Result:
    """Do a command in this process."""
    texts = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, texts, catch_exceptions=False)


def run(topology: Path, *options: object) -> tuple[Result, Path]:
    """Do `kaiju run` in this process; return what came of it and the directory of the run."""
    runs = topology.parent / "runs"
    before = set(runs.iterdir()) if runs.exists() else set()
    result = kaiju("run", topology, "--runs", runs, *options)
    [directory] = set(runs.iterdir()) - before
    return result, directory
