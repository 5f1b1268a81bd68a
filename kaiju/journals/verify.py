"""Repeat the steps of a run's actors from their journals, and compare the outcome.

Each actor is built alone from its journal and gets its inputs again. The outputs and timers of each
step are compared, and at each snapshot the whole memory of the actor. What an actor knows beyond
its State, settings and inputs is lost in a crash, so it is lost here too: the actor is rebuilt from
its memory after 1, 2, 4, 8 and so on steps and at each snapshot, and its first steps are repeated
twice, because modules and classes remember as well.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from actors.runtime import codec
from actors.runtime.journal.data_directory import CONTROL
from actors.runtime.journal.frames import DamagedFileError
from actors.runtime.journal.segments import JournalReader
from actors.runtime.recovery.replay import DivergedError
from actors.runtime.snapshot import ActorSnapshot, decode_snapshot
from kaiju.journals.catalog import journal_of, journals_in
from kaiju.journals.common_fields import common_fields
from kaiju.journals.isolated_actor import CannotRepeatError, IsolatedActor
from kaiju.journals.values import Differing, first_difference

DONE_TWICE = 1_000
"""Number of first steps that are repeated twice."""
COMPARED = ("state", "rng", "timers", "timer_id", "next_seq", "started")
"""The parts of a memory that follow from the steps, as in `ActorSnapshot.digest`."""


@dataclass(frozen=True)
class Difference:
    """The first step after which an actor differed from its journal."""

    node_step: int
    text: str
    """Actor, step and both sides."""


@dataclass(frozen=True)
class Verdict:
    """The outcome for one journal.

    Attributes:
        actor: whose journal it is.
        steps: number repeated, or only read where the journal is the node's own.
        snapshots: number compared.
        digest: of the actor's memory at the end, in hexadecimal; empty where the end was not
            reached, or where the journal is the node's own.
        difference: None where there is none.
        trouble: why the actor could not be verified; empty where it could.
    """

    actor: str
    steps: int
    snapshots: int
    digest: str
    difference: Difference | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Verification:
    """The outcome for all journals of a run.

    Attributes:
        verdicts: of the journals, in the order of their names.
        seconds: real time that it took.
    """

    verdicts: tuple[Verdict, ...]
    seconds: float

    @property
    def steps(self) -> int:
        """Steps repeated, of all actors."""
        return sum(verdict.steps for verdict in self.verdicts if verdict.actor != CONTROL)

    @property
    def first_difference(self) -> Difference | None:
        """The one that came first on the node; None where there is none."""
        found = (verdict.difference for verdict in self.verdicts if verdict.difference)
        return min(found, key=lambda difference: difference.node_step, default=None)

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why actors could not be verified."""
        return tuple(verdict.trouble for verdict in self.verdicts if verdict.trouble)

    @property
    def equal(self) -> bool:
        """Whether everything was repeated and nothing differed."""
        return self.first_difference is None and not self.troubles

    @property
    def digest(self) -> str:
        """Digest of the memories of all actors at the end, in hexadecimal."""
        known = (f"{verdict.actor} {verdict.digest}\n" for verdict in self.verdicts)
        return sha256("".join(known).encode()).hexdigest()

    @property
    def summary(self) -> str:
        """One line if all is equal, else the first difference and all troubles."""
        if self.equal:
            number = sum(verdict.actor != CONTROL for verdict in self.verdicts)
            actors = "1 actor" if number == 1 else f"{number} actors"
            return f"HASH EQUAL: {actors}, {self.steps:,} steps"
        said = [f"NOT VERIFIED: {trouble}" for trouble in self.troubles]
        if self.first_difference is not None:
            said.append(f"DIFFERENT: {self.first_difference.text}")
        return "\n".join(said)


def verify(source: Path, actors: Collection[str] = ()) -> Verification:
    """Repeat the steps of a run from its journals, and compare.

    Args:
        source: a run's directory, or that of one journal.
        actors: whose journals; none for all.

    Raises:
        NoJournalError: there is no journal, or none of these actors.
    """
    began = time.perf_counter()
    paths = [journal_of(source, name) for name in actors] or journals_in(source)
    verdicts = tuple(_verdict(path) for path in paths)
    return Verification(verdicts, time.perf_counter() - began)


def _verdict(path: Path) -> Verdict:
    check = _Check(path)
    digest, difference, trouble = "", None, ""
    try:
        digest = check.run()
    except DivergedError as error:
        difference = Difference(error.node_step, str(error))
    except _OtherMemoryError as error:
        difference = error.difference
    except (CannotRepeatError, DamagedFileError, OSError) as error:
        trouble = str(error)
    except (msgspec.MsgspecError, OverflowError, TypeError) as error:
        trouble = f"{path.name}: its memory after step {check.steps:,} cannot be kept: {error}"
    return Verdict(path.name, check.steps, check.snapshots, digest, difference, trouble)


class _OtherMemoryError(Exception):
    """An actor's memory differed from its snapshot."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.text)
        self.difference = difference


class _Check:
    """Verifies one journal.

    Args:
        path: its directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.steps = self.snapshots = 0

    def run(self) -> str:
        """Repeat all steps and return the digest at the end."""
        journal = JournalReader(self.path)
        if self.path.name == CONTROL:
            self.steps = sum(1 for _ in journal.steps(journal.segments()[0].first_step - 1))
            return ""
        isolated = IsolatedActor(journal)
        isolated.start()
        begun = isolated.replay.step
        # Other code, later, went on from what a snapshot holds, which may be less.
        isolated.advance(min(begun + DONE_TWICE, isolated.same_until))
        isolated.start()
        snapshots = {
            step for step in journal.snapshot_steps() if begun < step <= isolated.last_step
        }
        for stop in sorted(snapshots | _renewals(begun, isolated.last_step)):
            isolated.advance(stop)
            self.steps = stop - begun
            isolated.rebuild(self._compare(journal, isolated, stop) if stop in snapshots else None)
        if journal.damaged_snapshots:
            raise CannotRepeatError("\n".join(journal.damaged_snapshots.values()))
        return isolated.replay.snapshot().digest()

    def _compare(
        self, journal: JournalReader, isolated: IsolatedActor, step: int
    ) -> ActorSnapshot | None:
        """Compare the memory of the actor with the snapshot of `step`.

        Returns:
            The snapshot where older code wrote it, which knew other fields: whoever went on from
            it knew no more than it says. None where all of it is compared.
        """
        found = journal.newest_snapshot(step)
        if found is None or found[0] != step:
            return None  # it is damaged, which the journal notes
        self.snapshots += 1
        stored, again = decode_snapshot(found[1]), _written(isolated.replay.snapshot())
        for output in again.next_seq.keys() - stored.next_seq.keys():
            if again.next_seq[output] == 1:  # it came with a later version, and nothing on it
                del again.next_seq[output]
        if stored.digest() == again.digest():
            return None
        states = common_fields(again.state, stored.state, isolated.actor.State)
        again.state, stored.state = map(msgspec.Raw, states)
        if stored.digest() != again.digest():
            place, expected, other = _difference(isolated, stored, again)
            text = (
                f"{self.path.name}: after step {step:,}, {place} is not what the snapshot holds.\n"
                f"  snapshot: {expected}\n  again:    {other}"
            )
            raise _OtherMemoryError(Difference(stored.node_step, text))
        return decode_snapshot(found[1])


def _renewals(begun: int, last: int) -> set[int]:
    """Return the steps after which an actor is rebuilt from its memory."""
    doubled = (begun + 2**power for power in range((last - begun).bit_length()))
    return {last, *doubled}


def _written(memory: ActorSnapshot) -> ActorSnapshot:
    return decode_snapshot(codec.encode(memory))


def _difference(isolated: IsolatedActor, stored: ActorSnapshot, again: ActorSnapshot) -> Differing:
    """Return where two memories with different digests differ."""
    for part in COMPARED:
        one, other = getattr(stored, part), getattr(again, part)
        if part == "state":
            kind = isolated.actor.State
            one = codec.decoder(kind)(one)
            other = codec.decoder(kind)(other)
        differing = first_difference(one, other, part)
        if differing is not None:
            return differing
    return Differing("its memory", "written otherwise", "written otherwise")
