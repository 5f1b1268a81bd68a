"""What one node uses of a topology: if that differs, the node must be restarted."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from actors.runtime.stream_name import owner_of
from topology.check.check import CheckedTopology
from topology.plan.restarts import links_between, reading_nodes


def view_of(checked: CheckedTopology, node: str) -> dict[str, Any]:
    """Return everything that a running node uses of the topology, as JSON data."""
    topology, graph = checked.topology, checked.graph
    actors = {name: entry for name, entry in topology.actors.items() if entry.node == node}
    given = reading_nodes(checked)
    return {
        "name": topology.name,
        "nodes": {name: spec.model_dump() for name, spec in topology.nodes.items()},
        "currencies": {k: spec.model_dump(mode="json") for k, spec in topology.currencies.items()},
        "instruments": {
            k: spec.model_dump(mode="json") for k, spec in topology.instruments.items()
        },
        "journal": topology.journal.model_dump(),
        # A list, because the readers of an event are served in this order.
        "actors": [
            [
                name,
                entry.model_dump(mode="json", include={"class_", "settings", "accepts", "durable"}),
                sorted([edge.stream, edge.delivery] for edge in graph.inputs(name)),
            ]
            for name, entry in actors.items()
        ],
        "reads": {
            edge.stream: topology.actors[edge.source].model_dump(
                include={"class_", "node", "durable"}
            )
            for edge in links_between(checked)
            if graph.actors[edge.reader].node == node
        },
        "read_by": {
            stream: sorted(nodes)
            for stream, nodes in given.items()
            if graph.actors[owner_of(stream)].node == node
        },
    }


def digest_of(checked: CheckedTopology, node: str) -> str:
    """Return a digest of `view_of`."""
    view = json.dumps(view_of(checked, node), sort_keys=True, default=str)
    return hashlib.sha256(view.encode()).hexdigest()[:16]
