"""Nodes as processes of this host: started, watched, started again, and asked how they are."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.2, 10.0
"""Seconds between a death and the next start, doubled with each death in a row."""
GOOD_LIFE = 60.0
"""Seconds after which a death is no longer in a row with those before."""
MOST_DEATHS = 8
"""In a row, after which a node is given up."""
LAST_LINES = 20
ANSWER_TIME = 1.0
"""Seconds that a node has to say how it is."""

# Nodes are asked at addresses of a topology, never through a proxy that the environment names.
_open = build_opener(ProxyHandler({})).open


class NodeProcess:
    """One node after the other with the same arguments, until told otherwise.

    Args:
        node: its name.
        arguments: of `kaiju`.
        log: file that gets all that it prints.
        on_exit: called with the node's name and exit code whenever a process has ended, on
            another thread.
        on_line: called with each line that it prints, on another thread.
    """

    def __init__(
        self,
        node: str,
        arguments: list[str],
        log: Path,
        on_exit: Callable[[str, int], None],
        on_line: Callable[[str, str], None],
    ) -> None:
        self.node = node
        self.starts = 0
        self.code: int | None = None
        """Of the last process that ended; None before."""
        self.start_at: float | None = None
        """When to start it again, as `time.monotonic` counts; None for not at all."""
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._arguments, self._log = arguments, log
        self._on_exit, self._on_line = on_exit, on_line
        self._process: subprocess.Popen[str] | None = None
        self._began = 0.0
        self._deaths = 0
        self._chance = Random()  # noqa: S311 - only keeps nodes from starting all at once

    @property
    def pid(self) -> int:
        """Of the present process, or the last one."""
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        """Whether there is a process now."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start a process; it ends when this one does, however that comes."""
        self.starts += 1
        self.start_at, self._began = None, time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "topology", *self._arguments, "--with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which stops the nodes in order
        )
        threading.Thread(target=self._follow, args=(self._process,), daemon=True).start()

    def ended(self, code: int) -> bool:
        """Note that the process has ended, and plan the next; return whether there is to be one."""
        self.code = code
        lived = time.monotonic() - self._began
        self._deaths = 1 if lived > GOOD_LIFE else self._deaths + 1
        if self._deaths >= MOST_DEATHS:
            return False
        wait = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** (self._deaths - 1))
        self.start_at = time.monotonic() + wait * self._chance.uniform(0.5, 1.0)
        return True

    def signal(self, number: int) -> None:
        """Send a signal, if there is a process."""
        if self._process is not None and self.alive:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with self._log.open("a", encoding="utf-8") as log, process.stdout:
            for line in process.stdout:
                log.write(line)
                log.flush()
                self.last_lines.append(line.rstrip())
                self._on_line(self.node, line.rstrip())
        code = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._on_exit(self.node, code)


def ask(http: str, path: str = "status") -> dict[str, Any]:
    """Return what a node says of itself; nothing where it does not answer.

    Args:
        http: ``HOST:PORT`` of the node.
        path: what is asked for.
    """
    try:
        with _open(f"http://{http}/{path}", timeout=ANSWER_TIME) as answer:
            found: dict[str, Any] = json.load(answer)
    except (OSError, URLError, ValueError):
        return {}
    return found


def is_quiet(status: dict[str, Any]) -> bool:
    """Tell whether a node that is to end has nothing to do any more, for itself or for others."""
    if not status or not status["ending"] or status["busy"] or status["queued"] > 0:
        return False
    return not any(link["behind"] for link in status["links"])
