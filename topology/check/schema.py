"""Pass: does the file fit the model? What does not is reported and left out.

Later passes are to see the rest of a damaged file, so whatever pydantic refuses is cut out of a
copy of the data until the rest fits a more permissive model, `PartialTopology`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from actors.runtime.node.config import Durability
from topology.config.document import Document, KeyPath
from topology.config.findings import nearest
from topology.config.spec import (
    PATTERNS,
    AcceptsSpec,
    CurrencySpec,
    InputSpec,
    InstrumentSpec,
    NodeSpec,
    Topology,
    as_input,
)

KEY = "[key]"
MAX_SHOWN_LENGTH = 60


class PartialActor(BaseModel):
    """An actor of a file that may be damaged; missing parts are empty."""

    class_: Annotated[str, Field(alias="class")] = ""
    node: str = ""
    inputs: tuple[Annotated[InputSpec | None, BeforeValidator(as_input)], ...] = ()
    """In file order; None for a refused input, so that indexes match the file."""
    durable: Durability = "none"
    settings: dict[str, Any] = Field(default_factory=dict)
    accepts: AcceptsSpec = AcceptsSpec()


class PartialTopology(BaseModel):
    """The part of a file that fits; `named` has every entry, even those left out."""

    model_config = ConfigDict(extra="ignore")

    nodes: dict[str, NodeSpec] = Field(default_factory=dict)
    currencies: dict[str, CurrencySpec] = Field(default_factory=dict)
    instruments: dict[str, InstrumentSpec] = Field(default_factory=dict)
    actors: dict[str, PartialActor] = Field(default_factory=dict)
    named: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def check_schema(document: Document) -> PartialTopology:
    """Report what the model refuses in `document`, and return the rest."""
    data = document.data
    if not isinstance(data, dict):
        if not document.findings:
            keys = ", ".join(Topology.model_fields)
            document.report((), f"a topology is a mapping with the keys {keys}")
        return PartialTopology()
    try:
        Topology.model_validate(data)
    except ValidationError as error:
        report(document, (), Topology, error)
    named = {key: tuple(value) for key, value in data.items() if isinstance(value, dict)}
    return _what_fits(data).model_copy(update={"named": named})


def report(
    document: Document, place: KeyPath, model: type[BaseModel], error: ValidationError
) -> None:
    """Add a finding for each mistake of `error`, which was raised for the value at `place`.

    Args:
        document: the file.
        place: of the validated value in the file.
        model: what it was validated against; has the allowed keys.
        error: all mistakes, as pydantic lists them.
    """
    details = error.errors(include_url=False)
    meant = {_key_meant(model, d["loc"]) for d in details if d["type"] == "extra_forbidden"}
    for found in details:
        loc = found["loc"]
        if found["type"] == "missing" and loc in meant:
            continue  # the unknown key next to it is the same mistake
        inner = tuple(part for part in loc if part != KEY)
        message = _message(found, model)
        at_key = KEY in loc or found["type"] == "extra_forbidden"
        where = ".".join(str(part) for part in (*place, *inner)[: -1 if at_key else None])
        document.report(
            (*place, *inner), f"{where}: {message}" if where else message, at_key=at_key
        )


def _message(found: ErrorDetails, model: type[BaseModel]) -> str:
    loc, value = found["loc"], found["input"]
    context = found.get("ctx", {})
    match found["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return f"unknown key '{loc[-1]}'{nearest(str(loc[-1]), _keys(model, loc[:-1]))}"
        case "value_error":
            return str(context["error"])
        case "string_pattern_mismatch":
            allowed = f", allowed are {PATTERNS.get(context['pattern'], context['pattern'])}"
        case "literal_error" | "enum":
            words = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            allowed = nearest(str(value), words)
        case "model_type" | "dict_type":
            allowed = ", should be a mapping of keys to values"
        case "int_type" if isinstance(value, str) and value.isdigit():
            allowed = ", should be a number: write it without quotes"
        case _:
            allowed = f", {found['msg'].replace('Input should', 'should')}"
    return f"was {_short(value)}{allowed}"


def _short(value: Any) -> str:
    text = "empty" if value is None else repr(value)
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[: MAX_SHOWN_LENGTH - 3]}..."


def _key_meant(model: type[BaseModel], loc: KeyPath) -> KeyPath:
    close = nearest(str(loc[-1]), _keys(model, loc[:-1]))
    return (*loc[:-1], close.split("'")[1]) if close.startswith("; did") else ()


def _keys(model: type[BaseModel], loc: Iterable[str | int]) -> list[str]:
    kinds: list[Any] = [model]
    for part in loc:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    models = [kind for outer in kinds for kind in _models(outer)]
    return [f.alias or name for kind in models for name, f in kind.model_fields.items()]


def _models(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    if get_origin(kind) in (Annotated, Union, UnionType):
        return [model for inner in get_args(kind) for model in _models(inner)]
    return []


def _inside(kind: Any, part: str | int) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return [f.annotation for name, f in fields if part == (f.alias or name)]
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Annotated, Union, UnionType):
        return [found for choice in inner for found in _inside(choice, part)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return [inner[1]]
    return [choice for choice in inner if choice is not ...]


def _what_fits(data: Mapping[str, Any]) -> PartialTopology:
    remaining = deepcopy(dict(data))
    while True:
        try:
            return PartialTopology.model_validate(remaining)
        except ValidationError as error:
            for found in reversed(error.errors(include_url=False)):
                loc = tuple(part for part in found["loc"] if part != KEY)
                _cut(remaining, loc[:-1] if found["type"] == "missing" else loc)


def _cut(data: Any, loc: KeyPath) -> None:
    """Remove the value at `loc`, or the scalar that is in its place."""
    holder, found, last = data, data, loc[0]
    for part in loc:
        try:
            inner = found[part]
        except (KeyError, IndexError):
            return  # removed already, for another mistake in the same entry
        except TypeError:
            break
        holder, found, last = found, inner, part
    if isinstance(holder, list) and loc[0] == "actors" and loc[2:3] == ("inputs",):
        holder[int(last)] = None
    elif loc[0] == "actors" and len(loc) == len(("actors", "name")):
        holder[last] = {}  # others may read it, so its name stays
    else:
        del holder[last]
