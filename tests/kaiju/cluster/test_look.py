"""`kaiju tap` and `kaiju top`: looking into a system that runs, without it noticing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from kaiju.cluster.layout import UP_FILE
from kaiju.cluster.top import draw
from tests.kit import commands
from tests.kit.node_processes import LinkedRun, linked
from tests.kit.statuses import node_status
from tests.kit.waiting import until
from topology.config.keys import SECRET
from topology.links.endpoints import ENDPOINTS_FILE

pytestmark = pytest.mark.xdist_group("live")


@pytest.fixture(scope="module", params=[False, True], ids=["ipc", "tcp"])
def run(request: pytest.FixtureRequest) -> Iterator[LinkedRun]:
    with linked(tcp=request.param) as found:
        (found.folder / UP_FILE).write_text(f'{{"file": "{found.file}"}}')
        found.start()
        until(found.is_live, "live inputs", found.logs)
        yield found


def kaiju(run: LinkedRun, command: str, *arguments: str, node: str = "one") -> tuple[int, str]:
    secret = ["--node", node, "--secret", str(run.folder / f"{node}{SECRET}")] if run.tcp else []
    secret = secret if command == "tap" else []
    done = commands.kaiju(command, run.folder, *arguments, *secret)
    return done.exit_code, done.output


def test_tap_prints_what_comes_with_its_place_and_its_cause(run: LinkedRun) -> None:
    code, said = kaiju(run, "tap", "kept.ticks", "--count", "3")

    assert code == 0, said
    line = re.compile(r"[\d:.]+ \d+/(\d+) tests\.Tick\(n=\1\) <- kept\.inbox/")
    found = [line.match(text) for text in said.splitlines()]
    numbers = [int(match[1]) for match in found if match]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


def test_tap_begins_at_a_position_even_of_a_stream_that_no_other_node_reads(run: LinkedRun) -> None:
    code, said = kaiju(run, "tap", "kept.ticks", "--from", "7", "--count", "2")
    assert [line.split()[1].split("/")[1] for line in said.splitlines()] == ["7", "8"]
    assert code == 0


def test_tap_leaves_out_what_is_not_wanted(run: LinkedRun) -> None:
    wanted = ("--from", "1", "--where", "n=12", "--event", "tests.Tick", "--count", "1")
    _, said = kaiju(run, "tap", "kept.ticks", *wanted)
    assert "n=12" in said
    assert len(said.splitlines()) == 1


def test_tap_refuses_what_is_not_there_and_what_is_not_given(run: LinkedRun) -> None:
    assert "did you mean 'kept.ticks'" in kaiju(run, "tap", "kept.tick")[1]
    if run.tcp:
        code, said = kaiju(run, "tap", "relay.prices", "--count", "1", node="three")
        assert (code, "relay.prices is not given to node 'three'" in said) == (2, True)


def test_who_taps_is_waited_for_by_nobody(run: LinkedRun) -> None:
    kaiju(run, "tap", "kept.ticks", "--count", "1")
    outputs = [link for link in run.known_status("one").links if link.kind == "output"]
    assert {link.node for link in outputs} == {"two", "three"}


def test_top_shows_nodes_streams_and_actors(run: LinkedRun) -> None:
    assert (run.folder / ENDPOINTS_FILE).exists()
    code, said = kaiju(run, "top", "--once")
    assert code == 0
    for word in ("one", "two", "three", "kept.ticks", "relay", "LIVE", "behind"):
        assert word in said


def test_what_is_in_trouble_comes_first() -> None:
    well, halted = node_status("a"), node_status("b", halted="the disk is full")
    nodes = draw({"a": well, "b": halted, "c": None}, {}, 0).renderables[0]
    assert list(nodes.columns[0].cells) == ["b", "c", "a"]  # type: ignore[union-attr]
