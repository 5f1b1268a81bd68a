"""``python -m bench [hop] [path] [actors] [latency] [journal] [links]``: measure, print a table."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from rich.console import Console

from bench.machine import describe_machine
from bench.table import Row, draw

SECTIONS = ("hop", "path", "actors", "latency", "journal", "links")
TABLE_WIDTH = 150
"""Characters; a narrower table would be cut into words."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="|".join(SECTIONS))
    chosen = parser.parse_args().sections or SECTIONS
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        parser.error(f"was {', '.join(sorted(unknown))}, allowed are {', '.join(SECTIONS)}")
    console, began = Console(), time.monotonic()
    console.width = max(console.width, TABLE_WIDTH)
    machine = describe_machine()
    rows: list[Row] = []
    failures: list[str] = []
    with console.status("measuring") as status:
        for section in chosen:
            measure = importlib.import_module(f"bench.{section}").run
            try:
                rows += measure(lambda what, name=section: status.update(f"{name}: {what}"))
            except RuntimeError as error:
                failures.append(f"{section}: {error}")
                rows.append(Row(section, "failed"))
    console.print(draw(rows, machine))
    console.print(f"measured in {time.monotonic() - began:.0f} s; every figure in bench/out/*.csv")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
