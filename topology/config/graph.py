"""The typed graph of a topology: which actor emits which classes to whom, and how.

Checks, drawing, composition and the report of a run all use this one graph. It is also built from
a file with mistakes: inputs that cannot be resolved are then listed instead of connected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from actors.events.event import Event
from actors.events.role import Role
from actors.events.system import RecordFrame
from actors.runtime.actor import Actor
from actors.runtime.stream import Delivery
from actors.runtime.stream_name import output_of, owner_of
from topology.config.findings import nearest, one_of
from topology.config.spec import InputSpec

EVERYTHING = "*"
INBOX = "inbox"
"""Name of the private stream of every actor; no output may have it."""

Outputs = Mapping[str, tuple[type[Event], ...]]


class ActorEntry(Protocol):
    """What the graph needs to know about an actor of the file."""

    @property
    def node(self) -> str:
        """Its node."""

    @property
    def inputs(self) -> Sequence[InputSpec | None]:
        """Its inputs; None for one that was refused."""


@dataclass(frozen=True)
class Vertex:
    """One actor; `actor_class` is None if it could not be imported."""

    name: str
    node: str
    actor_class: type[Actor] | None

    @property
    def outputs(self) -> Outputs:
        """Event classes by output."""
        return self.actor_class.outputs if self.actor_class else {}

    @property
    def role(self) -> str:
        """Its place in the order path; empty for none."""
        return self.actor_class.role if self.actor_class else ""

    @property
    def meaning(self) -> str:
        """First line of the class's docstring."""
        text = (self.actor_class and self.actor_class.__doc__) or ""
        return text.strip().partition("\n")[0]

    def handles(self, event_class: type[Event]) -> bool:
        """Return whether the class has a handler for exactly this event."""
        return self.actor_class is not None and event_class in self.actor_class.handlers

    def listens(self, event_class: type[Event]) -> bool:
        """Return whether an event reaches a handler, including one for every class."""
        return self.handles(event_class) or self.handles(Event)

    def emits(self, event_class: type[Event]) -> bool:
        """Return whether some output carries this event."""
        return any(event_class in classes for classes in self.outputs.values())


@dataclass(frozen=True)
class Edge:
    """One stream read by one actor."""

    stream: str
    reader: str
    delivery: Delivery
    classes: tuple[type[Event], ...]
    """Classes that the stream carries."""
    handled: tuple[type[Event], ...]
    """Classes that reach a handler of the reader."""
    index: int
    """Index of the input among the reader's inputs in the file."""
    everything: bool
    """Whether that input is ``"*"``."""

    @property
    def source(self) -> str:
        """Name of the emitting actor."""
        return owner_of(self.stream)

    @property
    def output(self) -> str:
        """Name of its output."""
        return output_of(self.stream)


@dataclass(frozen=True)
class Unresolved:
    """An input that names nothing, and what it may have meant; empty where that is unknown."""

    reader: str
    index: int
    message: str


@dataclass
class Graph:
    """Actors and the streams between them, both in file order."""

    name: str
    actors: dict[str, Vertex]
    edges: list[Edge] = field(default_factory=list)
    unresolved: list[Unresolved] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)
    """Actors with an input that is not in `edges` because of another mistake."""

    @property
    def nodes(self) -> dict[str, tuple[str, ...]]:
        """Names of actors by node, in file order."""
        names: dict[str, list[str]] = {}
        for vertex in self.actors.values():
            names.setdefault(vertex.node, []).append(vertex.name)
        return {node: tuple(actors) for node, actors in names.items()}

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        """Names of actors by role, in the order of the order path."""
        return {
            role: held
            for role in Role
            if (held := tuple(v.name for v in self.actors.values() if v.role == role))
        }

    @property
    def streams(self) -> dict[str, tuple[type[Event], ...]]:
        """Event classes by stream."""
        return {
            f"{vertex.name}.{output}": classes
            for vertex in self.actors.values()
            for output, classes in vertex.outputs.items()
        }

    def readers(self, stream: str) -> list[Edge]:
        """Return the edges on which `stream` is read."""
        return [edge for edge in self.edges if edge.stream == stream]

    def inputs(self, actor: str) -> list[Edge]:
        """Return the edges on which `actor` reads, in the order of its inputs."""
        return [edge for edge in self.edges if edge.reader == actor]


def build_graph(
    name: str, entries: Mapping[str, ActorEntry], classes: Mapping[str, type[Actor]]
) -> Graph:
    """Return the graph of a file's actors.

    Args:
        name: of the topology.
        entries: the actors of the file.
        classes: their classes by actor; those that could not be imported are not in it.
    """
    vertices = {actor: Vertex(actor, e.node, classes.get(actor)) for actor, e in entries.items()}
    graph = Graph(name, vertices)
    for reader, entry in entries.items():
        _connect(graph, reader, entry.inputs)
    return graph


def _connect(graph: Graph, reader: str, inputs: Sequence[InputSpec | None]) -> None:
    read: dict[str, Edge] = {}
    if None in inputs:
        graph.incomplete.add(reader)
    numbered = [(i, entry) for i, entry in enumerate(inputs) if entry is not None]
    # Patterns come last: for a stream that is also named, the named input counts.
    for index, entry in sorted(numbered, key=lambda item: _is_pattern(item[1].from_)):
        try:
            streams = _resolve(graph, reader, entry.from_)
        except _UnresolvedError as error:
            graph.unresolved.append(Unresolved(reader, index, str(error)))
            streams = []
        if not streams:
            graph.incomplete.add(reader)
        for stream in streams:
            if stream not in read:
                read[stream] = _edge(graph, reader, index, stream, entry)
            elif not _is_pattern(entry.from_):
                message = f"'{stream}' is read by inputs.{read[stream].index} already"
                graph.unresolved.append(Unresolved(reader, index, message))
    graph.edges += sorted(read.values(), key=lambda edge: edge.index)


def _edge(graph: Graph, reader: str, index: int, stream: str, entry: InputSpec) -> Edge:
    classes = graph.streams[stream]
    vertex = graph.actors[reader]
    handled = tuple(event_class for event_class in classes if vertex.listens(event_class))
    everything = entry.from_ == EVERYTHING
    return Edge(stream, reader, entry.delivery, classes, handled, index, everything)


class _UnresolvedError(Exception):
    pass


def _is_pattern(text: str) -> bool:
    return text.startswith(EVERYTHING)


def _resolve(graph: Graph, reader: str, text: str) -> list[str]:
    """Return the streams that an input names; empty if that depends on a missing class."""
    if _is_pattern(text):
        return _matching(graph, reader, text)
    source, dot, output = text.partition(".")
    vertex = graph.actors.get(source)
    if vertex is None:
        known = [*graph.streams, *graph.actors]
        raise _UnresolvedError(f"there is no actor '{source}'{nearest(text, known)}")
    if vertex.actor_class is None:
        return []
    own = [f"{source}.{name}" for name in vertex.outputs]
    if source == reader:
        raise _UnresolvedError(f"'{reader}' cannot read itself")
    if not own:
        raise _UnresolvedError(
            f"'{source}' emits nothing: {vertex.actor_class.__name__}.outputs is empty"
        )
    if not dot and len(own) > 1:
        raise _UnresolvedError(f"'{source}' has several outputs; {one_of(own)}")
    if dot and output not in vertex.outputs:
        raise _UnresolvedError(f"'{source}' has no output '{output}'{nearest(text, own)}")
    return [text] if dot else own


def _matching(graph: Graph, reader: str, pattern: str) -> list[str]:
    # Records are not recorded: two recorders reading each other would never end.
    others = [
        stream
        for stream, classes in graph.streams.items()
        if owner_of(stream) != reader and set(classes) != {RecordFrame}
    ]
    if pattern == EVERYTHING:
        return others
    ending = pattern.removeprefix(EVERYTHING)
    found = [stream for stream in others if output_of(stream) == ending.removeprefix(".")]
    unknown = any(vertex.actor_class is None for vertex in graph.actors.values())
    if not ending.startswith(".") or not (found or unknown):
        outputs = dict.fromkeys(f"*.{stream.partition('.')[2]}" for stream in others)
        raise _UnresolvedError(
            f"no actor has an output like '{pattern}'{nearest(pattern, outputs)}"
        )
    return found
