"""Amounts beyond 64 bits in journals: done again exactly, and in one form only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.runtime import codec
from actors.runtime.journal.frames import SNAPSHOT, STEP, DamagedFileError, FrameFile, FrameWriter
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.steps import read_step
from kaiju.journals.verify import verify
from tests.kit.commands import kaiju
from tests.kit.nondeterministic_actors import RUN_FOR, node_of, spoken
from tests.kit.verify_leftovers import EXCUSED
from tests.kit.wide_amounts import Payer

PAID = 10**30 + 1
FIRST = codec.encode(PAID)


def paid(directory: Path) -> Path:
    return spoken(directory, Payer) / "journal" / "speaker"


def in_longer_form(body: bytes) -> bytes:
    """Put a zero byte before the first payment: the same number, one byte longer."""
    head, size = FIRST[:3], FIRST[1]
    return body.replace(FIRST, bytes([head[0], size + 1, head[2], 0]) + FIRST[3:])


def rewrite(path: Path, kind: int, change: Callable[[bytes], bytes]) -> None:
    """Write a file of frames anew with other bodies: what no damage to a disk would do."""
    with FrameFile(path) as file:
        header, bodies = file.header, list(file.bodies(kind))
    path.unlink()
    writer = FrameWriter(path, header)
    writer.append_all(kind, [change(body) for body in bodies])
    writer.close()


def test_payments_of_10_to_the_30_are_done_again_step_by_step(tmp_path: Path) -> None:
    journal = paid(tmp_path)

    verification = verify(tmp_path)

    assert verification.equal, verification.summary
    assert verification.verdicts[-1].snapshots > 0
    *_, last = JournalReader(journal).steps()
    outputs, _ = codec.decode(read_step(last)[-1])
    assert outputs == [["tests.Paid", RUN_FOR // 1_000_000 * PAID, {"payer": -100 * PAID}]]


def test_a_node_goes_on_from_what_it_paid(tmp_path: Path) -> None:
    paid(tmp_path)
    node = node_of(tmp_path, Payer)
    node.run(RUN_FOR)

    shown = kaiju("state", tmp_path, "speaker", "--json")
    assert int(json.loads(shown.output)["state"]["paid"]) >= 100 * PAID
    assert verify(tmp_path).equal


def test_a_step_with_a_number_in_another_form_is_damage(tmp_path: Path) -> None:
    journal = paid(tmp_path)
    (tmp_path / EXCUSED).touch()
    first = journal / "steps-0000000000000001.kaiju"
    for path in journal.iterdir():
        if path != first:
            path.unlink()
    rewrite(first, STEP, in_longer_form)

    said = "step 2: a wide integer of 14 bytes where 13 are enough"
    verification = verify(tmp_path)
    assert not verification.equal
    assert f"{first}: byte " in verification.troubles[0]
    assert said in verification.troubles[0]
    told = kaiju("journal", "cat", tmp_path, "speaker")
    assert told.exit_code != 0
    assert said in told.output
    with pytest.raises(DamagedFileError, match=said):
        node_of(tmp_path, Payer).run(RUN_FOR)


def test_a_snapshot_with_a_number_in_another_form_is_damage(tmp_path: Path) -> None:
    journal = paid(tmp_path)
    (tmp_path / EXCUSED).touch()
    snapshot = max(journal.glob("snapshot-*.kaiju"))
    with FrameFile(snapshot) as file:
        [body] = file.bodies(SNAPSHOT)
    at = body.index(b"\x01", body.index(b"paid")) - 1
    size = body[at]
    longer = body[:at] + bytes([size + 1, 1, 0]) + body[at + 2 :]
    rewrite(snapshot, SNAPSHOT, lambda _: longer)

    verification = verify(tmp_path)

    assert not verification.equal
    assert "wide integer" in verification.summary
