"""An actor outside of any node, built from its journal, that repeats its steps.

A segment's header holds all that its steps depend on besides the actor's memory, so nothing else is
needed: no topology file, no other actor, no clock. A segment written with other settings or other
code than the one before continues with the memory of the actor at its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

from pydantic import ValidationError

from actors.runtime.actor import Actor
from actors.runtime.errors import ExitCode, KaijuError
from actors.runtime.journal.segments import JournalFiles, Segment
from actors.runtime.moved import present_path
from actors.runtime.node.config import NodeConfig
from actors.runtime.node.node import Node
from actors.runtime.recovery.configuration import configure
from actors.runtime.recovery.replay import JournalReplay
from actors.runtime.snapshot import ActorSnapshot, decode_snapshot
from topology.config.class_loader import load_class

FORMAT = 1
"""Version of the headers that can be understood, their key ``journal``."""
ITS_OWN = {"first_step", "previous", "epoch", "next_seq"}
"""Keys that differ between two segments of an actor that was not changed."""


class CannotRepeatError(KaijuError):
    """The steps of a journal cannot be repeated; the text says why."""

    exit_code = ExitCode.MISUSED


class IsolatedActor:
    """One actor that repeats the steps of its journal.

    Args:
        journal: the actor's.

    Raises:
        CannotRepeatError: the journal has no steps.
    """

    def __init__(self, journal: JournalFiles) -> None:
        segments = journal.segments()
        if not segments or journal.last_step < segments[0].first_step:
            raise CannotRepeatError(f"{journal.directory}: there are no steps")
        self.last_step = journal.last_step
        self._journal = journal
        ends = [after.first_step - 1 for _, after in pairwise(segments)]
        self._segments = list(zip(segments, [*ends, self.last_step], strict=True))
        """Each with its last step."""
        self._segment = segments[0]
        """The one whose configuration the actor has."""
        self._replay: JournalReplay | None = None
        self._bodies: Iterator[bytes] = iter(())

    @property
    def replay(self) -> JournalReplay:
        """What repeats the steps, with the class and the settings of the last one."""
        assert self._replay is not None, "begin first"
        return self._replay

    @property
    def actor(self) -> Actor:
        """The actor itself."""
        return self.replay.actor

    @property
    def same_until(self) -> int:
        """The last step before the code or the settings of the actor change again."""
        now = _configuration(self._segment)
        later = (s for s, last in self._segments if last > self.replay.step)
        changed = (s.first_step for s in later if _configuration(s) != now)
        return next(changed, self.last_step + 1) - 1

    def start(self) -> None:
        """Begin with the first step, or with the oldest snapshot where that is no longer kept.

        Raises:
            CannotRepeatError: there is nothing to begin with, or the actor cannot be built.
        """
        if self._holds_the_first_step:
            self._begin(None)
            return
        steps = self._journal.snapshot_steps()
        found = (self._journal.newest_snapshot(step) for step in steps)
        self._begin(self._wanted(next((body for body in found if body), None), self.last_step))

    def start_near(self, step: int) -> None:
        """Begin with the newest snapshot at or before `step`, or with the first step.

        Raises:
            CannotRepeatError: there is nothing to begin with, or the actor cannot be built.
        """
        found = self._journal.newest_snapshot(step)
        if found is None and self._holds_the_first_step:
            self._begin(None)
        else:
            self._begin(self._wanted(found, step))

    def advance(self, to: int) -> None:
        """Repeat all steps up to `to`.

        Raises:
            DivergedError: a step had other outputs or timers, or raised.
            CannotRepeatError: the actor cannot be built as it was then.
            DamagedFileError: the journal is damaged.
            msgspec.ValidationError: its own state is not one of its class.
        """
        for segment, last in self._segments:
            if self.replay.step < min(last, to):
                if _configuration(segment) != _configuration(self._segment):
                    self._make(segment, self.replay.snapshot())
                self.replay.run(islice(self._bodies, min(last, to) - self.replay.step))

    def rebuild(self, snapshot: ActorSnapshot | None = None) -> None:
        """Rebuild the actor with nothing but what a snapshot would hold, or with `snapshot`.

        Raises:
            msgspec.ValidationError: that is no state of its class.
        """
        self._make(self._segment, snapshot or self.replay.snapshot())

    @property
    def _holds_the_first_step(self) -> bool:
        return self._segments[0][0].first_step == 1

    def _wanted(self, found: tuple[int, bytes] | None, step: int) -> bytes:
        if found is not None:
            return found[1]
        first = self._segments[0][0].first_step
        raise CannotRepeatError(
            f"{self._journal.directory}: the steps before {first:,} are not kept any more, and no"
            f" whole snapshot is up to step {step:,}"
        )

    def _begin(self, snapshot: bytes | None) -> None:
        memory = None if snapshot is None else decode_snapshot(snapshot)
        step = 0 if memory is None else memory.step
        segment = next((s for s, last in self._segments if last > step), self._segments[-1][0])
        self._make(segment, memory)
        if memory is None:
            self.replay.begin_empty(segment.header["inputs"])
        self._bodies = self._journal.steps(after=step)

    def _make(self, segment: Segment, memory: ActorSnapshot | None) -> None:
        header = segment.header
        if header.get("journal") != FORMAT:
            raise CannotRepeatError(
                f"{segment.path}: the format of its header is {header.get('journal')!r}, this"
                f" program reads {FORMAT}"
            )
        try:
            node = Node(NodeConfig(header["node"], seed=header["seed"], session=header["session"]))
            actor_class = load_class(present_path(header["class"]))
            actor = node.add(header["actor"], actor_class, header["settings"])
            configure(actor, header)
        except KeyError as error:
            raise CannotRepeatError(f"{segment.path}: its header lacks {error}") from error
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise CannotRepeatError(f"{segment.path}: settings: {'; '.join(wrong)}") from error
        except (ImportError, ValueError) as error:
            raise CannotRepeatError(f"{segment.path}: {error}") from error
        self._segment, self._replay = segment, JournalReplay(actor, node.loop, self._journal)
        if memory is not None:
            self._replay.restore(memory)


def _configuration(segment: Segment) -> dict[str, Any]:
    return {key: value for key, value in segment.header.items() if key not in ITS_OWN}
