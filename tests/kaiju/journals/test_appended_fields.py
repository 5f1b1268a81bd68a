"""Journals from before fields were appended to their events: ``before_appended`` has some.

A version of before wrote them in a run of ``topology/paper.yaml``; they are never written again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from actors.events.orders import OrderFilled
from actors.events.system import HaltTrading, ResumeTrading
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.steps import read_step
from kaiju.journals.verify import verify

BEFORE = Path(__file__).parent / "before_appended"


def test_journals_from_before_have_fewer_fields() -> None:
    steps = [read_step(body) for body in JournalReader(BEFORE / "positions").steps()]
    [filled] = [msgspec.msgpack.decode(step[-2]) for step in steps[1:]]

    assert filled[0] == "OrderFilled"
    assert len(filled) - 1 < len(OrderFilled.__struct_fields__)


@pytest.mark.parametrize("actor", ["positions", "pnl", "taker"])
def test_an_actor_does_again_what_it_did_before_fields_were_appended(
    tmp_path: Path, actor: str
) -> None:
    shutil.copytree(BEFORE / actor, tmp_path / actor)

    verification = verify(tmp_path / actor)

    assert verification.equal, verification.summary
    assert verification.verdicts[0].snapshots == 1


def test_what_was_written_before_has_the_defaults_of_appended_fields() -> None:
    [body] = JournalReader(BEFORE / "positions").steps(1)
    filled = msgspec.msgpack.decode(read_step(body)[-2], type=OrderFilled)

    assert (filled.account, filled.trade_id, filled.cum_amount, filled.inferred) == (
        "",
        "",
        0,
        False,
    )
    halt = msgspec.convert(["HaltTrading", "why"], HaltTrading)
    assert (halt, halt.level) == (HaltTrading("why"), "HALTED")
    assert msgspec.convert(["ResumeTrading", "why"], ResumeTrading) == ResumeTrading("why")
