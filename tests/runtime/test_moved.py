"""Classes that moved: files of before name them by their old paths, and mean those of now."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from actors.events.event import Event
from actors.runtime.actor import Actor
from actors.runtime.moved import MOVED, present_path
from tests.kit.paths import TOPOLOGIES
from topology.check.check import check_file


@pytest.mark.parametrize("path", MOVED.values())
def test_a_class_that_moved_is_where_the_table_says(path: str) -> None:
    module, _, name = path.partition(":")
    found = getattr(importlib.import_module(module), name)

    assert issubclass(found, Event | Actor)
    assert f"{found.__module__}:{found.__qualname__}" == path


def test_one_look_at_the_table_is_enough() -> None:
    assert MOVED.keys().isdisjoint(MOVED.values())


def test_what_never_moved_is_where_it_was() -> None:
    assert present_path("actors.risk:Risk") == "actors.risk:Risk"


def test_a_topology_that_names_an_old_path_is_run_and_told_the_new_one(tmp_path: Path) -> None:
    present = "gateways.simulated.session.server:VenueServer"
    file = tmp_path / "venue.yaml"
    text = (TOPOLOGIES / "venue.yaml").read_text()
    file.write_text(text.replace(present, "gateways.simulated.door:VenueDoor"))

    checked = check_file(file)

    assert checked.topology.actors["door"].class_ == present
    assert [str(finding).partition(": ")[2] for finding in checked.findings.all] == [
        f"warning: 'gateways.simulated.door:VenueDoor' has moved: write '{present}'"
    ]
