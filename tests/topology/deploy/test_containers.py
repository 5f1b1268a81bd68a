"""The containers, and the dashboard that watches them, agree with what is in the image."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from actors.events.durations import SECOND
from actors.runtime.clock import VirtualClock
from actors.runtime.statistics import Histogram, LinkCounts, LinkRecord
from grafana.dashboard import FILE, build
from grafana.panels import GRID_WIDTH
from kaiju.monitor.discarded import Discarded
from kaiju.monitor.http_server import NodeServer
from kaiju.monitor.observer import NodeObserver, NodeView
from kaiju.record.totals import ORDER_STATES
from kaiju.run.build import compose
from tests.kit.paths import ROOT
from tests.kit.waiting import PATIENCE
from topology.check.check import check_file
from topology.deploy.compose import render_compose, render_prometheus, write_all
from topology.errors import RefusedError

TOPOLOGY = "topology/compose.yaml"
FILES = {
    "compose": (render_compose, ROOT / "docker-compose.yml"),
    "prometheus": (render_prometheus, ROOT / "grafana" / "prometheus.yml"),
}
ADD_UP = ("sum", "max", "avg", "histogram_quantile", "sort_desc")
"""What makes one figure of those of several nodes, or of those that share labels."""
SAYS_OF_WHICH = re.compile("{{(node|actor)}}")
"""An actor is on one node."""
PROMQL_WORDS = {
    "abs",
    "by",
    "group_left",
    "increase",
    "label_join",
    "label_replace",
    "offset",
    "on",
    "or",
}
PROMQL_WORDS |= {"rate", "unless", "vector", *ADD_UP}
GIVEN_BY_PROMETHEUS = {"up", "job", "node", "ALERTS", "alertstate"}
LABELS_MADE_HERE = {"why"}


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(ROOT / "docker-compose.yml")["services"]
    return found


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what ``/metrics`` says after a minute of the containers' actors, and of links."""
    directory = tmp_path_factory.mktemp("run")
    node = compose(
        check_file(ROOT / "topology" / "paper.yaml"),
        clock=VirtualClock(1_704_067_200 * SECOND),
        data=directory,
        directory=directory,
    )
    watch = NodeObserver(node, "paper")
    node.run(60 * SECOND)
    with NodeServer(node) as server:
        server.show(with_all(watch.observe()))
        with urllib.request.urlopen(f"http://{server.address}/metrics", timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
    return text


def with_all(view: NodeView) -> NodeView:
    """Return a node with a stream from another one, one to it, and a message it discarded."""
    delay = Histogram()
    delay.observe(SECOND)
    links = (
        LinkRecord("input", "md", "book.top", "LIVE", 1, 9, 0, durable=True, delay=delay),
        LinkRecord("output", "md", "book.requests", "LIVE", 1, 9, 0),
    )
    counts = LinkCounts(0, {"key": 0, "handshake": 0}, {"md": 0}, {"md": 0})
    statistics = msgspec.structs.replace(view.statistics, links=links, link_counts=counts)
    discarded = (Discarded("feed", "venue", "crossed", 1, 1, ""),)
    return replace(view, statistics=statistics, discarded=discarded)


def queries(panels: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for panel in panels:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def labels_of(metrics: str) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for label, value in re.findall(r'(\w+)="([^"]*)"', metrics):
        values.setdefault(label, set()).add(value)
    return values


def test_docker_compose_accepts_the_file() -> None:
    if shutil.which("docker") is None:
        pytest.skip("no containers: docker is not installed")
    if subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("no containers: docker has no compose plugin")

    checked = subprocess.run(
        ["docker", "compose", "config", "-q"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_image_that_is_not_built_here_has_a_version(services: dict[str, Any]) -> None:
    for name, service in services.items():
        ours = service["image"] == "kaiju"
        assert ours or re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_ports_are_published_on_the_loopback_only(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_service_has_a_health_check_and_starts_again(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if not name.startswith("keys-"):
            assert "healthcheck" in service, name
            assert service["restart"] == "unless-stopped", name


def test_every_mounted_file_exists(services: dict[str, Any]) -> None:
    mounts = [mount for service in services.values() for mount in service.get("volumes", ())]
    folders = [ROOT / mount.partition(":")[0] for mount in mounts if mount.startswith("./")]

    assert folders
    assert [folder for folder in folders if not folder.exists()] == []


@pytest.mark.parametrize("what", FILES)
def test_a_file_is_what_the_topology_renders_to(what: str) -> None:
    render, path = FILES[what]
    assert path.read_text(encoding="utf-8") == render(check_file(ROOT / TOPOLOGY), TOPOLOGY)


def test_what_cannot_be_in_containers_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    text = (ROOT / TOPOLOGY).read_text(encoding="utf-8")
    keyless = text.replace("public_key: ../keys/md.public, ", "")
    one_host = text.replace("host: md, port: 7000", "host: core, port: 7100")
    apart = text.replace("machine: docker", "machine: other", 1)
    for edited, said in (
        (keyless, "the key of node 'md' is `public_key: ../keys/md.public` in the containers"),
        (one_host, "host 'core' has several nodes"),
        (apart, "give all nodes the same `machine:`"),
        (text.replace("host: md", "host: grafana"), "host 'grafana' of node 'md' is the name of"),
        (text.replace("//venue:", "//127.0.0.1:"), "write tcp://venue:7100"),
    ):
        with pytest.raises(RefusedError, match=re.escape(said)):
            write_all(check_file(ROOT / TOPOLOGY, text=edited), TOPOLOGY, tmp_path)
    for outside in ("/elsewhere/mine.yaml", "mine.yaml", "topology/../mine.yaml"):
        with pytest.raises(RefusedError, match="folders topology and user"):
            write_all(check_file(ROOT / TOPOLOGY), outside, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_any_actor_may_name_the_setting_that_holds_the_address_of_a_venue(tmp_path: Path) -> None:
    text = (ROOT / TOPOLOGY).read_text(encoding="utf-8")
    other = (
        "actors:\n  other: {class: tests.kit.sample_actors:RemoteMarket, node: md,"
        ' settings: {address: "tcp://127.0.0.1:9"}}\n'
    )
    assert text.count("\nactors:\n") == 1
    checked = check_file(ROOT / TOPOLOGY, text=text.replace("actors:\n", other))

    with pytest.raises(RefusedError, match=re.escape("write tcp://venue:9")):
        write_all(checked, TOPOLOGY, tmp_path)


def test_a_venue_elsewhere_is_no_container(tmp_path: Path) -> None:
    text = (ROOT / TOPOLOGY).read_text(encoding="utf-8").replace("//venue:", "//exchange.lan:")
    (tmp_path / "grafana").mkdir()
    write_all(check_file(ROOT / TOPOLOGY, text=text), TOPOLOGY, tmp_path)

    written = read_yaml(tmp_path / "docker-compose.yml")
    assert "venue" not in written["services"].keys() | written["volumes"].keys()


def test_only_nodes_that_an_edit_concerns_have_another_service(tmp_path: Path) -> None:
    (tmp_path / "grafana").mkdir()
    text = (ROOT / TOPOLOGY).read_text(encoding="utf-8")
    write_all(check_file(ROOT / TOPOLOGY, text=text), TOPOLOGY, tmp_path)
    before = read_yaml(tmp_path / "docker-compose.yml")["services"]
    assert not any(write_all(check_file(ROOT / TOPOLOGY, text=text), TOPOLOGY, tmp_path).values())

    wider = ["maker.half_spread_bps=2"]
    write_all(check_file(ROOT / TOPOLOGY, text=text, overrides=wider), TOPOLOGY, tmp_path)
    after = read_yaml(tmp_path / "docker-compose.yml")["services"]
    assert [name for name in after if after[name] != before[name]] == ["core"]


def test_the_containers_trade_as_the_laptop_does() -> None:
    """See that the topology of the containers is the other one but for where things are."""
    ours, other = (
        read_yaml(ROOT / "topology" / name) for name in ("compose.yaml", "paper_live.yaml")
    )
    for node in ours["nodes"].values():
        del node["public_key"], node["machine"]
    for actor in ("feed", "gateway"):
        del ours["actors"][actor]["settings"]["token_file"]
    text = json.dumps(ours).replace("tcp://venue:7100", "tcp://127.0.0.1:7100")
    assert json.loads(text) == {**other, "name": "desk"}


@pytest.mark.parametrize("node", ["md", "core"])
def test_a_node_can_write_to_the_journals_alone_and_read_no_secret_but_its_own(
    services: dict[str, Any], node: str
) -> None:
    mounts = services[node]["volumes"]

    assert [mount for mount in mounts if not mount.endswith(":ro")] == ["data:/kaiju/data"]
    assert [m for m in mounts if m.startswith("secret-")] == [f"secret-{node}:/kaiju/secret:ro"]


@pytest.mark.parametrize("name", ["md", "core", "venue", "keys-md", "keys-core"])
def test_what_is_ours_runs_without_rights(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_runs_as_a_user_without_rights() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line.startswith("USER")] == ["USER 10001"]


def test_prometheus_and_the_health_check_ask_the_port_that_the_node_listens_on(
    services: dict[str, Any],
) -> None:
    config = read_yaml(ROOT / "grafana" / "prometheus.yml")
    [job] = config["scrape_configs"]

    assert job["static_configs"] == [
        {"targets": [f"{node}:7002"], "labels": {"node": node}} for node in ("md", "core")
    ]
    for node in ("md", "core"):
        assert "--metrics-host=0.0.0.0" in services[node]["command"]
        assert "/dev/tcp/127.0.0.1/7002 " in services[node]["healthcheck"]["test"][-1]


def test_prometheus_is_given_its_alerts(services: dict[str, Any]) -> None:
    [rules] = read_yaml(ROOT / "grafana" / "prometheus.yml")["rule_files"]

    mounted = f"./grafana/{rules}:/etc/prometheus/{rules}:ro"
    assert mounted in services["prometheus"]["volumes"]


def test_the_data_source_knows_how_often_prometheus_scrapes() -> None:
    config = read_yaml(ROOT / "grafana" / "prometheus.yml")
    provisioned = ROOT / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    [source] = read_yaml(provisioned)["datasources"]

    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]


def test_the_dashboard_is_what_its_script_writes(dashboard: dict[str, Any]) -> None:
    assert dashboard == build()


def test_every_panel_has_a_title_a_unit_and_a_meaning(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]


def test_every_panel_asks_the_data_source_that_is_provisioned(
    panels: list[dict[str, Any]],
) -> None:
    provisioned = ROOT / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    [source] = read_yaml(provisioned)["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}

    for panel in panels:
        assert panel["datasource"] == wanted
        assert all(target["datasource"] == wanted for target in panel["targets"])


def test_panels_fill_the_grid_without_overlap(dashboard: dict[str, Any]) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own

    height = 1 + max(y for _, y in cells)
    assert cells == {(x, y) for x in range(GRID_WIDTH) for y in range(height)}


def test_a_figure_that_each_node_has_for_itself_says_of_which_it_is(
    panels: list[dict[str, Any]],
) -> None:
    for panel in panels:
        for target in panel["targets"]:
            added_up = target["expr"].lstrip("(").startswith(ADD_UP)
            assert added_up or SAYS_OF_WHICH.search(target["legendFormat"]), panel["title"]


@pytest.fixture(scope="module")
def alerts() -> list[dict[str, Any]]:
    [group] = read_yaml(ROOT / "grafana" / "alerts.yml")["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def test_every_alert_says_how_bad_and_where_it_is(alerts: list[dict[str, Any]]) -> None:
    for rule in alerts:
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert "{{ $labels." in rule["annotations"]["summary"], rule["alert"]
        assert not re.match(rf"({'|'.join(ADD_UP)})\b", rule["expr"]), "it must keep all labels"


def test_queries_use_only_metrics_and_labels_that_are_exported(
    panels: list[dict[str, Any]], alerts: list[dict[str, Any]], metrics: str
) -> None:
    exported = set(re.findall(r"^# TYPE (\w+) ", metrics, re.MULTILINE))
    exported |= set(re.findall(r"^(\w+)(?:\{| )", metrics, re.MULTILINE))
    known = exported | labels_of(metrics).keys() | PROMQL_WORDS | GIVEN_BY_PROMETHEUS

    told = [("", label) for rule in alerts for label in labels_told(rule)]
    for title, promql in [*queries(panels), *expressions(alerts), *told]:
        bare = re.sub(r'"[^"]*"|\[[^]]*\]|\b\d+[smh]\b', "", promql)
        assert set(re.findall(r"[A-Za-z_]\w*", bare)) - LABELS_MADE_HERE <= known, title


def expressions(alerts: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for rule in alerts:
        yield rule["alert"], rule["expr"]


def labels_told(rule: dict[str, Any]) -> list[str]:
    found: list[str] = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
    return found


def test_queries_select_label_values_that_occur(
    panels: list[dict[str, Any]], alerts: list[dict[str, Any]], metrics: str
) -> None:
    values = labels_of(metrics)
    values["alertstate"] = {"firing"}
    values["state"] |= {state.replace(" ", "_") for state in ORDER_STATES.values()}
    values["job"] = {"kaiju"}

    for title, promql in [*queries(panels), *expressions(alerts)]:
        for label, wanted in re.findall(r'(\w+)!?=~?"([^"]*)"', promql):
            assert set(wanted.split("|")) <= values[label], title


def test_every_figure_of_the_trading_chain_is_shown(panels: list[dict[str, Any]]) -> None:
    shown = " ".join(promql for _, promql in queries(panels))

    for metric in (
        "kaiju_edge_handled_total",
        "kaiju_edge_conflated_total",
        "kaiju_edge_dropped_total",
        "kaiju_mailbox_depth",
        "kaiju_orders_total",
        "kaiju_pnl",
        "kaiju_position",
        "kaiju_tick_to_order_seconds_bucket",
        "kaiju_handle_seconds_bucket",
        "kaiju_book_state",
        "kaiju_book_age_seconds",
        "kaiju_actor_failures_total",
        "kaiju_trading_halted",
    ):
        assert metric in shown


def test_all_that_is_told_of_links_is_shown(panels: list[dict[str, Any]], metrics: str) -> None:
    told = set(re.findall(r"^# TYPE (kaiju_link_\w+) ", metrics, re.MULTILINE))
    shown = " ".join(promql for _, promql in queries(panels))

    assert [metric for metric in told if metric not in shown] == ["kaiju_link_repeated_total"]
