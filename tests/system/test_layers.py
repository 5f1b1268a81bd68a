"""The layers of the design: an arrow between packages never goes back, by reading every import."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.kit.paths import ROOT

PACKAGES = ("actors", "gateways", "topology", "kaiju")

EVENTS, MODEL, RUNTIME = ("actors.events",), ("actors.events", "actors.model"), ("actors.runtime",)
ACTORS = ("actors.events", "actors.model", "actors.runtime")
FILE = ("actors", "topology.files", "topology.errors", "topology.config")
RECORD = ("actors", "topology.files", "topology.errors", "kaiju.record")
MONITOR = (*RECORD, "topology.links", "kaiju.monitor")
REPORT = (*MONITOR, "kaiju.report")
RUN = (
    "actors",
    "gateways",
    "topology",
    "kaiju.record",
    "kaiju.monitor",
    "kaiju.report",
    "kaiju.run",
)
MAY_IMPORT: dict[str, tuple[str, ...]] = {  # the most specific room of a module comes first
    "actors.events": EVENTS,
    "actors.model": MODEL,
    "actors.runtime.errors": ("actors.runtime.errors",),
    "actors.runtime.journal": (*EVENTS, *RUNTIME),
    "actors.runtime.recovery": (*EVENTS, *RUNTIME),
    "actors.runtime.node": (*EVENTS, *RUNTIME),
    "actors.runtime": (*EVENTS, *RUNTIME),
    "actors.testing": (*EVENTS, *RUNTIME),
    "actors": ACTORS,
    "gateways.simulated.engine": (*MODEL, "actors.runtime.settings", "gateways.simulated.engine"),
    "gateways": (*ACTORS, "gateways"),
    "topology.errors": ("actors.runtime.errors",),
    "topology.files": ("actors.runtime.errors", "topology.errors"),
    "topology.config": FILE,
    "topology.check": (*FILE, "topology.check"),
    "topology.plan": (*FILE, "topology.check", "topology.plan"),
    "topology.deploy": (*FILE, "topology.check", "topology.plan", "topology.deploy"),
    "topology.links": (*FILE, "gateways.sockets", "topology.check", "topology.links"),
    "topology": (),
    "kaiju.record": RECORD,
    "kaiju.monitor": MONITOR,
    "kaiju.report": REPORT,
    "kaiju.journals": (*RECORD, "topology.config", "kaiju.journals"),
    "kaiju.run": RUN,
    "kaiju.operate": ("actors", "topology.errors", "kaiju.operate"),
    "kaiju.replay": (*RUN, "kaiju.replay"),
    "kaiju.cluster": (*MONITOR, "gateways", "topology", "kaiju.run", "kaiju.cluster"),
    "kaiju.cli": ("actors", "gateways", "topology", "grafana", "kaiju"),
    "kaiju.__main__": ("kaiju.cli",),
    "kaiju": ("actors.events", "actors.model", "actors.runtime", "actors.testing", "kaiju"),
}
"""What each room may import, as docs/architecture.md draws it."""

MAY_NOT_IMPORT: dict[str, tuple[str, ...]] = {
    "actors.runtime.journal": (
        *("actors.runtime.actor", "actors.runtime.loop", "actors.runtime.node"),
        "actors.runtime.recovery",
    ),
    "actors.runtime.recovery": ("actors.runtime.node",),
    "actors.runtime": (
        *("actors.runtime.journal", "actors.runtime.recovery", "actors.runtime.node"),
    ),
}
"""Rooms inside a room that one of its floors does not know: a higher floor, or a neighbour."""
OURS = (*PACKAGES, "grafana", "tests", "bench", "docs")
DOOR = ("kaiju", "kaiju.events", "kaiju.testing")
"""What users import; of ours, nothing does."""
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
MAX_MODULES_IN_A_FOLDER = 25

DOORS = {
    "pykka": "actors.runtime.",
    "google_crc32c": "actors.runtime.",
    "matplotlib": "kaiju.report.",
    "msgpack": "actors.runtime.",
    "prometheus_client": "kaiju.monitor.",
    "pyarrow": "kaiju.record.",
    "ruamel": "topology.config.",
}
"""A library, and the layer in which one module of ours alone may import it."""

OUTSIDE = {"asyncio", "datetime", "os", "random", "socket", "subprocess", "threading", "time"}
"""What an actor may not touch: time, chance and the world reach it as inputs only."""
NODE = "actors.runtime.node.node"
DETERMINISTIC = ("actors.events", "actors.model", "actors")


def modules() -> dict[str, Path]:
    files = (file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))
    return {module_name(file.relative_to(ROOT)): file for file in files}


def module_name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imported(source: str) -> tuple[str, ...]:
    """Return what a source imports, in its order."""
    return tuple(imports_of(source))


def imports_of(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if is_folder(node.module) else str(node.module)


def is_folder(module: str | None) -> bool:
    return bool(module) and (ROOT / str(module).replace(".", "/")).is_dir()


def within(name: str, room: str) -> bool:
    return f"{name}.".startswith(f"{room}.")


def room_of(module: str) -> str:
    return next(room for room in MAY_IMPORT if within(module, room))


def outermost(rooms: Iterable[str]) -> set[str]:
    """Return the rooms that are in no other one of them."""
    named = set(rooms)
    return {name for name in named if not any(within(name, other) for other in named - {name})}


def trespasses(module: str, source: str) -> list[str]:
    """Return what `module` imports and may not."""
    room, found = room_of(module), list[str]()
    allowed, forbidden = MAY_IMPORT[room], MAY_NOT_IMPORT.get(room, ())
    for name in imported(source):
        if name.partition(".")[0] in OURS and name != module:
            unknown = not any(within(name, other) for other in allowed)
            higher = any(within(name, other) for other in forbidden)
            if unknown or higher or (name in DOOR and module not in DOOR):
                found.append(name)
        if room in DETERMINISTIC and name.partition(".")[0] in OUTSIDE:
            found.append(name)
    return found


def circles(sources: dict[str, str]) -> list[str]:
    """Return the modules that need themselves, on whatever way, `TYPE_CHECKING` counted."""
    needs = {
        name: {found for used in imported(source) if (found := module_in(used, sources))} - {name}
        for name, source in sources.items()
    }

    def reached(name: str) -> set[str]:
        found, waiting = set[str](), list(needs[name])
        while waiting:
            if (module := waiting.pop()) not in found:
                found.add(module)
                waiting += needs[module]
        return found

    return sorted(name for name in needs if name in reached(name))


def module_in(name: str, sources: dict[str, str]) -> str:
    """Return the module that an imported name is, or stands in; empty where it is none of ours."""
    return (
        name if name in sources else found if (found := name.rpartition(".")[0]) in sources else ""
    )


def users(library: str) -> list[str]:
    return [
        module
        for module, file in modules().items()
        if library in {name.partition(".")[0] for name in imported(file.read_text())}
    ]


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    assert trespasses(module, modules()[module].read_text()) == []


def test_no_two_modules_need_each_other() -> None:
    assert circles({name: file.read_text() for name, file in modules().items()}) == []


def test_every_room_is_in_the_table() -> None:
    folders = {module_name(file.relative_to(ROOT).parent) for file in modules().values()}
    rooms = {folder for folder in folders if folder not in ("actors.strategies", "topology")}
    within_others = {"gateways.binance", "gateways.simulated", "gateways.simulated.session"}

    assert rooms - within_others <= MAY_IMPORT.keys()


def test_the_table_in_the_documentation_is_this_one() -> None:
    rows = {
        cells[0][1:-1]: set(re.findall("`(.*?)`", cells[2]))
        for line in ARCHITECTURE.splitlines()
        if len(cells := line.strip("| ").split(" | ")) == 3 and cells[0][1:-1] in MAY_IMPORT
    }
    without_code = {"topology", "kaiju.__main__"}

    assert rows == {
        room: {
            *outermost(name for name in allowed if name != room),
            *MAY_NOT_IMPORT.get(room, ()),
        }
        for room, allowed in MAY_IMPORT.items()
        if room not in without_code
    }


def test_no_folder_is_too_full_to_find_anything_in() -> None:
    counts = Counter(file.parent for file in modules().values() if file.name != "__init__.py")

    assert {f: n for f, n in counts.items() if n > MAX_MODULES_IN_A_FOLDER} == {}


@pytest.mark.parametrize("library", DOORS)
def test_a_library_is_imported_by_one_module_of_ours(library: str) -> None:
    found = users(library)

    assert len(found) <= 1, found
    assert all(module.startswith(DOORS[library]) for module in found)


def test_messagepack_has_its_door() -> None:
    users_of_msgspec = [
        module
        for module, file in modules().items()
        if re.search(r"\bmsgspec\.msgpack\b|from msgspec import .*msgpack", file.read_text())
    ]

    assert users_of_msgspec == ["actors.runtime.codec"]


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
        ("actors.runtime.loop", "from actors.runtime.node.node import Node", [NODE]),
        ("actors.runtime.journal.steps", "import actors.runtime.actor", ["actors.runtime.actor"]),
        ("actors.runtime.recovery.replay", "from actors.runtime.node import node", [NODE]),
        ("actors.runtime.errors", "import actors.events.event", ["actors.events.event"]),
        ("gateways.simulated.engine.filters", "from gateways import sockets", ["gateways.sockets"]),
        ("topology.config.document", "import topology.check.names", ["topology.check.names"]),
        ("topology.check.graph", "from gateways.gateway import Gateway", ["gateways.gateway"]),
        ("topology.deploy.compose", "from gateways import sockets", ["gateways.sockets"]),
        ("topology.links.frame", "from kaiju.run import node", ["kaiju.run.node"]),
        ("topology.deploy.compose", "from kaiju import Actor", ["kaiju.Actor"]),
        ("kaiju.record.record", "import kaiju.monitor.observer", ["kaiju.monitor.observer"]),
        ("kaiju.monitor.observer", "import kaiju.report.report", ["kaiju.report.report"]),
        ("kaiju.run.local", "import kaiju.replay.what_if", ["kaiju.replay.what_if"]),
        ("kaiju.cluster.tap", "from kaiju.report import report", ["kaiju.report.report"]),
        ("kaiju.run.local", "import kaiju.events", ["kaiju.events"]),
        ("kaiju.events", "import topology.errors", ["topology.errors"]),
        ("kaiju.cli.run", "import tests.kit.paths", ["tests.kit.paths"]),
        ("kaiju.run.local", "import actors.risk, gateways.gateway, topology.check.check, time", []),
        ("kaiju.cli.run", "import kaiju.run.local, topology.plan.plan, grafana.dashboard", []),
        ("actors.risk", "from actors.model.money import notional", []),
    ],
)
def test_a_planted_import_that_goes_back_is_found(
    module: str, source: str, found: list[str]
) -> None:
    assert trespasses(module, source) == found


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"a.b": "import a.c", "a.c": "from a.b import name"}, ["a.b", "a.c"]),
        ({"a.b": "if TYPE_CHECKING:\n  import a.c", "a.c": "import a.b"}, ["a.b", "a.c"]),
        ({"a.b": "import a.c", "a.c": "import a.d", "a.d": "import a.b"}, ["a.b", "a.c", "a.d"]),
        ({"a.b": "import a.c", "a.c": "import a.d", "a.d": "import time"}, []),
    ],
)
def test_a_planted_circle_is_found(sources: dict[str, str], found: list[str]) -> None:
    assert circles(sources) == found
