"""``kaiju journal``: what the journals of a run hold, and how a damaged one is cut."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgpack
import pytest

from actors.runtime.journal.writer import Journal
from kaiju.journals.catalog import Listed, NoJournalError, journal_of, listing
from tests.kit import commands
from tests.kit.golden import GOLDEN, SEGMENT, STEPS

SECOND = "2024-01-01 00:00:00"
START = f"{SECOND}.00000000"
CONTROL = [
    1,
    9,
    1_704_067_200_000_000_000,
    ["control", 1, 1],
    None,
    ["", 0, 0, 0],
    0,
    0,
    ["StopActor"],
    [[], []],
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Give a run with the golden journal and one of another actor."""
    directory = tmp_path / "run"
    shutil.copytree(GOLDEN / "positions", directory / "journal" / "positions")
    journal = Journal(directory / "journal" / "_control")
    journal.begin({"journal": 1})
    journal.append(msgpack.packb(CONTROL))
    journal.close()
    (directory / "journal" / "empty").mkdir()
    return directory


def kaiju(*arguments: object) -> tuple[int, str]:
    done = commands.kaiju("journal", *arguments)
    return done.exit_code, done.output


def damage(run: Path) -> Path:
    path = run / "journal" / "positions" / "steps-0000000000000003.kaiju"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return path


def test_a_listing_says_what_is_in_every_journal(run: Path) -> None:
    sizes = [path.stat().st_size for path in sorted(run.glob("journal/*/steps-*"))]

    assert listing(run) == [
        Listed("_control", "", "1 to 1", 1, sizes[0], 0, SECOND, SECOND, "whole", False),
        Listed(
            *("positions", "actors.positions:Positions", "1 to 4", 2, sum(sizes[1:]), 1),
            *(SECOND, SECOND, "whole", False),
        ),
    ]
    code, printed = kaiju("ls", run)
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()] == ["actor", "_control", "positions"]


def test_a_listing_tells_torn_from_damaged(run: Path) -> None:
    path = damage(run)
    control = run / "journal" / "_control" / "steps-0000000000000001.kaiju"
    with control.open("ab") as file:
        file.write(b"abc")

    listed = {each.actor: each for each in listing(run)}
    assert listed["_control"].condition == "3 bytes torn at the end"
    assert listed["positions"].condition.startswith(f"damaged: {path}: byte ")
    assert kaiju("ls", run)[0] == 1


def test_a_journal_is_found_by_its_run_its_parent_or_itself(run: Path) -> None:
    own = run / "journal" / "positions"
    assert [journal_of(run, "positions"), journal_of(run / "journal", "positions")] == [own, own]
    assert journal_of(own, None) == own

    with pytest.raises(NoJournalError, match="say whose journal; there are those of _control, pos"):
        journal_of(run, None)
    with pytest.raises(NoJournalError, match="no journal of 'oms'; there are those of _control"):
        journal_of(run, "oms")
    assert kaiju("ls", run / "journal" / "empty")[0] == 2
    assert "there is no such directory" in kaiju("cat", run / "missing")[1]


def test_steps_are_printed_with_names_and_decimals(run: Path) -> None:
    code, printed = kaiju("cat", run, "positions", "--from", 2, "--to", 3)

    quote = (
        "Quote(instrument='BTCUSDT.SIM', update_id=7, bid_px=50000.00, bid_qty=1.00000,"
        " ask_px=50000.50, ask_qty=2.00000, venue_time=1704067200000000000)"
    )
    assert code == 0
    assert printed.splitlines() == [
        f"step 2, 12 of the node, {START}1",
        f"    in     market.quotes 1/7, the newest since 5, caused by market.inbox 1/3: {quote}",
        "    timer  1 'mark' of positions at 2024-01-01 00:00:00.000001000",
        f"step 3, 15 of the node, {START}2",
        (
            "    in     oms.fills 1/1: OrderFilled(client_order_id='0-taker-1', strategy='taker',"
            " instrument='BTCUSDT.SIM', side=BUY, last_qty=0.02000, last_px=50000.50,"
            " cum_qty=0.02000, leaves_qty=0.00000, exec_id='e1', fee=-0.00150000,"
            " fee_currency='USDT', liquidity=TAKER)"
        ),
        f"    out    {quote}",
    ]


def test_a_skipped_step_and_one_of_an_unknown_event_are_printed_too(run: Path) -> None:
    assert kaiju("cat", run, "positions", "--from", 4)[1].splitlines()[-1] == (
        "    skip   its handler raised twice"
    )
    journal = Journal(run / "journal" / "positions")
    journal.begin(SEGMENT)
    canceled = ["positions", 1, "mark", 0]
    journal.append(msgpack.packb([5, *STEPS[0][1:8], ["user.Unknown", 1, "a"], [[], [canceled]]]))
    journal.close()

    assert kaiju("cat", run, "positions", "--from", 5)[1].splitlines()[1:] == [
        "    in     positions.inbox 1/1: user.Unknown(1, 'a')",
        "    timer  1 'mark' of positions canceled",
    ]


def test_a_damaged_journal_is_printed_up_to_the_damage(run: Path) -> None:
    path = damage(run)
    code, printed = kaiju("cat", run, "positions")

    assert code == 1
    assert f"error: {path}: byte " in printed
    assert "kaiju journal repair" in printed


def test_a_whole_journal_needs_no_repair(run: Path) -> None:
    directory = run / "journal" / "positions"
    assert kaiju("repair", run, "positions") == (0, f"{directory}: every step is whole\n")


def test_a_repair_says_what_it_would_cut_and_does_it_only_when_told(run: Path) -> None:
    path = damage(run)
    before = path.read_bytes()
    code, said = kaiju("repair", run, "positions")

    assert code == 1
    start = len(before) - 13 - len(msgpack.packb(STEPS[3]))
    assert said.splitlines() == [
        (
            f"damaged: {path}: byte {start}: the last frame does not match its CRC, and is no"
            " interrupted append either"
        ),
        "can be kept: up to step 3; everything from step 4 on is cut off:",
        f"    {path.name}: {len(before) - start} bytes from byte {start} on",
        f"all of it would stay in {path.parent}, in files broken-...",
        "nothing was changed; --yes does it",
    ]
    assert path.read_bytes() == before

    code, said = kaiju("repair", run, "positions", "--yes")
    aside = path.with_name(f"broken-steps-0000000000000003-{start}")
    assert (code, said.splitlines()[-1]) == (0, f"kept aside: {aside}")
    assert aside.read_bytes() == before[start:]
    assert kaiju("repair", run, "positions")[0] == 0
    assert kaiju("cat", run, "positions", "--from", 3)[0] == 0


def test_a_journal_in_use_is_not_repaired(run: Path) -> None:
    journal = Journal(run / "journal" / "positions")
    damage(run)
    code, said = kaiju("repair", run, "positions", "--yes")
    journal.close()

    assert code == 2
    assert "in use by process" in said
