"""A journal is read while its node writes it: what comes meanwhile does not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.runtime.journal import segments
from actors.runtime.journal.segments import JournalReader, Segment
from tests.kit.journals import HEADER, STEPS, opened


def test_steps_and_snapshots_that_come_while_a_reader_opens_are_no_missing_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_segments = segments.find_segments
    with opened(tmp_path / "oms") as journal:
        journal.begin(HEADER)
        journal.append(STEPS[0])

        def find_slowly(directory: Path) -> tuple[Segment, ...]:
            found = find_segments(directory)
            journal.begin(HEADER)
            journal.append(STEPS[1])
            journal.save_snapshot(2, b"after 2")
            return found

        monkeypatch.setattr(segments, "find_segments", find_slowly)
        assert list(JournalReader(tmp_path / "oms").steps()) == STEPS[:1]
