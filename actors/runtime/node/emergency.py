"""The emergency thread of a node: serves the operator, and acts where the loop no longer does.

It is the only thread beside the loop with authority over trading. A loop that has stopped turning,
or does not take a command to stop, is taken for dead: the ports are closed to everything but
cancels, KILL is written, what is open is canceled on connections of this thread's own, and the
process ends. Only then nothing that the loop might still do can reach a venue.

What holds the interpreter lock stops this thread, too. Against that there is a timer of
faulthandler that the loop sets anew; a file that it wrote into says KILL at the next start.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.events.durations import MILLISECOND, SECOND
from actors.events.system import OperatorCommand
from actors.runtime.actor import Actor
from actors.runtime.errors import ExitCode
from actors.runtime.journal.disk import Disk
from actors.runtime.node.admin_socket import AdminRequest, AdminSocket
from actors.runtime.node.kill import STUCK_FILE, Kill, KillFile, keep_stuck
from actors.runtime.node.node import Node
from actors.runtime.node.operator_commands import STOPS, CommandAnswer, CommandBody

log = logging.getLogger("kaiju")

TICK: Final = 25 * MILLISECOND
"""Nanoseconds between two looks at the loop."""
NOT_TAKEN: Final = 300 * MILLISECOND
"""Nanoseconds within which a running loop takes a command to stop."""
LOCK_TIMEOUT: Final = 10.0
"""Seconds without a turn of the loop after which the process ends, whatever it does."""
REARMED_EVERY: Final = SECOND
SWITCH_INTERVAL: Final = 0.0005
"""Seconds after which another thread lets this one run, once there is an emergency."""
CANCEL_WITHIN: Final = 5.0
"""Seconds for canceling what is open at one venue."""
SAID_WITHIN: Final = 1.0
"""Seconds for saying what was done."""


class _Pending:
    """A command that waits for its effect."""

    def __init__(self, request: AdminRequest, body: CommandBody) -> None:
        arguments = tuple(sorted(body.arguments.items()))
        self.request, self.wait = request, int(body.wait * SECOND)
        self.command = OperatorCommand(
            body.command_id, body.command, arguments, request.who, body.why
        )
        self.waited = 0
        """Nanoseconds, in looks at the loop: a process that stands still waits for nothing."""
        self.taken = self.asked = False
        self.refused = ""
        self.missing = "the node has not taken it"


class EmergencyThread:
    """Serves a node's admin socket and watches its loop, while the node runs.

    Args:
        node: not running yet.
        directory: of the node, in which it says where its socket is.
        shows: what may be asked for, by path; each is called on the loop's thread.
        loop_timeout: nanoseconds without a turn after which the loop is dead; 0 for any.
    """

    def __init__(
        self,
        node: Node,
        directory: Path,
        shows: Mapping[str, Callable[[], bytes]],
        *,
        loop_timeout: int,
    ) -> None:
        self._node, self._directory, self._shows = node, directory, shows
        self._loop_timeout = 0 if node.clock.virtual else loop_timeout
        self._socket: AdminSocket | None = None
        self._pending = list[_Pending]()
        self._closing = threading.Event()
        self._turns, self._stood = 0, 0
        self._stuck: Any = None
        self._next_arm = 0
        self._thread = threading.Thread(target=self._run, name="emergency", daemon=True)

    def open(self) -> None:
        """Begin to serve; the directory is this process's own now.

        Raises:
            OSError: there is no place for a socket.
        """
        self._socket = AdminSocket(self._directory)
        if self._loop_timeout:
            keep_stuck(self._directory, KillFile(self._directory, Disk()))
            self._stuck = (self._directory / STUCK_FILE).open("wb")
        self._thread.start()

    def close(self) -> None:
        """Serve nobody any more; it may never have been opened."""
        if self._socket is None:
            return
        self._closing.set()
        self._thread.join()
        self._socket.close()
        if self._stuck is not None:
            faulthandler.cancel_dump_traceback_later()
            self._stuck.close()
            (self._directory / STUCK_FILE).unlink(missing_ok=True)

    def rearm(self) -> None:
        """Put off the end of a process whose interpreter lock is held; on the loop's thread."""
        if self._stuck is not None and (now := time.monotonic_ns()) >= self._next_arm:
            self._next_arm = now + REARMED_EVERY
            faulthandler.dump_traceback_later(LOCK_TIMEOUT, exit=True, file=self._stuck)

    def _run(self) -> None:
        assert self._socket is not None
        try:
            looked = time.monotonic_ns()
            while not self._closing.is_set():
                for request in self._socket.poll(TICK / SECOND):
                    self._begin(request)
                now = time.monotonic_ns()
                # A process that was stopped, or starved, is not one whose loop alone stands still.
                self._look(min(now - looked, 2 * TICK))
                looked = now
            self._answer_all("the node has stopped")
            self._socket.poll(0)
        except Exception as error:
            log.exception("the emergency thread failed; the node ends")
            self._node.request_stop(f"the emergency thread failed: {error}")

    def _begin(self, request: AdminRequest) -> None:
        if request.method == "GET" and (show := self._shows.get(request.path)) is not None:
            self._node.call(partial(_show, request, show))
        elif (request.method, request.path) == ("POST", "/command"):
            try:
                body = msgspec.json.decode(request.body, type=CommandBody)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                request.answer(HTTPStatus.BAD_REQUEST, msgspec.json.encode(str(error)))
                return
            pending = _Pending(request, body)
            self._pending.append(pending)
            self._node.call(partial(self._take, pending))
        else:
            request.answer(HTTPStatus.NOT_FOUND, msgspec.json.encode(request.path))

    def _take(self, pending: _Pending) -> None:
        pending.refused = self._node.operator.take(pending.command)
        pending.missing = "" if pending.refused else self._node.operator.missing(pending.command)
        pending.taken = True

    def _ask(self, pending: _Pending) -> None:
        pending.missing = self._node.operator.missing(pending.command)
        pending.asked = False

    def _look(self, passed: int) -> None:
        turns = self._node.turns
        if turns < 0:
            faulthandler.cancel_dump_traceback_later()
            self._answer_all("the node is stopping")
            return
        self._stood = self._stood + passed if turns == self._turns else 0
        self._turns = turns
        watched = bool(self._loop_timeout and turns)
        if watched and self._stood > self._loop_timeout:
            seconds = self._loop_timeout / SECOND
            self._end_process(f"the loop made no turn for {seconds:g} s")
        for pending in list(self._pending):
            pending.waited += passed
            stop = pending.command.command in STOPS
            if watched and stop and not pending.taken and pending.waited > NOT_TAKEN:
                taken = f"the loop did not take {pending.command.command} within 0.3 s"
                self._end_process(taken, pending)
            self._see_through(pending)

    def _see_through(self, pending: _Pending) -> None:
        done = pending.taken and not pending.missing
        if done or pending.waited > pending.wait:
            self._pending.remove(pending)
            self._answer(pending)
        elif pending.taken and not pending.asked:
            pending.asked = True
            self._node.call(partial(self._ask, pending))

    def _answer_all(self, missing: str) -> None:
        for pending in self._pending:
            pending.missing = "" if pending.taken and not pending.missing else missing
            self._answer(pending)
        self._pending.clear()

    def _answer(self, pending: _Pending) -> None:
        confirmed = not (pending.refused or pending.missing)
        answer = CommandAnswer(self._node.name, confirmed, pending.refused, pending.missing)
        pending.request.answer(HTTPStatus.OK, msgspec.json.encode(answer))

    def _end_process(self, reason: str, command: _Pending | None = None) -> None:
        """Do without the loop what it would have done, and end the process, whatever fails."""
        try:
            self._do_without_the_loop(reason, command)
        finally:
            os._exit(ExitCode.KILLED)

    def _do_without_the_loop(self, reason: str, command: _Pending | None) -> None:
        assert self._socket is not None
        sys.setswitchinterval(SWITCH_INTERVAL)
        node, who = self._node, "" if command is None else command.command.who
        node.let_out_only_cancels()
        text = f"{reason}; {who} asked for it" if who else reason
        problem = node.halts.write_kill(Kill(text, by=who, since=time.time_ns()))
        said = [f"{text}: the process ends with KILL", problem]
        problems = [problem] if problem else []
        for actor in node.actors.values():
            # Each venue has its time: what ends the process is put off.
            faulthandler.dump_traceback_later(LOCK_TIMEOUT, exit=True)
            if (left := _cancel_all(actor)) is not None:
                said.append(f"{actor.name}: {left or 'the venue lists nothing open'}")
                problems += [left] if left else []
        for pending in self._pending:
            missing = "; ".join((text, *problems))
            pending.missing = "" if pending is command and not problems else missing
            self._answer(pending)
        self._socket.poll(0)
        self._socket.close()
        # Whoever holds the lock of the log may never let go of it.
        speaker = threading.Thread(target=_say, args=(said,), daemon=True)
        speaker.start()
        speaker.join(SAID_WITHIN)


def _cancel_all(actor: Actor) -> str | None:
    """Cancel what an actor's venue has open; return what went wrong, None where it has none."""
    try:
        connection = type(actor).emergency(actor.settings)
        return None if connection is None else connection.cancel_all(CANCEL_WITHIN)
    except Exception as error:  # noqa: BLE001 - the other venues come all the same
        return f"{type(error).__name__}: {error}"


def _say(texts: Iterable[str]) -> None:
    for text in filter(None, texts):
        log.critical("%s", text)
    logging.shutdown()


def _show(request: AdminRequest, show: Callable[[], bytes]) -> None:
    try:
        request.answer(HTTPStatus.OK, show())
    except Exception as error:  # noqa: BLE001 - whoever looks must not harm the node
        text = f"{type(error).__name__}: {error}"
        request.answer(HTTPStatus.INTERNAL_SERVER_ERROR, msgspec.json.encode(text))


@contextmanager
def operated(
    node: Node, directory: Path, shows: Mapping[str, Callable[[], bytes]], *, loop_timeout: int
) -> Iterator[None]:
    """Let an operator reach the node while it runs, from when its directory is its own."""
    emergency = EmergencyThread(node, directory, shows, loop_timeout=loop_timeout)
    look = node.on_turn

    def turn(turned: Node) -> None:
        emergency.rearm()
        if look is not None:
            look(turned)

    node.on_turn = turn
    if node.data is None:
        emergency.open()
    else:
        opened = node.data.on_opened

        def open_both() -> None:
            opened()
            emergency.open()

        node.data.on_opened = open_both
    try:
        yield
    finally:
        emergency.close()
