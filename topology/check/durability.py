"""Pass: does nothing that survives a crash depend on something that does not?"""

from __future__ import annotations

from actors.events.system import RecordFrame, StreamReset
from topology.check.schema import PartialTopology
from topology.config.document import Document
from topology.config.graph import Edge, Graph, Vertex


def check_durable(document: Document, partial: PartialTopology, graph: Graph) -> None:
    """Report durable readers that would miss a restart, and gaps in a durable order path."""
    _check_readers(document, partial, graph)
    _check_order_path(document, partial, graph)


def _check_readers(document: Document, partial: PartialTopology, graph: Graph) -> None:
    reported: set[tuple[str, int]] = set()
    for edge in graph.edges:
        reader, input_ = graph.actors[edge.reader], (edge.reader, edge.index)
        if input_ in reported or not _loses_its_place(partial, edge) or _handles_reset(reader):
            continue
        reported.add(input_)
        document.report(
            ("actors", edge.reader, "inputs", edge.index),
            f"'{edge.reader}' is durable and '{edge.source}' is not: after a restart its stream"
            f" begins again, and {_class_name(reader)} does not handle StreamReset; make"
            f" '{edge.source}' durable or handle it",
        )


def _check_order_path(document: Document, partial: PartialTopology, graph: Graph) -> None:
    """Warn about non-durable actors on the order path, if any actor is durable."""
    lasting = next(
        (name for name, entry in partial.actors.items() if entry.durable != "none"), None
    )
    if lasting is None:
        return
    for vertex in graph.actors.values():
        if partial.actors[vertex.name].durable == "none" and _keeps_orders(vertex):
            document.report(
                ("actors", vertex.name),
                f"'{vertex.name}' is on the order path and forgets everything at a restart, while"
                f" '{lasting}' does not; add 'durable: {partial.actors[lasting].durable}'",
                at_key=True,
                level="warning",
            )


def _keeps_orders(vertex: Vertex) -> bool:
    # A recorder goes on from its file.
    on_path = vertex.actor_class is not None and vertex.actor_class.order_path
    return on_path and not vertex.emits(RecordFrame)


def _loses_its_place(partial: PartialTopology, edge: Edge) -> bool:
    reader, source = partial.actors[edge.reader], partial.actors[edge.source]
    return reader.durable != "none" and source.durable == "none"


def _handles_reset(vertex: Vertex) -> bool:
    return vertex.actor_class is None or vertex.handles(StreamReset)


def _class_name(vertex: Vertex) -> str:
    return vertex.actor_class.__name__ if vertex.actor_class else vertex.name
