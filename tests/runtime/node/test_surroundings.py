"""What a node takes of its machine: memory up to its limit, a disk that fills, a wrong clock."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from actors.events.durations import MILLISECOND, SECOND
from actors.runtime.clock import LiveClock
from actors.runtime.journal.disk import Disk
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.node.surroundings import resident_bytes
from tests.kit.commands import run
from tests.kit.failing_disk import Outside, trading
from tests.kit.runtime_actors import Clockwork
from tests.kit.small_system import write_topology

DAY = 86_400 * SECOND
MORE_THAN_ANY_DISK = 1 << 62


def test_a_node_at_its_memory_limit_halts_cancels_and_ends(tmp_path: Path) -> None:
    outside = Outside()
    node = trading(tmp_path, LiveClock(), Disk(), outside, ticks=10**9, memory_limit=1)
    node.run(10 * SECOND)

    assert node.halts.reason.endswith("bytes of memory, memory_limit is 1")
    assert node.stop_reason == node.halts.reason
    assert outside.canceled.is_set()


def test_a_node_below_its_memory_limit_goes_on(tmp_path: Path) -> None:
    limit = 2 * resident_bytes()
    node = trading(tmp_path, LiveClock(), Disk(), ticks=10**9, memory_limit=limit)
    node.run(100 * MILLISECOND)

    assert node.halts.reason == ""
    found = node.statistics().surroundings
    assert found is not None
    assert 0 < found.resident < found.memory_limit == limit


def test_a_run_that_reached_its_memory_limit_says_so_and_exits_with_3(tmp_path: Path) -> None:
    file = write_topology(tmp_path)
    file.write_text(file.read_text().replace("{host: one,", "{host: one, memory_limit: 1 KB,"))
    result, _ = run(file, "--live", "--for", "60s")

    assert result.exit_code == 3
    assert "bytes of memory, memory_limit is 1,000" in result.stderr


def test_a_disk_that_will_be_full_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "kaiju")
    node = trading(tmp_path, LiveClock(), Disk(), ticks=10**9, min_free=MORE_THAN_ANY_DISK)
    node.run(SECOND + 100 * MILLISECOND)

    [said] = [r.message for r in caplog.records if "min_free" in r.message]
    assert said.startswith(str(tmp_path))
    found = node.statistics().surroundings
    assert found is not None
    assert found.disk_is_low
    assert node.halts.reason == ""


def ticking(data: Path, clock: LiveClock) -> Node:
    node = Node(NodeConfig(data=data), clock=clock)
    node.add("ticks", Clockwork, {"interval": MILLISECOND}, durable="os")
    return node


def test_a_node_that_was_once_begun_with_a_clock_ahead_says_so_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ticking(tmp_path, LiveClock(10 * DAY)).run(100 * MILLISECOND)

    caplog.set_level(logging.WARNING, "kaiju")
    node = ticking(tmp_path, clock := LiveClock())
    node.run(100 * MILLISECOND)
    found = node.statistics().surroundings
    assert found is not None
    assert 0 < 10 * DAY - found.clock_ahead < 5 * SECOND
    [said] = [r.message for r in caplog.records if "the node's clock" in r.message]
    assert "s ahead of the machine's: days of limits are those of the node's clock" in said
    assert clock.ahead() < found.clock_ahead
