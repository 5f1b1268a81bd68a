"""The audit trail: limits when they change, and what is no run."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaiju.journals.audit_trail import audit_trail
from kaiju.journals.catalog import NoJournalError
from tests.kit.commands import kaiju
from tests.kit.small_system import TOPOLOGY, write_topology

DURABLE = TOPOLOGY.replace("    node: one\n", "    node: one\n    durable: os\n")
LIMIT = '{"*": "2"}'


def test_a_limit_is_listed_when_it_is_first_in_force_and_when_it_changes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for limit in (LIMIT, LIMIT, '{"*": "1"}'):
        file = write_topology(tmp_path, DURABLE.replace(LIMIT, limit))
        kaiju("run", file, "--data", data, "--for", "2s", "--live")
    entries = [e for e in audit_trail(data) if e.what.startswith("max_position")]

    assert [(e.kind, e.who, e.what) for e in entries] == [
        ("limit", "risk", "max_position.* = 2"),
        ("limit", "risk", "max_position.* = 1"),
    ]


def test_a_directory_without_journals_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoJournalError, match="no journals here"):
        audit_trail(tmp_path)
