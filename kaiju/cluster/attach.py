"""A system that runs somewhere: found by the directory of its run, or by its topology."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kaiju.cluster.layout import read_plan
from topology.check.check import CheckedTopology, check_file
from topology.links.endpoints import ENDPOINTS_FILE, Endpoints, endpoints_of


class Running(NamedTuple):
    """A running system, and where its nodes are."""

    checked: CheckedTopology
    endpoints: Endpoints


def attach(target: Path) -> Running:
    """Return the running system that `target` names.

    Args:
        target: directory of a run that `kaiju up` started, or a topology, whose hosts then count.

    Raises:
        TopologyError: the topology has mistakes; the text lists all of them.
        RefusedError: the directory is no such run.
        EndpointsError: it does not say where its nodes are.
        KeysError: a public key cannot be read.
    """
    if target.is_dir():
        checked = check_file(Path(read_plan(target).file))
        return Running(checked, endpoints_of(checked, target / ENDPOINTS_FILE))
    checked = check_file(target)
    endpoints = endpoints_of(checked)
    hosts = {name: node.host for name, node in checked.topology.nodes.items()}
    return Running(checked, endpoints.on(hosts))
