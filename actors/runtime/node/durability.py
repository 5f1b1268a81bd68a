"""The durable side of a node: its data directory, its journals, and resuming from them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from actors.runtime import codec
from actors.runtime.journal.data_directory import CONTROL, DataDirectory
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.steps import StepJournal
from actors.runtime.journal.writer import Journal
from actors.runtime.node.control_log import ControlLog
from actors.runtime.node.halts import NO_ROOM
from actors.runtime.node.sync_gate import SyncGate
from actors.runtime.node.wiring import Wiring
from actors.runtime.ports import Outlet
from actors.runtime.recovery.capture import capture, configuration_changed, segment_header
from actors.runtime.recovery.power_loss import cut_to_fit
from actors.runtime.recovery.recovery import Recovery, RecoveryError, replayed
from actors.runtime.snapshot import ActorSnapshot, decode_snapshot
from actors.runtime.statistics import DurabilityRecord
from actors.runtime.stream import Input

if TYPE_CHECKING:
    from actors.runtime.actor import Actor

log = logging.getLogger("kaiju")

LOOK = 1_000_000_000
"""Nanoseconds of real time between two looks at whether the files of the journals are there."""
FILES = "the files of the journals"
"""Who waits when they are not."""


class NodeDurability:
    """Keeps what a node's durable actors do, and brings them back.

    Args:
        wiring: the node's actors and streams.
        data: the node's directory.
        control: what is announced to all; kept where anything is.
        outlets: all that leaves the node and must wait for the disk.
        disk: does the writing.
        request_stop: ends the run, for the reason that it is given.
    """

    def __init__(
        self,
        wiring: Wiring,
        data: DataDirectory,
        control: ControlLog,
        *,
        outlets: Sequence[Outlet],
        disk: Disk,
        request_stop: Callable[[str], None],
    ) -> None:
        self.data = data
        self.journals: dict[str, StepJournal] = {}
        """By actor."""
        self.actors: list[Actor] = [wiring.actors[name] for name in wiring.durable]
        self.gate = SyncGate(
            wiring.loop,
            outlets,
            wiring.supervisor.halts,
            waits_for_syncs=any(wiring.durable.values()),
        )
        self._commits = self.gate.commits
        self._wiring, self._config = wiring, wiring.config
        self._loop, self._supervisor = wiring.loop, wiring.supervisor
        self._control, self._request_stop = control, request_stop
        self._recovered = self._recovery_time = self._next_look = 0
        self._on_disk: dict[str, Mapping[str, tuple[int, int]]] = {}
        """By actor and stream, the (epoch, position) from which it would go on after a crash."""
        try:
            self._open(disk)
        except BaseException:
            self._commits.close()
            raise

    def _open(self, disk: Disk) -> None:
        control = self._open_journal(CONTROL, disk)
        self._control.keep_in(control, self._commits)
        self.data.begin()  # behind the first lock: another run's directory must stay as it is
        self._put_aside_of_others(disk)
        if self.data.power_lost:
            self._fit_together(disk)
        for actor in self.actors:
            files = self._open_journal(actor.name, disk)
            journal = StepJournal(files, self._commits, partial(self._header, actor))
            self.journals[actor.name] = journal
            for reader in actor.context.readers:
                reader.journal = journal
        if not self.data.power_lost:
            self._refuse_what_is_gone(control)
        self.data.opened()

    def _put_aside_of_others(self, disk: Disk) -> None:
        """Put aside journals of actors that are no longer durable: others went on without them."""
        kept = {CONTROL, *(actor.name for actor in self.actors)}
        gone = [name for name in self.data.file.actors if name not in kept]
        for name in [name for name in gone if name not in self.data.elsewhere]:
            path = self.data.journal_of(name)
            number = 1
            while (aside := path.with_name(f"{name}.{number}")).exists():
                number += 1
            if path.exists():
                log.warning("%s: %s is no longer durable: kept as %s", path, name, aside.name)
                disk.rename(path, aside)

    def _refuse_what_is_gone(self, control: Journal) -> None:
        """Refuse to start empty where something was kept before.

        Raises:
            RecoveryError: a journal, or the file that lists them, is gone.
        """
        journals = {name: journal.files for name, journal in self.journals.items()}
        journals[CONTROL] = control
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
        for actor in self._wiring.actors.values():
            actor.lost_power(fitted.next_seq)

    def recover(self, *, linked: bool) -> Recovery | None:
        """Bring actors back to where their journals end; None where none has begun.

        Args:
            linked: whether the node has links to others, which may know it from before.

        Raises:
            RecoveryError: journals do not fit together, or an actor does not repeat its.
            DamagedFileError: a journal is damaged.
        """
        resumed = linked and self.data.resumed
        if not resumed and not any(journal.number for journal in self.journals.values()):
            return None
        begun = [a for a in self.actors if self.journals[a.name].files.header is not None]
        others = [a for a in self._wiring.actors.values() if a not in begun]
        read_before = {a.name: read for a in others if (read := a.read_before()) is not None}
        began = time.perf_counter_ns()
        recovery = Recovery(
            begun, self.journals, read_before, self._loop, power_lost=self.data.power_lost
        )
        recovery.restore()
        self._control.restore(recovery, self._moved_here())
        self._recovered = recovery.steps
        self._recovery_time = time.perf_counter_ns() - began
        for actor in begun:
            self._on_disk[actor.name] = recovery.positions_of(actor)
            for path, reason in self.journals[actor.name].files.damaged_snapshots.items():
                log.warning("%s: not used, its steps were done again instead: %s", path, reason)
        return recovery

    def replay(self, actor: Actor) -> None:
        """Bring one durable actor to where its journal ends, held steps included.

        Raises:
            RecoveryError: its class no longer takes what its journal was made with.
            DivergedError: it does not do again what its journal holds.
            DamagedFileError: the journal is damaged.
        """
        files = self.journals[actor.name].files
        replayed(actor, files, self._loop, self._commits.held_of(files))

    def _moved_here(self) -> set[str]:
        """Return the actors whose journals were written by another node."""
        headers = {name: journal.files.header for name, journal in self.journals.items()}
        return {
            n for n, header in headers.items() if header and header["node"] != self._config.name
        }

    def begin(self) -> None:
        """Begin a segment for each actor that is new or whose configuration changed."""
        for actor in self.actors:
            files, header = self.journals[actor.name].files, self._header(actor)
            if files.header is None:
                files.begin(header)
            elif configuration_changed(files.header, header):
                self._begin_reconfigured(actor, files, header)
        self._control.begin(self._config.name)
        self.data.begun([CONTROL, *(actor.name for actor in self.actors)])
        self.gate.begin()

    def _begin_reconfigured(self, actor: Actor, files: Journal, header: Mapping[str, Any]) -> None:
        """Begin a segment of another configuration, behind a snapshot that is on disk.

        Raises:
            RecoveryError: the actor's state cannot be kept.
            OSError: the disk does not take it.
        """
        journal = self.journals[actor.name]
        if journal.number:
            try:
                files.save_snapshot(journal.number, codec.encode(_capture(actor, journal)))
            except (OverflowError, TypeError, ValueError) as error:
                raise RecoveryError(
                    f"{actor.name}: its configuration changed, and what it knows cannot be written:"
                    f" {error}. Run it once more with the configuration of before"
                ) from error
        files.begin(header)

    def turn(self) -> None:
        """Do what is due between two slices: write what was held, snapshots, syncs."""
        commits = self._commits
        if (now := time.monotonic_ns()) >= self._next_look:
            self._next_look = now + LOOK
            self._look_for_files()
        if commits.held:
            commits.retry()
            if commits.held_bytes > self._config.max_held:
                self._request_stop(f"{NO_ROOM}, and {commits.held_bytes:,} bytes wait for it")
            return
        for actor in self.actors:
            journal = self.journals[actor.name]
            if journal.snapshot_due:
                self._retain(actor, journal.files)
                self._save_snapshot(actor)
                self._write_positions_of_readers(actor)
        self.gate.turn()

    def _look_for_files(self) -> None:
        """Halt while what is written goes to a file that nobody would find after a crash."""
        lost: OSError | None = None
        try:
            for journal in self._commits.journals:
                journal.refuse_lost_file()
        except OSError as error:
            lost = error
        self._supervisor.halts.wait_for_disk(FILES, lost)

    def statistics(self) -> DurabilityRecord:
        """Return how steps reach the disk, as it is now."""
        commits = self._commits
        return DurabilityRecord(
            {name: journal.files.appended for name, journal in self.journals.items()},
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
        commits = self._commits
        if commits.held:
            commits.retry()
        if commits.held:
            self._give_up(f"{NO_ROOM}: {len(commits.held)} steps were never written")
        elif ended:
            for actor in self.actors:
                self._save_snapshot(actor)
        if not commits.held:
            self.gate.sync()
        commits.close()
        if ended and not commits.held:
            try:
                self.data.end(ended, self._control.stream.next_seq)
            except OSError as error:
                self._supervisor.trouble("noting that the run ended in order", error)

    def _give_up(self, problem: str) -> None:
        log.error("%s", problem)
        self._supervisor.failures.append(problem)
        self.gate.refuse_answers(problem)

    def _open_journal(self, name: str, disk: Disk) -> Journal:
        files = Journal(
            self.data.journal_of(name), disk=disk, segment_bytes=self._config.segment_bytes
        )
        self._commits.journals.append(files)
        if files.torn:
            log.warning(
                "%s: %d bytes of a step that was being written were cut off and kept aside",
                files.directory,
                files.torn,
            )
        return files

    def _header(self, actor: Actor) -> dict[str, Any]:
        return segment_header(actor, node=self._config.name, seed=self._config.seed)

    def _save_snapshot(self, actor: Actor) -> None:
        journal = self.journals[actor.name]
        journal.snapshot_due = False
        if not journal.number or actor.context.inbox.closed:
            return  # a stopped or failed actor has lost its timers; a restart brings them back
        try:
            snapshot = _capture(actor, journal)
            body = codec.encode(snapshot)
        except (OverflowError, TypeError, ValueError) as error:
            self._supervisor.trouble(f"the snapshot of {actor.name}", error)
            return

        def saved() -> None:
            self._on_disk[actor.name] = snapshot.positions

        self._commits.save(journal.files, journal.number, body, saved)

    def _retain(self, actor: Actor, files: Journal) -> None:
        """Delete what is older than wanted, and what nobody would need after a crash either."""
        needs = {
            output: min(
                (self.position_on_disk(r) for r in (*stream.readers, *stream.listeners)),
                default=stream.next_seq,
            )
            for output, stream in actor.context.streams.items()
        }
        needed, retention = 1, self._config.retention
        for segment in files.segments():
            if all(segment.header["next_seq"].get(o, 1) <= seq for o, seq in needs.items()):
                needed = segment.first_step
        try:
            files.retain(
                needed,
                keep_bytes=retention.keep_bytes,
                keep_age_ns=retention.keep_age or 1 << 62,
                now=time.time(),
            )
        except OSError as error:
            self._supervisor.trouble(f"deleting old segments of {actor.name}", error)

    def position_on_disk(self, reader: Input) -> int:
        """Return where a reader would go on after a crash."""
        if reader.journal is None:
            return reader.needs_from
        _, position = self._on_disk.get(reader.owner.name, {}).get(reader.source.name, (0, 1))
        return position

    def _write_positions_of_readers(self, actor: Actor) -> None:
        """Have the positions of an actor's readers written, events that they ignore included."""
        behind = {
            reader.owner.name
            for stream in actor.context.streams.values()
            for reader in stream.readers
            if self.position_on_disk(reader) < reader.needs_from
        }
        for name in sorted(behind):
            if name in self.journals:
                self._save_snapshot(self._wiring.actors[name])


def _capture(actor: Actor, journal: StepJournal) -> ActorSnapshot:
    """Return what the actor knows; its state as the code wrote it that did the last step.

    So a state that other code wrote is compared with what that code did, whoever went on from it.
    """
    memory = capture(actor, step=journal.number, node_step=journal.node_step, now=journal.now)
    if journal.number in journal.files.snapshot_steps():
        step, body = journal.files.newest_snapshot() or (0, b"")
        if step == journal.number:
            kept = decode_snapshot(body).state
            if codec.encode(codec.decoder(actor.State)(kept)) == bytes(memory.state):
                memory.state = kept
    return memory
