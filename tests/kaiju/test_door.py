"""The front door: what users import, how little it costs, and that it is documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from enum import Enum

import pytest

import kaiju
import kaiju.events
from actors.events import accounts, market, order_words, orders, reference, role, system, venue
from actors.events.event import Event
from tests.kit.paths import ROOT

DOORS = ("kaiju", "kaiju.events", "kaiju.testing")
DOCUMENTED = (ROOT / "docs" / "api.md").read_text()


def exported(door: str) -> list[str]:
    names: list[str] = importlib.import_module(door).__all__
    return names


def loaded_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after `statement`, beyond its own."""
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_kaiju_alone_loads_nothing_else_of_ours_and_no_library() -> None:
    of_python = loaded_after("from __future__ import annotations; import importlib, typing")

    assert loaded_after("import kaiju") - of_python == {"kaiju"}


def test_a_strategy_s_imports_load_no_program() -> None:
    loaded = loaded_after("from kaiju import *")

    assert "actors.runtime.actor" in loaded
    assert not {"matplotlib", "rich", "typer", "ruamel.yaml", "kaiju.cli"} & loaded


@pytest.mark.parametrize("door", DOORS)
def test_every_name_that_a_door_exports_is_there(door: str) -> None:
    module = importlib.import_module(door)

    assert [name for name in exported(door) if not hasattr(module, name)] == []
    assert set(exported(door)) <= set(dir(module))


def test_what_a_type_checker_sees_is_what_is_imported() -> None:
    tree = ast.parse((ROOT / "kaiju" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: getattr(importlib.import_module(str(node.module)), alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert {name: getattr(kaiju, name) for name in kaiju.__all__} == seen


def test_a_name_that_the_door_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'kaiju' has no attribute 'Actr'"):
        _ = kaiju.Actr  # type: ignore[attr-defined]


def test_all_events_and_enumerations_can_be_imported() -> None:
    modules = (accounts, market, order_words, orders, reference, role, system, venue)
    ours = {
        name
        for module in modules
        for name, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == module.__name__ and issubclass(found, Event | Enum)
    }

    assert set(kaiju.events.__all__) == {"Event", *ours}


@pytest.mark.parametrize("door", DOORS)
def test_the_page_names_exactly_what_a_door_exports(door: str) -> None:
    _, section = DOCUMENTED.split(f"\n## {door}\n")
    names = re.findall(r"^\| `(\w+)` \| .+ \|$", section.partition("\n## ")[0], re.MULTILINE)

    assert sorted(names) == sorted(exported(door))


def test_the_documents_import_nothing_of_ours_but_the_door() -> None:
    pages = [ROOT / "README.md", ROOT / "user" / "README.md", *(ROOT / "docs").rglob("*.md")]
    found = [
        (page.name, module)
        for page in pages
        for module in re.findall(
            r"^\s*(?:from|import) ((?:actors|gateways|topology|kaiju)[\w.]*)",
            page.read_text(),
            re.MULTILINE,
        )
    ]

    assert {module for _, module in found} <= set(DOORS), found
