"""The JSON Schema of topology files, for editors: it completes keys and explains them.

    # yaml-language-server: $schema=topology.schema.json

What a schema cannot say (whether names exist, who handles what) `kaiju check` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from actors.runtime.actor import Actor
from topology.config.class_loader import known_actors
from topology.config.spec import ActorSpec, Topology

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFINITIONS = "$defs"
MODE: JsonSchemaMode = "validation"


def schema(actors: Iterable[tuple[str, type[Actor]]] | None = None) -> dict[str, Any]:
    """Return the schema of topology files.

    Args:
        actors: (``module:Class``, class) of each actor whose settings the schema describes; by
            default all that come with the system. Settings of other classes are not checked.
    """
    described = dict(known_actors() if actors is None else actors)
    models: list[type[BaseModel]] = [Topology, ActorSpec]
    models += dict.fromkeys(actor_class.Settings for actor_class in described.values())
    refs, tables = models_json_schema(
        [(model, MODE) for model in models], ref_template=f"#/{DEFINITIONS}/{{model}}"
    )
    definitions = tables[DEFINITIONS]
    actor = _definition(definitions, refs[ActorSpec, MODE])
    actor["properties"]["class"]["examples"] = list(described)
    actor["allOf"] = [
        _rule(path, refs[actor_class.Settings, MODE], definitions)
        for path, actor_class in described.items()
    ]
    topology = _definition(definitions, refs[Topology, MODE])
    for section in topology["properties"].values():
        if "patternProperties" in section:
            section["additionalProperties"] = False
    return {"$schema": DIALECT, **refs[Topology, MODE], DEFINITIONS: definitions}


def _rule(path: str, settings: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the rule for the settings of one class."""
    then: dict[str, Any] = {"properties": {"settings": settings}}
    if _definition(definitions, settings).get("required"):
        then["required"] = ["settings"]
    return {"if": {"properties": {"class": {"const": path}}}, "then": then}


def _definition(definitions: dict[str, Any], ref: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = definitions[ref["$ref"].rpartition("/")[2]]
    return found
