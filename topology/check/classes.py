"""Pass: does every class exist, is it an actor, and do the settings fit it?

Classes are imported as usual, then from the working directory and its folder ``user``, where a
user's own actors are.
"""

from __future__ import annotations

from pydantic import ValidationError

from actors.events.reference import Instrument
from actors.runtime.actor import Actor
from actors.runtime.moved import present_path
from topology.check.schema import PartialTopology, report
from topology.config.class_loader import (
    NoSuchClassError,
    endings_raise,
    load_class,
    settings_context,
)
from topology.config.document import Document


def follow_moves(document: Document) -> None:
    """Replace the old path of a class that has moved, with a finding that says so."""
    actors = document.data.get("actors") if isinstance(document.data, dict) else None
    for name, actor in actors.items() if isinstance(actors, dict) else ():
        found = actor.get("class") if isinstance(actor, dict) else None
        if isinstance(found, str) and (present := present_path(found)) != found:
            message = f"'{found}' has moved: write '{present}'"
            document.report(("actors", name, "class"), message, level="warning")
            actor["class"] = present


def check_classes(document: Document, partial: PartialTopology) -> dict[str, type[Actor]]:
    """Report unusable classes and settings, and return the usable classes."""
    classes: dict[str, type[Actor]] = {}
    refused: dict[str, str] = {}
    for name, actor in partial.actors.items():
        if not actor.class_ or ":" not in actor.class_:
            continue  # reported by the schema
        if actor.class_ not in refused:
            try:
                classes[name] = load_class(actor.class_)
            except NoSuchClassError as error:
                refused[actor.class_] = str(error)
        if actor.class_ in refused:
            document.report(("actors", name, "class"), refused[actor.class_])
        else:
            _check_settings(document, partial, name, classes[name])
    return classes


def _check_settings(
    document: Document, partial: PartialTopology, name: str, actor_class: type[Actor]
) -> None:
    settings_class = actor_class.Settings
    place = ("actors", name, "settings")
    context = settings_context(
        document.path, partial.named.get("instruments", ()), partial.named.get("currencies", ())
    )
    try:
        with endings_raise():
            settings = settings_class.model_validate(partial.actors[name].settings, context=context)
            wrong = list(actor_class.check_settings(settings, _sound_instruments(partial)))
    except ValidationError as error:
        report(document, place, settings_class, error)
        return
    except (Exception, SystemExit) as error:  # noqa: BLE001 - code of others may raise anything
        document.report(place, f"checking the settings raised {type(error).__name__}: {error}")
        return
    for way, message in wrong:
        where = (*place, *way)
        document.report(where, f"{'.'.join(where)}: {message}")


def _sound_instruments(partial: PartialTopology) -> dict[str, Instrument]:
    return {
        name: spec.build(name, partial.currencies)
        for name, spec in partial.instruments.items()
        if spec.settle in partial.currencies
        and not any(spec.misfits(partial.currencies[spec.settle].scale))
    }
