"""State: every actor goes on from what MessagePack kept of it as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from actors.events.durations import SECOND
from actors.events.market import Side
from actors.events.orders import Signal
from actors.events.system import TimerFired
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import VirtualClock
from kaiju.run.build import compose
from kaiju.run.local import VIRTUAL_START, first_input
from tests.kit.captures import skip_without_data
from tests.kit.paths import TOPOLOGIES
from tests.kit.restart_every_step import Run, shared
from tests.kit.small_system import INTERVAL, TOPOLOGY, Metronome, write_topology
from topology.check.check import CheckedTopology, check_file
from topology.config.class_loader import known_actors

SCALARS = (
    inspect.IntType,
    inspect.FloatType,
    inspect.StrType,
    inspect.BytesType,
    inspect.BoolType,
    inspect.NoneType,
    inspect.EnumType,
)
CLASSES = dict(known_actors())


def unkept(kind: inspect.Type, place: str = "State") -> Iterator[str]:
    """Yield where a type is one that MessagePack does not give back as it was."""
    match kind:
        case inspect.StructType():
            for field in kind.fields:
                yield from unkept(field.type, f"{place}.{field.name}")
        case inspect.DictType(key_type=key, value_type=value):
            if not isinstance(key, inspect.IntType | inspect.StrType | inspect.EnumType):
                yield f"{place}: keys are {type(key).__name__}"
            yield from unkept(value, place)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            yield from unkept(item, place)
        case inspect.TupleType(item_types=types) | inspect.UnionType(types=types):
            for part in types:
                yield from unkept(part, place)
        case _:
            if not isinstance(kind, SCALARS):
                yield f"{place}: {type(kind).__name__}"


@pytest.mark.parametrize("actor_class", CLASSES.values(), ids=CLASSES)
def test_a_state_holds_only_what_messagepack_gives_back(actor_class: type[Actor]) -> None:
    assert list(unkept(inspect.type_info(actor_class.State))) == []


@pytest.mark.parametrize("actor_class", CLASSES.values(), ids=CLASSES)
def test_an_actor_is_born_with_nothing_but_what_the_runtime_gives_it(
    actor_class: type[Actor],
) -> None:
    assert actor_class.__init__ is Actor.__init__


def paper() -> tuple[CheckedTopology, int, int]:
    return check_file(TOPOLOGIES / "paper.yaml"), VIRTUAL_START, 30 * SECOND


def recorded() -> tuple[CheckedTopology, int, int]:
    skip_without_data()
    checked = check_file(TOPOLOGIES / "recorded.yaml")
    return checked, first_input(compose(checked, clock=VirtualClock())) or 0, 60 * SECOND


@pytest.mark.slow
@pytest.mark.parametrize("topology", [paper, recorded])
def test_a_run_whose_actors_go_on_from_copies_is_the_run_that_was_never_disturbed(
    tmp_path: Path, topology: Callable[[], tuple[CheckedTopology, int, int]]
) -> None:
    checked, start, duration = topology()
    whole = Run(checked, tmp_path / "whole", start, duration, restored=False)
    disturbed = Run(checked, tmp_path / "disturbed", start, duration, restored=True)

    assert disturbed.boundaries > 200
    assert disturbed.events == whole.events
    assert disturbed.states == whole.states
    for actor in whole.node.actors.values():
        assert shared(actor.state) == [], actor.name


class Hoarder(Metronome):
    """Keeps on itself what belongs in its state."""

    told = 0

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.told += 1
        self.set_timer("tick", INTERVAL)
        self.emit(Signal(self.name, "BTCUSDT.SIM", Side.BUY, self.told))


class Tally(msgspec.Struct):
    """Something that changes."""

    count: int = 0


class Sharer(Metronome):
    """Writes in one place of its state what it reads in another."""

    class State(Metronome.State):
        """Two names for one tally."""

        written: Tally = msgspec.field(default_factory=Tally)
        read: Tally = msgspec.field(default_factory=Tally)

    state: State

    def on_start(self) -> None:
        self.state.read = self.state.written
        super().on_start()

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.state.written.count += 1
        self.set_timer("tick", INTERVAL)
        self.emit(Signal(self.name, "BTCUSDT.SIM", Side.BUY, self.state.read.count + 1))


@pytest.mark.parametrize(
    ("planted", "differs"), [(Metronome, False), (Hoarder, True), (Sharer, True)]
)
def test_what_is_kept_outside_of_the_state_is_found(
    tmp_path: Path, planted: type[Metronome], differs: bool
) -> None:
    entry = f"{planted.__module__}:{planted.__name__}"
    checked = check_file(
        write_topology(tmp_path, TOPOLOGY.replace("tests.kit.small_system:Metronome", entry))
    )
    whole, disturbed = (
        Run(checked, tmp_path / name, VIRTUAL_START, 5 * SECOND, restored=name == "disturbed")
        for name in ("whole", "disturbed")
    )

    assert (disturbed.events != whole.events) is differs
    assert bool(shared(whole.node.actors["metronome"].state)) is (planted is Sharer)
