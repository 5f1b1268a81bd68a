"""The steps of a journal as text: inputs, outputs and timers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from actors.events.durations import SECOND
from actors.runtime import codec
from actors.runtime.journal.segments import JournalReader, Segment
from kaiju.record.scales import Scales, scales_of_header


def moment(nanoseconds: int) -> str:
    """Return a time as people read it, to the nanosecond: ``2024-01-01 00:00:00.000000001``."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09}"


def step_lines(journal: JournalReader, first: int, last: int) -> Iterator[str]:
    """Yield the lines of the steps from `first` to `last`.

    Raises:
        DamagedFileError: the journal is damaged after what was yielded, or does not reach back
            to `first`.
    """
    formatter = None
    following = list(journal.segments())
    for number, body in enumerate(journal.steps(first - 1), start=first):
        if number > last:
            return
        while following and following[0].first_step <= number:
            formatter = StepFormatter(following.pop(0))
        assert formatter is not None
        try:
            step = codec.decode(body)
        except codec.WideIntegerError as error:
            raise journal.damaged_step(number, error) from error
        yield from formatter.lines(step)


class StepFormatter:
    """Formats the steps of one segment, with the names and scales that it holds.

    Args:
        segment: the steps are from.
    """

    def __init__(self, segment: Segment) -> None:
        schema: Mapping[str, Any] = segment.header.get("schema", {"events": {}, "enums": {}})
        self._fields: Mapping[str, Sequence[Any]] = schema["events"]
        self._members = {
            name: {value: member for member, value in members.items()}
            for name, members in schema["enums"].items()
        }
        self._scales: Scales = scales_of_header(segment.header)

    def lines(self, step: Sequence[Any]) -> Iterator[str]:
        """Yield a line for the step, one for its input, and one for each output and timer."""
        number, node_step, now, place, cause, _, _, first, event, effects = step
        yield f"step {number:,}, {node_step:,} of the node, {moment(now)}"
        since = f", the newest since {first}" if first else ""
        because = f", caused by {_place(cause)}" if cause else ""
        yield f"    in     {_place(place)}{since}{because}: {self.event(event)}"
        if effects is None:
            yield "    skip   its handler raised twice"
            return
        outputs, timers = effects
        for output in outputs:
            yield f"    out    {self.event(output)}"
        for actor, timer, name, due in timers:
            what = f"at {moment(due)}" if due else "canceled"
            yield f"    timer  {timer} {name!r} of {actor} {what}"

    def event(self, event: Sequence[Any]) -> str:
        """Return an event as ``Tag(field=value, ...)``, without fields that have their default."""
        tag, *values = event
        fields = self._fields.get(tag)
        if fields is None:
            return f"{tag}({', '.join(map(repr, values))})"
        named = dict(zip((field[0] for field in fields), values, strict=False))
        said = (
            f"{field[0]}={self._value(tag, field, named)}"
            for field in fields
            if field[0] in named and field[2:] != [named[field[0]]]
        )
        return f"{tag}({', '.join(said)})"

    def _value(self, tag: str, field: Sequence[Any], named: Mapping[str, Any]) -> str:
        name, kind = field[:2]
        value = named[name]
        if kind == "int" and (unit := self._scales.unit(tag, name, named)):
            decimal = unit.decimal(value, named[unit.named_by])
            return str(value) if decimal is None else f"{decimal:f}"
        return self._plain(kind, value)

    def _plain(self, kind: Any, value: Any) -> str:
        match kind:
            case ["enum", name]:
                return str(self._members[name].get(value, repr(value)))
            case ["event", _]:
                return self.event(value)
            case ["optional", inner] if value is not None:
                return self._plain(inner, value)
            case ["list", inner]:
                return f"[{', '.join(self._plain(inner, item) for item in value)}]"
        return repr(value)


def _place(position: Sequence[Any]) -> str:
    stream, epoch, seq = position
    return f"{stream} {epoch}/{seq}"
