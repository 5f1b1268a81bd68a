"""Where tests stand: each beside what it tests, and what they share in the kit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.paths import ROOT

TESTS = ROOT / "tests"
ROOMS = {
    "events": "actors/events",
    "model": "actors/model",
    "runtime": "actors/runtime",
    "actors": "actors",
    "gateways": "gateways",
    "topology": "topology",
    "kaiju": "kaiju",
    "bench": "bench",
}
"""The first folder of tests, and what is tested in it; those below have the names of the code."""
APART = ("system", "kit", "tools")
"""Whole systems, what tests share, and programs: they mirror nothing."""


def imports(source: str) -> Iterator[str]:
    """Return the modules of tests that a source imports, or whose name it may import from."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tests"))
        elif isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "tests":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def not_shared(source: str) -> list[str]:
    """Return what is imported and is not of the kit."""
    return [name for name in imports(source) if not name.startswith("tests.kit.")]


def misplaced(file: Path) -> bool:
    """Tell whether a file, named from the folder of tests, stands where nobody looks for it."""
    room, *below = file.parent.parts or ("",)
    if room in APART:
        return bool(below) or file.name.startswith("test_") != (room == "system")
    if file == Path("conftest.py"):
        return False
    code = ROOT / ROOMS.get(room, "nowhere") / Path(*below)
    return not (code.is_dir() and file.name.startswith("test_"))


@pytest.mark.parametrize("file", sorted(TESTS.rglob("*.py")), ids=lambda f: f.stem)
def test_what_tests_share_is_in_the_kit(file: Path) -> None:
    assert not_shared(file.read_text(encoding="utf-8")) == []


def test_every_test_stands_in_the_room_of_what_it_tests() -> None:
    files = [file.relative_to(TESTS) for file in TESTS.rglob("*.py")]

    assert [str(file) for file in files if misplaced(file)] == []


def test_no_folder_of_tests_is_a_package() -> None:
    assert list(TESTS.rglob("__init__.py")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from tests.kit.paths import ROOT", []),
        ("from tests.kit import paths", []),
        ("import tests.system.test_house", ["tests.system.test_house"]),
        ("from tests.system import test_house", ["tests.system.test_house"]),
        ("from tests.model.test_book import level", ["tests.model.test_book.level"]),
        ("def f():\n  from tests.tools.soak import main", ["tests.tools.soak.main"]),
    ],
)
def test_a_planted_import_of_a_test_is_found(source: str, found: list[str]) -> None:
    assert not_shared(source) == found


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("model/test_book.py", False),
        ("runtime/journal/test_frames.py", False),
        ("system/test_house.py", False),
        ("kit/paths.py", False),
        ("test_book.py", True),
        ("nowhere/test_book.py", True),
        ("runtime/nowhere/test_book.py", True),
        ("model/builders.py", True),
        ("kit/test_paths.py", True),
        ("system/deeper/test_house.py", True),
    ],
)
def test_a_planted_file_in_the_wrong_room_is_found(file: str, found: bool) -> None:
    assert misplaced(Path(file)) == found
