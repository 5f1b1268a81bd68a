"""Every mistake of a topology file at once, each with its line and the nearest fix.

```
TopologyError      what `load` raises; carries all Findings
  Findings         errors and warnings, in the order of the file
    Finding        file:line:col: message
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from actors.runtime.actor import Actor
from topology.check.classes import check_classes, follow_moves
from topology.check.durability import check_durable
from topology.check.graph import check_graph
from topology.check.keys import check_keys
from topology.check.names import check_names
from topology.check.roles import check_roles
from topology.check.schema import check_schema
from topology.config.document import Document, load_document
from topology.config.findings import Findings, TopologyError
from topology.config.graph import Graph, build_graph
from topology.config.overrides import override
from topology.config.spec import Topology


@dataclass(frozen=True)
class CheckedTopology:
    """A file, its findings, and its graph as far as it can be built."""

    document: Document
    findings: Findings
    graph: Graph
    classes: Mapping[str, type[Actor]]
    """Classes by actor, without those that cannot be used."""

    @property
    def topology(self) -> Topology:
        """What the file says.

        Raises:
            TopologyError: it has mistakes; the text lists all of them.
        """
        if self.findings.errors:
            raise TopologyError(self.findings)
        return Topology.model_validate(self.document.data)


def check(path: Path | str) -> Findings:
    """Return all mistakes and warnings of the file at `path`, in the order of the file."""
    return check_file(path).findings


def load(path: Path | str) -> Topology:
    """Return the topology at `path`.

    Raises:
        TopologyError: the file has mistakes; the text lists all of them.
    """
    return check_file(path).topology


def check_file(
    path: Path | str, *, text: str | None = None, overrides: Iterable[str] = ()
) -> CheckedTopology:
    """Run every pass over the file at `path`, whatever earlier passes found.

    Args:
        path: the file.
        text: its text; None to read the file.
        overrides: settings that replace those of the file, as ``actor.setting=value``; see
            `topology.config.overrides`.
    """
    document = load_document(Path(path), text)
    override(document, overrides)
    follow_moves(document)
    partial = check_schema(document)
    check_names(document, partial)
    check_keys(document, partial)
    classes = check_classes(document, partial)
    name = document.data.get("name") if isinstance(document.data, dict) else None
    graph = build_graph(str(name), partial.actors, classes)
    check_roles(document, graph)
    check_graph(document, partial, graph)
    check_durable(document, partial, graph)
    return CheckedTopology(document, Findings.of(document.findings), graph, classes)
