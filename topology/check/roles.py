"""Pass: does every actor emit only what its role in the order path may?"""

from __future__ import annotations

from actors.events.role import Role
from topology.config.document import Document
from topology.config.findings import nearest
from topology.config.graph import Graph, Vertex


def check_roles(document: Document, graph: Graph) -> None:
    """Report roles that do not exist, and events that another role's actors alone may emit."""
    for vertex in graph.actors.values():
        if vertex.role not in [*Role]:
            document.report(
                ("actors", vertex.name, "class"),
                f"{_class_name(vertex)}.role was '{vertex.role}'{nearest(vertex.role, Role)}",
            )
        else:
            _check_outputs(document, vertex)


def _check_outputs(document: Document, vertex: Vertex) -> None:
    held = f"has '{vertex.role}'" if vertex.role else "has none"
    name = _class_name(vertex)
    for event_class in (c for classes in vertex.outputs.values() for c in classes):
        allowed = event_class.emitted_by
        if allowed and vertex.role not in allowed:
            roles = " or ".join(f"'{role}'" if role else "none" for role in allowed)
            document.report(
                ("actors", vertex.name, "class"),
                f"'{vertex.name}' emits {event_class.__name__}, which takes role {roles}, and"
                f" {name} {held}; take it out of {name}.outputs or, if {name} is meant to be"
                f' that, give it role = "{allowed[0]}"',
            )


def _class_name(vertex: Vertex) -> str:
    return vertex.actor_class.__name__ if vertex.actor_class else ""
