"""The files of other programs that follow from a topology: docker compose's, and Prometheus's.

Compose makes a container anew when its service is another one, and only then. So each service has
a label that says what it takes from the topology: after an edit, ``docker compose up -d`` starts
again the nodes that must, and no other.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from gateways.simulated.remote import VenueFeed, VenueGateway
from topology.check import Checked
from topology.file import as_yaml
from topology.links.keys import SECRET
from topology.outcome import RefusedError
from topology.spec import NodeSpec
from topology.views import digest_of

HOME = "/kaiju"
HTTP = 2
"""A node's metrics, health and status are so far behind its port."""
VENUE_FILE = "topology/venue.yaml"
WRITTEN = "# Written by `kaiju render all {file}`: edit that, and write this again.\n"
LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
SCRAPE = "5s"


def render_compose(checked: Checked, file: str) -> str:
    """Return ``docker-compose.yml``: nodes, their keys, the venue, Prometheus and Grafana.

    Args:
        checked: the topology.
        file: its path, as it is in the project's folder and in the containers.

    Raises:
        RefusedError: nodes share a host, are on several machines, or have no public key; or the
            file is none that the containers see.
    """
    topology = checked.topology
    if PurePosixPath(file).parts[:1] not in (("topology",), ("user",)) or ".." in file:
        raise RefusedError(
            f"{file}: the containers see the folders topology and user of the project: give a file"
            " in one of them, from the project's folder"
        )
    hosts = [node.host for node in topology.nodes.values()]
    for name, node in topology.nodes.items():
        if hosts.count(node.host) > 1:
            raise RefusedError(
                f"{file}: host '{node.host}' has several nodes, and a container is a host of one"
            )
        if not node.public_key:
            raise RefusedError(
                f"{file}: node '{name}' has no key: add `public_key: ../keys/{name}.public`"
            )
    machines = {node.machine for node in topology.nodes.values()}
    if len(topology.nodes) > 1 and (len(machines) > 1 or "" in machines):
        raise RefusedError(
            f"{file}: the containers are on one machine and share a volume: give all nodes the"
            " same `machine:`, such as `machine: docker`"
        )
    venue = _venue_of(checked)
    services: dict[str, Any] = {}
    for name in topology.nodes:
        services[f"keys-{name}"] = _keys(file, name, built=not services)
    for name, node in topology.nodes.items():
        services[node.host] = _node(file, name, node, list(topology.nodes))
        services[node.host]["labels"] = {"kaiju.topology": digest_of(checked, name)}
    if venue:
        services["venue"] = _venue(venue)
    services |= {"prometheus": _prometheus(), "grafana": _grafana()}
    services["prometheus"]["labels"] = {"kaiju.targets": " ".join(_targets(checked))}
    volumes = ["data", "keys", *(f"secret-{name}" for name in topology.nodes)]
    volumes += ["venue"] if venue else []
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


def render_prometheus(checked: Checked, file: str) -> str:
    """Return ``prometheus.yml``: every node is asked for its metrics.

    Args:
        checked: the topology.
        file: its path, for the heading.
    """
    targets = _targets(checked)
    document = {
        "global": {"scrape_interval": SCRAPE, "scrape_timeout": "4s"},
        "scrape_configs": [{"job_name": "kaiju", "static_configs": [{"targets": targets}]}],
    }
    return WRITTEN.format(file=file) + as_yaml(_unshared(document))


def write_all(checked: Checked, file: str, folder: Path) -> dict[Path, bool]:
    """Write both files where the project has them, and return whether each is another one now.

    Args:
        checked: the topology.
        file: its path, as it is in the project's folder.
        folder: the project's.

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
            path.write_text(text, encoding="utf-8")
    return changed


def _targets(checked: Checked) -> list[str]:
    return [f"{node.host}:{node.port + HTTP}" for node in checked.topology.nodes.values()]


def _venue_of(checked: Checked) -> str:
    """Return the endpoint of the simulated venue that the topology trades at; empty for none."""
    for name, entry in checked.topology.actors.items():
        if issubclass(checked.classes[name], VenueFeed | VenueGateway):
            return str(entry.settings.get("endpoint", ""))
    return ""


def _ours() -> dict[str, Any]:
    """Return what all containers of the image have in common: no rights, and nothing to write."""
    return {
        "image": "kaiju",
        "pull_policy": "never",
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp"],  # noqa: S108 - of a container
        # A name that is gone for a moment must not hold up all others.
        "dns_opt": ["timeout:1", "attempts:1"],
        "logging": LOGGING,
    }


def _keys(file: str, node: str, *, built: bool) -> dict[str, Any]:
    arguments = ["keys", file, f"--dir={HOME}/keys", f"--node={node}", f"--secrets={HOME}/secret"]
    return {
        **_ours(),
        **({"build": "."} if built else {}),
        "command": arguments,
        "network_mode": "none",
        "volumes": [
            f"./topology:{HOME}/topology:ro",
            f"./user:{HOME}/user:ro",
            f"keys:{HOME}/keys",
            f"secret-{node}:{HOME}/secret",
        ],
    }


def _node(file: str, name: str, node: NodeSpec, nodes: list[str]) -> dict[str, Any]:
    made = {"condition": "service_completed_successfully"}
    return {
        **_ours(),
        "command": [
            "run",
            file,
            f"--node={name}",
            f"--data={HOME}/data",
            f"--secret={HOME}/secret/{name}{SECRET}",
            "--metrics-host=0.0.0.0",
        ],
        "restart": "unless-stopped",
        # It empties its mailboxes and writes its report.
        "stop_grace_period": "2m",
        "depends_on": {f"keys-{other}": made for other in nodes},
        "volumes": [
            f"./topology:{HOME}/topology:ro",
            f"./user:{HOME}/user:ro",
            f"data:{HOME}/data",
            f"keys:{HOME}/keys:ro",
            f"secret-{name}:{HOME}/secret:ro",
        ],
        # bash speaks HTTP by itself: a probe that starts Python costs real time.
        "healthcheck": _check(
            "bash",
            "-c",
            f"exec 3<>/dev/tcp/127.0.0.1/{node.port + HTTP} && printf 'GET /healthz HTTP/1.0\\r\\n"
            "\\r\\n' >&3 && mapfile -t answer <&3 && [[ $${answer[0]} == *' 200 '* ]]",
            seconds=5,
        ),
    }


def _venue(endpoint: str) -> dict[str, Any]:
    port = endpoint.rpartition(":")[2]
    return {
        **_ours(),
        "command": ["venue", VENUE_FILE, f"--data={HOME}/data", f"--bind=tcp://0.0.0.0:{port}"],
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
        "volumes": [f"./topology:{HOME}/topology:ro", f"venue:{HOME}/data"],
        "healthcheck": _check("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}", seconds=5),
    }


def _prometheus() -> dict[str, Any]:
    return {
        "image": "prom/prometheus:v2.42.0",
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=7d",
            # A node that is gone shall be gone from the pictures too, not five minutes later.
            "--query.lookback-delta=15s",
        ],
        "restart": "unless-stopped",
        "ports": ["127.0.0.1:9090:9090"],
        "volumes": [
            "./grafana/prometheus.yml:/etc/prometheus/prometheus.yml:ro",
            "prometheus:/prometheus",
        ],
        "healthcheck": _check("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9090/-/ready"),
        "logging": LOGGING,
    }


def _grafana() -> dict[str, Any]:
    return {
        "image": "grafana/grafana:11.6.14",
        "depends_on": {"prometheus": {"condition": "service_healthy"}},
        "environment": {
            "GF_AUTH_ANONYMOUS_ENABLED": "true",
            "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
            "GF_AUTH_BASIC_ENABLED": "false",
            "GF_AUTH_DISABLE_LOGIN_FORM": "true",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
            "GF_NEWS_NEWS_FEED_ENABLED": "false",
            "GF_PLUGINS_PREINSTALL_DISABLED": "true",
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": "/etc/grafana/dashboards/trading.json",
        },
        "restart": "unless-stopped",
        "ports": ["127.0.0.1:3000:3000"],
        "volumes": [
            "./grafana/provisioning/datasources:/etc/grafana/provisioning/datasources:ro",
            "./grafana/provisioning/dashboards:/etc/grafana/provisioning/dashboards:ro",
            "./grafana/dashboards:/etc/grafana/dashboards:ro",
        ],
        "healthcheck": _check("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/api/health"),
        "logging": LOGGING,
    }


def _check(*command: str, seconds: int = 10) -> dict[str, Any]:
    return {
        "test": ["CMD", *command],
        "interval": f"{seconds}s",
        "timeout": "3s",
        "retries": 3,
        "start_period": "30s",
    }


def _unshared(data: Any) -> Any:
    """Return a copy in which nothing stands twice: YAML would write the second as a reference."""
    return json.loads(json.dumps(data))
