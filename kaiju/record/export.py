"""A run's record as Parquet or JSON lines, for pandas, polars and everyone else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from kaiju.record.plain import EXACT, WHOLE, as_json
from kaiju.record.record import Record, Recorded
from topology.files import ExportError, atomic_write

LEVELS = {"bids", "asks"}
"""Fields that hold levels of a book, in every event."""


def export_jsonl(source: Path, file: Path) -> Counter[str]:
    """Write every event of a record as one line of JSON, in recorded order.

    A price, quantity or amount beyond ``2 ** 53`` is text: most readers of JSON would round it. So
    is any number beyond 64 bits.

    Args:
        source: a run's directory, or its file of events.
        file: what to write.

    Returns:
        Events by class.

    Raises:
        FileNotFoundError: there is no record.
        DamagedFileError: the record is damaged; `file` is not written then.
    """
    counts: Counter[str] = Counter()
    with Record(source) as record, atomic_write(file) as unfinished, unfinished.open("wb") as out:
        for recorded in record:
            counts[recorded.tag] += 1
            out.write(msgspec.json.encode(_line(recorded, record)) + b"\n")
    return counts


def export_parquet(source: Path, directory: Path) -> Counter[str]:
    """Write one Parquet file for each event class of a record, ``<class>.parquet``.

    `kaiju.record.parquet` describes the columns.

    Args:
        source: a run's directory, or its file of events.
        directory: where the files go; it is made.

    Returns:
        Events by class.

    Raises:
        ExportError: pyarrow is not installed, or a value does not fit its column.
        FileNotFoundError: there is no record.
        DamagedFileError: the record is damaged; no file is written then.
    """
    try:
        from kaiju.record.parquet import write_tables  # noqa: PLC0415 - pyarrow is optional
    except ImportError as error:
        raise ExportError(
            f"{error}; pip install 'kaiju[export]' brings what --parquet needs"
        ) from None
    with Record(source) as record:
        return write_tables(record, directory)


def _line(recorded: Recorded, record: Record) -> dict[str, Any]:
    line = recorded._asdict()
    tag, *values = _with_money_as_text(recorded.event, record)
    names = (field[0] for field in record.schema[tag])
    line |= {"event": tag, "fields": dict(zip(names, values, strict=False))}
    return line


def _with_money_as_text(event: list[Any], record: Record) -> list[Any]:
    """Return an event as JSON has it: money that JSON's readers would round is text."""
    tag, *values = event
    fields = record.schema[tag]
    names = [field[0] for field in fields]
    plain: list[Any] = [tag]
    for (name, kind, *_), value in zip(fields, values, strict=False):
        match kind:
            case "int":
                counted = record.scales.unit(tag, name, names) is not None
                plain.append(as_json(value, EXACT if counted else WHOLE))
            case ["event", _]:
                plain.append(_with_money_as_text(value, record))
            case list() | "any":
                plain.append(as_json(value, EXACT if name in LEVELS else WHOLE))
            case _:
                plain.append(value)
    return plain
