"""A state as plain data for people, and the first difference between two states."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from itertools import zip_longest
from typing import Any, NamedTuple

import msgspec

MAX_LENGTH = 200
"""Characters of a value that a difference shows."""
MISSING = "nothing"
_ABSENT = object()


class Differing(NamedTuple):
    """The first difference between two values."""

    place: str
    one: str
    other: str


def named(value: Any) -> Any:
    """Return `value` as dicts, lists, numbers and text, with the names of all fields.

    An event becomes a dict of one key, its tag. Keys that are tuples are joined by slashes.
    """
    match value:
        case msgspec.Struct():
            fields = {name: named(getattr(value, name)) for name in value.__struct_fields__}
            tag = value.__struct_config__.tag
            return fields if tag is None else {str(tag): fields}
        case Enum():
            return value.name
        case Mapping():
            return {_key(key): named(item) for key, item in value.items()}
        case list() | tuple():
            return [named(item) for item in value]
        case bytes():
            return value.hex()
    return value


def first_difference(one: Any, other: Any, place: str) -> Differing | None:
    """Return the first difference between two values; None where they would be encoded alike.

    Args:
        one: a struct, dict, list, tuple or plain value.
        other: what it is compared with.
        place: path to both values, which is the beginning of the difference's place.
    """
    if isinstance(one, msgspec.Struct) and type(one) is type(other):
        pairs = [(f".{n}", getattr(one, n), getattr(other, n)) for n in one.__struct_fields__]
    elif isinstance(one, dict) and isinstance(other, dict):
        pairs = [(f"[{k!r}]", one.get(k, _ABSENT), other.get(k, _ABSENT)) for k in {**one, **other}]
        if one.keys() == other.keys() and list(one) != list(other):
            pairs.append((" (the order of its keys)", list(one), list(other)))
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        both = enumerate(zip_longest(one, other, fillvalue=_ABSENT))
        pairs = [(f"[{index}]", *items) for index, items in both]
    else:
        shown = _shown(one), _shown(other)
        return None if shown[0] == shown[1] else Differing(place, *map(_shortened, shown))
    found = (first_difference(mine, its, f"{place}{step}") for step, mine, its in pairs)
    return next((differing for differing in found if differing), None)


def _shown(value: Any) -> str:
    return MISSING if value is _ABSENT else repr(value)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."


def _key(key: Any) -> str:
    match key:
        case tuple() | list():
            return "/".join(map(_key, key))
        case Enum():
            return str(key.name)
    return str(key)
