"""Events as a later version writes them: fields that were appended since have their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, list[list[Any]]]
"""Fields by tag, as `actors.runtime.schema` describes them."""


def later_of(one: Schema, other: Schema) -> Schema:
    """Return the fields of every event of either schema, of each the ones with more."""
    both = [one, other]
    return {
        tag: max((schema[tag] for schema in both if tag in schema), key=len)
        for tag in {**one, **other}
    }


def completed(event: list[Any], schema: Schema) -> list[Any]:
    """Return an event, ``[tag, field, field, ...]``, with all fields that `schema` has of it.

    Values behind those stay: a run that a later version went on with has its old header.
    """
    tag, *values = event
    fields = schema[tag]
    values += [default for _, _, default in fields[len(values) :]]
    known = [_of_type(f[1], v, schema) for f, v in zip(fields, values, strict=False)]
    return [tag, *known, *values[len(fields) :]]


def _of_type(kind: Any, value: Any, schema: Schema) -> Any:
    match kind, value:
        case _, None:
            return None
        case ["event", _], _:
            return completed(value, schema)
        case ["optional", inner], _:
            return _of_type(inner, value, schema)
        case ["list", inner], _:
            return [_of_type(inner, item, schema) for item in value]
        case ["tuple", *inners], _:
            return [_of_type(*each, schema) for each in zip(inners, value, strict=True)]
    return value
