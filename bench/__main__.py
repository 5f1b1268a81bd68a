"""``python -m bench [hop] [path] [actors] [latency] [journal] [codec] [links]``: measure.

With ``--against REV``, this tree is measured beside another commit of it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from bench.against import NoSuchCommitError, draw_comparison, measure_both, other_tree
from bench.machine import describe_machine
from bench.table import Row, draw

SECTIONS = ("hop", "path", "actors", "latency", "journal", "codec", "links")
TABLE_WIDTH = 150
"""Characters; a narrower table would be cut into words."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="|".join(SECTIONS))
    parser.add_argument("--against", metavar="REV", help="another commit, measured in turn")
    arguments = parser.parse_args()
    chosen = arguments.sections or SECTIONS
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        parser.error(f"was {', '.join(sorted(unknown))}, allowed are {', '.join(SECTIONS)}")
    console, began = Console(), time.monotonic()
    console.width = max(console.width, TABLE_WIDTH)
    machine = describe_machine()
    with console.status("measuring") as status:
        if arguments.against:
            table, failures = _against(arguments.against, chosen, machine, status.update)
        else:
            table, failures = _beside_peers(chosen, machine, status.update)
    console.print(table)
    console.print(f"measured in {time.monotonic() - began:.0f} s; every figure in bench/out/*.csv")
    if failures:
        sys.exit("\n".join(failures))


def _beside_peers(
    chosen: Sequence[str], machine: str, progress: Callable[[str], None]
) -> tuple[Table, list[str]]:
    rows: list[Row] = []
    failures: list[str] = []
    for section in chosen:
        measure = importlib.import_module(f"bench.{section}").run
        try:
            rows += measure(lambda what, name=section: progress(f"{name}: {what}"))
        except RuntimeError as error:
            failures.append(f"{section}: {error}")
            rows.append(Row(section, "failed"))
    return draw(rows, machine), failures


def _against(
    revision: str, chosen: Sequence[str], machine: str, progress: Callable[[str], None]
) -> tuple[Table, list[str]]:
    progress(f"making an environment of {revision}")
    try:
        other = other_tree(revision)
    except (NoSuchCommitError, RuntimeError) as error:
        sys.exit(str(error))
    compared, failures = measure_both(chosen, other, progress)
    return draw_comparison(compared, machine, revision), failures


if __name__ == "__main__":
    main()
