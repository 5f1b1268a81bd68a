"""The services of `docker-compose.yml`: what each container runs, sees and may do."""

from __future__ import annotations

from typing import Any

from actors.runtime.node.admin_socket import PLACE
from topology.config.keys import SECRET, TOKEN
from topology.config.spec import NodeSpec

HOME = "/kaiju"
HTTP = 2
"""Offset of a node's HTTP port from its port."""
VENUE = "venue"
"""Host name of the simulated venue in a container of its own."""
VENUE_FILE = "topology/venue.yaml"
TOKEN_FOLDER = f"{HOME}/token"
TOKEN_SERVICE = f"keys-{VENUE}"
TOKEN_VOLUME = "venue-token"  # noqa: S105 - its name
MADE = {"condition": "service_completed_successfully"}
LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


def _ours() -> dict[str, Any]:
    """Return what all services of the image share: no privileges, and a read-only root."""
    return {
        "image": "kaiju",
        "pull_policy": "never",
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp"],  # noqa: S108 - of a container
        # A name that does not resolve for a moment must not delay all others.
        "dns_opt": ["timeout:1", "attempts:1"],
        "logging": LOGGING,
    }


def keys_service(file: str, node: str, *, built: bool) -> dict[str, Any]:
    """Return the service that makes a node's key pair, unless there is one, and ends.

    Args:
        file: the topology.
        node: whose keys.
        built: whether this service is the one that builds the image.
    """
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


def token_service(file: str) -> dict[str, Any]:
    """Return the service that makes the venue's token, unless there is one, and ends."""
    return {
        **_ours(),
        "command": ["keys", file, f"--dir={TOKEN_FOLDER}", "--token"],
        "network_mode": "none",
        "volumes": [f"{TOKEN_VOLUME}:{TOKEN_FOLDER}"],
    }


def node_service(
    file: str, name: str, node: NodeSpec, nodes: list[str], *, trades: bool
) -> dict[str, Any]:
    """Return a node's service.

    Args:
        file: the topology.
        name: of the node.
        node: what the topology says of it.
        nodes: all nodes: their public keys must exist first.
        trades: whether it reaches the venue, and needs its token.
    """
    before = [f"keys-{other}" for other in nodes] + ([TOKEN_SERVICE] if trades else [])
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
        # On the volume of all nodes: whoever is in one container reaches the nodes in all.
        "environment": {PLACE: f"{HOME}/data"},
        "restart": "unless-stopped",
        # Time to empty its mailboxes and write its report.
        "stop_grace_period": "2m",
        "depends_on": dict.fromkeys(before, MADE),
        "volumes": [
            f"./topology:{HOME}/topology:ro",
            f"./user:{HOME}/user:ro",
            f"data:{HOME}/data",
            f"keys:{HOME}/keys:ro",
            f"secret-{name}:{HOME}/secret:ro",
            *([f"{TOKEN_VOLUME}:{TOKEN_FOLDER}:ro"] if trades else []),
        ],
        # In bash, because a probe that starts Python is slow.
        "healthcheck": _check(
            "bash",
            "-c",
            f"exec 3<>/dev/tcp/127.0.0.1/{node.port + HTTP} && printf 'GET /healthz HTTP/1.0\\r\\n"
            "\\r\\n' >&3 && mapfile -t answer <&3 && [[ $${answer[0]} == *' 200 '* ]]",
            seconds=5,
        ),
    }


def venue_service(endpoint: str) -> dict[str, Any]:
    """Return the simulated venue's service, at the port of `endpoint`."""
    port = endpoint.rpartition(":")[2]
    return {
        **_ours(),
        "command": [
            "venue",
            VENUE_FILE,
            f"--data={HOME}/data",
            f"--bind=tcp://0.0.0.0:{port}",
            f"--token={TOKEN_FOLDER}/{TOKEN}",
        ],
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
        "depends_on": {TOKEN_SERVICE: MADE},
        "volumes": [
            f"./topology:{HOME}/topology:ro",
            f"{VENUE}:{HOME}/data",
            f"{TOKEN_VOLUME}:{TOKEN_FOLDER}:ro",
        ],
        "healthcheck": _check("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}", seconds=5),
    }


def prometheus_service() -> dict[str, Any]:
    """Return Prometheus, which scrapes every node."""
    return {
        "image": "prom/prometheus:v2.42.0",
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=7d",
            # A node that is gone must disappear from the panels at once, not after five minutes.
            "--query.lookback-delta=15s",
        ],
        "restart": "unless-stopped",
        "ports": ["127.0.0.1:9090:9090"],
        "volumes": [
            "./grafana/prometheus.yml:/etc/prometheus/prometheus.yml:ro",
            "./grafana/alerts.yml:/etc/prometheus/alerts.yml:ro",
            "prometheus:/prometheus",
        ],
        "healthcheck": _check("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9090/-/ready"),
        "logging": LOGGING,
    }


def grafana_service() -> dict[str, Any]:
    """Return Grafana, which shows the dashboard to whoever can reach it."""
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
