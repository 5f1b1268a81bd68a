"""The file: YAML 1.2, every key and value with its place, no surprises in what becomes what."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from topology.config.document import Document, load_document


def loaded(folder: Path, text: str) -> Document:
    file = folder / "t.yaml"
    file.write_text(text, encoding="utf-8")
    return load_document(file)


def test_only_what_yaml_1_2_knows_is_more_than_text(tmp_path: Path) -> None:
    text = "{a: no, b: 22:22, c: 2024-08-08, d: 0123, e: 0.5, f: true, g: ~, h: '1', i: 0x10}"

    assert loaded(tmp_path, text).data == {
        "a": "no",
        "b": "22:22",
        "c": "2024-08-08",
        "d": 123,
        "e": 0.5,
        "f": True,
        "g": None,
        "h": "1",
        "i": 16,
    }


def test_every_key_and_value_has_its_line_and_column(tmp_path: Path) -> None:
    document = loaded(tmp_path, "# comment\nactors:\n  book:\n    inputs: [a.b, {from: c.d}]\n")

    assert document.position(("actors",), at_key=True) == (2, 1)
    assert document.position(("actors", "book")) == (4, 5)
    assert document.position(("actors", "book", "inputs", 0)) == (4, 14)
    assert document.position(("actors", "book", "inputs", 1, "from")) == (4, 26)


def test_what_is_not_in_the_file_stands_where_it_is_missing(tmp_path: Path) -> None:
    document = loaded(tmp_path, "version: 1\nactors:\n  book: {class: x}\n  empty:\n")

    assert document.position(("actors", "book", "node")) == (3, 3)
    assert document.position(("actors", "empty")) == (4, 3)
    assert document.position(("nodes", "md")) == (1, 1)


def test_an_anchor_is_the_same_value_at_two_places(tmp_path: Path) -> None:
    document = loaded(tmp_path, "a: &x {scale: 8}\nb: *x\n")

    assert document.data == {"a": {"scale": 8}, "b": {"scale": 8}}
    assert document.findings == []


def test_a_file_that_is_empty_is_a_mapping_without_keys(tmp_path: Path) -> None:
    assert loaded(tmp_path, "# nothing\n").data == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\nb: 2\na: 3\nb: 4\n", ["3:1: the key 'a' was given", "4:1: the key 'b' was given"]),
        ("a: [1, 2\nb: 3\n", ["2:2: not YAML: expected ',' or ']', but got ':' while"]),
        ("a: b: c\n", ["1:5: not YAML: mapping values are not allowed here"]),
        ("\ta: 1\n", ["1:1: not YAML: found character '\\t'"]),
        ("a: *nowhere\n", ["1:4: not YAML: found undefined alias"]),
        ("a: &x [*x]\n", ["1:4: an alias of something that it is part of"]),
        ("a: !python/object 1\n", ["1:4: the tag '!python/object' has no meaning here"]),
        ("? [a]\n: 1\n", ["1:3: a key must be text"]),
        ("a: 1\n---\nb: 2\n", ["2:1: not YAML: but found another document"]),
        ("a: \x00", ["1:1: not YAML: "]),
    ],
)
def test_what_is_not_yaml_is_found_with_its_place(
    tmp_path: Path, text: str, found: list[str]
) -> None:
    document = loaded(tmp_path, text)

    places = [f"{f.line}:{f.column}: {f.message}" for f in document.findings]
    assert len(places) == len(found)
    assert all(place.startswith(start) for place, start in zip(places, found, strict=True)), places


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    [finding] = load_document(tmp_path / "none.yaml").findings

    assert str(finding) == f"{tmp_path}/none.yaml:1:1: cannot be read: No such file or directory"


def test_a_file_that_is_not_text_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_bytes(b"\xff\xfe\xfa")

    [finding] = load_document(file).findings

    assert "not YAML: " in finding.message


def nine_aliases_of_nine_levels() -> str:
    levels = ["a0: &a0 [" + "x, " * 9 + "x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(levels)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (nine_aliases_of_nine_levels(), "100,000 values are allowed, aliases counted each time"),
        ("a: &a 1\nb: [" + "*a, " * 1_000_000 + "]", "a file may have 4,000,000 characters"),
        ("a: &a 1\nb: [" + "*a, " * 200_000 + "]", "100,000 values are allowed"),
        ("a: " + "[" * 5_000 + "]" * 5_000, "100 levels are allowed"),
        ("a: " + "[" * 5_000, "100 levels are allowed"),
        ("".join(" " * n + f"a{n}:\n" for n in range(200)), "100 levels are allowed"),
    ],
    ids=["nine of nine", "a million", "many", "nested", "open", "block"],
)
def test_a_file_that_is_made_to_be_too_much_is_refused_in_a_moment(
    tmp_path: Path, text: str, found: str
) -> None:
    began = time.monotonic()
    document = loaded(tmp_path, text)

    assert document.data is None
    [finding] = document.findings
    assert found in finding.message
    assert time.monotonic() - began < 30
