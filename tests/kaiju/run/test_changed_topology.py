"""A run goes on though its topology was edited: the past is done again as it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.events.durations import SECOND
from actors.recorder import Recorder
from actors.runtime.clock import VirtualClock
from actors.runtime.journal.disk import Disk
from actors.runtime.node.node import Node
from kaiju.run.build import compose
from kaiju.run.local import VIRTUAL_START
from tests.kit.kill_points import MortalDisk, lived
from tests.kit.small_system import TOPOLOGY, all_durable, write_topology
from topology.check.check import check_file

UNTIL = 4 * SECOND
"""Sixteen signals of the metronome."""


def run(folder: Path, disk: Disk, *edits: tuple[str, str]) -> Node:
    """Run the small topology, as it is with these edits, from where its data ends."""
    text = all_durable(TOPOLOGY)
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    checked = check_file(write_topology(folder, text))
    node = compose(checked, clock=VirtualClock(VIRTUAL_START), data=data, disk=disk)
    for actor in node.actors.values():
        if isinstance(actor, Recorder):
            actor.directory, actor.disk = data, disk
    node.run(until=VIRTUAL_START + UNTIL)
    assert node.supervisor.failures == []
    return node


def go_on_from_a_crash(folder: Path, *edits: tuple[str, str]) -> Node:
    """Run until a crash in the middle, edit the topology, and run to the end."""
    whole = MortalDisk()
    run(folder / "whole", whole)
    disk = MortalDisk(whole.count // 2)
    assert not lived(lambda: _ended(run(folder / "edited", disk)))
    return run(folder / "edited", Disk(), *edits)


def orders(node: Node) -> tuple[int, int]:
    """Return how many orders risk has approved and denied."""
    approved = len(node.actors["risk"].state.known_ids)
    return approved, node.actors["execution"].state.last_order - approved


def _ended(_node: Node) -> None:
    """Nobody looks at the node of a run that is to be killed."""


@pytest.mark.parametrize(
    "edit",
    [
        ('max_position: {"*": "2"}', 'max_position: {"*": "0"}'),
        ('lot_size: "0.00001"', 'lot_size: "0.00001", min_notional: "900000000"'),
    ],
    ids=["a limit", "an instrument"],
)
def test_what_is_edited_holds_from_the_crash_on_and_not_before(
    tmp_path: Path, edit: tuple[str, str]
) -> None:
    approved, denied = orders(go_on_from_a_crash(tmp_path, edit))

    assert 0 < approved < 16
    assert denied == 16 - approved


@pytest.mark.parametrize(
    "edit",
    [
        ("{from: book.top, delivery: latest}, book.state]", "{from: book.top, delivery: latest}]"),
        ('inputs: ["*"]', "inputs: [oms.orders, risk.decisions]"),
    ],
    ids=["an input less", "a recorder of less"],
)
def test_other_inputs_do_not_change_what_was(tmp_path: Path, edit: tuple[str, str]) -> None:
    assert orders(go_on_from_a_crash(tmp_path, edit)) == (16, 0)


def test_a_strategy_more_trades_from_the_crash_on(tmp_path: Path) -> None:
    entry = TOPOLOGY[TOPOLOGY.index("  metronome:") : TOPOLOGY.index("  execution:")]
    node = go_on_from_a_crash(
        tmp_path,
        ("  execution:", entry.replace("metronome", "other", 1) + "  execution:"),
        ("[metronome.signals, ", "[metronome.signals, other.signals, "),
    )

    approved, denied = orders(node)
    assert 16 < approved < 32
    assert denied == 0
