"""Pass: does every stream reach the actors that must act on it, and no others?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from actors.events.event import Event
from actors.events.orders import OrderApproved, OrderSubmitted, QuoteIntent, Signal, SubmitOrder
from actors.events.role import Role
from actors.events.system import HaltTrading, RecordFrame, ResumeTrading
from actors.events.venue import NewOrderSingle
from actors.recorder import EVENTS_FILE
from actors.runtime.actor import Actor
from actors.runtime.journal.data_directory import SESSION_LENGTH
from actors.runtime.stream_name import owner_of
from topology.check.schema import PartialTopology
from topology.config.document import Document
from topology.config.graph import Edge, Graph, Vertex

ORDER_WISHES = (Signal, QuoteIntent, SubmitOrder)
"""What begins an order; from an actor that emits one, every path to a venue leads through risk."""
MAX_ORDER_ID = 36
"""Characters of a client order id that venues take."""
ORDER_DIGITS = 10
"""Digits of an order's number."""
ORDER_CARRIERS = (*ORDER_WISHES, OrderApproved, OrderSubmitted, NewOrderSingle)

HALTS = (HaltTrading, ResumeTrading)
"""What everybody hears by the control stream, whatever else carries it."""


def check_graph(document: Document, partial: PartialTopology, graph: Graph) -> None:
    """Report edges that are missing, useless or dangerous."""
    for unresolved in graph.unresolved:
        document.report(
            ("actors", unresolved.reader, "inputs", unresolved.index), unresolved.message
        )
    _check_unheard(document, graph)
    _check_latest(document, graph)
    _check_requests(document, partial, graph)
    _check_risk(document, graph)
    _check_order_ids(document, graph)
    _check_recorders(document, graph)
    _check_unread(document, graph)


def _check_unheard(document: Document, graph: Graph) -> None:
    by_input: dict[tuple[str, int], list[Edge]] = {}
    for edge in graph.edges:
        by_input.setdefault((edge.reader, edge.index), []).append(edge)
    for edges in by_input.values():
        reader = graph.actors[edges[0].reader]
        if reader.actor_class is None or any(edge.handled for edge in edges):
            continue
        carried = _names(c for edge in edges for c in edge.classes)
        own = _names(reader.actor_class.handlers)
        handled = f"only {own}" if own else "nothing"
        document.report(
            _place(edges[0]),
            f"'{reader.name}' handles {handled}, and nothing that '{edges[0].stream}' carries:"
            f" {carried}",
        )


def _check_latest(document: Document, graph: Graph) -> None:
    for edge in graph.edges:
        without = _names(c for c in edge.classes if not c.key)
        if edge.delivery == "latest" and without:
            document.report(
                (*_place(edge), "delivery"),
                f"'latest' keeps the newest value per key, and {without} of '{edge.stream}'"
                f" {'has' if ',' not in without else 'have'} no key: read it with 'stream'",
            )


def _check_requests(document: Document, partial: PartialTopology, graph: Graph) -> None:
    for stream, classes in graph.streams.items():
        for request in (c for c in classes if c.request):
            acting = [e for e in graph.readers(stream) if graph.actors[e.reader].handles(request)]
            if not acting:
                _report_unserved(document, graph, stream, request)
            for place, edge in enumerate(acting):
                _report_rival(document, partial, acting[:place], edge, request)


def _report_unserved(document: Document, graph: Graph, stream: str, request: type[Event]) -> None:
    emitter = graph.actors[owner_of(stream)]
    able = [v.name for v in graph.actors.values() if v.handles(request) and v is not emitter]
    unknown = any(vertex.actor_class is None for vertex in graph.actors.values())
    if unknown or graph.incomplete & {*able} or _has_ports(emitter):
        return  # another mistake may be the reason, or a port acts on it
    fix = f"; add '{stream}' to the inputs of '{able[0]}'" if able else "; no actor here can"
    document.report(
        ("actors", emitter.name),
        f"'{stream}' asks for something ({request.__name__}) and nobody who reads it acts on"
        f" it{fix}",
        at_key=True,
    )


def _report_rival(
    document: Document,
    partial: PartialTopology,
    earlier: list[Edge],
    edge: Edge,
    request: type[Event],
) -> None:
    instruments = partial.named.get("instruments", ())
    mine = partial.actors[edge.reader].accepts.share(instruments)
    for other in earlier:
        if mine & partial.actors[other.reader].accepts.share(instruments) or not instruments:
            document.report(
                _place(edge),
                f"'{other.reader}' acts on {request.__name__} of '{edge.stream}' already, and"
                f" '{edge.reader}' would do it again; remove one of them, or give both 'accepts'"
                " without overlap",
            )
            return


def _check_risk(document: Document, graph: Graph) -> None:
    reported: set[tuple[str, int]] = set()
    for gateway in graph.actors.values():
        if gateway.emits(NewOrderSingle):
            for path in _unapproved_paths(graph, gateway):
                last = path[0]
                if (last.reader, last.index) in reported:
                    continue
                reported.add((last.reader, last.index))
                names = " -> ".join([*(e.source for e in reversed(path)), gateway.name])
                document.report(
                    _place(last),
                    f"orders can reach a venue without risk: {names}; put an actor of the role"
                    " 'approver' between them",
                )
            found = gateway.actor_class
            waits = found is not None and not found.orders_are_approved
            known = gateway.name not in graph.incomplete
            if waits and known and not _order_inputs(graph, gateway.name):
                document.report(
                    ("actors", gateway.name),
                    f"'{gateway.name}' sends orders to a venue (NewOrderSingle) and reads none"
                    " that risk approved",
                    at_key=True,
                )


def _unapproved_paths(graph: Graph, gateway: Vertex) -> Iterable[list[Edge]]:
    """Yield paths, last edge first, from an actor that begins orders to `gateway`."""
    waiting = deque([[edge] for edge in _order_inputs(graph, gateway.name)])
    seen = {gateway.name}
    while waiting:
        path = waiting.popleft()
        source = graph.actors[path[-1].source]
        if source.name in seen or source.role == Role.APPROVER:
            continue
        seen.add(source.name)
        further = _order_inputs(graph, source.name)
        unknown = source.actor_class is None or source.name in graph.incomplete
        if any(source.emits(wish) for wish in ORDER_WISHES) or not (further or unknown):
            yield path
        else:
            waiting.extend([*path, edge] for edge in further)


def _order_inputs(graph: Graph, reader: str) -> list[Edge]:
    vertex = graph.actors[reader]
    return [
        edge
        for edge in graph.inputs(reader)
        if any(c in ORDER_CARRIERS and vertex.handles(c) for c in edge.classes)
    ]


def _check_order_ids(document: Document, graph: Graph) -> None:
    longest = MAX_ORDER_ID - SESSION_LENGTH - ORDER_DIGITS - len("--")
    for vertex in graph.actors.values():
        if vertex.emits(SubmitOrder) and len(vertex.name) > longest:
            document.report(
                ("actors", vertex.name),
                f"'{vertex.name}' has {len(vertex.name)} characters and emits SubmitOrder: a client"
                f" order id is session, name and number in {MAX_ORDER_ID} characters, which leaves"
                f" {longest} for the name",
                at_key=True,
            )


def _check_recorders(document: Document, graph: Graph) -> None:
    recorders = [vertex.name for vertex in graph.actors.values() if vertex.emits(RecordFrame)]
    for name in recorders[1:]:
        document.report(
            ("actors", name, "class"),
            f"'{name}' would write the file of '{recorders[0]}', {EVENTS_FILE}: a run has one"
            " recorder",
        )


def _check_unread(document: Document, graph: Graph) -> None:
    """Warn about actors on the order path that handle what they do not read."""
    for vertex in graph.actors.values():
        if vertex.actor_class is None or not vertex.actor_class.order_path:
            continue
        read = {c for edge in graph.inputs(vertex.name) for c in edge.classes}
        missed: dict[str, list[type[Event]]] = {}
        for event_class in vertex.actor_class.handlers:
            # A request that nobody acts on is another mistake, and an actor with ports hears
            # from them what it emits itself.
            own = _has_ports(vertex) and vertex.emits(event_class)
            told = event_class.request or event_class in HALTS or own
            if event_class not in read and not told:
                for stream in _emitting(graph, event_class, vertex.name)[:1]:
                    missed.setdefault(stream, []).append(event_class)
        for stream, classes in missed.items():
            document.report(
                ("actors", vertex.name),
                f"'{vertex.name}' handles {_names(classes)}, which '{stream}' emits, but does not"
                " read it",
                at_key=True,
                level="warning",
            )


def _emitting(graph: Graph, event_class: type[Event], reader: str) -> list[str]:
    return [
        stream
        for stream, classes in graph.streams.items()
        if event_class in classes and owner_of(stream) != reader
    ]


def _has_ports(vertex: Vertex) -> bool:
    return vertex.actor_class is not None and vertex.actor_class.ports is not Actor.ports


def _place(edge: Edge) -> tuple[str | int, ...]:
    return ("actors", edge.reader, "inputs", edge.index)


def _names(classes: Iterable[type[Event]]) -> str:
    return ", ".join(dict.fromkeys(c.__name__ for c in classes))
