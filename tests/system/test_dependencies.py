"""What the shipped packages import is declared, and nothing is declared that nobody imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from tests.kit.paths import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SHIPPED: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
OURS = {"actors", "gateways", "kaiju", "topology", "grafana", "tests", "bench"}
OPTIONAL = {"pyarrow"}
"""What only an extra installs: its importer says so where it is missing."""
NOT_IMPORTED = {"mypy", "pytest-xdist", "ruff", "types-jsonschema", "kaiju-trading"}
"""Tools, stubs and this project's own extra."""


def names(requirements: Iterable[str]) -> set[str]:
    return {distribution(re.split(r"[^\w.-]", text)[0]) for text in requirements}


def distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folders: Iterable[str]) -> set[str]:
    """Return the distributions that the modules of `folders` import from."""
    modules = {
        module.partition(".")[0]
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        for module in modules_of(file)
    }
    installed = installed_distributions()
    foreign = modules - sys.stdlib_module_names - OURS
    return {distribution(name) for module in foreign for name in installed.get(module, [module])}


@cache
def installed_distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache
def modules_of(file: Path) -> list[str]:
    found = list[str]()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


def test_what_the_shipped_packages_import_is_declared_and_nothing_else() -> None:
    declared = names(PROJECT["project"]["dependencies"])
    extra = names(PROJECT["project"]["optional-dependencies"]["export"])

    assert extra == OPTIONAL
    assert imported(SHIPPED) == declared | extra


def test_what_tests_and_documents_import_is_declared() -> None:
    project = PROJECT["project"]
    optional = project["optional-dependencies"]
    declared = names([*project["dependencies"], *optional["export"], *optional["dev"]])

    assert imported(["tests", "docs"]) - declared == set()
    assert declared - imported([*SHIPPED, "tests", "docs"]) == NOT_IMPORTED


def test_containers_get_a_version_of_every_dependency() -> None:
    pinned = names((ROOT / "constraints.txt").read_text().splitlines())

    assert names(PROJECT["project"]["dependencies"]) - pinned == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [("import yaml.nodes", ["yaml.nodes"]), ("def f():\n  from requests import get", ["requests"])],
)
def test_an_import_is_found_wherever_it_stands(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "planted.py").write_text(text)

    assert modules_of(tmp_path / "planted.py") == found
