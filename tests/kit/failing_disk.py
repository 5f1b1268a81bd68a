"""Disks in trouble, and a small trading system with a door to the outside that runs on them."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import msgspec

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.system import HaltTrading, ResumeTrading
from actors.events.venue import NewOrderSingle, OrderCancelRequest, OrderMassCancelRequest
from actors.runtime.actor import Actor, handles
from actors.runtime.clock import Clock
from actors.runtime.envelope import Envelope
from actors.runtime.journal.data_directory import CONTROL, JOURNALS
from actors.runtime.journal.disk import UNFINISHED, Disk
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.steps import read_step
from actors.runtime.node.config import Durability, NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.ports import Port
from tests.kit.runtime_actors import Feed, Tick

INSTRUMENT = "BTCUSDT.SIM"


class Ask(Event):
    """How many orders were sent?"""


class Desk(Actor):
    """Sends an order a tick; while trading is halted, cancels one in ten of them instead."""

    order_path = True

    class State(msgspec.Struct):
        orders: int = 0
        halted: str = ""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "venue": (NewOrderSingle, OrderCancelRequest, OrderMassCancelRequest)
    }
    state: State
    outside: Outside

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        state = self.state
        if not state.halted:
            state.orders += 1
            self.emit(order(f"{self.session}-desk-{state.orders}"))
        elif not tick.n % 10:
            self.emit(OrderCancelRequest(f"{self.session}-desk-{state.orders}", INSTRUMENT))

    @handles(Ask)
    def on_ask(self, _ask: Ask) -> int:
        return self.state.orders

    @handles(HaltTrading)
    def on_halt(self, halt: HaltTrading) -> None:
        self.state.halted = halt.reason
        self.emit(OrderMassCancelRequest())

    @handles(ResumeTrading)
    def on_resume(self, _resume: ResumeTrading) -> None:
        self.state.halted = ""

    def ports(self) -> Sequence[Port]:
        return (self.outside,)


class Tally(Actor):
    """Adds up what it reads."""

    class State(msgspec.Struct):
        ticks: int = 0
        total: int = 0

    state: State

    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self.state.ticks += 1
        self.state.total += tick.n


class Outside:
    """The world behind a port: it only takes.

    Args:
        check: is given each event before it is taken.
    """

    output = "venue"

    def __init__(self, check: Callable[[Event], None] = lambda _event: None) -> None:
        self.taken: list[Event] = []
        self.ordered = threading.Event()
        self.canceled = threading.Event()
        self._check = check

    def resume(self) -> None:
        """Nothing is known of what was taken before."""

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            self._check(envelope.event)
            self.taken.append(envelope.event)
            is_order = isinstance(envelope.event, NewOrderSingle)
            (self.ordered if is_order else self.canceled).set()

    def close(self) -> None:
        """Keep what was taken."""

    @property
    def orders(self) -> list[str]:
        return [event.client_order_id for event in self.taken if isinstance(event, NewOrderSingle)]


def order(client_order_id: str) -> NewOrderSingle:
    return NewOrderSingle(
        client_order_id, INSTRUMENT, Side.BUY, 1, OrderType.LIMIT, TimeInForce.GTC, 100
    )


def trading(
    data: Path,
    clock: Clock,
    disk: Disk,
    outside: Outside | None = None,
    *,
    durable: Durability = "os",
    ticks: int = 2_000,
    gap: int = 1_000_000,
    **options: Any,
) -> Node:
    """Return a node on which a feed ticks, a desk trades and somebody adds up."""
    options.setdefault("session", "s")
    node = Node(NodeConfig(data=data, **options), clock=clock, disk=disk)
    node.add("feed", Feed, {"count": ticks, "gap": gap, "start": clock.read()}, durable="os")
    desk = node.add("desk", Desk, durable=durable)
    assert isinstance(desk, Desk)
    desk.outside = outside or Outside()
    node.add("tally", Tally, durable="os")
    node.connect("desk", "feed.ticks")
    node.connect("tally", "feed.ticks")
    return node


class TroubledDisk(Disk):
    """Refuses to write for a while, after it took half of what it was given.

    Args:
        number: of the error; 0 while all is well.
        begins_with: the first write that has these bytes in it is refused; empty for none.
        refusals: after which it takes everything again.
        on_refusal: called at each one, with half of a write in the file.
    """

    def __init__(
        self,
        number: int = 0,
        begins_with: bytes = b"",
        refusals: int = 0,
        on_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        self.number = number
        self.refused = 0
        self._begins_with, self._left = begins_with, refusals
        self._began = False
        self._on_refusal = on_refusal
        self.broken = False
        """Whether it refuses until told otherwise."""

    def write(self, file: int, data: bytes) -> None:
        self._began |= bool(self._begins_with) and self._begins_with in data
        if self._refuses():
            if self.number != errno.EROFS:
                super().write(file, data[: len(data) // 2])
            self._on_refusal()
            self._fail()
        super().write(file, data)

    def truncate(self, file: int, size: int) -> None:
        if self.number == errno.EROFS and self._refuses():
            self._fail()
        super().truncate(file, size)

    def _refuses(self) -> bool:
        refuses = self.broken or (self._began and self.refused < self._left)
        self.refused += refuses
        return refuses

    def _fail(self) -> NoReturn:
        raise OSError(self.number, os.strerror(self.number))


class WatchedDisk(Disk):
    """Writes into a log, which outlives its process, in which order journals were written and
    synced and orders were taken."""

    def __init__(self, log: Path) -> None:
        self._log = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def write(self, file: int, data: bytes) -> None:
        super().write(file, data)
        self._note("write", str(path_of(file)), os.fstat(file).st_size)

    def sync(self, file: int) -> None:
        path = str(path_of(file))
        self._note("sync", path, 0)
        super().sync(file)
        self._note("synced", path, 0)

    def take(self, event: Event) -> None:
        """Note that an event was taken outside; for `Outside`."""
        if isinstance(event, NewOrderSingle):
            self._note("take", event.client_order_id, 0)

    def assert_nothing_left_early(self, run: Path) -> int:
        """Check that what was written before an order was synced when it left; return how many."""
        lines = os.pread(self._log, 1 << 30, 0).decode().splitlines()
        entries = [json.loads(line) for line in lines]
        places = _places(run / JOURNALS / "desk")
        written: dict[str, list[tuple[int, int]]] = {}
        syncs: dict[str, list[int]] = {}
        """By file, where each sync began that has ended."""
        began: dict[str, int] = {}
        taken = 0
        for index, (kind, name, size) in enumerate(entries):
            if kind == "write":
                written.setdefault(name, []).append((index, size))
            elif kind == "sync":
                began[name] = index
            elif kind == "synced":
                syncs.setdefault(name, []).append(began[name])
            else:
                path, place = places[name]
                of_step = next(at for at, end in written[path] if end > place)
                for file, writes in written.items():
                    last = max((at for at, _ in writes if at <= of_step), default=-1)
                    safe = file.endswith(UNFINISHED) or syncs.get(file, [-1])[-1] >= last
                    assert safe, f"{name} left before {file} was synced"
                taken += 1
        return taken

    def _note(self, kind: str, name: str, size: int) -> None:
        os.write(self._log, f"{json.dumps((kind, name, size))}\n".encode())


def path_of(file: int) -> Path:
    return Path(f"/proc/self/fd/{file}").readlink()


def _places(directory: Path) -> dict[str, tuple[str, int]]:
    """Return file and byte of each order in a journal, by its id."""
    return {
        found[1].decode(): (str(path), found.start())
        for path in directory.glob("steps-*.kaiju")
        for found in re.finditer(rb"NewOrderSingle.(s-desk-\d+)", path.read_bytes(), re.DOTALL)
    }


def exit_code_of(act: Callable[[], None]) -> int:
    """Let a child of this process act, and return how it ended."""
    child = os.fork()
    if not child:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def journals(directory: Path) -> dict[str, list[bytes]]:
    """Return the bodies of all whole steps by actor, looked at from outside."""
    return {
        path.name: list(JournalReader(path).steps())
        for path in sorted((directory / JOURNALS).iterdir())
    }


def journaled(directory: Path, client_order_id: str) -> bool:
    """Tell whether the desk's journal has an order, as its file is now."""
    files = (directory / JOURNALS / "desk").glob("steps-*.kaiju")
    return any(client_order_id.encode() in file.read_bytes() for file in files)


def assert_beginning(of: Path, copy: Path) -> int:
    """Check that a copy holds a whole beginning of what a node did, and return its last step."""
    whole, found = journals(of), journals(copy)
    for actor, steps in found.items():
        assert steps == whole[actor][: len(steps)], actor
    actors = [actor for actor in found if actor != CONTROL]
    last = max((node_step(found[actor][-1]) for actor in actors if found[actor]), default=0)
    for actor in actors:
        missing = [
            n for body in whole[actor][len(found[actor]) :] if (n := node_step(body)) <= last
        ]
        assert not missing, f"{actor} lacks {missing} although the node is at {last}"
    return last


def node_step(body: bytes) -> int:
    number: int = read_step(body)[1]
    return number


class Copies:
    """Copies of a directory, made one after another."""

    def __init__(self, source: Path, into: Path, every: int = 1) -> None:
        self.source, self.into = source, into
        self._asked, self._every = 0, every

    def take(self) -> None:
        self._asked += 1
        if self._asked % self._every == 1 or self._every == 1:
            shutil.copytree(self.source, self.into / f"{self._asked:03}")

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted(self.into.iterdir()))
