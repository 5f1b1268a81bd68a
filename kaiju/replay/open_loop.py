"""A run repeated without its outside: its outside inputs come from its journals.

A venue elsewhere cannot be repeated, and neither can live scheduling. So every outside input is
replayed at the virtual time at which it was handled, and nothing is sent. All decisions then follow
from these inputs and the settings alone.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from heapq import merge
from operator import itemgetter, or_
from pathlib import Path
from typing import Any

import msgspec

from actors.events.event import Event, tag_of
from actors.events.orders import SubmitOrder
from actors.events.system import (
    ActorFailed,
    ActorRecovered,
    HaltTrading,
    ResumeTrading,
    StopRequested,
    StreamReset,
)
from actors.events.venue import NewOrderSingle
from actors.runtime import codec
from actors.runtime.actor import Actor
from actors.runtime.clock import FOREVER, VirtualClock
from actors.runtime.journal.data_directory import CONTROL, JOURNALS, NODE_FILE, NodeFile
from actors.runtime.journal.segments import JournalReader, segment_paths
from actors.runtime.journal.steps import read_step
from actors.runtime.node.control_log import ANNOUNCED
from actors.runtime.node.halts import OPERATOR
from actors.runtime.node.node import Node
from actors.runtime.node.outside import Outside
from actors.runtime.ports import Port
from actors.runtime.recovery.capture import FROM_THE_RUNTIME, classes_read
from kaiju.replay.outside import Moment, OrderPairing, RecordedOutside
from kaiju.run.build import compose
from kaiju.run.run_file import RunFile
from topology.check.check import CheckedTopology
from topology.errors import RefusedError

RECORDED_OUTSIDE = "_outside"
"""A name that no topology can give to an actor."""

OF_THE_RUNTIME = {tag_of(c) for c in FROM_THE_RUNTIME if c is not ActorRecovered}

_read_tag = codec.decoder(list[Any])
_read_reset = codec.decoder(StreamReset)

Arrival = tuple[int, int, str, bytes | HaltTrading | ResumeTrading]
"""An outside input: (when it was handled, the node's step, the actor, the event); the actor is
empty for commands to the node as a whole."""


@dataclass(frozen=True)
class OpenLoop:
    """A run that is repeated from the outside inputs in its journals.

    Attributes:
        run: its directory.
        original: its run file.
        journals: of the actors with outside inputs, by name.
        until: when it ended, UTC nanoseconds of its clock.
    """

    run: Path
    original: RunFile
    journals: Mapping[str, JournalReader]
    until: int

    def rerun(
        self, checked: CheckedTopology, directory: Path, pairing: OrderPairing
    ) -> tuple[str, ...]:
        """Run a topology on these inputs, and record it.

        Args:
            checked: the topology of the run, maybe with other settings.
            directory: where the record goes.
            pairing: which orders of the recorded run are made again.

        Returns:
            What failed.
        """
        node = compose(
            checked,
            seed=self.original.seed,
            session=self.original.session,
            directory=directory,
            metrics=False,
            clock=VirtualClock(self.original.began),
            outside=Disconnected(self.journals),
        )
        self._add_recorded_outside(node, pairing)
        node.run(until=self.until)
        return tuple(node.supervisor.failures)

    def _add_recorded_outside(self, node: Node, pairing: OrderPairing) -> None:
        gateways = {name: a for name, a in node.actors.items() if has_ports(type(a))}
        streams = (*_streams(node.actors, SubmitOrder), *_streams(gateways, NewOrderSingle))
        settings = RecordedOutside.Settings(
            pairing=pairing,
            arrivals=partial(self._arrivals, node, pairing),
            post=lambda name, event: node.loop.post(node.actors[name].context.inbox, event),
        )
        node.add(RECORDED_OUTSIDE, RecordedOutside, settings)
        for stream in streams:
            node.connect(RECORDED_OUTSIDE, stream)

    def _arrivals(self, node: Node, pairing: OrderPairing) -> Iterator[tuple[int, Event]]:
        """Yield the moments of the inputs, and post each input at its moment.

        The loop asks for the next item when it takes a moment, with everything before it handled.
        """
        yield self.original.began, Moment()  # time begins here, not with the first input
        inputs = [outside_inputs(j, node.actors[name]) for name, j in self.journals.items()]
        decoders = {name: _decoder(node.actors[name]) for name in self.journals}
        for time, _, name, what in merge(
            *inputs, operator_commands(self.run), key=itemgetter(0, 1)
        ):
            yield time, Moment()
            if isinstance(what, bytes):
                event = decoders[name](pairing.translated(what))
                node.loop.post(node.actors[name].context.inbox, event)
            elif isinstance(what, HaltTrading):
                node.halts.halt(what.reason)
            else:
                node.supervisor.resume(what.reason)
        yield FOREVER, Moment()  # never taken: timers fire even after the last input


class Disconnected(Outside):
    """The outside of a run that reaches nobody: it has no ports, so no sockets and no threads.

    Args:
        recorded: actors whose inputs come from journals instead of their own sources.
    """

    def __init__(self, recorded: Container[str]) -> None:
        self._recorded = recorded

    def source(self, actor: Actor) -> Iterator[tuple[int, Event]] | None:
        """Return the actor's own source, unless its inputs come from a journal."""
        return None if actor.name in self._recorded else actor.source()

    def ports(self, actor: Actor) -> Sequence[Port]:
        """Return the port of the run's record, and no other."""
        return () if has_ports(type(actor)) else actor.ports()

    def busy(self, actor: Actor) -> bool:  # noqa: ARG002
        """Return False: no answer comes after the stop, and waiting for it would fire timers."""
        return False


def _streams(actors: Mapping[str, Actor], event_class: type[Event]) -> list[str]:
    return [
        f"{name}.{output}"
        for name, actor in actors.items()
        for output, classes in actor.outputs.items()
        if event_class in classes
    ]


def _decoder(actor: Actor) -> Callable[[bytes], Event]:
    return codec.decoder(reduce(or_, classes_read(actor)))


def is_open_loop(original: RunFile, checked: CheckedTopology) -> bool:
    """Tell whether a run cannot be repeated together with its outside."""
    return original.clock == "live" or any(map(has_ports, checked.classes.values()))


def has_ports(actor_class: type[Actor]) -> bool:
    """Tell whether a class has ports, other than to the run's record."""
    return actor_class.ports is not Actor.ports and not actor_class.writes_record


def trades_outside(checked: CheckedTopology) -> bool:
    """Tell whether orders leave the node through a port."""
    classes = checked.classes.values()
    return any(
        has_ports(actor_class) and NewOrderSingle in emitted
        for actor_class in classes
        for emitted in actor_class.outputs.values()
    )


def journals_of_port_actors(
    run: Path, original: RunFile, checked: CheckedTopology
) -> dict[str, JournalReader]:
    """Return the journals of the actors with outside inputs, by name.

    These are all actors with ports, and in a live run also those with a source: when its events
    were taken depended on the machine.

    Raises:
        RefusedError: a journal is missing, or its beginning was deleted.
        DamagedFileError: a journal is damaged.
    """
    journals = {}
    for name, actor_class in checked.classes.items():
        own_source = actor_class.source is not Actor.source
        if has_ports(actor_class) or (own_source and original.clock == "live"):
            durable = checked.topology.actors[name].durable != "none"
            journals[name] = _whole_journal(run / JOURNALS / name, durable=durable)
    return journals


def _whole_journal(path: Path, *, durable: bool) -> JournalReader:
    if not path.is_dir() or not segment_paths(path):
        remedy = "" if durable else f"; `durable: os` at actor {path.name!r} keeps it from now on"
        raise RefusedError(
            f"{path}: there is no journal, so the outside inputs of {path.name} were not kept"
            f" and cannot be replayed{remedy}"
        )
    journal = JournalReader(path)
    first = journal.segments()[0].first_step
    if first > 1:
        raise RefusedError(
            f"{path}: begins with step {first:,}, and a run is repeated from its beginning; earlier"
            " steps were deleted, as `journal:` in the topology says"
        )
    return journal


def outside_inputs(journal: JournalReader, actor: Actor) -> Iterator[Arrival]:
    """Yield the outside inputs of an actor, in order.

    These are the events of its inbox, without those of the runtime and the snapshots after resets,
    which have the time of the reset and classes of the stream that was reset. A recovery counts as
    one too: connections ended with the previous process, and the actor says so.

    Raises:
        DamagedFileError: the journal is damaged.
    """
    inbox = actor.context.inbox.stream.name
    snapshot: frozenset[str] = frozenset()
    reset_at = 0
    for body in journal.steps():
        _, node_step, now, place, _, _, time, _, encoded, _ = read_step(body)
        if place[0] != inbox:
            continue
        tag = _read_tag(encoded)[0]
        if tag == tag_of(StreamReset):
            heard = actor.heard.get(_read_reset(encoded).stream, ())
            snapshot, reset_at = frozenset(map(tag_of, heard)), time
        elif tag not in OF_THE_RUNTIME and not (time == reset_at and tag in snapshot):
            yield now, node_step, actor.name, bytes(encoded)


def operator_commands(run: Path) -> Iterator[Arrival]:
    """Yield the halts and resumptions that came from outside the actors.

    A halt because an actor failed is left out: the actor fails again, or does not. So is what an
    actor raised or lifted itself, and what another node did.
    """
    failed: set[str] = set()
    for time, node_step, event in _control_events(run):
        if isinstance(event, ActorFailed):
            failed.add(event.error)
        elif (isinstance(event, ResumeTrading) and event.by in ("", OPERATOR)) or (
            isinstance(event, HaltTrading) and not event.owner and event.reason not in failed
        ):
            yield time, node_step, "", event


def has_journal(run: Path) -> bool:
    """Tell whether a run has journals besides its record."""
    return (run / NODE_FILE).exists()


def ended_at(run: Path) -> int | None:
    """Return when a run with journals was told to stop; None if it was killed instead.

    Raises:
        RefusedError: its node file cannot be read.
    """
    path = run / NODE_FILE
    try:
        node = msgspec.json.decode(path.read_bytes(), type=NodeFile)
    except msgspec.DecodeError as error:
        raise RefusedError(f"{path}: cannot be read: {error}") from error
    stops = [time for time, _, event in _control_events(run) if isinstance(event, StopRequested)]
    return stops[-1] if node.ended else None


def _control_events(run: Path) -> Iterator[tuple[int, int, Event]]:
    path = run / JOURNALS / CONTROL
    if not path.is_dir():
        return
    read = codec.decoder(reduce(or_, ANNOUNCED))
    for body in JournalReader(path).steps():
        _, node_step, now, _, _, _, _, _, encoded, _ = read_step(body)
        yield now, node_step, read(encoded)
