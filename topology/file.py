"""A YAML 1.2 file as plain data that remembers where everything stands.

Only what the core schema of YAML 1.2 knows becomes a number, a boolean or null: dates and words
such as ``no`` stay text, because nobody who writes them means anything else here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from topology.findings import Finding, Level

Place = tuple[str | int, ...]
"""The way to a value: keys and list indexes from the top of the file."""

TAG = "tag:yaml.org,2002:"
TYPED = {f"{TAG}{name}" for name in ("int", "float", "bool", "null")}
KEPT_AS_TEXT = {f"{TAG}{name}" for name in ("str", "timestamp", "merge", "value", "binary")}
CONTAINERS = {f"{TAG}map", f"{TAG}seq"}


class Document:
    """The data of one file, the position of every key and value, and what was found wrong.

    Attributes:
        file: name of the file as findings show it.
        data: dicts, lists and scalars.
        findings: mistakes found so far; passes append to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = str(path)
        self.data: Any = None
        self.findings: list[Finding] = []
        self._keys: dict[Place, tuple[int, int]] = {}
        self._values: dict[Place, tuple[int, int]] = {}
        self._yaml = YAML(typ="safe", pure=True)
        self._open: list[Node] = []

    def find(
        self, place: Place, message: str, *, at_key: bool = False, level: Level = "error"
    ) -> None:
        """Add a finding at the value of `place`, at its key, or at the nearest thing around it."""
        line, column = self.position(place, at_key=at_key)
        self.findings.append(Finding(self.file, line, column, message, level))

    def position(self, place: Place, *, at_key: bool = False) -> tuple[int, int]:
        """Return line and column of `place`; what is not in the file stands at its parent's key."""
        for known in (self._keys, self._values) if at_key else (self._values, self._keys):
            if place in known:
                return known[place]
        return self.position(place[:-1], at_key=True) if place else (1, 1)

    def read(self) -> None:
        """Parse the file; afterwards `data` is None where it could not be understood at all."""
        try:
            node = self._yaml.compose(self.path.read_text(encoding="utf-8"))
        except MarkedYAMLError as error:
            self._add_syntax(error)
        except (YAMLError, UnicodeDecodeError) as error:
            self._add((1, 1), f"not YAML: {' '.join(str(error).split())}")
        except OSError as error:
            self._add((1, 1), f"cannot be read: {error.strerror}")
        else:
            self.data = self._build(node, ()) if node is not None else {}

    def _add(self, position: tuple[int, int], message: str) -> None:
        self.findings.append(Finding(self.file, *position, message))

    def _add_syntax(self, error: MarkedYAMLError) -> None:
        began, mark = error.context_mark, error.problem_mark or error.context_mark
        what = f"not YAML: {error.problem or error.context}"
        if began and error.context and began.line != mark.line:
            what += f" {error.context}, which began on line {began.line + 1}"
        self._add((mark.line + 1, mark.column + 1) if mark else (1, 1), what)

    def _build(self, node: Node, place: Place) -> Any:
        if not place:
            self._values[place] = _position(node)
        built: Any = None
        if node.tag not in TYPED | KEPT_AS_TEXT | CONTAINERS:
            self.find(place, f"the tag '{node.tag}' has no meaning here")
        if node in self._open:
            self.find(place, "an alias of something that it is part of")
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

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
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

    def _item(self, node: Node, place: Place) -> Any:
        if node.end_mark.index > node.start_mark.index:  # else nothing was written: see the key
            self._values[place] = _position(node)
        return self._build(node, place)

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag in TYPED:
            try:
                return self._yaml.constructor.construct_object(node, deep=True)
            except (ValueError, YAMLError) as error:
                self._add(
                    _position(node), f"'{node.value}' is no {node.tag.removeprefix(TAG)}: {error}"
                )
        return node.value


def _position(node: Node) -> tuple[int, int]:
    mark = node.start_mark
    return mark.line + 1, mark.column + 1


def load_document(path: Path) -> Document:
    """Read `path`, whatever is wrong with it; see `Document.findings`."""
    document = Document(path)
    document.read()
    return document
