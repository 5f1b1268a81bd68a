"""The graph, its drawing and its schema: what a topology is to everyone who looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from actors.events.market import TopOfBook
from actors.events.orders import OrderApproved, OrderDenied
from tests.kit.paths import ROOT
from tests.kit.sample_actors import SOUND, Maker, Market
from tests.kit.shipped import needs_recordings
from topology.check.check import check_file
from topology.check.json_schema import schema
from topology.config.graph import Edge, Graph
from topology.config.mermaid import draw
from topology.config.spec import (
    AcceptsSpec,
    ActorSpec,
    CurrencySpec,
    InputSpec,
    InstrumentSpec,
    NodeSpec,
    Spec,
    Topology,
)

PAPER = ROOT / "topology" / "paper.yaml"
DOCUMENTATION = (ROOT / "docs" / "topology.md").read_text()

DRAWING = """\
flowchart LR
  subgraph node_md [md]
    market["<b>market</b><br/>Market<br/>venue"]
    book["<b>book</b><br/>Book"]
  end
  subgraph node_core [core]
    maker["<b>maker</b><br/>Maker<br/>strategy"]
    taker["<b>taker</b><br/>Taker<br/>strategy"]
    execution["<b>execution</b><br/>Execution<br/>execution"]
    risk["<b>risk</b><br/>Risk<br/>approver"]
    oms["<b>oms</b><br/>Oms<br/>oms"]
    gateway["<b>gateway</b><br/>Gateway<br/>gateway"]
    recorder["<b>recorder</b><br/>Recorder<br/>hears every stream"]
  end
  gateway -->|"venue"| market
  book -->|"requests"| market
  market -->|"depth"| book
  book -.->|"top"| maker
  book -->|"top"| taker
  oms -->|"orders"| taker
  maker -->|"intents"| execution
  taker -->|"signals"| execution
  execution -->|"orders"| risk
  risk -->|"decisions"| oms
  execution -->|"cancels"| oms
  gateway -->|"reports"| oms
  oms -->|"requests"| gateway
  market -->|"reports"| gateway
"""


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    file = tmp_path / "t.yaml"
    file.write_text(SOUND)
    return check_file(file).graph


def test_an_edge_knows_its_stream_its_classes_and_what_of_them_is_handled(graph: Graph) -> None:
    assert graph.inputs("maker") == [
        Edge("book.top", "maker", "latest", (TopOfBook,), (TopOfBook,), 0, everything=False)
    ]
    [decisions] = graph.readers("risk.decisions")[:1]
    assert (decisions.source, decisions.output, decisions.reader) == ("risk", "decisions", "oms")
    assert decisions.classes == (OrderApproved, OrderDenied)
    assert decisions.handled == (OrderApproved,)


def test_actors_stand_in_file_order_on_their_nodes(graph: Graph) -> None:
    assert graph.nodes == {
        "md": ("market", "book"),
        "core": ("maker", "taker", "execution", "risk", "oms", "gateway", "recorder"),
    }


def test_a_recorder_hears_every_stream_but_its_own(graph: Graph) -> None:
    heard = [edge.stream for edge in graph.inputs("recorder")]

    assert heard == list(graph.streams)
    assert all(edge.everything for edge in graph.inputs("recorder"))


def test_a_pattern_leaves_out_what_a_recorder_writes(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    heard = 'audit: {class: "actors.recorder:Recorder", node: core, inputs: ["*"]}'
    file.write_text(f"{SOUND}  {heard}\n")

    graph = check_file(file).graph

    assert "audit.frames" in graph.streams
    assert graph.readers("audit.frames") == []
    assert [edge.stream for edge in graph.inputs("recorder")] == [
        stream for stream in graph.streams if stream != "audit.frames"
    ]


def test_a_pattern_hears_one_output_of_everyone(graph: Graph) -> None:
    assert [edge.stream for edge in graph.inputs("execution")] == ["maker.intents", "taker.signals"]


def test_a_stream_that_is_named_beside_a_pattern_is_read_as_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(SOUND.replace('["*"]', '["*", {from: book.top, delivery: latest}]'))

    deliveries = {e.stream: e.delivery for e in check_file(file).graph.inputs("recorder")}

    assert deliveries["book.top"] == "latest"
    assert deliveries["market.depth"] == "stream"


def test_an_actor_s_meaning_is_the_first_line_of_its_class(graph: Graph) -> None:
    assert graph.actors["risk"].meaning == "Approves orders."


def test_the_drawing_shows_nodes_streams_and_deliveries(graph: Graph) -> None:
    assert draw(graph) == DRAWING


def test_words_of_mermaid_are_no_names_in_the_drawing(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(SOUND.replace("  maker:", "  end:").replace("[maker,", "[end,"))

    drawing = draw(check_file(file).graph)

    assert 'end_["<b>end</b><br/>Maker<br/>strategy"]' in drawing
    assert 'end_ -->|"intents"| execution' in drawing


def mistakes(instance: Any) -> list[str]:
    described = schema(
        [("tests.kit.sample_actors:Maker", Maker), ("tests.kit.sample_actors:Market", Market)]
    )
    Draft202012Validator.check_schema(described)
    return sorted(
        error.json_path for error in Draft202012Validator(described).iter_errors(instance)
    )


def test_the_schema_accepts_what_the_check_accepts() -> None:
    assert mistakes(YAML(typ="safe").load(SOUND)) == []


def test_the_schema_refuses_unknown_keys_bad_names_and_settings_that_do_not_fit() -> None:
    instance = YAML(typ="safe").load(SOUND)
    instance["actors"]["Book"] = instance["actors"].pop("book")
    instance["actors"]["risk"]["inputs"].append({"from": "x", "delivery": "lastest"})
    instance["actors"]["maker"]["settings"] = {"quote_qty": 0.5, "refresh": "5 min"}
    instance["actors"]["market"]["settings"] = {"sed": 7}
    instance["nodes"]["md"]["hots"] = "x"

    assert mistakes(instance) == [
        "$.actors",
        "$.actors.maker.settings.quote_qty",
        "$.actors.maker.settings.refresh",
        "$.actors.market.settings",
        "$.actors.risk.inputs[1]",
        "$.nodes.md",
    ]


def test_the_schema_wants_settings_where_the_class_needs_some() -> None:
    instance = YAML(typ="safe").load(SOUND)
    del instance["actors"]["maker"]["settings"]

    assert mistakes(instance) == ["$.actors.maker"]


@pytest.mark.parametrize("name", ["paper", pytest.param("recorded", marks=needs_recordings)])
def test_a_shipped_topology_has_no_mistakes_and_fits_the_schema(name: str) -> None:
    file = ROOT / "topology" / f"{name}.yaml"
    described = schema()
    Draft202012Validator.check_schema(described)

    assert str(check_file(file).findings) == ""
    errors = Draft202012Validator(described).iter_errors(YAML(typ="safe").load(file.read_text()))
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_the_documented_drawing_is_that_of_the_shipped_topology() -> None:
    drawn = f"```mermaid\n{draw(check_file(PAPER).graph)}```\n<!-- /graph -->"

    assert drawn in DOCUMENTATION


def test_the_documented_example_has_no_mistakes(tmp_path: Path) -> None:
    example = DOCUMENTATION.partition("<!-- example -->\n```yaml\n")[2].partition("```")[0]
    file = tmp_path / "example.yaml"
    file.write_text(example)

    assert str(check_file(file).findings) == ""


def test_every_key_of_the_file_is_documented() -> None:
    models: list[type[Spec]] = [Topology, NodeSpec, CurrencySpec, InstrumentSpec]
    models += [ActorSpec, AcceptsSpec, InputSpec]
    keys = {f.alias or name for model in models for name, f in model.model_fields.items()}

    assert [key for key in sorted(keys) if key not in DOCUMENTATION] == []


def test_the_readme_shows_what_the_command_draws() -> None:
    drawn = draw(check_file(PAPER).graph)

    assert f"```mermaid\n{drawn.strip()}\n```" in (ROOT / "README.md").read_text()
