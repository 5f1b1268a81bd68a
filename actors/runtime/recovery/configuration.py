"""An actor's configuration: written into its journal, and restored while steps are done again.

A handler depends on its state, its input and its configuration. A journal's steps are done again
with the configuration that they were made with, whatever the topology says now.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from actors.events.event import Event, tag_of
from actors.events.reference import Currency, Instrument
from actors.runtime.moved import present_path
from actors.runtime.settings import Settings

if TYPE_CHECKING:
    from actors.runtime.actor import Actor

CONFIGURATION = (
    *("settings", "heard", "roles", "accepts", "instruments", "currencies"),
    "node_name",
)
"""Attributes of an actor, and keys of a header."""
ABSENT: Mapping[str, Any] = MappingProxyType({"roles": {}, "node_name": ""})
"""What headers mean that were written before they had these keys."""


def configuration_of(actor: Actor) -> dict[str, Any]:
    """Return an actor's configuration, as it stands in a segment's header."""
    return {
        "node_name": actor.node_name,
        "settings": actor.settings.model_dump(mode="json"),
        "heard": {stream: [tag_of(c) for c in classes] for stream, classes in actor.heard.items()},
        "roles": dict(actor.roles),
        "accepts": None if actor.accepts is None else sorted(actor.accepts),
        "instruments": [msgspec.to_builtins(i) for i in actor.instruments.values()],
        "currencies": [msgspec.to_builtins(c) for c in actor.currencies.values()],
    }


def configure(actor: Actor, header: Mapping[str, Any]) -> None:
    """Give an actor the configuration in a segment's header.

    Raises:
        ValueError: the actor's class no longer takes these settings.
        ImportError: a class of events is no longer there.
    """
    now, readings = configuration_of(actor), _readings(actor, header)
    header = {**ABSENT, **header}
    for name in CONFIGURATION:
        if header[name] != now[name]:
            setattr(actor, name, readings[name](header[name]))
    _forget_derived(actor)


@contextmanager
def configured_as(actor: Actor, header: Mapping[str, Any]) -> Iterator[None]:
    """Give an actor the configuration in a segment's header for as long as the context lasts.

    Raises:
        ValueError: the actor's class no longer takes these settings.
        ImportError: a class of events is no longer there.
    """
    present = {name: getattr(actor, name) for name in CONFIGURATION}
    configure(actor, header)
    try:
        yield
    finally:
        for name, value in present.items():
            setattr(actor, name, value)
        _forget_derived(actor)


def _readings(actor: Actor, header: Mapping[str, Any]) -> dict[str, Callable[[Any], Any]]:
    def heard(tags: Mapping[str, list[str]]) -> dict[str, tuple[type[Event], ...]]:
        names = header["classes"]
        return {stream: tuple(_imported(names[t]) for t in ts) for stream, ts in tags.items()}

    def settings(found: Mapping[str, Any]) -> Settings:
        kind: type[Settings] = type(actor.settings)
        return kind.model_validate({**kind.ABSENT, **found})

    def instruments(found: list[Any]) -> Mapping[str, Instrument]:
        read = msgspec.convert(found, list[Instrument])
        return MappingProxyType({instrument.instrument: instrument for instrument in read})

    def currencies(found: list[Any]) -> Mapping[str, Currency]:
        read = msgspec.convert(found, list[Currency])
        return MappingProxyType({currency.currency: currency for currency in read})

    return {
        "node_name": str,
        "settings": settings,
        "heard": heard,
        "roles": dict,
        "accepts": lambda found: None if found is None else frozenset(found),
        "instruments": instruments,
        "currencies": currencies,
    }


def _imported(name: str) -> type[Event]:
    module, _, path = present_path(name).partition(":")
    found: type[Event] = attrgetter(path)(importlib.import_module(module))
    return found


def _forget_derived(actor: Actor) -> None:
    """Drop what a `cached_property` derived from other settings."""
    for name in list(vars(actor)):
        if isinstance(getattr(type(actor), name, None), cached_property):
            del vars(actor)[name]
