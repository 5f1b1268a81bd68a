"""Pass: is every class there, is it an actor, and do the settings fit it?

Classes are found like any import, then in the working directory and in the folder ``user`` inside
it, where a user's own actors live.
"""

from __future__ import annotations

from pydantic import ValidationError

from actors.events.reference import Instrument
from actors.runtime.actor import Actor
from actors.runtime.moved import present_path
from topology.check.schema import PartialTopology, report
from topology.config.class_loader import (
    NoSuchClassError,
    load_class,
    settings_context,
)
from topology.config.document import Document


def follow_moves(document: Document) -> None:
    """Let every actor of the file have the class that its own has become, and say so."""
    actors = document.data.get("actors") if isinstance(document.data, dict) else None
    for name, actor in actors.items() if isinstance(actors, dict) else ():
        found = actor.get("class") if isinstance(actor, dict) else None
        if isinstance(found, str) and (present := present_path(found)) != found:
            message = f"'{found}' has moved: write '{present}'"
            document.report(("actors", name, "class"), message, level="warning")
            actor["class"] = present


def check_classes(document: Document, draft: PartialTopology) -> dict[str, type[Actor]]:
    """Report classes and settings that cannot be used, and return the classes that can."""
    classes: dict[str, type[Actor]] = {}
    refused: dict[str, str] = {}
    for name, actor in draft.actors.items():
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
            _check_settings(document, draft, name, classes[name])
    return classes


def _check_settings(
    document: Document, draft: PartialTopology, name: str, actor_class: type[Actor]
) -> None:
    settings_class = actor_class.Settings
    place = ("actors", name, "settings")
    context = settings_context(
        document.path, draft.named.get("instruments", ()), draft.named.get("currencies", ())
    )
    try:
        settings = settings_class.model_validate(draft.actors[name].settings, context=context)
    except ValidationError as error:
        report(document, place, settings_class, error)
        return
    for way, message in actor_class.check_settings(settings, _sound_instruments(draft)):
        where = (*place, *way)
        document.report(where, f"{'.'.join(where)}: {message}")


def _sound_instruments(draft: PartialTopology) -> dict[str, Instrument]:
    return {
        name: spec.build(name, draft.currencies)
        for name, spec in draft.instruments.items()
        if spec.settle in draft.currencies
        and not any(spec.misfits(draft.currencies[spec.settle].scale))
    }
