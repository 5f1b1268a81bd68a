"""What an actor was after a step: files that are whole, or passed over and named.

A snapshot is ``snapshot-<step>.kaiju``: a file of frames with one frame. Its header is
``{"step": int}``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from actors.runtime import codec
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.frames import (
    SNAPSHOT,
    DamagedFileError,
    FrameFile,
    encode_frame,
    encode_header,
    unused,
)


class Snapshots:
    """The snapshots in one journal's directory.

    Args:
        directory: of the journal.
        disk: what they are written with.
    """

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self.directory = directory
        self.damaged: dict[Path, str] = {}
        """Why a file was passed over, as far as they were looked at."""
        self._disk = disk or Disk()

    def steps(self) -> tuple[int, ...]:
        """Return the steps after which there is a file, damaged or not, oldest first."""
        names = (path.stem for path in self.directory.glob("snapshot-*.kaiju"))
        digits = (name.removeprefix("snapshot-") for name in names)
        return tuple(sorted(int(number) for number in digits if number.isdigit()))

    def path(self, step: int) -> Path:
        """Return where the snapshot after `step` is."""
        return self.directory / f"snapshot-{step:016}.kaiju"

    def save(self, step: int, body: bytes) -> None:
        """Write a snapshot that is there whole or not at all.

        Raises:
            OSError: it could not be written.
            ValueError: `body` is empty or larger than a frame may be.
        """
        header, crc = encode_header({"step": step})
        frame, _ = encode_frame(SNAPSHOT, body, crc)
        self._disk.write_whole(self.path(step), header + frame)

    def load(self, step: int) -> bytes | None:
        """Return the body of the snapshot after `step`; None if it is damaged, see `damaged`."""
        path = self.path(step)
        try:
            return _read(path, step)
        except DamagedFileError as error:
            self.damaged[path] = str(error)
            return None

    def newest(self, *, at_least: int = 0, at_most: int) -> tuple[int, bytes] | None:
        """Return step and body of the newest whole snapshot of this range; None for none."""
        for step in reversed(self.steps()):
            if at_least <= step <= at_most:
                body = self.load(step)
                if body is not None:
                    return step, body
        return None

    def put_aside(self, step: int, reason: str) -> Path:
        """Give a snapshot a name under which it is no longer used, and return that."""
        path = self.path(step)
        aside = unused(path.with_name(f"broken-{path.name}"))
        self._disk.replace(path, aside)
        self.damaged[aside] = f"{aside}: {reason}"
        return aside

    def remove(self, step: int) -> Path:
        """Delete a snapshot and return where it was."""
        path = self.path(step)
        self._disk.remove(path)
        return path


def _read(path: Path, step: int) -> bytes:
    with FrameFile(path) as file:
        if file.header.get("step") != step:
            found = f"its header says that it is of step {file.header.get('step')}"
            raise DamagedFileError(path, 0, found)
        bodies = list(file.bodies(SNAPSHOT))
        extent = file.extent()
        if len(bodies) != 1 or extent.frames != 1 or extent.torn:
            found = f"has {extent.frames} frames and {extent.torn} bytes more, allowed is one frame"
            raise DamagedFileError(path, extent.end, found)
    try:
        codec.decode(bodies[0])
    except codec.WideIntegerError as error:
        raise DamagedFileError(path, 0, f"holds {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # whoever takes it up says what it is not
    return bodies[0]
