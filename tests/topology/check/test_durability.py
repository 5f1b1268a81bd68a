"""Durability in a topology file: who may forget, and who must hear of it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from tests.kit.paths import TOPOLOGIES
from topology.check.check import check

PAPER = TOPOLOGIES / "paper.yaml"
ORDER_PATH = ("market", "execution", "risk", "oms", "gateway", "positions")
ACTORS = (*ORDER_PATH, "book", "maker", "taker", "pnl", "monitor", "recorder")


def durable(folder: Path, actors: Collection[str]) -> list[str]:
    """Return what is found in the paper topology while these actors are durable."""
    lines, name = [], ""
    for line in PAPER.read_text().splitlines():
        if line.startswith("  ") and not line.startswith("   ") and line.endswith(":"):
            name = line.strip(" :")
        if not line.strip().startswith("durable:"):
            lines.append(line)
        if line.strip().startswith("class:") and name in actors:
            lines.append("    durable: os")
    file = folder / "paper.yaml"
    file.write_text("\n".join(lines))
    return [f"{finding.level}: {finding.message}" for finding in check(file).all]


def test_a_topology_in_which_nothing_is_durable_is_not_warned_of(tmp_path: Path) -> None:
    assert durable(tmp_path, ()) == []


def test_whoever_is_on_the_order_path_is_to_be_durable_if_anybody_is(tmp_path: Path) -> None:
    assert durable(tmp_path, ("oms", "gateway", "risk", "execution")) == [
        f"warning: '{name}' is on the order path and forgets everything at a restart, while"
        " 'execution' does not; add 'durable: os'"
        for name in ("market", "positions")
    ]


@pytest.mark.parametrize("actors", [ORDER_PATH, ACTORS])
def test_a_durable_order_path_is_sound(tmp_path: Path, actors: Collection[str]) -> None:
    assert durable(tmp_path, actors) == []


@pytest.mark.parametrize("actor", ACTORS)
def test_each_of_our_actors_may_be_durable_though_those_that_it_reads_are_not(
    tmp_path: Path, actor: str
) -> None:
    assert [found for found in durable(tmp_path, (actor,)) if found.startswith("error")] == []
