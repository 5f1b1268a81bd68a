"""Pass: does what must survive a crash depend on nothing that does not?"""

from __future__ import annotations

from actors.events.system import RecordFrame, StreamReset
from topology.check.schema import PartialTopology
from topology.config.document import Document
from topology.config.graph import Edge, Graph, Vertex


def check_durable(document: Document, draft: PartialTopology, graph: Graph) -> None:
    """Report durable readers that would miss a restart, and gaps in a durable order path."""
    _check_readers(document, draft, graph)
    _check_order_path(document, draft, graph)


def _check_readers(document: Document, draft: PartialTopology, graph: Graph) -> None:
    reported: set[tuple[str, int]] = set()
    for edge in graph.edges:
        reader, input_ = graph.actors[edge.reader], (edge.reader, edge.index)
        if input_ in reported or not _loses_its_place(draft, edge) or _handles_reset(reader):
            continue
        reported.add(input_)
        document.report(
            ("actors", edge.reader, "inputs", edge.index),
            f"'{edge.reader}' is durable and '{edge.source}' is not: after a restart its stream"
            f" begins again, and {_class_name(reader)} does not handle StreamReset; make"
            f" '{edge.source}' durable or handle it",
        )


def _check_order_path(document: Document, draft: PartialTopology, graph: Graph) -> None:
    """Warn of who forgets orders and money, in a topology that means to keep some."""
    lasting = next((name for name, entry in draft.actors.items() if entry.durable != "none"), None)
    if lasting is None:
        return
    for vertex in graph.actors.values():
        if draft.actors[vertex.name].durable == "none" and _keeps_orders(vertex):
            document.report(
                ("actors", vertex.name),
                f"'{vertex.name}' is on the order path and forgets everything at a restart, while"
                f" '{lasting}' goes on; add 'durable: {draft.actors[lasting].durable}'",
                at_key=True,
                level="warning",
            )


def _keeps_orders(vertex: Vertex) -> bool:
    # A recorder's memory is its file.
    on_path = vertex.actor_class is not None and vertex.actor_class.order_path
    return on_path and not vertex.emits(RecordFrame)


def _loses_its_place(draft: PartialTopology, edge: Edge) -> bool:
    reader, source = draft.actors[edge.reader], draft.actors[edge.source]
    return reader.durable != "none" and source.durable == "none"


def _handles_reset(vertex: Vertex) -> bool:
    return vertex.actor_class is None or vertex.handles(StreamReset)


def _class_name(vertex: Vertex) -> str:
    return vertex.actor_class.__name__ if vertex.actor_class else vertex.name
