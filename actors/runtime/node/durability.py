"""The durable side of a node: its data directory, its journals, and going on from them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from actors.events.event import Event
from actors.events.system import HaltTrading, ResumeTrading, StopRequested
from actors.runtime.envelope import Envelope
from actors.runtime.journal.commits import Commits
from actors.runtime.journal.data_directory import CONTROL, DataDirectory
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.steps import StepJournal, read_step
from actors.runtime.journal.writer import Journal
from actors.runtime.node.supervision import NO_ROOM
from actors.runtime.ports import Outlet
from actors.runtime.recovery.capture import capture, configuration_changed, segment_header
from actors.runtime.recovery.power_loss import cut_to_fit
from actors.runtime.recovery.recovery import Recovery, RecoveryError
from actors.runtime.ref import ActorDeadError
from actors.runtime.schema import schema_table
from actors.runtime.snapshot import ActorSnapshot, encode
from actors.runtime.statistics import DurabilityRecord
from actors.runtime.stream import Input, Stream

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.node.node import Node

log = logging.getLogger("kaiju")

JOURNAL: Final = "the journal"
"""Who waits when the disk does not take a step."""


class Retention(NamedTuple):
    """How much of each journal is kept beyond what recovery and readers need."""

    keep_bytes: int
    keep_age: int
    """Nanoseconds since a file was last written; 0 for any age."""


EVERYTHING: Final = Retention(1 << 62, 0)


class NodeDurability:
    """Keeps what a node's durable actors do, and brings them back.

    Args:
        node: whose archive it is; its actors are wired.
        data: its directory.
        durable: (actor, whether ports wait for its syncs) of those that are kept.
        control: the node's control stream.
        disk: does the writing.
        segment_bytes: of journal after which a snapshot is taken.
        retention: how much of a journal is kept.
        most_held: bytes of steps that may wait for a disk which refuses them.
    """

    def __init__(
        self,
        node: Node,
        data: DataDirectory,
        durable: Mapping[str, bool],
        control: Stream,
        control_classes: Iterable[type[Event]],
        *,
        disk: Disk,
        seed: int,
        segment_bytes: int,
        retention: Retention,
        most_held: int,
    ) -> None:
        self.data = data
        self._node, self._loop = node, node.loop
        self._control, self._control_classes = control, tuple(control_classes)
        self._seed = seed
        self._retention = retention
        self._most_held = most_held
        self.commits = Commits(self._trouble, self._room)
        self.syncs = any(durable.values())
        """Whether ports and answers wait until what they speak of is synced."""
        self._synced_steps = 0
        self._recovered = self._recovery_time = 0
        self._on_disk: dict[str, Mapping[str, tuple[int, int]]] = {}
        """By actor and stream, the (epoch, position) from which it would go on after a crash."""
        self._answers: list[tuple[Any, Any]] = []
        self.actors: list[Actor] = [node.actors[name] for name in durable]
        try:
            self._control_journal = self._open(CONTROL, disk, segment_bytes)
            data.begin()  # behind the first lock: another run's directory must stay as it is
            self._put_aside_of_others(disk)
            if data.power_lost:
                self._fit_together(disk)
            for actor in self.actors:
                files = self._open(actor.name, disk, segment_bytes)
                actor.journal = StepJournal(files, self.commits, partial(self._header, actor))
                for reader in actor.readers:
                    reader.journal = actor.journal
            if not data.power_lost:
                self._refuse_what_is_gone()
            data.opened()
        except BaseException:
            self.commits.close()
            raise

    def _put_aside_of_others(self, disk: Disk) -> None:
        """Put aside journals of actors that are durable no more: others went on without them."""
        kept = {CONTROL, *(actor.name for actor in self.actors)}
        gone = [name for name in self.data.file.actors if name not in kept]
        for name in [name for name in gone if name not in self.data.elsewhere]:
            path = self.data.journal_of(name)
            number = 1
            while (aside := path.with_name(f"{name}.{number}")).exists():
                number += 1
            if path.exists():
                log.warning("%s: %s is not durable any more: kept as %s", path, name, aside.name)
                disk.rename(path, aside)

    def _refuse_what_is_gone(self) -> None:
        """Refuse to begin anew in silence what was there before.

        Raises:
            RecoveryError: a journal, or what says whose there are, is gone.
        """
        journals = {actor.name: actor.journal.files for actor in self.actors if actor.journal}
        journals[CONTROL] = self._control_journal
        gone = [
            name for name in self.data.file.actors if name in journals and not journals[name].header
        ]
        if gone:
            raise RecoveryError(
                f"{self.data.journal_of(gone[0])}: the journal that was here is gone, so what"
                f" {gone[0]} knew is lost. Put it back, or begin with an empty directory"
            )
        alone = self.data.shared is None
        if alone and not self.data.resumed and any(journal.header for journal in journals.values()):
            raise RecoveryError(
                f"{self.data.directory}: there are journals, but the node.json that belongs to them"
                " is gone, and with it the session of all order ids. Put it back, or begin with an"
                " empty directory"
            )

    def _fit_together(self, disk: Disk) -> None:
        names = [CONTROL, *(actor.name for actor in self.actors)]
        fitted = cut_to_fit({name: self.data.journal_of(name) for name in names}, disk)
        for name, steps in fitted.put_aside.items():
            log.warning(
                "%s: the machine lost power: %d steps that others no longer have were put aside",
                self.data.journal_of(name),
                steps,
            )
        for actor in self._node.actors.values():
            actor.lost_power(fitted.next_seq)

    @property
    def outlets(self) -> list[Outlet]:
        """All that leaves the node and must wait for the disk."""
        return self._node.outlets

    def recover(self) -> Recovery | None:
        """Bring actors back to where their journals end; None where none has begun.

        Raises:
            RecoveryError: journals do not fit together, or an actor does not repeat its.
            DamagedFileError: a journal is damaged.
        """
        went_on = self._node.links is not None and self.data.resumed
        if not went_on and not any(a.journal and a.journal.number for a in self.actors):
            return None
        begun = [a for a in self.actors if a.journal and a.journal.files.header is not None]
        others = [a for a in self._node.actors.values() if a not in begun]
        read_before = {a.name: read for a in others if (read := a.read_before()) is not None}
        began = time.perf_counter_ns()
        recovery = Recovery(begun, read_before, self._loop, power_lost=self.data.power_lost)
        recovery.restore()
        self._restore_control(recovery)
        self._recovered = recovery.steps
        self._recovery_time = time.perf_counter_ns() - began
        for actor in begun:
            self._on_disk[actor.name] = recovery.positions_of(actor)
            self._warn_of_snapshots(actor)
        return recovery

    def _warn_of_snapshots(self, actor: Actor) -> None:
        assert actor.journal is not None
        for path, reason in actor.journal.files.damaged_snapshots.items():
            log.warning("%s: not used, its steps were done again instead: %s", path, reason)

    def begin(self) -> None:
        """Begin a segment for each actor that is new or is made otherwise than before."""
        for actor in self.actors:
            assert actor.journal is not None
            files, header = actor.journal.files, self._header(actor)
            if files.header is None:
                files.begin(header)
            elif configuration_changed(files.header, header):
                self._begin_otherwise(actor, files, header)
        if self._control_journal.header is None:
            self._control_journal.begin(self._control_header())
        self.data.begun([CONTROL, *(actor.name for actor in self.actors)])
        self._synced_steps = self._loop.steps

    def _begin_otherwise(self, actor: Actor, files: Journal, header: Mapping[str, Any]) -> None:
        """Begin a segment of other makings, behind a snapshot that is on disk.

        Raises:
            RecoveryError: the actor's state cannot be kept.
            OSError: the disk does not take it.
        """
        assert actor.journal is not None
        if actor.journal.number:
            try:
                body = encode(self._capture(actor, actor.journal))
                files.save_snapshot(actor.journal.number, body)
            except (OverflowError, TypeError, ValueError) as error:
                raise RecoveryError(
                    f"{actor.name} is made otherwise than before, and what it knows cannot be"
                    f" written: {error}. Run it once more as it was made before"
                ) from error
        files.begin(header)

    def keep_control(self, envelope: Envelope) -> None:
        """Write what is announced to all, before anyone hears of it."""
        number = envelope.id[2]
        about = (envelope.id, envelope.cause, envelope.root, envelope.time)
        body = (number, self._loop.steps, self._loop.now, *about, 0, envelope.event, ((), ()))
        self.commits.append(self._control_journal, encode(body))

    def turn(self) -> None:
        """Do what is due between two slices: write what was held, snapshots, syncs."""
        commits = self.commits
        if commits.held:
            commits.retry()
            if commits.held_bytes > self._most_held:
                self._node.request_stop(f"{NO_ROOM}, and {commits.held_bytes:,} bytes wait for it")
            return
        for actor in self.actors:
            if actor.journal is not None and actor.journal.snapshot_due:
                self._retain(actor, actor.journal.files)
                self._save_snapshot(actor)
                self._write_positions_of_readers(actor)
        if self.syncs and (self._loop.steps != self._synced_steps or self._answers):
            self._sync()

    def answer(self, waiting: Any, value: Any) -> None:
        """Answer an `ask`, once its step is as safe as the node promises."""
        if self.syncs or self.commits.held:
            self._answers.append((waiting, value))
        else:
            waiting.answer(value)

    def statistics(self) -> DurabilityRecord:
        """Return how steps reach the disk, as it is now."""
        commits = self.commits
        return DurabilityRecord(
            {a.name: a.journal.files.appended for a in self.actors if a.journal is not None},
            commits.written,
            commits.synced,
            len(commits.held),
            commits.sync_time,
            self._recovered,
            self._recovery_time,
        )

    def close(self, ended: str) -> None:
        """Sync everything and close; with last snapshots where the run ended in order.

        What the disk never took is lost: it is as if the run had been killed when that began.

        Args:
            ended: why it did; empty where it was broken off, maybe in the middle of a step.
        """
        commits = self.commits
        if commits.held:
            commits.retry()
        if commits.held:
            self._give_up(f"{NO_ROOM}: {len(commits.held)} steps were never written")
        elif ended:
            for actor in self.actors:
                self._save_snapshot(actor)
        if self.syncs and not commits.held:
            self._sync()
        commits.close()
        if ended and not commits.held:
            try:
                self.data.end(ended, self._control.next_seq)
            except OSError as error:
                self._node.supervisor.trouble("noting that the run ended in order", error)

    def _give_up(self, problem: str) -> None:
        log.error("%s", problem)
        self._node.supervisor.failures.append(problem)
        for waiting, _ in self._answers:
            waiting.fail(ActorDeadError(problem))
        self._answers.clear()

    def _open(self, name: str, disk: Disk, segment_bytes: int) -> Journal:
        files = Journal(self.data.journal_of(name), disk=disk, segment_bytes=segment_bytes)
        self.commits.journals.append(files)
        if files.torn:
            log.warning(
                "%s: %d bytes of a step that was being written were cut off and kept aside",
                files.directory,
                files.torn,
            )
        return files

    def _header(self, actor: Actor) -> dict[str, Any]:
        return segment_header(actor, node=self._node.name, seed=self._seed)

    def _control_header(self) -> dict[str, Any]:
        return {
            "journal": 1,
            "node": self._node.name,
            "actor": CONTROL,
            "epoch": self._control.epoch,
            "next_seq": {"announced": self._control.next_seq},
            "schema": schema_table(self._control_classes),
        }

    def _save_snapshot(self, actor: Actor) -> None:
        journal = actor.journal
        assert journal is not None
        journal.snapshot_due = False
        if not journal.number or actor.inbox.closed:
            return  # who was stopped or failed has no timers any more; a restart brings them back
        try:
            memory = self._capture(actor, journal)
            body = encode(memory)
        except (OverflowError, TypeError, ValueError) as error:
            self._node.supervisor.trouble(f"the snapshot of {actor.name}", error)
            return

        def saved() -> None:
            self._on_disk[actor.name] = memory.positions

        self.commits.save(journal.files, journal.number, body, saved)

    def _capture(self, actor: Actor, journal: StepJournal) -> ActorSnapshot:
        return capture(actor, step=journal.number, node_step=journal.node_step, now=journal.now)

    def _retain(self, actor: Actor, files: Journal) -> None:
        """Delete what is older than wanted, and what nobody would need after a crash either."""
        needs = {
            output: min(
                (self.position_on_disk(r) for r in (*stream.readers, *stream.listeners)),
                default=stream.next_seq,
            )
            for output, stream in actor.streams.items()
        }
        needed = 1
        for segment in files.segments():
            if all(segment.header["next_seq"].get(o, 1) <= seq for o, seq in needs.items()):
                needed = segment.first_step
        try:
            files.retain(
                needed,
                keep_bytes=self._retention.keep_bytes,
                keep_age_ns=self._retention.keep_age or 1 << 62,
                now=time.time(),
            )
        except OSError as error:
            self._node.supervisor.trouble(f"deleting old segments of {actor.name}", error)

    def position_on_disk(self, reader: Input) -> int:
        """Return where a reader would go on after a crash."""
        if reader.journal is None:
            return reader.needs_from
        _, position = self._on_disk.get(reader.actor.name, {}).get(reader.source.name, (0, 1))
        return position

    def _write_positions_of_readers(self, actor: Actor) -> None:
        """Have it written how far the readers of an actor are, even over what they ignore."""
        behind = {
            reader.actor.name
            for stream in actor.streams.values()
            for reader in stream.readers
            if self.position_on_disk(reader) < reader.needs_from
        }
        for name in sorted(behind):
            if self._node.actors[name].journal is not None:
                self._save_snapshot(self._node.actors[name])

    def _sync(self) -> None:
        """Let out what was written until now, once it is synced."""
        self._synced_steps = self._loop.steps
        limits = [(outlet, outlet.reader.stream.next_seq) for outlet in self.outlets]
        answers, self._answers = self._answers, []

        def leave() -> None:
            for outlet, limit in limits:
                outlet.synced = limit
                outlet.wake()
            for waiting, value in answers:
                waiting.answer(value)

        self.commits.when_synced(leave)

    def _trouble(self, error: OSError) -> None:
        if self.syncs:
            self._sync()
        for outlet in self.outlets:
            outlet.hold()
        self._node.supervisor.wait_for_disk(JOURNAL, error)

    def _room(self) -> None:
        if self.syncs:
            self._sync()
        for outlet in self.outlets:
            outlet.release()
        for waiting, value in self._answers:
            waiting.answer(value)
        self._answers.clear()
        self._node.supervisor.wait_for_disk(JOURNAL, None)

    def _restore_control(self, recovery: Recovery) -> None:
        control, queue = self._control, self._loop.queue
        read = msgspec.msgpack.Decoder(reduce(or_, self._control_classes)).decode
        for body in self._control_journal.steps():
            _, _, _, place, cause, root, time, _, event, _ = read_step(body)
            control.tail.append(Envelope(place, cause, root, time, read(event)))
            control.next_seq += 1
        # Who begins anew has not heard why trading is halted; what else was said is of the past.
        first_halt = min((e.id[2] for e in self._in_force()), default=control.next_seq)
        for reader in control.readers:
            actor = recovery.actors.get(reader.actor.name)
            if actor is not None and self._comes_from_elsewhere(actor):
                actor = None  # what it has read of control was another node's
            known = None if actor is None else recovery.position_of(actor, control.name)
            reader.position = reader.began = first_halt if known is None else known
        for envelope in control.tail:
            for reader in reversed(control.readers):
                if reader.position <= envelope.id[2]:
                    queue.appendleft(reader)

    def _comes_from_elsewhere(self, actor: Actor) -> bool:
        assert actor.journal is not None
        header = actor.journal.files.header
        return header is not None and header["node"] != self._node.name

    def stop_in_progress(self) -> Envelope | None:
        """Return the announcement of a stop that the run before did not come to the end of."""
        for envelope in reversed(self._control.tail):
            if isinstance(envelope.event, StopRequested):
                return envelope if envelope.id[2] >= self.data.file.control else None
        return None

    def halts(self) -> list[str]:
        """Return why trading was halted when the run before ended; empty if it was not."""
        reasons = [e.event.reason for e in self._in_force() if isinstance(e.event, HaltTrading)]
        return list(dict.fromkeys(reasons))

    def _in_force(self) -> list[Envelope]:
        """Return the halts that nobody lifted."""
        found: list[Envelope] = []
        for envelope in self._control.tail:
            if isinstance(envelope.event, HaltTrading):
                found.append(envelope)
            elif isinstance(envelope.event, ResumeTrading):
                found.clear()
        return found
