"""What if: the run with that setting, byte for byte, and exactly what differs from the old one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kaiju.record.record import Record, Recorded
from kaiju.replay.console import MAX_SHOWN
from kaiju.run.run_file import RUN_FILE, RunFile
from tests.kit.commands import kaiju
from tests.kit.recorded_lines import PLAYED, diff, snapshot, write
from tests.kit.small_system import EXAGGERATOR, TOPOLOGY, write_topology

pytestmark = pytest.mark.slow

LIMIT = 'max_position: {"*": "2"}'
INSTRUMENT = "BTCUSDT.SIM"
SCALES = {"qty": 5, "px": 2, "USDT": 8, "BTC": 8}


def new_run(runs: Path, *arguments: object) -> tuple[str, Path]:
    """Run `kaiju` with `arguments`, and return what it printed and the directory that it made."""
    before = set(runs.iterdir()) if runs.exists() else set()
    result = kaiju(*arguments)
    assert result.exit_code == 0, result.output
    [directory] = set(runs.iterdir()) - before
    return result.output, directory


def first_run(topology: Path, *options: object) -> Path:
    runs = topology.parent / "runs"
    return new_run(runs, "run", topology, "--runs", runs, *(options or ("--for", "15s")))[1]


def replayed(run: Path, *options: object) -> tuple[str, Path]:
    return new_run(run.parent, "replay", run, *options)


def events_of(run: Path) -> bytes:
    return (run / "events.kaiju").read_bytes()


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    return write_topology(tmp_path)


@pytest.fixture
def run(topology: Path) -> Path:
    return first_run(topology)


def test_without_other_settings_nothing_differs(run: Path) -> None:
    output, again = replayed(run)

    assert events_of(again) == events_of(run)
    with Record(run) as record:
        count = sum(1 for _ in record)
    assert output == (
        f"before: {run}\nafter:  {again}\nnothing differs: {count:,} events are the same\n"
    )


@pytest.mark.parametrize(
    ("given", "old", "new"),
    [
        ("risk.max_position.*=0.1", LIMIT, 'max_position: {"*": "0.1"}'),
        (f"risk.max_position.{INSTRUMENT}=0.1", LIMIT, f'max_position: {{{INSTRUMENT}: "0.1"}}'),
        ("market.flow.BTCUSDT.SIM.spread=4", 'spread: "2"', 'spread: "4"'),
        ("market.taker_fee=0.001", "      flow:", '      taker_fee: "0.001"\n      flow:'),
        ("risk.max_order_qty.*=0.005", LIMIT, f'max_order_qty: {{"*": "0.005"}}, {LIMIT}'),
    ],
)
def test_it_equals_the_run_of_a_file_with_that_setting_byte_for_byte(
    run: Path, tmp_path: Path, given: str, old: str, new: str
) -> None:
    (tmp_path / "edited").mkdir()
    assert old in TOPOLOGY
    edited = first_run(write_topology(tmp_path / "edited", TOPOLOGY.replace(old, new)))
    output, again = replayed(run, "--set", given)

    assert events_of(again) == events_of(edited)
    assert events_of(again) != events_of(run)
    assert output.startswith(
        f"before: {run}\nafter:  {again}, with {given}\nthe runs diverge after"
    )


@pytest.mark.parametrize(
    "given",
    [
        ["risk.max_position.*=0.1"],
        ["risk.max_order_qty.*=0.005"],
        ["risk.max_position.*=0.1", "market.order_latency=1ms"],
        ["market.taker_fee=0.001"],
        ["market.flow.BTCUSDT.SIM.spread=4"],
        ["book.stale_after=1h"],
    ],
)
def test_what_is_printed_is_exactly_the_differences(run: Path, given: list[str]) -> None:
    options = [word for each in given for word in ("--set", each)]
    output, again = replayed(run, "--all", *options)

    assert printed(output) == expected(run, again)


Lines = dict[str, list[list[str]]]
"""Rows by the title above them, each row as its cells."""


def printed(output: str) -> Lines:
    """Return what the tables say."""
    sections: Lines = {}
    shown: list[list[str]] = []
    for line in output.splitlines():
        if title := re.fullmatch(r"([a-zA-Z ]+): ([\d,]+)", line):
            shown = sections[f"{title[1]}: {title[2]}"] = []
        elif re.match(r"\d{4}-|metronome|before  |after   |difference  ", line.strip()):
            shown.append(re.split(r" {2,}", line.strip()))
    return sections


def expected(run: Path, again: Path) -> Lines:
    """Build the same tables from both records, by other means than the command."""
    before, after = history(run), history(again)
    orders = unlike("orders", before["orders"], after["orders"])
    fills = unlike("fills", before["fills"], after["fills"])
    return orders | fills | changed_pnl(before["pnl"], after["pnl"])


def unlike(kind: str, before: dict[Any, Any], after: dict[Any, Any]) -> Lines:
    lost: list[Any] = []
    gained: list[Any] = []
    changed: list[Any] = []
    for key in before.keys() | after.keys():
        for first, second in zip_longest(before.get(key, []), after.get(key, [])):
            if second is None:
                lost.append((first[0], [*key, first[1]]))
            elif first is None:
                gained.append((second[0], [*key, second[1]]))
            elif first[1] != second[1]:
                changed.append((first[0], [*key, first[1], second[1]]))
    if not (lost or gained or changed):
        return {}
    return {
        f"{kind} {title}: {len(rows):,}": [row for _, row in sorted(rows)]
        for title, rows in (
            ("only before", lost),
            ("only after", gained),
            ("with another outcome", changed),
        )
    }


def changed_pnl(before: dict[Any, Any], after: dict[Any, Any]) -> Lines:
    rows = []
    for account in sorted(before.keys() | after.keys()):
        first, second = (side.get(account, [Decimal(0)] * 5) for side in (before, after))
        if first != second:
            difference = [b - a for a, b in zip(first, second, strict=True)]
            rows.append([*account, "before", *texts(first)])
            rows.append(["after", *texts(second)])
            rows.append(["difference", *texts(difference)])
    return {f"PnL that differs: {len(rows) // 3}": rows} if rows else {}


def texts(amounts: Iterable[Decimal]) -> list[str]:
    return [f"{amount:.{5 if not index else 8}f}" for index, amount in enumerate(amounts)]


def decimal(units: int, what: str) -> str:
    return f"{Decimal(units) / 10 ** SCALES[what]:.{SCALES[what]}f}"


def moment(nanoseconds: int) -> str:
    seconds = nanoseconds - 1_704_067_200_000_000_000
    minutes, rest = divmod(seconds, 60_000_000_000)
    return f"2024-01-01 00:{minutes:02d}:{rest // 10**9:02d}.{rest % 10**9:09d}"


def wish(recorded: Recorded, event: list[Any], qty: int, px: int) -> tuple[str, ...]:
    side = {1: "BUY", -1: "SELL"}[event[4]]
    price = decimal(px, "px") if px else "market"
    return (moment(recorded.time), event[2], event[3], side, decimal(qty, "qty"), price)


def history(run: Path) -> dict[str, dict[Any, Any]]:
    """Return orders and fills as (place, outcome) by what was wanted, and PnL by account."""
    wanted: dict[str, tuple[int, tuple[str, ...], str]] = {}
    became: dict[str, str] = {}
    filled: dict[str, int] = defaultdict(int)
    fills: dict[Any, list[Any]] = defaultdict(list)
    pnl = {}
    with Record(run) as record:
        for place, recorded in enumerate(record):
            event = recorded.event
            tag, order_id = event[0], event[1]
            if tag == "SubmitOrder":
                terms = f"{event[6]} {event[7]}{' post-only' if event[9] else ''}"
                wanted[order_id] = (place, wish(recorded, event, event[5], event[8]), terms)
                became[order_id] = "undecided"
            elif tag == "OrderDenied":
                became[order_id] = f"denied: {event[6]}: {event[7]}"
            elif tag == "OrderFilled":
                filled[order_id] += event[5]
                state = "partly filled" if event[8] else "filled"
                became[order_id] = f"{state} {decimal(filled[order_id], 'qty')}"
                cost = f"{event[12]} fee {decimal(event[10], event[11])} {event[11]}"
                fills[wish(recorded, event, event[5], event[6])].append((place, cost))
            elif tag in ("OrderCanceled", "OrderExpired", "OrderRejected"):
                state = tag.removeprefix("Order").lower()
                part = filled[order_id]
                became[order_id] = f"{state}, filled {decimal(part, 'qty')}" if part else state
                if event[-1]:
                    became[order_id] += f": {event[-1]}"
            elif tag == "PnlUpdated":
                money = [Decimal(units) / 10**8 for units in event[6:10]]
                pnl[tuple(event[1:4])] = [Decimal(event[4]) / 10**5, *money]
    orders = defaultdict(list)
    for order_id, (place, key, terms) in wanted.items():
        orders[key].append((place, f"{terms} {became[order_id]}"))
    return {"orders": orders, "fills": fills, "pnl": pnl}


def test_the_first_of_each_kind_are_printed_and_all_are_counted(run: Path) -> None:
    output, again = replayed(run, "--set", "market.taker_fee=0.001")
    few, everything = printed(output), expected(run, again)

    assert any(len(rows) > MAX_SHOWN for rows in everything.values())
    assert few == {
        title: rows if title.startswith("PnL") else rows[:MAX_SHOWN]
        for title, rows in everything.items()
    }


def test_the_first_moment_at_which_the_runs_part_has_both_sides(run: Path) -> None:
    output, again = replayed(run, "--set", "risk.max_position.*=0.1")
    equal, before, after = next(parted(run, again))

    lines = output.splitlines()
    time = moment(before.time)
    assert (
        lines[2] == f"the runs diverge after {equal:,} equal events, at {time} on risk.decisions:"
    )
    assert (before.tag, after.tag) == ("OrderApproved", "OrderDenied")
    place = f"risk.decisions 1/{before.seq} {time} from execution.orders 1/{before.cause[2]}"
    assert lines[3].startswith(f"  before  {place}: OrderApproved(order=SubmitOrder(")
    assert lines[4].startswith(f"  after   {place}: OrderDenied(client_order_id='{after.event[1]}'")


def parted(run: Path, again: Path) -> Iterator[tuple[int, Any, Any]]:
    with Record(run) as first, Record(again) as second:
        for equal, (before, after) in enumerate(zip_longest(first, second)):
            if before != after:
                yield equal, before, after


def test_a_setting_that_changes_nothing_is_said_to_change_nothing(run: Path) -> None:
    output, again = replayed(run, "--set", "risk.max_position.*=1000")

    assert "nothing differs" in output
    assert RunFile.load(again).overrides == ("risk.max_position.*=1000",)


def test_a_what_if_can_be_done_again_and_go_further(run: Path) -> None:
    _, narrow = replayed(run, "--set", "risk.max_position.*=0.1")
    output, same = replayed(narrow)
    assert "nothing differs" in output

    _, back = replayed(narrow, "--set", "risk.max_position.*=2")
    assert events_of(same) == events_of(narrow)
    assert events_of(back) == events_of(run)


def test_seed_and_duration_are_those_of_the_run(topology: Path) -> None:
    directory = first_run(topology, "--for", "3s", "--seed", 5)
    _, again = replayed(directory)

    assert events_of(again) == events_of(directory)
    assert RunFile.load(again).seed == 5
    assert RunFile.load(again).until == RunFile.load(directory).until


def test_a_run_of_another_version_may_decide_otherwise(run: Path) -> None:
    replace(RunFile.load(run), kaiju="0.0.1").save(run)
    output, _ = replayed(run)

    assert output.startswith(f"made by kaiju 0.0.1, this is {version('kaiju-trading')}: it may")


def test_a_paced_run_is_done_again_as_fast_as_possible(topology: Path) -> None:
    directory = first_run(topology, "--for", "2s", "--speed", "50")
    output, again = replayed(directory)

    assert "nothing differs" in output
    assert RunFile.load(again).speed == 0


@pytest.mark.parametrize(("gone", "said"), [(False, "has changed"), (True, "cannot be read any")])
def test_the_file_as_it_was_is_what_counts(
    run: Path, topology: Path, *, gone: bool, said: str
) -> None:
    topology.write_text(TOPOLOGY.replace("small", "other"))
    if gone:
        topology.unlink()
    output, _ = replayed(run)

    assert f"{topology} {said}" in output
    assert output.splitlines()[0].endswith(f"its copy in {RUN_FILE} is used")
    assert output.splitlines()[-1].startswith("nothing differs: ")


def test_recorded_data_is_found_beside_the_file_even_if_the_file_is_gone(tmp_path: Path) -> None:
    write(tmp_path / "day1.gz", snapshot(0, 10), diff(1, 1), diff(2, 2))
    file = tmp_path / "played.yaml"
    recorder = '  recorder: {class: "actors.recorder:Recorder", node: one, inputs: ["*"]}\n'
    file.write_text(PLAYED + recorder)
    directory = first_run(file, "--quiet")
    file.unlink()
    output, again = replayed(directory)

    assert RunFile.load(directory).duration is None
    assert events_of(again) == events_of(directory)
    assert re.search(r"nothing differs: [1-9]\d* events", output)


def test_new_runs_go_where_they_are_asked_to(run: Path, tmp_path: Path) -> None:
    _, again = new_run(tmp_path / "new", "replay", run, "--runs", tmp_path / "new")
    assert events_of(again) == events_of(run)


def test_a_run_that_was_interrupted_is_done_again_up_to_where_it_came(run: Path) -> None:
    (run / "report.json").unlink()
    output, again = replayed(run)

    with Record(run) as record:
        last = max(recorded.time for recorded in record)
    assert output.startswith(
        f"{run} did not come to its end: it is repeated up to its last recorded event,"
        f" {moment(last)}\n"
    )
    assert RunFile.load(again).until == last


def test_a_run_that_somebody_stopped_says_so(run: Path) -> None:
    report = run / "report.json"
    report.write_text(report.read_text().replace("time is up", "SIGINT"))
    output, _ = replayed(run)

    assert output.startswith(f"{run} was stopped (SIGINT): it is repeated up to")


def refused(run: Path, *options: object) -> tuple[int, str]:
    before = sorted(run.parent.iterdir())
    result = kaiju("replay", run, *options)

    assert sorted(run.parent.iterdir()) == before
    assert result.stdout == ""
    return result.exit_code, result.stderr


def test_wrong_settings_are_all_named_before_anything_is_made(run: Path) -> None:
    code, errors = refused(run, "--set", "rsk.order_burst=1", "--set", "risk.order_burs=0")

    assert code == 2
    assert errors == (
        "--set risk.order_burs=0: actors.risk.settings: unknown key 'order_burs';"
        " did you mean 'order_burst'?\n"
        "--set rsk.order_burst=1: there is no actor 'rsk'; did you mean 'risk'?\n"
    )


def test_a_run_without_a_record_has_nothing_to_compare(tmp_path: Path) -> None:
    directory = first_run(write_topology(tmp_path, TOPOLOGY.partition("  recorder:")[0]))
    assert refused(directory) == (
        2,
        f"error: {directory}/events.kaiju: no such record; was there a recorder in the run?\n",
    )


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    code, errors = refused(tmp_path / "nothing")

    assert code == 2
    assert "run.json: no such file; allowed is the directory of a run" in errors


def test_a_damaged_run_file_is_refused_with_the_reason(run: Path) -> None:
    path = run / RUN_FILE
    path.write_text(path.read_text().replace("breaks", "brakes").replace("risk", "risk2"))
    code, errors = refused(run)

    assert code == 1
    assert errors.startswith(f"error: {path}: is damaged or was edited: ")


@pytest.mark.parametrize(
    ("more", "given", "code", "said"),
    [
        ("", ["--set", "metronome.breaks_after=3"], 1, "metronome (Metronome) raised RuntimeError"),
        (EXAGGERATOR, [], 3, "trading was halted: recorder (Recorder) raised OverflowError"),
    ],
)
def test_a_new_run_that_fails_says_so_with_its_own_exit_code(
    tmp_path: Path, more: str, given: list[str], code: int, said: str
) -> None:
    topology, runs = write_topology(tmp_path, TOPOLOGY + more), tmp_path / "runs"
    kaiju("run", topology, "--runs", runs, "--for", "3s")
    [directory] = runs.iterdir()
    result = kaiju("replay", directory, *given)

    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout.splitlines()[2].startswith(
        "the runs diverge" if given else "nothing differs"
    )
