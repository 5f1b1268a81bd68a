"""``run.json``: everything needed to repeat a run, or to continue it."""

from __future__ import annotations

import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from actors.runtime.errors import KaijuError
from actors.runtime.journal.data_directory import SESSION_LENGTH
from actors.runtime.journal.disk import Disk

RUN_FILE = "run.json"
"""Its name in the run's directory."""
FORMAT = 1
DIGEST = "sha256"


def new_session() -> str:
    """Return a session that no other run has, however close together they begin."""
    return secrets.token_hex(SESSION_LENGTH // 2)


class RunFileError(KaijuError):
    """A run file cannot be used; the text says which, and why."""


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """How a run was started. Fields are appended with defaults, never reordered or reused."""

    format: int = FORMAT
    kaiju: str
    """Version of the program."""
    topology: str
    """Absolute path of the topology file; relative paths in it count from its folder."""
    text: str
    """What the file said, verbatim: a run is repeated from this, whatever the file says now."""
    clock: Literal["virtual", "live"]
    speed: float = 0.0
    """Virtual seconds in a real second; 0 for as fast as possible."""
    seed: int = 0
    session: str
    """First part of client order ids."""
    began: int
    """The node's clock at the first start, UTC nanoseconds; exact in virtual time."""
    until: int = 0
    """The node's clock at which the time is up, UTC nanoseconds; 0 for no end."""
    overrides: tuple[str, ...] = ()
    """Settings that replaced those of the file, as ``actor.setting=value``."""
    starts: tuple[str, ...]
    """When it was started, at first and after every interruption: ISO 8601, UTC, real time."""

    @property
    def duration(self) -> int | None:
        """Nanoseconds of the node's clock that the run lasts; None for no end."""
        return self.until - self.began if self.until else None

    def started_again(self, moment: str, text: str) -> RunFile:
        """Return the run file after one more start, with what the topology says now."""
        return msgspec.structs.replace(self, starts=(*self.starts, moment), text=text)

    def save(self, directory: Path) -> None:
        """Write the file into the run's directory: on return it is on disk, else as it was before.

        Raises:
            OSError: it cannot be written.
        """
        content = msgspec.to_builtins(self)
        content |= {DIGEST: _digest(content)}
        text = msgspec.json.format(msgspec.json.encode(content), indent=2)
        Disk().write_whole(directory / RUN_FILE, text + b"\n")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Return the file of the run in `directory`.

        Raises:
            FileNotFoundError: there is none.
            RunFileError: it is damaged, of another format, or no run file at all.
        """
        path = directory / RUN_FILE
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(
                f"{path}: no such file; allowed is the directory of a run, such as"
                " runs/paper-20240101-120000"
            ) from None
        try:
            content = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RunFileError(f"{path}: is damaged: {error}") from error
        return cls._checked(path, content)

    @classmethod
    def _checked(cls, path: Path, content: Any) -> Self:
        if not isinstance(content, dict) or not {"format", DIGEST} <= content.keys():
            raise RunFileError(f"{path}: is no run file of kaiju")
        if content["format"] != FORMAT:
            found = content["format"]
            raise RunFileError(f"{path}: format was {found!r}, this program reads {FORMAT}")
        if content.pop(DIGEST) != _digest(content):
            raise RunFileError(
                f"{path}: is damaged or was edited: its content does not match its {DIGEST}"
            )
        try:
            return msgspec.convert(content, cls)
        except msgspec.ValidationError as error:
            raise RunFileError(f"{path}: {error}") from error


def _digest(content: dict[str, Any]) -> str:
    return sha256(msgspec.json.encode(content)).hexdigest()
