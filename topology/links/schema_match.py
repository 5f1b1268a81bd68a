"""Whether a reader can decode what a publisher emits: their schema tables, compared.

Fields are appended with defaults, so either side may be newer: what both have must be equal, and
what only one has must have a default. A reader must know all values of an enumeration: it could
not decode an unknown one.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from topology.links.messages import Schema

LONGEST = 200
"""Characters printed of either side."""
WITH_DEFAULT = 3
"""Entries of a field with a default."""


def mismatch(emitted: Schema, wanted: Schema) -> str:
    """Return where two tables contradict each other, with both sides; empty if they fit."""
    for tag in sorted(emitted.events.keys() & wanted.events.keys()):
        if found := _fields_differ(tag, emitted.events[tag], wanted.events[tag]):
            return found
    for name in sorted(emitted.enums.keys() & wanted.enums.keys()):
        ours, theirs = emitted.enums[name], wanted.enums[name]
        if any(member not in theirs or theirs[member] != ours[member] for member in ours):
            return f"{name} has the values {_short(ours)}, the reader knows {_short(theirs)}"
    return ""


def _fields_differ(tag: str, emitted: list[list[Any]], wanted: list[list[Any]]) -> str:
    for place, (ours, theirs) in enumerate(zip_longest(emitted, wanted)):
        if ours is None or theirs is None:
            if len(ours or theirs) < WITH_DEFAULT:
                return _said(tag, place, ours, theirs)
        elif ours[:2] != theirs[:2]:
            return _said(tag, place, ours, theirs)
    return ""


def _said(tag: str, place: int, ours: list[Any] | None, theirs: list[Any] | None) -> str:
    return (
        f"field {place} of {tag} is {_field(ours)}, the reader expects {_field(theirs)};"
        " fields may only be appended, with defaults"
    )


def _field(field: list[Any] | None) -> str:
    return "missing" if field is None else _short(field)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
