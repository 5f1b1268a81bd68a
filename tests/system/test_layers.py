"""The layers of the design: an arrow between packages never goes back, by reading every import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.paths import ROOT

PACKAGES = ("actors", "gateways", "topology")

MAY_IMPORT: dict[str, tuple[str, ...]] = {  # the most specific layer of a module comes first
    "actors.events": ("actors.events",),
    "actors.runtime": ("actors.events", "actors.runtime"),
    "actors.model": ("actors.events", "actors.model"),
    "actors.testing": ("actors.events", "actors.runtime"),
    "actors": ("actors.events", "actors.runtime", "actors.model"),
    "gateways": ("actors.events", "actors.runtime", "actors.model", "gateways"),
    "topology": ("actors", "gateways", "topology"),
}

DOORS = {
    "pykka": "actors.runtime.",
    "google_crc32c": "actors.runtime.",
    "matplotlib": "topology.",
    "prometheus_client": "topology.",
    "pyarrow": "topology.",
    "ruamel": "topology.",
}
"""A library, and the layer in which one module of ours alone may import it."""

OUTSIDE = {"asyncio", "datetime", "os", "random", "socket", "subprocess", "threading", "time"}
"""What an actor may not touch: time, chance and the world reach it as inputs only."""
DETERMINISTIC = ("actors.events", "actors.model", "actors")


def modules() -> dict[str, Path]:
    files = (file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))
    return {module_name(file.relative_to(ROOT)): file for file in files}


def module_name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if node.module in PACKAGES else str(node.module)


def within(name: str, layer: str) -> bool:
    return f"{name}.".startswith(f"{layer}.")


def layer_of(module: str) -> str:
    return next(layer for layer in MAY_IMPORT if within(module, layer))


def trespasses(module: str, source: str) -> list[str]:
    """Return what `module` imports and may not."""
    allowed = MAY_IMPORT[layer_of(module)]
    found = []
    for name in imported(source):
        ours = name.partition(".")[0] in PACKAGES
        if ours and name != module and not any(within(name, layer) for layer in allowed):
            found.append(name)
        if layer_of(module) in DETERMINISTIC and name.partition(".")[0] in OUTSIDE:
            found.append(name)
    return found


def users(library: str) -> list[str]:
    return [
        module
        for module, file in modules().items()
        if library in {name.partition(".")[0] for name in imported(file.read_text())}
    ]


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_its_layer_may(module: str) -> None:
    assert trespasses(module, modules()[module].read_text()) == []


def test_no_two_modules_of_the_topology_need_each_other() -> None:
    own = {name: file for name, file in modules().items() if within(name, "topology")}
    needs = {
        name: {other for other in own for used in imported(file.read_text()) if within(used, other)}
        for name, file in own.items()
    }

    def reached(name: str) -> set[str]:
        found, waiting = set[str](), list(needs[name])
        while waiting:
            if (module := waiting.pop()) not in found:
                found.add(module)
                waiting += needs[module]
        return found

    assert [name for name in own if name != "topology" and name in reached(name)] == []


@pytest.mark.parametrize("library", DOORS)
def test_a_library_is_imported_by_one_module_of_ours(library: str) -> None:
    found = users(library)

    assert len(found) <= 1, found
    assert all(module.startswith(DOORS[library]) for module in found)


def test_pykka_has_its_door() -> None:
    assert users("pykka") == ["actors.runtime.ref"]


def test_zeromq_has_a_door_for_venues_and_one_for_links() -> None:
    assert users("zmq") == ["gateways.sockets", "topology.links.sockets"]


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("actors.events.orders", "import actors.runtime.actor", ["actors.runtime.actor"]),
        ("actors.runtime.loop", "from actors.model.book import Book", ["actors.model.book"]),
        ("actors.runtime.loop", "from actors import risk", ["actors.risk"]),
        ("actors.model.book", "from actors.runtime.actor import Actor", ["actors.runtime.actor"]),
        ("actors.model.book", "def f():\n  import time", ["time"]),
        ("actors.risk", "from actors.order_book import OrderBook", ["actors.order_book"]),
        ("actors.risk", "from random import Random", ["random"]),
        ("actors.strategies.maker", "import actors.strategies.taker", ["actors.strategies.taker"]),
        ("actors.risk", "import gateways.gateway", ["gateways.gateway"]),
        ("gateways.gateway", "from actors.risk import Risk", ["actors.risk"]),
        ("gateways.gateway", "from topology.check.check import check", ["topology.check.check"]),
        ("actors.testing", "import topology.check.check", ["topology.check.check"]),
        ("kaiju.run.local", "import actors.risk, gateways.gateway, topology.check.check, time", []),
        ("actors.risk", "from actors.model.money import notional", []),
    ],
)
def test_a_planted_import_that_goes_back_is_found(
    module: str, source: str, found: list[str]
) -> None:
    assert trespasses(module, source) == found
