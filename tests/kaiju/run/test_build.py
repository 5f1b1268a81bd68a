"""Composition: the node is what the file says, wherever its actors live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.events.durations import SECOND
from actors.runtime.node.node import Node
from kaiju.run.build import compose
from tests.kit.paths import TOPOLOGIES
from topology.check.check import check_file
from topology.config.findings import TopologyError

PAPER = TOPOLOGIES / "paper.yaml"

SHARED_WORK = """\
version: 1
name: shares
nodes:
  one: {host: one, port: 7000}
  two: {host: two, port: 7000}
currencies: {USDT: {scale: 8}, BTC: {scale: 8}}
instruments:
  A.SIM: {price_scale: 2, qty_scale: 5, tick_size: "0.05", lot_size: 1, base: BTC, quote: USDT}
  B.SIM: {price_scale: 2, qty_scale: 5, tick_size: "0.01", lot_size: 1, base: BTC, quote: USDT}
  B.LIVE: {price_scale: 2, qty_scale: 5, tick_size: "0.01", lot_size: 1, base: BTC, quote: USDT}
actors:
  asker:
    class: tests.kit.sample_actors:Asker
    node: one
    durable: fsync
    settings: {file: data/here.gz}
  here:
    class: tests.kit.sample_actors:Approver
    node: one
    inputs: [asker.orders]
    accepts: {venue: SIM}
  there:
    class: tests.kit.sample_actors:Approver
    node: two
    durable: os
    inputs: [asker.orders]
    accepts: {instrument: [B.LIVE]}
  first:
    class: tests.kit.sample_actors:Listener
    node: two
    inputs: ["*.decisions", asker.all]
    accepts: {instrument: [A.SIM]}
  second:
    class: tests.kit.sample_actors:Listener
    node: two
    inputs: [there, here, asker.all]
    accepts: {instrument: [B.SIM, B.LIVE]}
"""


def composed(folder: Path, text: str = SHARED_WORK, **options: Any) -> Node:
    file = folder / "t.yaml"
    file.write_text(text)
    return compose(check_file(file), **options)


def heard(node: Node, actor: str) -> Any:
    return node.actors[actor].state.heard


def test_actors_are_added_in_file_order_with_the_file_s_instruments(tmp_path: Path) -> None:
    node = composed(tmp_path)

    assert list(node.actors) == ["asker", "here", "there", "first", "second"]
    assert list(node.instruments) == ["A.SIM", "B.SIM", "B.LIVE"]
    assert node.instruments["A.SIM"].tick_size == 5
    assert node.instruments["A.SIM"].settle_scale == 8
    assert list(node.currencies) == ["USDT", "BTC"]


def test_paths_in_settings_stand_beside_the_file(tmp_path: Path) -> None:
    assert composed(tmp_path).actors["asker"].settings.file == tmp_path / "data" / "here.gz"


def test_an_actor_leaves_what_is_not_its_share_to_the_others(tmp_path: Path) -> None:
    node = composed(tmp_path)
    node.run()

    assert heard(node, "first") == ["the end", "A.SIM"]
    assert heard(node, "second") == ["the end", "B.SIM", "B.LIVE"]
    assert all(edge.conserved for edge in node.statistics().edges)


def test_what_an_actor_leaves_to_others_counts_as_unhandled(tmp_path: Path) -> None:
    node = composed(tmp_path)
    node.run()

    orders = {e.reader: e for e in node.statistics().edges if e.stream == "asker.orders"}
    counts = {name: (e.sent, e.handled, e.unhandled) for name, e in orders.items()}
    assert counts == {"here": (3, 2, 1), "there": (3, 1, 2)}
    assert all(edge.conserved for edge in orders.values())


def test_what_an_actor_leaves_to_others_is_no_step_of_it(tmp_path: Path) -> None:
    node = composed(tmp_path)
    node.run()

    statistics = node.statistics()
    assert statistics.steps == sum(edge.handled for edge in statistics.edges)


def test_options_of_the_node_pass_through(tmp_path: Path) -> None:
    node = composed(tmp_path, session="7")

    assert node.actors["asker"].session == "7"


def test_the_file_says_who_is_durable(tmp_path: Path) -> None:
    node = composed(tmp_path)

    durable = [name for name, actor in node.actors.items() if actor.durable]
    assert durable == ["asker", "there"]


def test_moving_an_actor_changes_nothing_that_happens(tmp_path: Path) -> None:
    node = composed(tmp_path)
    moved = composed(
        tmp_path, SHARED_WORK.replace("    node: one\n    inputs", "    node: two\n    inputs")
    )
    node.run()
    moved.run()

    assert heard(node, "second") == heard(moved, "second")
    assert node.statistics().streams == moved.statistics().streams


def paper_run(folder: Path, edit: tuple[str, str]) -> Node:
    folder.mkdir()
    text = PAPER.read_text()
    assert edit[0] in text
    node = composed(folder, text.replace(*edit), seed=7, directory=folder)
    node.run(20 * SECOND)
    return node


def test_the_paper_topology_trades_with_both_strategies_and_loses_nothing(tmp_path: Path) -> None:
    node = paper_run(tmp_path / "run", ("", ""))

    counts = node.actors["monitor"].state.counts
    assert counts["maker.fills"] > 0
    assert counts["taker.fills"] > 0
    assert node.supervisor.failures == []
    assert all(edge.conserved and not edge.queued for edge in node.statistics().edges)


def test_the_paper_topology_records_the_same_events_wherever_its_actors_live(
    tmp_path: Path,
) -> None:
    paper_run(tmp_path / "first", ("", ""))
    paper_run(tmp_path / "moved", ("Book\n    node: md", "Book\n    node: core"))

    first, moved = (tmp_path / run / "events.kaiju" for run in ("first", "moved"))
    assert first.read_bytes() == moved.read_bytes()


def test_a_file_with_mistakes_is_not_composed(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="there is no node 'six'"):
        composed(tmp_path, SHARED_WORK.replace("node: one", "node: six"))
