"""Event classes as Parquet files; the only module that imports pyarrow.

Columns are the envelope's (`ENVELOPE`), then the event's fields; an event inside an event becomes
columns with its field's name in front. Prices, quantities and amounts whose scale the record holds
have a second, exact column ``<field>_decimal``. What has no Arrow type is JSON text. A whole number
is an int64, or a decimal128 of 38 digits in a column where one value needs more than 64 bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from actors.events.reference import from_units
from kaiju.record.record import Record, Recorded
from kaiju.record.scales import Unit
from topology.files import ExportError, atomic_write

NUMBER, TEXT = pa.int64(), pa.string()
SCALARS = {
    "int": NUMBER,
    "str": TEXT,
    "float": pa.float64(),
    "bool": pa.bool_(),
    "bytes": pa.binary(),
}
ENVELOPE = {
    "stream": TEXT,
    "epoch": NUMBER,
    "seq": NUMBER,
    "time": pa.timestamp("ns", tz="UTC"),
    "cause_stream": TEXT,
    "cause_epoch": NUMBER,
    "cause_seq": NUMBER,
    "root_stream": TEXT,
    "root_epoch": NUMBER,
    "root_seq": NUMBER,
}
"""First columns of every file; an event's field with such a name becomes ``event_<name>``."""
NO_CAUSE = (None, None, None)
ROWS_IN_MEMORY = 50_000
"""Rows of a class that are written at once."""
DECIMAL_DIGITS = 38
WIDE_NUMBER = pa.decimal128(DECIMAL_DIGITS, 0)
MOST = 2**63 - 1
"""What an int64 holds; of negative numbers one more."""


class TooWideError(Exception):
    """Values of some columns need more than 64 bits; `columns` are (class, name) of each."""

    def __init__(self, columns: set[tuple[str, str]]) -> None:
        super().__init__()
        self.columns = columns


class Column(NamedTuple):
    """One field of an event, or of an event inside it, as a column."""

    name: str
    path: tuple[int, ...]
    """Indexes that lead to the value in the encoded event."""
    type: Any
    as_json: bool
    unit: Unit | None
    named_by: str
    """Column of the instrument or currency that gives the scale."""


def write_tables(record: Record, directory: Path) -> Counter[str]:
    """Write the events of `record`; see `kaiju.record.export.export_parquet`."""
    wide: set[tuple[str, str]] = set()
    while True:
        try:
            return _write_tables(record, directory, wide)
        except TooWideError as found:
            wide |= found.columns


def _write_tables(record: Record, directory: Path, wide: set[tuple[str, str]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    with ExitStack() as files:
        tables: dict[str, Table] = {}
        for recorded in record:
            tag = recorded.tag
            if tag not in tables:
                path = files.enter_context(atomic_write(directory / f"{tag}.parquet"))
                tables[tag] = files.enter_context(Table(path, tag, record, wide))
            counts[tag] += 1
            tables[tag].add(recorded)
    return counts


class Table:
    """The file of one event class.

    Args:
        path: the file.
        tag: of the class.
        record: that the events are from.
        wide: (class, name) of the columns whose numbers need more than 64 bits.
    """

    def __init__(self, path: Path, tag: str, record: Record, wide: set[tuple[str, str]]) -> None:
        self._tag = tag
        self._columns = [
            column._replace(type=_widened(column.type)) if (tag, column.name) in wide else column
            for column in _columns(tag, record)
        ]
        self._schema = _schema(self._columns)
        self._rows: list[Recorded] = []
        self._writer = ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            self._writer.close()

    def add(self, recorded: Recorded) -> None:
        """Add one row."""
        self._rows.append(recorded)
        if len(self._rows) >= ROWS_IN_MEMORY:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        rows = [_envelope_row(row) for row in self._rows]
        data: dict[str, Any] = dict(zip(ENVELOPE, zip(*rows, strict=True), strict=False))
        for column in self._columns:
            data[column.name] = [_value(row.event, column) for row in self._rows]
        for column in self._columns:
            if column.unit is not None:
                name = f"{column.name}_decimal"
                try:
                    data[name] = _decimals(column.unit, data[column.name], data[column.named_by])
                except pa.ArrowInvalid as error:
                    raise self._misfit(name, data[column.name]) from error
        self._rows.clear()
        try:
            self._writer.write_table(pa.table(data, schema=self._schema))
        except (pa.ArrowException, OverflowError) as error:
            self._name_misfits(data)
            raise ExportError(f"{self._tag}: {error}") from error

    def _name_misfits(self, data: dict[str, Any]) -> None:
        """Raise what tells where numbers stand that are too large for their columns, if any."""
        too_wide = set()
        for column in self._columns:
            if column.as_json:
                continue
            largest = max(map(_largest, data[column.name]), default=0)
            if largest >= 10**DECIMAL_DIGITS:
                raise self._misfit(column.name, data[column.name])
            if largest > MOST and _widened(column.type) != column.type:
                too_wide.add((self._tag, column.name))
        if too_wide:
            raise TooWideError(too_wide)

    def _misfit(self, name: str, values: list[Any]) -> ExportError:
        largest = max(values, key=_largest)
        return ExportError(
            f"{self._tag}.{name}: {largest} does not fit a decimal of {DECIMAL_DIGITS} digits"
        )


def _columns(
    tag: str, record: Record, prefix: str = "", path: tuple[int, ...] = ()
) -> Iterator[Column]:
    fields = record.schema[tag]
    names = [field[0] for field in fields]
    for index, (name, kind, *_) in enumerate(fields, start=1):
        if isinstance(kind, list) and kind[0] == "event":
            yield from _columns(kind[1], record, f"{prefix}{name}_", (*path, index))
            continue
        unit = record.scales.unit(tag, name, names) if kind == "int" else None
        named_by = _name(prefix + unit.named_by) if unit else ""
        arrow = _arrow_type(kind, record)
        yield Column(
            _name(prefix + name), (*path, index), arrow or TEXT, arrow is None, unit, named_by
        )


def _name(field: str) -> str:
    return f"event_{field}" if field in ENVELOPE else field


def _schema(columns: Iterable[Column]) -> Any:
    columns = list(columns)
    fields = list(ENVELOPE.items())
    fields += [(column.name, column.type) for column in columns]
    fields += [
        (
            f"{column.name}_decimal",
            pa.decimal128(DECIMAL_DIGITS, column.unit.largest_scale),
        )
        for column in columns
        if column.unit
    ]
    return pa.schema(fields)


def _arrow_type(kind: Any, record: Record) -> Any:
    """Return the Arrow type for a type of the schema table; None where JSON text must do."""
    match kind:
        case str():
            return SCALARS.get(kind)
        case ["enum", name]:
            values = record.enums[name].values()
            return NUMBER if all(isinstance(value, int) for value in values) else TEXT
        case ["optional", inner]:
            return _arrow_type(inner, record)
        case ["list", inner]:
            item = _arrow_type(inner, record)
            return item and pa.list_(item)
        case ["tuple", first, *rest] if all(other == first for other in rest):
            item = _arrow_type(first, record)
            return item and pa.list_(item)
    return None


def _decimals(unit: Unit, values: list[int | None], names: list[str]) -> Any:
    """Return `values` as an exact Arrow column, all at the unit's largest scale."""
    scale = unit.largest_scale
    kind = pa.decimal128(DECIMAL_DIGITS, scale)
    units = [unit.at(scale, *pair) for pair in zip(values, names, strict=True)]
    try:
        # A decimal is its units and a scale: this path never makes a Python object a value.
        whole = pa.array(units, NUMBER).cast(pa.decimal128(DECIMAL_DIGITS, 0))
        return pa.Array.from_buffers(kind, len(units), whole.buffers())
    except (OverflowError, pa.ArrowInvalid):
        return pa.array([None if u is None else from_units(u, scale) for u in units], kind)


def _widened(kind: Any) -> Any:
    """Return the type of a column in place of `kind` where its whole numbers are wide."""
    if pa.types.is_list(kind):
        return pa.list_(_widened(kind.value_type))
    return WIDE_NUMBER if kind == NUMBER else kind


def _largest(value: Any) -> int:
    """Return the size of the largest whole number in a value of a column."""
    match value:
        case bool():
            return 0
        case int():
            return max(value, ~value)
        case list():
            return max(map(_largest, value), default=0)
    return 0


def _envelope_row(recorded: Recorded) -> tuple[Any, ...]:
    stream, epoch, seq, cause, root, time, _ = recorded
    return (stream, epoch, seq, time, *(cause or NO_CAUSE), *root)


def _value(event: Any, column: Column) -> Any:
    for index in column.path:
        event = event[index]
    return msgspec.json.encode(event).decode() if column.as_json else event
