"""Roles: who may say what is decided by what an actor is, not by what its outputs promise."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from actors.events.event import Event
from actors.events.orders import (
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
    OrderSubmitted,
    ReconciliationCompleted,
)
from actors.events.venue import ExecutionReport, NewOrderSingle, OrderCancelRequest, OrderMassStatus
from kaiju.cli.app import app
from tests.kit import sample_actors
from tests.kit.sample_actors import SOUND, Sessions, Taker
from topology.check.check import check

TAKER = "tests.kit.sample_actors:Taker"
FORGER = "tests.kit.sample_actors:Forger"


def found(folder: Path, text: str) -> list[str]:
    file = folder / "t.yaml"
    file.write_text(text, encoding="utf-8")
    return [f"{f.line}:{f.column}: {f.message}" for f in check(file).errors]


def forging(monkeypatch: pytest.MonkeyPatch, event: type[Event], role: str = "strategy") -> str:
    """Return a topology whose strategy emits `event` to whoever acts on it."""
    forger = type("Forger", (Taker,), {"outputs": {"forged": (event,)}, "role": role})
    monkeypatch.setattr(sample_actors, "Forger", forger, raising=False)
    text = SOUND.replace(TAKER, FORGER).replace('"*.signals"', "maker").replace("[maker, m", "[m")
    text = text.replace("[risk, ex", "[risk, taker.forged, ex")
    text = text.replace("[oms.requests, m", "[oms.requests, taker.forged, m")
    return text.replace("[gateway.venue, b", "[gateway.venue, taker.forged, b")


@pytest.mark.parametrize(
    ("event", "roles", "fix"),
    [
        (OrderApproved, "'approver'", "approver"),
        (OrderDenied, "'approver' or 'oms'", "approver"),
        (OrderSubmitted, "'oms'", "oms"),
        (OrderAccepted, "'oms'", "oms"),
        (OrderFilled, "'oms'", "oms"),
        (OrderCanceled, "'oms'", "oms"),
        (ReconciliationCompleted, "'oms'", "oms"),
        (NewOrderSingle, "'gateway'", "gateway"),
        (OrderCancelRequest, "'gateway'", "gateway"),
        (ExecutionReport, "'gateway' or 'venue'", "gateway"),
        (OrderMassStatus, "'gateway' or 'venue'", "gateway"),
    ],
)
def test_a_strategy_says_nothing_in_the_place_of_who_decides(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    event: type[Event],
    roles: str,
    fix: str,
) -> None:
    wanted = (
        f"25:18: 'taker' emits {event.__name__}, which takes role {roles}, and Forger has"
        " 'strategy'; take it out of Forger.outputs or, if Forger is meant to be that, give it"
        f' role = "{fix}"'
    )

    assert wanted in found(tmp_path, forging(monkeypatch, event))


def test_an_actor_of_no_role_says_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = found(tmp_path, forging(monkeypatch, OrderApproved, ""))

    assert any("which takes role 'approver', and Forger has none;" in f for f in findings)


def test_who_approves_does_not_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Taker, "role", "approver")

    assert any(
        finding.startswith("25:18: 'taker' emits Signal, which takes role 'strategy' or none")
        for finding in found(tmp_path, SOUND)
    )


def test_orders_that_no_approver_saw_reach_no_venue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = found(tmp_path, forging(monkeypatch, OrderApproved))

    assert any("orders can reach a venue without risk: taker -> oms" in f for f in findings)


def test_who_brings_approved_orders_takes_none_from_a_strategy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Open(Sessions):
        handlers = sample_actors.Daredevil.handlers
        on_submit = sample_actors.Daredevil.on_submit

    monkeypatch.setattr(sample_actors, "Open", Open, raising=False)
    other = (
        '  other: {class: "tests.kit.sample_actors:Open", node: md, inputs: [execution.orders]}\n'
    )
    text = SOUND.replace("  oms:\n", f"{other}  oms:\n")
    findings = found(tmp_path, text.replace("[gateway.venue,", "[gateway.venue, other,"))

    assert any("orders can reach a venue without risk: execution -> other" in f for f in findings)


def test_a_role_that_there_is_not_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Taker, "role", "strategie")

    assert found(tmp_path, SOUND) == ["25:18: Taker.role was 'strategie'; did you mean 'strategy'?"]


def test_check_tells_who_holds_which_role(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(SOUND, encoding="utf-8")

    told = CliRunner().invoke(app, ["check", str(file)])

    assert told.stdout == (
        f"{file}: no mistakes found\n"
        "strategy: maker, taker; execution: execution; approver: risk; oms: oms;"
        " gateway: gateway; venue: market; no role: book, recorder\n"
    )


def test_a_class_may_claim_a_role_and_everybody_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = forging(monkeypatch, OrderApproved, "approver")
    file = tmp_path / "t.yaml"
    file.write_text(text.replace(", taker.forged, b", ", b").replace(", taker.forged, m", ", m"))

    told = CliRunner().invoke(app, ["check", str(file)])

    assert (told.exit_code, told.stderr) == (0, "")
    assert "approver: taker, risk;" in told.stdout
    drawing = CliRunner().invoke(app, ["graph", str(file)]).stdout
    assert 'taker["<b>taker</b><br/>Forger<br/>approver"]' in drawing
