"""The configuration of docker compose and Prometheus, made from a topology.

Compose recreates a container only when its service has changed. So each service has a label with a
digest of what it uses of the topology: after an edit, ``docker compose up -d`` restarts the nodes
that must be restarted, and no others.
"""

from __future__ import annotations

import json
import posixpath
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from topology.check.check import CheckedTopology
from topology.config.document import as_yaml
from topology.deploy.services import (
    HTTP,
    TOKEN_SERVICE,
    TOKEN_VOLUME,
    VENUE,
    grafana_service,
    keys_service,
    node_service,
    prometheus_service,
    token_service,
    venue_service,
)
from topology.errors import RefusedError
from topology.files import atomic_write
from topology.plan.fingerprint import digest_of

LOOPBACKS = ("127.0.0.1", "localhost", "::1")
WRITTEN = "# Written by `kaiju render all {file}`: edit that, and write this again.\n"
SCRAPE = "5s"


def render_compose(checked: CheckedTopology, file: str) -> str:
    """Return ``docker-compose.yml``: nodes, their keys, the venue, Prometheus and Grafana.

    Args:
        checked: the topology.
        file: its path, relative to the project's folder, which is the same in the containers.

    Raises:
        RefusedError: it cannot be run in containers; the text says why.
    """
    _refuse_misfits(checked, file)
    topology = checked.topology
    venue = _venue_of(checked)
    services: dict[str, Any] = {}
    for name in topology.nodes:
        services[f"keys-{name}"] = keys_service(file, name, built=not services)
    for name, node in topology.nodes.items():
        trades = name in _trading(checked)
        services[node.host] = node_service(file, name, node, list(topology.nodes), trades=trades)
        services[node.host]["labels"] = {"kaiju.topology": digest_of(checked, name)}
    if venue:
        services |= {TOKEN_SERVICE: token_service(file), VENUE: venue_service(venue)}
    services |= {"prometheus": prometheus_service(), "grafana": grafana_service()}
    targets = (f"{name}={target}" for name, target in _targets(checked).items())
    services["prometheus"]["labels"] = {"kaiju.targets": " ".join(targets)}
    volumes = ["data", "keys", *(f"secret-{name}" for name in topology.nodes)]
    volumes += [VENUE, TOKEN_VOLUME] if venue else []
    document = {
        "name": "kaiju",
        "services": services,
        "volumes": dict.fromkeys([*volumes, "prometheus"]),
    }
    heading = WRITTEN.format(file=file) + (
        "#   docker compose up -d --build     then http://127.0.0.1:3000 (dashboard) and :9090"
        " (Prometheus)\n# docs/containers.md says what is mounted and what survives.\n"
    )
    return heading + as_yaml(_unshared(document))


def render_prometheus(checked: CheckedTopology, file: str) -> str:
    """Return ``prometheus.yml``, which scrapes every node and labels its metrics with its name.

    Args:
        checked: the topology.
        file: its path, for the heading.
    """
    targets = [
        {"targets": [target], "labels": {"node": name}}
        for name, target in _targets(checked).items()
    ]
    document = {
        "global": {
            "scrape_interval": SCRAPE,
            "scrape_timeout": "4s",
            "evaluation_interval": SCRAPE,
        },
        "rule_files": ["alerts.yml"],
        "scrape_configs": [{"job_name": "kaiju", "static_configs": targets}],
    }
    return WRITTEN.format(file=file) + as_yaml(_unshared(document))


def write_all(checked: CheckedTopology, file: str, folder: Path) -> dict[Path, bool]:
    """Write both files to their places in the project, and return which of them changed.

    Args:
        checked: the topology.
        file: its path, relative to the project's folder.
        folder: of the project.

    Raises:
        RefusedError: as `render_compose`; nothing was written.
        OSError: a file cannot be written.
    """
    texts = {
        folder / "docker-compose.yml": render_compose(checked, file),
        folder / "grafana" / "prometheus.yml": render_prometheus(checked, file),
    }
    changed = {}
    for path, text in texts.items():
        changed[path] = not path.exists() or path.read_text(encoding="utf-8") != text
        if changed[path]:
            with atomic_write(path) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
    return changed


def _targets(checked: CheckedTopology) -> dict[str, str]:
    """Return the address of each node's metrics, by node."""
    nodes = checked.topology.nodes
    return {name: f"{node.host}:{node.port + HTTP}" for name, node in nodes.items()}


def _refuse_misfits(checked: CheckedTopology, file: str) -> None:
    if PurePosixPath(file).parts[:1] not in (("topology",), ("user",)) or ".." in file:
        raise RefusedError(
            f"{file}: the containers see the folders topology and user of the project: give a file"
            " in one of them, from the project's folder"
        )
    nodes = checked.topology.nodes
    hosts = [node.host for node in nodes.values()]
    taken = {VENUE, "prometheus", "grafana", *(f"keys-{name}" for name in nodes)}
    for name, node in nodes.items():
        if hosts.count(node.host) > 1:
            raise RefusedError(
                f"{file}: host '{node.host}' has several nodes, and a container is a host of one"
            )
        if node.host in taken:
            raise RefusedError(
                f"{file}: host '{node.host}' of node '{name}' is the name of another container"
            )
        key = posixpath.relpath(f"keys/{name}.public", posixpath.dirname(file))
        if posixpath.normpath(node.public_key) != key:
            raise RefusedError(
                f"{file}: the key of node '{name}' is `public_key: {key}` in the containers, and"
                f" was '{node.public_key}'"
            )
    machines = {node.machine for node in nodes.values()}
    if len(nodes) > 1 and (len(machines) > 1 or "" in machines):
        raise RefusedError(
            f"{file}: the containers are on one machine and share a volume: give all nodes the"
            " same `machine:`, such as `machine: docker`"
        )
    for endpoint in _endpoints(checked):
        if urlsplit(endpoint).hostname in LOOPBACKS:
            raise RefusedError(
                f"{file}: {endpoint} is a container's own loopback, and the venue is another one:"
                f" write tcp://{VENUE}:{urlsplit(endpoint).port}"
            )


def _endpoints(checked: CheckedTopology) -> list[str]:
    """Return the addresses of the venues that the topology reaches in other processes."""
    settings = {name: checked.classes[name].venue_endpoint for name in checked.topology.actors}
    return [
        str(checked.topology.actors[name].settings.get(setting, ""))
        for name, setting in settings.items()
        if setting
    ]


def _trading(checked: CheckedTopology) -> set[str]:
    """Return the nodes that reach the venue in a container."""
    if not _venue_of(checked):
        return set()
    actors = checked.topology.actors.items()
    return {entry.node for name, entry in actors if checked.classes[name].venue_endpoint}


def _venue_of(checked: CheckedTopology) -> str:
    """Return the endpoint of the venue that runs in a container; empty for none."""
    here = (one for one in _endpoints(checked) if urlsplit(one).hostname == VENUE)
    return next(here, "")


def _unshared(data: Any) -> Any:
    """Return a copy without shared objects, which YAML would write as references."""
    return json.loads(json.dumps(data))
