"""What if, for a run that met the world: it hears the same again, and nobody hears of it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from actors.events.event import Event
from actors.events.market import Quote, RequestSnapshot, Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.orders import SubmitOrder
from actors.events.system import (
    ActorFailed,
    ActorRecovered,
    ActorStarted,
    ConnectionLost,
    HaltTrading,
    ResumeTrading,
    StopActor,
    StopRequested,
    StreamLive,
    StreamReset,
    TimerFired,
)
from actors.events.venue import NewOrderSingle
from actors.recorder import EVENTS_FILE, record_header
from actors.runtime import codec
from actors.runtime.actor import Actor
from actors.runtime.journal.data_directory import CONTROL, JOURNALS, NODE_FILE
from actors.runtime.journal.frames import EVENT, FrameWriter
from actors.runtime.journal.segments import JournalReader
from actors.runtime.node.node import Node
from gateways.simulated.session import client as remote
from gateways.simulated.session.client import VenueFeed
from kaiju.record.record import Record, Recorded
from kaiju.replay.console import when
from kaiju.replay.open_loop import (
    OpenLoop,
    journals_of_port_actors,
    operator_commands,
    outside_inputs,
)
from kaiju.replay.outside import NO_ANSWER, OrderPairing
from kaiju.replay.what_if import ANSWERED, ANSWERING
from kaiju.run.run_file import RunFile
from tests.kit.commands import KAIJU, kaiju
from tests.kit.external_echo import ECHOES, heard_outside
from tests.kit.journals import opened, segment
from tests.kit.killed_trading import outputs
from tests.kit.paths import ROOT
from tests.kit.recorded_lines import PLAYED, diff, snapshot, write
from tests.kit.small_system import INTERVAL, TOPOLOGY, all_durable, write_topology
from tests.kit.venue_client import VENUE, VenueProcess
from tests.kit.waiting import PATIENCE, until
from topology.check.check import check_file

pytestmark = pytest.mark.slow

FEED = """\
  feed:
    class: gateways.simulated.session.client:VenueFeed
    node: one
    inputs: [book.requests]
    settings: {endpoint: ENDPOINT}
  book:
"""
SILENT = """\
inputs: [{from: book.top, delivery: latest}]
    settings: {most: 9}
  execution:"""
DECIDED_AT = 1 + SubmitOrder.__struct_fields__.index("decided_at")
NEVER = "the connection of a run that is done again"


def at_a_venue(endpoint: str) -> str:
    """Return the small topology with its market taken out, trading at a venue elsewhere."""
    before, _, rest = all_durable(TOPOLOGY).partition("  market:\n")
    text = before + all_durable(FEED) + rest.partition("  book:\n")[2]
    text = text.replace(
        "gateways.gateway:Gateway", "gateways.simulated.session.client:VenueGateway"
    )
    text = text.replace("market.depth, market.connection", "feed.depth, feed.connection")
    text = text.replace(
        "[oms.requests, risk.control, market.reports, market.connection]",
        "[oms.requests, risk.control]\n    settings: {endpoint: ENDPOINT}",
    )
    # The last order has its answer long before the end, however slow the machine is.
    text = text.replace("inputs: [{from: book.top, delivery: latest}]\n  execution:", SILENT)
    return f"journal: {{segment_bytes: 16384}}\n{text}".replace("ENDPOINT", endpoint)


def one_instrument(folder: Path) -> Path:
    """Write the venue's topology without what the small topology does not know."""
    lines = VENUE.read_text().splitlines(keepends=True)
    others = [n for n, line in enumerate(lines) if re.match(r" +(ETH|SOL)USDT.SIM:", line)]
    for n in reversed(others):
        del lines[n : n + (1 if "{" in lines[n] else 3)]
    file = folder / "venue.yaml"
    file.write_text("".join(lines))
    return file


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenueProcess]:
    # A socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="kaiju-"))
    data = tmp_path_factory.mktemp("venue")
    with VenueProcess(folder, data, one_instrument(folder)) as venue:
        until((folder / "v").exists, "the venue's socket")
        yield venue
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def traded(venue: VenueProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that traded at a venue that is gone since."""
    folder = tmp_path_factory.mktemp("traded")
    topology, runs = write_topology(folder, at_a_venue(venue.endpoint)), folder / "runs"
    done = kaiju(
        "run", topology, "--live", "--for", "4900ms", "--runs", runs, "--metrics-port", "0"
    )
    assert done.exit_code == 0, done.output
    assert venue.stop() == 0
    [run] = runs.iterdir()
    return run


@pytest.fixture
def run(traded: Path, tmp_path: Path) -> Path:
    """Return a copy of the run that is the test's own."""
    return Path(shutil.copytree(traded, tmp_path / "runs" / traded.name))


def done_again(run: Path, *options: object) -> tuple[list[str], Path, Path]:
    """Replay a run, and return what was printed and the directories of both runs."""
    earlier = set(run.parent.iterdir())
    result = kaiju("replay", run, *options)
    assert result.exit_code == 0, result.output
    before, after = sorted(
        set(run.parent.iterdir()) - earlier, key=lambda path: "after" in path.name
    )
    return result.output.splitlines(), before, after


def recorded(run: Path, *tags: str) -> list[Recorded]:
    with Record(run) as record:
        return [event for event in record if event.tag in tags]


def contents(run: Path, *tags: str) -> list[list[Any]]:
    return [event.event for event in recorded(run, *tags)]


def events_of(run: Path) -> bytes:
    return (run / "events.kaiju").read_bytes()


def section(output: list[str], title: str) -> list[list[str]]:
    """Return the rows of one table."""
    start = next(n for n, line in enumerate(output) if line.startswith(title))
    rows = []
    for line in output[start + 2 :]:
        if not line.startswith("20"):
            break
        rows.append(re.split(r" {2,}", line.strip()))
    return rows


def titles(output: list[str]) -> list[str]:
    return [line for line in output if re.match(r"[a-z ]+: (\d|the same)", line)]


def test_without_other_settings_nothing_differs_and_the_same_bytes_come_each_time(
    run: Path,
) -> None:
    output, before, after = done_again(run)
    _, *again = done_again(run)

    assert {events_of(directory) for directory in (after, *again)} == {events_of(before)}
    assert output[:3] == [ANSWERED, f"before: {before}", f"after:  {after}"]
    assert [line.split()[0] for line in output[3:7]] == ["signals", "recorded", "before", "after"]
    counts = [int(count) for count in output[5].split()[1:]]
    assert output[6].split()[1:] == output[5].split()[1:]
    assert output[7:] == [f"nothing differs: {sum(counts[:5]):,} decisions are the same"]


def test_what_was_decided_live_is_decided_again_and_gets_its_own_answers(run: Path) -> None:
    _, before, _ = done_again(run)
    until = RunFile.load(run).until

    assert contents(before, "TransitionFailed") == []
    for tag in ("SubmitOrder", "OrderApproved", "OrderFilled"):
        live = [timeless(event.event) for event in recorded(run, tag) if event.time < until]
        assert len(live) > 3
        assert [timeless(event) for event in contents(before, tag)][: len(live)] == live


def timeless(event: list[Any]) -> list[Any]:
    """Return an event without the time at which its order was decided, which was live."""
    order = event[1] if event[0] == "OrderApproved" else event
    if order[0] == "SubmitOrder":
        order[DECIDED_AT] = 0
    return event


def test_the_denials_of_a_stricter_limit_are_listed_and_nobody_hears_of_it(
    run: Path, venue: VenueProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError(NEVER)

    monkeypatch.setattr(remote, "Connection", refuse)
    ledger = ledger_of(venue)
    output, before, after = done_again(run, "--all", "--set", "risk.max_order_qty.*=0.005")

    orders = recorded(before, "SubmitOrder")
    reason = "MAX_ORDER_QTY: order quantity 0.01000 exceeds limit 0.00500"
    terms = "MARKET IOC"
    assert section(output, "orders with another outcome") == [
        [
            *(when(order.time), "metronome", "BTCUSDT.SIM", Side(order.event[4]).name, "0.01000"),
            *("market", f"{terms} approved", f"{terms} denied: {reason}"),
        ]
        for order in orders
    ]
    assert titles(output) == [
        *("signals: the same in both", "quotes: the same in both", "refusals: the same in both"),
        *("orders only before: 0", "orders only after: 0"),
        f"orders with another outcome: {len(orders)}",
        "cancels: the same in both",
    ]
    assert contents(after, "OrderApproved", "NewOrderSingle", "OrderFilled") == []
    assert ledger_of(venue) == ledger


def ledger_of(venue: VenueProcess) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in venue.data.rglob("*") if path.is_file()}


def test_an_order_that_is_still_made_keeps_its_answers_when_others_are_denied(run: Path) -> None:
    output, before, after = done_again(run, "--all", "--set", "risk.max_position.*=0.015")
    denied = {event[1] for event in contents(after, "OrderDenied")}

    # Two of three are bought, of 0.01 each: the second would make it 0.02.
    assert contents(before, "SubmitOrder")[1][1] in denied
    assert len(section(output, "orders with another outcome")) == len(denied)
    assert contents(after, "OrderFilled") == [
        fill for fill in contents(before, "OrderFilled") if fill[1] not in denied
    ]
    assert len(contents(after, "OrderFilled")) > 2


def test_orders_behind_one_that_is_not_made_keep_their_answers_under_other_ids(run: Path) -> None:
    output, before, after = done_again(run, "--set", "metronome.leaves_out=2")
    left_out = contents(before, "SubmitOrder")[1][1]

    assert titles(output) == [
        *("signals only before: 1", "signals only after: 0", "signals with another outcome: 0"),
        *("quotes: the same in both", "refusals: the same in both"),
        *("orders only before: 1", "orders only after: 0", "orders with another outcome: 0"),
        "cancels: the same in both",
    ]
    made = contents(after, "SubmitOrder")
    assert [each[2:] for each in made[1:]] == [
        each[2:] for each in contents(before, "SubmitOrder")[2:]
    ]
    assert made[1][1] == left_out
    assert [fill[2:] for fill in contents(after, "OrderFilled")] == [
        fill[2:] for fill in contents(before, "OrderFilled") if fill[1] != left_out
    ]
    unanswered = {failure[1] for failure in contents(after, "TransitionFailed")}
    assert unanswered == {f"recorded: {left_out}"}


def test_an_order_that_the_venue_never_saw_is_refused_and_another_ones_report_is_no_answer(
    run: Path,
) -> None:
    output, before, after = done_again(run, "--set", "metronome.qty=2000")

    count = len(contents(before, "SubmitOrder"))
    assert titles(output) == [
        *(f"signals only before: {count}", f"signals only after: {count}"),
        "signals with another outcome: 0",
        *("quotes: the same in both", "refusals: the same in both"),
        *(f"orders only before: {count}", f"orders only after: {count}"),
        "orders with another outcome: 0",
        "cancels: the same in both",
    ]
    rejected = contents(after, "OrderRejected")
    assert [event[-1] for event in rejected] == [NO_ANSWER] * count
    assert contents(after, "OrderFilled") == []
    assert len(contents(after, "TransitionFailed")) > count


def test_a_run_that_was_killed_is_done_again_up_to_its_last_recorded_event(run: Path) -> None:
    node = msgspec.json.decode((run / NODE_FILE).read_bytes())
    (run / NODE_FILE).write_bytes(msgspec.json.encode({**node, "ended": ""}))
    output, before, _ = done_again(run)

    with Record(run) as record:
        last = max(event.time for event in record)
    note = f"{run} did not come to its end: it is repeated up to its last recorded event"
    assert output[:2] == [f"{note}, {when(last)}", ANSWERED]
    assert len(contents(before, "OrderFilled")) == len(contents(run, "OrderFilled"))


def test_what_is_open_at_the_end_stays_open_and_no_time_passes(run: Path, tmp_path: Path) -> None:
    sent = recorded(run, "NewOrderSingle")[1].time
    original = RunFile.load(run)
    checked = check_file(Path(original.topology), text=original.text)
    loop = OpenLoop(run, original, journals_of_port_actors(run, original, checked), until=sent)
    with Record(run) as record:
        pairing = OrderPairing.in_record(record)
    again = tmp_path / "again"
    again.mkdir()

    assert loop.rerun(checked, again, pairing) == ()
    first, second = [event[1] for event in contents(again, "NewOrderSingle")]
    assert {event[1] for event in contents(again, "OrderFilled")} == {first}
    assert [event[1] for event in contents(again, "CancelOrder")] == [second]
    with Record(again) as record:
        assert max(event.time for event in record) <= sent


def refusal(run: Path, *options: object) -> str:
    earlier = sorted(run.parent.iterdir())
    result = kaiju("replay", run, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sorted(run.parent.iterdir()) == earlier
    return result.stderr


@pytest.mark.usefixtures("not_verified")
def test_a_journal_without_its_beginning_is_refused(run: Path) -> None:
    feed = run / JOURNALS / "feed"
    segment(feed, 0).unlink()
    first = JournalReader(feed).segments()[0].first_step

    assert refusal(run) == (
        f"error: {feed}: begins with step {first:,}, and a run is repeated from its beginning;"
        " earlier steps were deleted, as `journal:` in the topology says\n"
    )


@pytest.mark.usefixtures("not_verified")
def test_a_journal_that_is_not_there_is_refused(run: Path) -> None:
    gateway = run / JOURNALS / "gateway"
    shutil.rmtree(gateway)

    assert refusal(run) == (
        f"error: {gateway}: there is no journal, so the outside inputs of gateway were not kept"
        " and cannot be replayed\n"
    )


def test_wrong_settings_are_found_before_anything_is_made(run: Path) -> None:
    said = refusal(run, "--set", "risk.max_positon=1")
    assert "unknown key 'max_positon'; did you mean 'max_position'?" in said


def virtual_run(folder: Path, text: str) -> Path:
    runs = folder / "runs"
    done = kaiju("run", write_topology(folder, text), "--for", "3s", "--runs", runs)
    assert done.exit_code == 0, done.output
    [run] = runs.iterdir()
    return run


def test_what_answers_from_outside_is_not_called_again_and_is_heard_again(tmp_path: Path) -> None:
    run = virtual_run(tmp_path, all_durable(ECHOES))
    called = list(heard_outside)
    output, before, _ = done_again(run)

    assert len(called) >= 10
    assert heard_outside == called
    assert output[0] == ANSWERING
    for stream in ("caller.calls", "caller.signals"):
        assert len(emitted(run, stream)) >= 10
        assert emitted(before, stream) == emitted(run, stream)


def emitted(run: Path, stream: str) -> list[tuple[int, list[Any]]]:
    with Record(run) as record:
        return [(event.time, event.event) for event in record if event.stream == stream]


def test_what_came_from_outside_and_was_not_kept_cannot_come_again(tmp_path: Path) -> None:
    run = virtual_run(tmp_path, ECHOES)

    assert refusal(run) == (
        f"error: {run}/journal/caller: there is no journal, so the outside inputs of caller"
        " were not kept and cannot be replayed; `durable: os` at actor 'caller' keeps it from now"
        " on\n"
    )


def test_a_run_that_was_live_with_its_market_inside_is_done_again_in_virtual_time(
    tmp_path: Path,
) -> None:
    topology, runs = write_topology(tmp_path), tmp_path / "runs"
    done = kaiju("run", topology, "--live", "--for", "1s", "--runs", runs, "--metrics-port", "0")
    assert done.exit_code == 0, done.output
    [run] = runs.iterdir()
    output, before, after = done_again(run, "--set", "risk.max_order_qty.*=0.005")

    began = RunFile.load(run).began
    assert output[0] == ANSWERING
    assert recorded(before, "Signal")[0].time == began + INTERVAL
    assert len(section(output, "orders with another outcome")) == len(contents(after, "Signal"))


def test_recorded_data_that_was_played_live_comes_as_it_came_and_once(tmp_path: Path) -> None:
    write(tmp_path / "day1.gz", snapshot(0, 10), diff(1, 1), diff(2, 2), diff(3, 3))
    file = tmp_path / "played.yaml"
    recorder = '  recorder: {class: "actors.recorder:Recorder", node: one, inputs: ["*"]}\n'
    file.write_text(all_durable(PLAYED) + recorder)
    runs = tmp_path / "runs"
    done = kaiju("run", file, "--live", "--runs", runs, "--metrics-port", "0")
    assert done.exit_code == 0, done.output
    [run] = runs.iterdir()
    _, before, after = done_again(run)

    assert len(contents(run, "DepthDiff")) == 3
    assert emitted(before, "feed.depth") == emitted(run, "feed.depth")
    assert events_of(after) == events_of(before)


def test_an_operator_halts_and_resumes_again_when_it_was_done(tmp_path: Path) -> None:
    run = operated_run(tmp_path)
    _, before, after = done_again(run)

    said = [(event[1], event[2]) for event in contents(run, "TradingStateChanged")]
    assert [state for state, _ in said] == ["HALTED", "ACTIVE"]
    done = [time for time, _, _, _ in operator_commands(run)]
    for again in (before, after):
        changes = recorded(again, "TradingStateChanged")
        assert [(e.event[1], e.event[2]) for e in changes] == said
        assert [event.time for event in changes] == done
    refused = contents(before, "IntentRefused")
    assert {event[4] for event in refused} == {"trading is halted"}


def operated_run(folder: Path) -> Path:
    """Run, halt, resume and stop by signals."""
    topology, runs = write_topology(folder, all_durable(TOPOLOGY)), folder / "runs"
    process = subprocess.Popen(
        [*KAIJU, "run", topology, "--live", "--quiet", "--runs", runs, "--metrics-port", "0"],
        cwd=ROOT,
    )

    def has(event_class: str, actor: str, count: int) -> Callable[[], bool]:
        def told() -> bool:
            return any(
                [event[0] for event in outputs(run, actor)].count(event_class) >= count
                for run in runs.glob("*")
                if (run / JOURNALS / actor).is_dir()
            )

        return told

    try:
        until(has("OrderFilled", "oms", 3), "fills")
        process.send_signal(signal.SIGUSR1)
        until(has("IntentRefused", "execution", 3), "refusals")
        process.send_signal(signal.SIGUSR2)
        until(has("OrderFilled", "oms", 6), "fills again")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
    [run] = runs.iterdir()
    return run


def test_what_came_from_outside_is_told_from_what_the_runtime_and_other_actors_said(
    tmp_path: Path,
) -> None:
    node = Node()
    node.add("asker", Asker)
    feed = node.add("feed", VenueFeed)
    node.connect("feed", "asker.requests")
    lost, quote = ConnectionLost("feed", "a test"), Quote("BTCUSDT.SIM", 1, 2, 3, 4, 5)
    repeated = RequestSnapshot("ETHUSDT.SIM")
    inputs: list[tuple[int, str, Event]] = [
        (10, "feed.inbox", ActorStarted("feed")),
        (11, "feed.inbox", quote),
        (12, "asker.requests", RequestSnapshot("BTCUSDT.SIM")),
        (13, "feed.inbox", StreamReset("asker.requests", 2, 1, "publisher restarted")),
        (13, "feed.inbox", repeated),
        (13, "feed.inbox", StreamLive("asker.requests")),
        (13, "feed.inbox", lost),
        (14, "feed.inbox", repeated),
        (15, "feed.inbox", TimerFired("t", 1, 15)),
        (16, "feed.inbox", ActorRecovered("feed")),
        (17, "feed.inbox", StopActor("feed")),
    ]
    write_steps(tmp_path, inputs)

    assert list(outside_inputs(JournalReader(tmp_path), feed)) == [
        (1_011, 2, "feed", codec.encode(quote)),
        (1_013, 7, "feed", codec.encode(lost)),
        (1_014, 8, "feed", codec.encode(repeated)),
        (1_016, 10, "feed", codec.encode(ActorRecovered("feed"))),
    ]


class Asker(Actor):
    """Asks for books."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"requests": (RequestSnapshot,)}


def write_steps(directory: Path, inputs: list[tuple[int, str, Event]]) -> None:
    """Write a journal of inputs that were handled a little after they had come."""
    with opened(directory) as journal:
        journal.begin({"journal": 1})
        for number, (time, stream, event) in enumerate(inputs, 1):
            place = (stream, 1, number)
            about = (place, None, (*place, 0), time)
            journal.append(codec.encode((number, number, 1_000 + time, *about, 0, event, ((), ()))))


def test_what_an_operator_did_is_told_from_what_failed(tmp_path: Path) -> None:
    halt, resume = HaltTrading("an operator"), ResumeTrading("an operator")
    announced: list[Event] = [
        ActorFailed("oms", "oms raised", restarted=False),
        *(HaltTrading("oms raised"), halt, resume, StopRequested("SIGINT")),
    ]
    inputs = [(time, "node.control", event) for time, event in enumerate(announced)]
    write_steps(tmp_path / JOURNALS / CONTROL, inputs)

    assert list(operator_commands(tmp_path)) == [(1_002, 3, "", halt), (1_003, 4, "", resume)]


def order(number: int, qty: int = 1) -> SubmitOrder:
    about = ("maker", "BTCUSDT.SIM", Side.BUY, qty)
    return SubmitOrder(f"s-execution-{number}", *about, OrderType.LIMIT, TimeInForce.GTC, 100)


def sent(submitted: SubmitOrder) -> NewOrderSingle:
    return NewOrderSingle(
        submitted.client_order_id,
        submitted.instrument,
        submitted.side,
        submitted.qty,
        submitted.order_type,
        submitted.time_in_force,
        submitted.limit_px,
    )


def test_an_answer_finds_the_order_that_is_the_same_whatever_its_id(tmp_path: Path) -> None:
    live = [order(1), order(2, qty=2), order(3), order(4)]
    with record_of(tmp_path, *live, *map(sent, live[:3])) as record:
        before = OrderPairing.in_record(record)
    for number, (time, qty) in enumerate([(10, 1), (20, 2), (30, 1), (40, 1), (50, 7)], 1):
        before.note(order(number, qty), time)
    after = before.again()
    for number, (time, qty) in enumerate([(10, 1), (29, 1), (30, 1), (40, 1)], 1):
        after.note(order(number, qty), time)

    ids = [f"s-execution-{number}" for number in range(1, 6)]
    assert [before.has_answers(each) for each in ids] == [True, True, True, False, False]
    assert [after.has_answers(each) for each in ids] == [True, False, True, False, False]
    assert translated(before, ids) == ids
    assert translated(after, ids) == [ids[0], f"recorded: {ids[1]}", *ids[2:]]
    assert translated(after, ["market data", 3]) == ["market data", 3]


def test_an_order_less_gives_later_ones_other_ids_and_their_own_answers(tmp_path: Path) -> None:
    live = [order(1), order(2, qty=2), order(3, qty=3)]
    with record_of(tmp_path, *live, *map(sent, live)) as record:
        before = OrderPairing.in_record(record)
    for time, each in enumerate(live):
        before.note(each, time)
    after = before.again()
    after.note(order(1, qty=2), 1)
    after.note(order(2, qty=3), 2)

    answers = ["s-execution-1", "s-execution-2", "s-execution-3"]
    assert translated(after, answers) == ["recorded: s-execution-1", *answers[:2]]


def translated(pairing: OrderPairing, value: Any) -> Any:
    nested = ["tag", {"key": value}]
    return msgspec.msgpack.decode(pairing.translated(codec.encode(nested)))[1]["key"]


def record_of(directory: Path, *events: Event) -> Record:
    writer = FrameWriter(directory / EVENTS_FILE, record_header(map(type, events), (), ()))
    for seq, event in enumerate(events, 1):
        place = ("s", 1, seq)
        writer.append(EVENT, codec.encode((*place, None, place, seq, event)))
    writer.close()
    return Record(directory)
