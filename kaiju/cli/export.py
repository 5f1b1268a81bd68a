"""The command line: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaiju.cli.errors import exit_on_error
from kaiju.record.export import export_jsonl, export_parquet


def export_command(
    source: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run's directory, or its events.kaiju.")
    ],
    parquet: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write one Parquet file per event class here."),
    ] = None,
    jsonl: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all events here, one line of JSON each."),
    ] = None,
) -> None:
    """Export the events of a run for pandas, polars or anything else.

    Parquet files have the envelope's columns (stream, epoch, seq, time, cause and root), then the
    event's fields: integers as the system counts them, and beside each price, quantity and amount
    its exact decimal, such as `bid_px` and `bid_px_decimal`.

    **Examples**

    - `kaiju export runs/paper-20240101-120000 --parquet out`, then
      `polars.read_parquet("out/OrderFilled.parquet")`
    - `kaiju export runs/paper-20240101-120000 --jsonl events.jsonl`
    """
    if parquet is None and jsonl is None:
        raise typer.BadParameter("say where to: --parquet DIR, --jsonl FILE, or both")
    with exit_on_error():
        if parquet is not None:
            for name, count in sorted(export_parquet(source, parquet).items()):
                typer.echo(f"{parquet / name}.parquet: {count:,} events")
        if jsonl is not None:
            typer.echo(f"{jsonl}: {export_jsonl(source, jsonl).total():,} events")
