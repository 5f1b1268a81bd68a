"""A YAML 1.2 file as plain data, with the position of everything in it.

Only what the core schema of YAML 1.2 knows becomes a number, a boolean or null: dates and words
such as ``no`` stay text, which is what their writers mean here.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from topology.config.findings import Finding, Level

KeyPath = tuple[str | int, ...]
"""The path to a value: keys and list indexes from the top of the file."""

TAG = "tag:yaml.org,2002:"
TYPED = {f"{TAG}{name}" for name in ("int", "float", "bool", "null")}
KEPT_AS_TEXT = {f"{TAG}{name}" for name in ("str", "timestamp", "merge", "value", "binary")}
MAX_LINE_LENGTH = 1 << 16
"""Longest line written, in characters; longer ones are folded."""
CONTAINERS = {f"{TAG}map", f"{TAG}seq"}
MAX_TEXT = 4_000_000
"""Characters of a file; one with a thousand instruments has a tenth of that."""
MAX_VALUES = 100_000
"""Keys and values of a file, those of an alias counted wherever it stands."""
MAX_DEPTH = 100
"""Levels of a file."""


class _TooMuchError(Exception):
    """A file is made to take memory or time; the text says what is allowed."""

    def __init__(self, position: tuple[int, int], message: str) -> None:
        super().__init__(message)
        self.position = position


class _Composer(Composer):
    """Refuses a file that has too many values or levels, before anything is built of it."""

    _values = _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._values += 1
        self._depth += 1
        try:
            if self._values > MAX_VALUES or self._depth > MAX_DEPTH:
                mark = self.parser.peek_event().start_mark
                raise _too_much((mark.line + 1, mark.column + 1), deep=self._depth > MAX_DEPTH)
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class Document:
    """The data of one file, the position of every key and value, and the findings about it.

    Args:
        path: the file.
        text: its text; None to read the file.
        typed: tags of scalars that are converted; all others stay text.

    Attributes:
        file: name of the file as findings show it.
        text: its text, byte for byte; empty if it could not be read.
        data: dicts, lists and scalars.
        findings: mistakes found so far; each pass adds its own.
    """

    def __init__(self, path: Path, text: str | None = None, typed: Iterable[str] = TYPED) -> None:
        self.path = path
        self.file = str(path)
        self.text = ""
        self.data: Any = None
        self.findings: list[Finding] = []
        self._keys: dict[KeyPath, tuple[int, int]] = {}
        self._values: dict[KeyPath, tuple[int, int]] = {}
        self._put: dict[KeyPath, str] = {}
        self._given = text
        self._typed = frozenset(typed)
        self._yaml = YAML(typ="safe", pure=True)
        self._yaml.Composer = _Composer
        self._open: list[Node] = []
        self._built = 0

    def report(
        self, place: KeyPath, message: str, *, at_key: bool = False, level: Level = "error"
    ) -> None:
        """Add a finding at the value of `place`, at its key, or at the nearest enclosing value.

        A value that is not from the file is named by its origin instead.
        """
        if origin := self._origin(place):
            self.findings.append(Finding(origin, 0, 0, message, level))
            return
        line, column = self.position(place, at_key=at_key)
        self.findings.append(Finding(self.file, line, column, message, level))

    def put(self, place: KeyPath, value: Any, origin: str) -> None:
        """Set the value at `place` as if the file said so; missing mappings are added.

        Args:
            place: a key of a mapping or an index of a list, under mappings or nothing.
            value: the new value.
            origin: where it comes from, as findings show it.
        """
        holder: Any = self.data
        for depth, part in enumerate(place[:-1], 1):
            inner = holder.get(part) if isinstance(holder, dict) else holder[part]
            if inner is None:
                inner = holder[part] = {}
                self._put.setdefault(place[:depth], origin)
            holder = inner
        holder[place[-1]] = value
        for known in (self._keys, self._values, self._put):
            for inside in [found for found in known if found[: len(place)] == place]:
                del known[inside]
        self._put[place] = origin

    def position(self, place: KeyPath, *, at_key: bool = False) -> tuple[int, int]:
        """Return line and column of `place`, or of its parent's key if it is not in the file."""
        for known in (self._keys, self._values) if at_key else (self._values, self._keys):
            if place in known:
                return known[place]
        return self.position(place[:-1], at_key=True) if place else (1, 1)

    def _origin(self, place: KeyPath) -> str:
        while place not in self._keys and place not in self._values:
            if place in self._put:
                return self._put[place]
            if not place:
                break
            place = place[:-1]
        return ""

    def read(self) -> None:
        """Parse the file; `data` stays None if it cannot be parsed."""
        try:
            self.text = self._read_text()
            node = self._yaml.compose(self.text)
            self.data = self._build(node, ()) if node is not None else {}
        except _TooMuchError as error:
            self.findings.clear()
            self._add(error.position, str(error))
        except MarkedYAMLError as error:
            self._add_syntax(error)
        except (YAMLError, UnicodeDecodeError) as error:
            self._add((1, 1), f"not YAML: {' '.join(str(error).split())}")
        except OSError as error:
            self._add((1, 1), f"cannot be read: {error.strerror}")

    def _read_text(self) -> str:
        # Not read_text: it would change line ends, and a run keeps a verbatim copy.
        text = self.path.read_bytes().decode() if self._given is None else self._given
        if len(text) > MAX_TEXT:
            found = f"{len(text):,} characters; a file may have {MAX_TEXT:,} characters"
            raise _TooMuchError((1, 1), found)
        return text

    def _add(self, position: tuple[int, int], message: str) -> None:
        self.findings.append(Finding(self.file, *position, message))

    def _add_syntax(self, error: MarkedYAMLError) -> None:
        began, mark = error.context_mark, error.problem_mark or error.context_mark
        what = f"not YAML: {error.problem or error.context}"
        if began and error.context and began.line != mark.line:
            what += f" {error.context}, which began on line {began.line + 1}"
        self._add((mark.line + 1, mark.column + 1) if mark else (1, 1), what)

    def _build(self, node: Node, place: KeyPath) -> Any:
        self._built += 1
        if self._built > MAX_VALUES or len(place) > MAX_DEPTH:
            raise _too_much(_position(node), deep=len(place) > MAX_DEPTH)
        if not place:
            self._values[place] = _position(node)
        built: Any = None
        if node.tag not in TYPED | KEPT_AS_TEXT | CONTAINERS:
            self.report(place, f"the tag '{node.tag}' has no meaning here")
        if node in self._open:
            self.report(place, "an alias of something that it is part of")
            return None
        self._open.append(node)
        match node:
            case MappingNode():
                built = self._mapping(node, place)
            case SequenceNode():
                built = [self._item(item, (*place, i)) for i, item in enumerate(node.value)]
            case ScalarNode():
                built = self._scalar(node)
        self._open.pop()
        return built

    def _mapping(self, node: MappingNode, place: KeyPath) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            inner = (*place, key)
            if key in built:
                line, _ = self._keys[inner]
                self._add(_position(key_node), f"the key '{key}' was given on line {line} already")
                continue
            self._keys[inner] = _position(key_node)
            if isinstance(key_node, ScalarNode):
                built[key] = self._item(value_node, inner)
            else:
                self._add(_position(key_node), "a key must be text")
        return built

    def _item(self, node: Node, place: KeyPath) -> Any:
        if node.end_mark.index > node.start_mark.index:  # else nothing was written: see the key
            self._values[place] = _position(node)
        return self._build(node, place)

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag in self._typed:
            try:
                return self._yaml.constructor.construct_object(node, deep=True)
            except (ValueError, YAMLError) as error:
                self._add(
                    _position(node), f"'{node.value}' is no {node.tag.removeprefix(TAG)}: {error}"
                )
        return node.value


def _too_much(position: tuple[int, int], *, deep: bool) -> _TooMuchError:
    if deep:
        return _TooMuchError(position, f"at most {MAX_DEPTH} levels are allowed")
    allowed = f"at most {MAX_VALUES:,} values are allowed, aliases counted each time"
    return _TooMuchError(position, allowed)


def _position(node: Node) -> tuple[int, int]:
    mark = node.start_mark
    return mark.line + 1, mark.column + 1


def load_document(path: Path, text: str | None = None) -> Document:
    """Read a file; whatever is wrong with it is in `Document.findings`.

    Args:
        path: the file.
        text: what it says; None to read it.
    """
    document = Document(path, text)
    document.read()
    return document


def as_yaml(value: Any) -> str:
    """Return plain data as YAML, one item per line."""
    yaml, text = YAML(), StringIO()
    yaml.width = MAX_LINE_LENGTH
    yaml.dump(value, text)
    return text.getvalue()


def parse_value(text: str) -> Document:
    """Read one YAML value; a number with a decimal point stays text.

    So amounts need no quotes here; in a file they do, because a float is rounded.
    """
    document = Document(Path(), text, TYPED - {f"{TAG}float"})
    document.read()
    return document
