"""The schema table: what any file or link says about its events, for readers without our classes.

A table is plain data (it is written with MessagePack)::

    {"events": {tag: [[field, type], [field, type, default], ...]},
     "enums": {name: {member: value}}}

A type is the text ``int``, ``str``, ``bytes``, ``bool``, ``float`` or ``any``, or an array:
``["list", T]``, ``["tuple", T, ...]``, ``["map", K, V]``, ``["optional", T]``, ``["enum", name]``
or ``["event", tag]``. An event is encoded as the array ``[tag, field, field, ...]`` in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from actors.events.event import Event, tag_of

Type = str | list[Any]
"""A type of the table, as the module's docstring describes it."""

Fields = Mapping[str, list[list[Any]]]
"""What a table has of events: their fields, by tag."""

SCALARS: dict[type[inspect.Type], str] = {
    inspect.IntType: "int",
    inspect.StrType: "str",
    inspect.BytesType: "bytes",
    inspect.BoolType: "bool",
    inspect.FloatType: "float",
}


def schema_table(classes: Iterable[type[Event]]) -> dict[str, Any]:
    """Return the table of `classes` and of the events and enums inside their fields.

    The table is sorted, so the same classes give the same bytes in any process.
    """
    events: dict[str, list[list[Any]]] = {}
    enums: dict[str, dict[str, Any]] = {}
    waiting = list(classes)
    while waiting:
        event_class = waiting.pop()
        if tag_of(event_class) not in events:
            events[tag_of(event_class)] = [
                _field(field, enums, waiting) for field in _described(event_class).fields
            ]
    return {"events": dict(sorted(events.items())), "enums": dict(sorted(enums.items()))}


def earlier_of(one: Fields, other: Fields) -> Fields:
    """Return the fields of every event of either schema, of each the ones with fewer."""
    both = [one, other]
    return {
        tag: min((schema[tag] for schema in both if tag in schema), key=len)
        for tag in {**one, **other}
    }


def as_known(event: list[Any], events: Fields) -> list[Any]:
    """Return an event, ``[tag, field, field, ...]``, without fields that were appended since.

    Args:
        event: as it is written now.
        events: those of a table, of a time before; what it does not have stays whole.
    """
    tag, *values = event
    fields = events.get(tag)
    if fields is None:
        return event
    known = zip(fields, values, strict=False)
    return [tag, *(_value_as_known(field[1], value, events) for field, value in known)]


def _value_as_known(kind: Type, value: Any, events: Fields) -> Any:
    match kind, value:
        case (["event", _], list()) | ("any", [str(), *_]):
            return as_known(value, events)
        case ["optional", inner], _:
            return _value_as_known(inner, value, events)
        case ["list", inner], list():
            return [_value_as_known(inner, item, events) for item in value]
        case ["tuple", *inners], list():
            pairs = zip(inners, value, strict=False)
            return [_value_as_known(inner, item, events) for inner, item in pairs]
    return value


@cache  # half of what it takes to begin a segment, and the same every time
def _described(event_class: type[Event]) -> inspect.StructType:
    described = inspect.type_info(event_class)
    assert isinstance(described, inspect.StructType)
    return described


def _field(
    field: inspect.Field, enums: dict[str, dict[str, Any]], waiting: list[type[Event]]
) -> list[Any]:
    described = [field.name, _type(field.type, enums, waiting)]
    if field.default is not msgspec.NODEFAULT:
        described.append(msgspec.to_builtins(field.default))
    elif field.default_factory is not msgspec.NODEFAULT:
        described.append(msgspec.to_builtins(field.default_factory()))
    return described


def _type(
    found: inspect.Type, enums: dict[str, dict[str, Any]], waiting: list[type[Event]]
) -> Type:
    if scalar := SCALARS.get(type(found)):
        return scalar
    if isinstance(found, inspect.EnumType):
        enums[found.cls.__name__] = {member.name: member.value for member in found.cls}
        return ["enum", found.cls.__name__]
    if isinstance(found, inspect.StructType) and issubclass(found.cls, Event):
        waiting.append(found.cls)
        return ["event", tag_of(found.cls)]
    return _composite(found, enums, waiting)


def _composite(
    found: inspect.Type, enums: dict[str, dict[str, Any]], waiting: list[type[Event]]
) -> Type:
    if isinstance(found, inspect.VarTupleType | inspect.ListType):
        return ["list", _type(found.item_type, enums, waiting)]
    if isinstance(found, inspect.TupleType):
        return ["tuple", *(_type(item, enums, waiting) for item in found.item_types)]
    if isinstance(found, inspect.DictType):
        key, value = found.key_type, found.value_type
        return ["map", _type(key, enums, waiting), _type(value, enums, waiting)]
    if isinstance(found, inspect.UnionType) and found.includes_none and len(found.types) == 2:  # noqa: PLR2004
        [inner] = [kind for kind in found.types if not isinstance(kind, inspect.NoneType)]
        return ["optional", _type(inner, enums, waiting)]
    return "any"
