"""``kaiju verify`` and ``kaiju state``: an actor does its journal again, alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.durations import MILLISECOND
from actors.events.system import StopActor
from actors.runtime import codec
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.snapshots import Snapshots
from actors.runtime.journal.writer import Journal
from actors.runtime.node.config import NodeConfig, Retention
from actors.runtime.node.node import Node
from actors.runtime.snapshot import decode_snapshot
from actors.testing import SECOND, START
from kaiju.journals.values import Differing, first_difference, named
from kaiju.journals.verify import verify
from tests.kit import commands
from tests.kit.commands import INSTALLED
from tests.kit.kill_points import MortalDisk, live, lived
from tests.kit.nondeterministic_actors import (
    RUN_FOR,
    Gambler,
    Leaves,
    OrderPathSpeaker,
    RemembersInItself,
    Speaker,
    node_of,
    spoken,
)
from tests.kit.paths import ROOT
from tests.kit.small_system import TOPOLOGY, all_durable
from tests.kit.verify_leftovers import EXCUSED, find_runs, verify_elsewhere
from topology.check.check import check_file

pytestmark = pytest.mark.slow

SAID_BY_NOW = RUN_FOR // MILLISECOND + 1
"""Steps of a speaker: its start, and each tick."""


def kaiju(*arguments: object) -> tuple[int, list[str]]:
    done = commands.kaiju(*arguments)
    return done.exit_code, done.output.splitlines()


def in_a_process(hash_seed: int, *command: object) -> tuple[int, str]:
    done = subprocess.run(
        [*map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def state(directory: Path, step: int) -> dict[str, Any]:
    code, said = kaiju("state", directory, "speaker", "--at", step, "--json")
    assert code == 0, said
    found: dict[str, Any] = json.loads("\n".join(said))
    return found


def journal_of(directory: Path) -> Path:
    return directory / "journal" / "speaker"


def change_snapshot(directory: Path, change: Callable[[Any], None]) -> int:
    """Let the last snapshot of a run say something else, and return its step."""
    journal = journal_of(directory)
    found = JournalReader(journal).newest_snapshot()
    assert found is not None
    memory = decode_snapshot(found[1])
    change(memory)
    Snapshots(journal).save(found[0], codec.encode(memory))
    return found[0]


def test_a_whole_system_is_equal_in_another_process_and_with_another_hash_seed(
    tmp_path: Path,
) -> None:
    (tmp_path / "small.yaml").write_text(all_durable(TOPOLOGY))
    checked = check_file(tmp_path / "small.yaml")
    live(checked, tmp_path / "run", Disk(), start=START, until=START + 2 * SECOND)

    here = verify(tmp_path / "run")
    assert (
        here.summary == f"HASH EQUAL: {len(checked.topology.actors)} actors, {here.steps:,} steps"
    )
    for hash_seed in (1, 2):
        code, said = in_a_process(hash_seed, INSTALLED, "verify", tmp_path / "run")
        assert (code, said.splitlines()[-1]) == (0, here.summary)
        assert f"all together {here.digest[:12]}; " in said


@pytest.mark.parametrize("honest", ["Speaker", "Gambler"])
def test_an_actor_that_decides_by_its_inputs_alone_is_equal(tmp_path: Path, honest: str) -> None:
    assert (
        in_a_process(
            1,
            sys.executable,
            "-m",
            "tests.kit.nondeterministic_actors",
            honest,
            tmp_path,
        )[0]
        == 0
    )

    code, said = in_a_process(2, INSTALLED, "verify", tmp_path)

    assert (code, said.splitlines()[-1]) == (0, f"HASH EQUAL: 1 actor, {SAID_BY_NOW} steps")


@pytest.mark.usefixtures("not_verified")
@pytest.mark.parametrize(
    ("culprit", "step", "sides"),
    [
        ("ReadsTheClock", 2, None),
        ("DrawsElsewhere", 2, None),
        ("GoesThroughASet", 2, None),
        ("RemembersInItsModule", 2, ("'1'", f"'{SAID_BY_NOW}'")),
        ("RemembersInItself", 3, ("'2'", "'1'")),
    ],
)
def test_what_is_no_input_is_found_and_named_with_its_step_and_both_sides(
    tmp_path: Path, culprit: str, step: int, sides: tuple[str, str] | None
) -> None:
    command = (
        sys.executable,
        "-m",
        "tests.kit.nondeterministic_actors",
        culprit,
        tmp_path,
    )
    assert in_a_process(1, *command)[0] == 0

    code, said = in_a_process(2, INSTALLED, "verify", tmp_path)

    text, journal, again = said.splitlines()[-3:]
    assert code == 1
    assert text == (
        f"DIFFERENT: speaker: step {step}, on TimerFired speaker.inbox/1/{step}, is not what the"
        " journal holds."
    )
    found = journal.removeprefix("  journal: "), again.removeprefix("  again:   ")
    assert found[0] != found[1]
    assert all(text.startswith("tests.Said(") for text in found)
    if sides is not None:
        assert found == (f"tests.Said({sides[0]})", f"tests.Said({sides[1]})")


@pytest.mark.usefixtures("not_verified")
def test_what_only_the_state_shows_is_found_at_the_next_snapshot(tmp_path: Path) -> None:
    spoken(tmp_path)

    def change(memory: Any) -> None:
        held = msgspec.msgpack.decode(memory.state, type=Speaker.State)
        held.ticks["tick 1"] += 1
        memory.state = msgspec.Raw(codec.encode(held))

    step = change_snapshot(tmp_path, change)
    due = START + (step - 1) * MILLISECOND
    verification = verify(tmp_path)

    assert verification.summary == (
        f"DIFFERENT: speaker: after step {step}, state.ticks['tick 1'] is not what the snapshot"
        f" holds.\n  snapshot: {due + 1}\n  again:    {due}"
    )
    assert [verdict.snapshots for verdict in verification.verdicts] == [0, 1]


@pytest.mark.usefixtures("not_verified")
@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda memory: memory.timers.clear(), "timers[0]"),
        (lambda memory: memory.next_seq.update(words=7), "next_seq['words']"),
        (lambda memory: setattr(memory, "timer_id", 7), "timer_id"),
        (lambda memory: memory.rng[1].reverse(), "rng[1][0]"),
    ],
    ids=["timers", "numbers", "timer ids", "random numbers"],
)
def test_everything_that_follows_from_the_steps_is_compared(
    tmp_path: Path, change: Callable[[Any], None], place: str
) -> None:
    spoken(tmp_path, Gambler)
    step = change_snapshot(tmp_path, change)

    assert f"speaker: after step {step}, {place} is not what" in verify(tmp_path).summary


@pytest.mark.usefixtures("not_verified")
def test_the_difference_that_came_first_on_the_node_is_the_one_told(tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    node = Node(NodeConfig(data=tmp_path))
    node.add("a", RemembersInItself, {"prefix": "x"}, durable="os")
    node.add("b", RemembersInItself, {"prefix": "y"}, durable="os")
    node.run(RUN_FOR)

    verification = verify(tmp_path)

    assert verification.summary.startswith("DIFFERENT: a: step 3,")
    assert [bool(verdict.difference) for verdict in verification.verdicts] == [False, True, True]
    assert verify(tmp_path, ["b"]).summary.startswith("DIFFERENT: b: step 3,")


def test_a_run_that_went_on_with_other_settings_is_equal(tmp_path: Path) -> None:
    disk = MortalDisk(60, "after", "write")
    assert not lived(lambda: node_of(tmp_path, disk=disk, prefix="before ").run(RUN_FOR))
    killed_at = JournalReader(journal_of(tmp_path)).last_step
    node_of(tmp_path, prefix="behind ").run(until=START + RUN_FOR)

    assert 1 < killed_at < SAID_BY_NOW - 1
    assert verify(tmp_path).summary == f"HASH EQUAL: 1 actor, {SAID_BY_NOW} steps"
    assert [state(tmp_path, step)["outputs"] for step in (killed_at, killed_at + 1)] == [
        [{"tests.Said": {"what": f"before {killed_at - 1}"}}],
        [{"tests.Said": {"what": f"behind {killed_at}"}}],
    ]


def test_two_runs_that_end_alike_have_one_digest(tmp_path: Path) -> None:
    digests = [
        verify(spoken(tmp_path / name, Gambler, prefix=prefix)).digest
        for name, prefix in (("one", "a"), ("two", "a"), ("three", "b"))
    ]
    node = node_of(tmp_path / "four", Gambler)
    node.run(RUN_FOR // 2)

    assert digests[0] == digests[1] == digests[2] != verify(tmp_path / "four").digest


def test_a_journal_that_lost_its_beginning_is_verified_from_its_oldest_snapshot(
    tmp_path: Path,
) -> None:
    node = Node(
        NodeConfig(
            data=tmp_path, segment_bytes=4_000, slice_steps=16, retention=Retention(8_000, 0)
        )
    )
    node.add("speaker", Speaker, durable="os")
    node.run(RUN_FOR)
    journal = JournalReader(journal_of(tmp_path))
    oldest, *_, last = journal.snapshot_steps()

    assert journal.segments()[0].first_step > 1
    assert verify(tmp_path).summary == f"HASH EQUAL: 1 actor, {last - oldest} steps"
    assert state(tmp_path, oldest)["state"]["count"] == oldest - 1
    code, [said] = kaiju("state", tmp_path, "speaker", "--at", 1)
    assert code == 2
    assert "are not kept any more, and no whole snapshot is up to step 1" in said


@pytest.mark.parametrize(
    ("actor_class", "breaks_at", "steps"),
    [(Speaker, 20, 21), (OrderPathSpeaker, 20, 20), (Leaves, 0, 22)],
    ids=["an input skipped", "an actor that failed", "an actor that was stopped"],
)
def test_what_went_wrong_is_done_again_as_well(
    tmp_path: Path, actor_class: type[Speaker], breaks_at: int, steps: int
) -> None:
    spoken(tmp_path, actor_class, breaks_at=breaks_at)

    assert verify(tmp_path).summary == f"HASH EQUAL: 1 actor, {steps} steps"


def test_a_skipped_input_is_told_as_such(tmp_path: Path) -> None:
    spoken(tmp_path, breaks_at=20)

    assert (
        state(tmp_path, 21)["outputs"]
        == "none: the handler raised twice, and the input was skipped"
    )


@pytest.mark.usefixtures("not_verified")
def test_a_damaged_journal_is_not_verified(tmp_path: Path) -> None:
    spoken(tmp_path)
    path = sorted(journal_of(tmp_path).glob("steps-*"))[1]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    code, said = kaiju("verify", tmp_path)

    assert code == 1
    assert said[2].split() == ["speaker", "0", "0", "not", "verified"]
    assert said[-1].startswith(f"NOT VERIFIED: {path}: byte ")


@pytest.mark.usefixtures("not_verified")
def test_a_damaged_snapshot_is_told(tmp_path: Path) -> None:
    spoken(tmp_path)
    [path] = journal_of(tmp_path).glob("snapshot-*")
    path.write_bytes(path.read_bytes()[:-1])

    code, said = kaiju("verify", tmp_path)

    assert code == 1
    assert said[-1].startswith(f"NOT VERIFIED: {path}: byte ")


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ({"class": "tests.gone:Speaker"}, "there is no module 'tests.gone'"),
        (
            {"class": "tests.kit.nondeterministic_actors:Speeker"},
            "'tests.kit.nondeterministic_actors' has no 'Speeker'; did you mean",
        ),
        ({"journal": 2}, "the format of its header is 2, this program reads 1"),
        ({"settings": {"volume": 3}}, "settings: volume: Extra inputs are not permitted"),
        ({"seed": None}, "its header lacks 'seed'"),
    ],
    ids=["module", "class", "format", "settings", "header"],
)
def test_an_actor_that_cannot_be_made_is_named(
    tmp_path: Path, header: dict[str, Any], text: str
) -> None:
    spoken(tmp_path / "run")
    made = JournalReader(journal_of(tmp_path / "run"))
    header = {**made.segments()[0].header, **header}
    journal = Journal(tmp_path / "speaker")
    journal.begin({key: value for key, value in header.items() if value is not None})
    journal.append(next(made.steps()))
    journal.close()

    code, said = kaiju("verify", tmp_path / "speaker")

    assert code == 1
    assert said[-1].startswith("NOT VERIFIED: ")
    assert text in said[-1]


def test_an_input_that_this_program_cannot_read_is_named_with_its_step(tmp_path: Path) -> None:
    spoken(tmp_path / "run")
    made = JournalReader(journal_of(tmp_path / "run"))
    step = msgspec.msgpack.decode(next(made.steps()))
    step[8] = ["tests.Gone", 1]
    journal = Journal(tmp_path / "speaker")
    journal.begin(made.segments()[0].header)
    journal.append(codec.encode(step))
    journal.close()

    summary = verify(tmp_path / "speaker").summary

    assert summary.startswith("DIFFERENT: speaker: step 1, on tests.Gone speaker.inbox/1/1, is not")
    assert "journal: tests.Gone(1)\n  again:   this program cannot read it: " in summary


def test_the_state_is_printed_after_any_step(tmp_path: Path) -> None:
    spoken(tmp_path)

    counts = [state(tmp_path, step)["state"]["count"] for step in range(1, SAID_BY_NOW + 1)]

    assert counts == list(range(SAID_BY_NOW))
    assert kaiju("state", tmp_path, "speaker", "--at", 3) == (
        0,
        [
            "actor: speaker",
            "step: 3",
            f"steps: {SAID_BY_NOW}",
            "node_step: 3",
            f"now: {START + 2 * MILLISECOND}",
            "time: '2023-11-14 22:13:20.002000000'",
            "input:",
            "  place: speaker.inbox/1/3",
            "  cause: speaker.inbox/1/2",
            "  event:",
            "    TimerFired:",
            "      name: tick",
            "      timer_id: 2",
            f"      due: {START + 2 * MILLISECOND}",
            "outputs:",
            "- tests.Said:",
            "    what: '2'",
            "state:",
            "  count: 2",
            "  ticks:",
            f"    tick 1: {START + MILLISECOND}",
            f"    tick 2: {START + 2 * MILLISECOND}",
            "timers:",
            "- id: 3",
            "  name: tick",
            f"  due: {START + 3 * MILLISECOND}",
            "  time: '2023-11-14 22:13:20.003000000'",
            "  cause: speaker.inbox/1/3",
            "stale: {}",
            "positions:",
            "  speaker.inbox:",
            "    epoch: 1",
            "    next: 4",
            "next_seq:",
            "  words: 3",
            "random_numbers_drawn: false",
        ],
    )


def test_a_state_that_is_not_there_is_refused(tmp_path: Path) -> None:
    spoken(tmp_path)

    code, [said] = kaiju("state", tmp_path, "speaker", "--at", SAID_BY_NOW + 1)
    assert code == 2
    assert f"there is no step {SAID_BY_NOW + 1}, the last is {SAID_BY_NOW}" in said
    assert kaiju("state", tmp_path, "oms") == (
        2,
        [f"error: {tmp_path}: no journal of 'oms'; there are those of _control, speaker"],
    )
    assert kaiju("verify", tmp_path / "none")[0] == 2


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=8,
)


@given(plain, plain)
def test_two_values_differ_where_they_are_written_otherwise(one: Any, other: Any) -> None:
    assert (first_difference(one, other, "it") is None) == (
        codec.encode(one) == codec.encode(other)
    )
    assert first_difference(one, msgspec.msgpack.decode(codec.encode(one)), "it") is None


@pytest.mark.parametrize(
    ("one", "other", "differing"),
    [
        ([1, [2]], [1, [3]], Differing("it[1][0]", "2", "3")),
        ([1], [1, 2], Differing("it[1]", "nothing", "2")),
        ({"a": 1}, {}, Differing("it['a']", "1", "nothing")),
        (
            {"a": 1, "b": 2},
            {"b": 2, "a": 1},
            Differing("it (the order of its keys)[0]", "'a'", "'b'"),
        ),
        (1, True, Differing("it", "1", "True")),
        (Speaker.State(1), Speaker.State(2), Differing("it.count", "1", "2")),
    ],
)
def test_a_difference_is_named_by_the_way_to_it(one: Any, other: Any, differing: Differing) -> None:
    assert first_difference(one, other, "it") == differing


def test_what_is_named_has_names_for_fields_events_and_members() -> None:
    event = StopActor("maker")

    assert named({("a", 1): (event, b"\x01"), 2: Speaker.State(ticks={"x": 1})}) == {
        "a/1": [{"StopActor": {"actor": "maker"}}, "01"],
        "2": {"count": 0, "ticks": {"x": 1}},
    }


def test_the_runs_of_the_tests_are_found_but_those_that_were_planted(tmp_path: Path) -> None:
    good = [spoken(tmp_path / name) for name in ("one", "two")]
    planted = spoken(tmp_path / "planted")
    (planted / EXCUSED).touch()

    found = find_runs([tmp_path])

    assert (sorted(found.chosen), found.left_out, found.excused) == (good, 0, 1)


@pytest.mark.usefixtures("not_verified")
def test_the_session_is_told_which_of_its_runs_differ(tmp_path: Path) -> None:
    good, bad = spoken(tmp_path / "good"), spoken(tmp_path / "bad", RemembersInItself)

    assert verify_elsewhere([good]) == (True, f"1 runs, {SAID_BY_NOW} steps")
    equal, said = verify_elsewhere([good, bad])
    assert not equal
    assert f"{bad}\nDIFFERENT: speaker: step 3" in said
