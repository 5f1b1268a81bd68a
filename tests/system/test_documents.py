"""What the documents name is there: files, links, sections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from actors.runtime.moved import MOVED
from kaiju.cli.app import app
from tests.kit.paths import ROOT

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "user" / "README.md",
]
OURS = "actors|gateways|kaiju|topology|grafana|tests|docs"
NAMED = re.compile(rf"(?<![\w./-])(?:{OURS})/[\w./*-]*[\w*/]|`(\w+\.py)`")
"""A path from the root of the tree, or the bare name of a module in code style."""
ABOUT_THE_CODE = ("CONTRIBUTING.md", "docs/architecture.md", "docs/design.md")
CODE_NAME = re.compile(r"`(?:with )?(?!NAME)([A-Za-z_]\w*(?:\.\w+)*)(?:\([^`]*\):?)?`")
TO_FILL_IN = re.compile(r"/[^/]*\b(?:NAME|VENUE)\b.*")
"""What the reader gives a name to; its folder is there already."""
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)")


def missing_paths(text: str) -> Iterator[str]:
    """Yield what `text` names and is not there; a bare module is beside the path before it."""
    for line in text.splitlines():
        folder = ""
        for found in NAMED.finditer(line):
            bare = found[1]
            if bare and not folder:
                continue  # a module of the reader's own
            path = f"{folder}/{bare}" if bare else found[0]
            if not any(ROOT.glob(TO_FILL_IN.sub("", path).rstrip("/"))):
                yield path
            folder = path.rpartition("/")[0]


def missing_links(document: Path, text: str) -> Iterator[str]:
    for target, section in LINK.findall(text):
        file = document.parent / target if target else document
        if not file.exists():
            yield target
        elif section and section not in sections(file.read_text()):
            yield f"{target}#{section}"


def sections(text: str) -> set[str]:
    """Return the anchors that a Markdown page gives its headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_path_that_a_document_names_is_there(document: Path) -> None:
    assert list(missing_paths(document.read_text())) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    assert list(missing_links(document, document.read_text())) == []


def test_every_document_that_the_code_cites_is_there() -> None:
    folders = (*OURS.split("|"), "bench")
    files = (file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    cited = {
        (path, name(file))
        for file in files
        for path in re.findall(r"docs/[\w/-]+\.md|\b[A-Z]{3,}\.md", file.read_text())
    }

    assert [(path, file) for path, file in sorted(cited) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", ABOUT_THE_CODE)
def test_every_name_in_a_document_about_the_code_is_in_the_code(document: str) -> None:
    sources = (file for folder in OURS.split("|") for file in (ROOT / folder).rglob("*.py"))
    code = {word for file in sources for word in re.findall(r"\w+", file.read_text())}
    named = CODE_NAME.findall((ROOT / document).read_text())

    assert [name for name in named if not code.issuperset(name.split("."))] == []


def test_every_make_target_that_a_document_names_is_there() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"(?:^|`)make (\w+)", document.read_text(), re.MULTILINE)
    }

    assert named - targets == set()


def test_every_class_that_moved_is_in_the_changelog() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text()

    assert [old for old, new in MOVED.items() if f"| `{old}` | `{new}` |" not in changes] == []


def test_every_command_is_in_the_readme() -> None:
    commands = typer.main.get_command(app).list_commands(None)  # type: ignore[attr-defined]
    readme = (ROOT / "README.md").read_text()

    assert [name for name in commands if not re.search(rf"`kaiju {name}\b", readme)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see `actors/runtime/gate.py`", ["actors/runtime/gate.py"]),
        ("`actors/runtime/loop.py`, `gate.py`", ["actors/runtime/gate.py"]),
        ("`actors/runtime/loop.py`, `stream.py`", []),
        ("| `kaiju/cli/*.py` | `topology/nothing*.py` |", ["topology/nothing*.py"]),
        ("`actors/NAME.py`, `gateways/VENUE/feed.py`", []),
        ("`gateways/none/VENUE/feed.py`", ["gateways/none/VENUE/feed.py"]),
        ("your module `momentum.py`, in `/kaiju/user`", []),
    ],
)
def test_a_path_that_is_not_there_is_found(text: str, found: list[str]) -> None:
    assert list(missing_paths(text)) == found


def test_a_link_that_leads_nowhere_is_found() -> None:
    text = "[a](nowhere.md) [b](nodes.md#nothing) [c](nodes.md#on-one-host) [d](#e)"

    assert list(missing_links(ROOT / "docs" / "wire.md", text)) == [
        "nowhere.md",
        "nodes.md#nothing",
        "#e",
    ]
