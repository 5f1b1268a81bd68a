"""The graph as a Mermaid flowchart: nodes are boxes, streams are arrows.

Solid arrows carry every event, dotted ones only the newest per key. Actors that read every stream
are drawn without arrows, which would hide all others.
"""

from __future__ import annotations

from topology.config.graph import Edge, Graph

INDENT = "  "
MERMAID_WORDS = {"class", "click", "default", "end", "flowchart", "graph", "style", "subgraph"}


def draw(graph: Graph) -> str:
    """Return the graph of a topology as Mermaid text, the same for the same file."""
    lines = ["flowchart LR"]
    for node, actors in graph.nodes.items():
        lines.append(f"{INDENT}subgraph node_{node} [{node}]")
        lines += [f"{INDENT * 2}{_vertex(graph, actor)}" for actor in actors]
        lines.append(f"{INDENT}end")
    outputs: dict[tuple[str, str, str], list[str]] = {}
    for edge in graph.edges:
        if not edge.everything:
            outputs.setdefault(_ends(edge), []).append(edge.output)
    for (source, arrow, reader), names in outputs.items():
        lines.append(f'{INDENT}{source} {arrow}|"{", ".join(names)}"| {reader}')
    return "\n".join(lines) + "\n"


def _vertex(graph: Graph, name: str) -> str:
    listens = any(edge.everything for edge in graph.inputs(name))
    vertex = graph.actors[name]
    note = f"<br/>{vertex.role}" if vertex.role else ""
    note += "<br/>hears every stream" if listens else ""
    actor_class = vertex.actor_class
    class_name = actor_class.__name__ if actor_class else "?"
    return f'{_id(name)}["<b>{name}</b><br/>{class_name}{note}"]'


def _ends(edge: Edge) -> tuple[str, str, str]:
    arrow = "-.->" if edge.delivery == "latest" else "-->"
    return _id(edge.source), arrow, _id(edge.reader)


def _id(name: str) -> str:
    return f"{name}_" if name in MERMAID_WORDS else name
