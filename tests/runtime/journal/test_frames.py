"""What a file of frames promises: exactly what was written, or a refusal that says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.runtime.journal import frames
from actors.runtime.journal.frames import DamagedFileError, Extent, FrameFile, FrameWriter

HEADER: dict[str, Any] = {"schema": {"events": {}, "enums": {}}}
BODIES = [b"first", b"the second, somewhat longer", b"3", b"\0" * 9, b"the last"]


def write(path: Path, bodies: list[bytes]) -> bytes:
    writer = FrameWriter(path, HEADER)
    writer.append_all(frames.EVENT, bodies)
    writer.close()
    return path.read_bytes()


def read(path: Path) -> list[bytes]:
    with FrameFile(path) as file:
        return list(file.bodies(frames.EVENT))


def prefix_or_refusal(path: Path) -> tuple[list[bytes], DamagedFileError | None]:
    found: list[bytes] = []
    try:
        with FrameFile(path) as file:
            found.extend(file.bodies(frames.EVENT))
    except DamagedFileError as error:
        return found, error
    return found, None


def starts(path: Path) -> list[int]:
    data = path.read_bytes()
    found = [frames.HEADER.size + int.from_bytes(data[10:14], "little")]
    while found[-1] < len(data):
        length = int.from_bytes(data[found[-1] : found[-1] + 4], "little")
        found.append(found[-1] + frames.FRAME.size + length)
    return found[:-1]


def test_a_file_gives_back_its_header_and_its_frames_in_order(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    write(path, BODIES)

    with FrameFile(path) as file:
        assert file.header == HEADER
        assert list(file.bodies(frames.EVENT)) == BODIES
        assert list(file.bodies(frames.EVENT, skip=2)) == BODIES[2:]
        assert list(file.bodies(frames.STEP)) == []


def test_the_header_is_plain_messagepack_behind_eighteen_bytes(tmp_path: Path) -> None:
    data = write(tmp_path / "events.kaiju", BODIES)

    length = int.from_bytes(data[10:14], "little")
    assert data[:10] == frames.MAGIC + b"\1\0"
    assert msgpack.unpackb(data[18 : 18 + length]) == HEADER


def test_a_file_cut_at_any_byte_gives_an_exact_prefix_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    ends = [*starts(path), len(data)]

    for size in range(len(data)):
        path.write_bytes(data[:size])
        found, refusal = prefix_or_refusal(path)
        if size < ends[0]:
            assert (found, refusal is not None and refusal.offset) == ([], 0)
        else:
            whole = sum(end <= size for end in ends) - 1
            assert (found, refusal) == (BODIES[:whole], None)


def test_any_flipped_bit_is_refused_at_the_frame_that_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    ends = [*starts(path), len(data)]

    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        found, refusal = prefix_or_refusal(path)
        place = sum(end <= bit // 8 for end in ends)
        assert refusal is not None
        assert str(path) in str(refusal)
        assert found == BODIES[: max(0, place - 1)]
        assert refusal.offset == (ends[place - 1] if place else refusal.offset)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bodies=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    cut=st.integers(0, 400),
    flip=st.integers(0, 3200),
)
def test_cut_and_flipped_files_never_give_a_frame_that_was_not_written(
    tmp_path: Path, bodies: list[bytes], cut: int, flip: int
) -> None:
    path = tmp_path / "events.kaiju"
    path.unlink(missing_ok=True)
    damaged = bytearray(write(path, bodies)[: 100 + cut])
    damaged[flip // 8 % len(damaged)] ^= 1 << flip % 8
    path.write_bytes(damaged)

    found, _ = prefix_or_refusal(path)
    assert found == bodies[: len(found)]


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_a_frame_taken_out_is_refused_where_it_was(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    ends = [*starts(path), len(data)]
    path.write_bytes(data[: ends[lost]] + data[ends[lost + 1] :])

    found, refusal = prefix_or_refusal(path)
    assert found == BODIES[:lost]
    assert refusal is not None
    assert refusal.offset == ends[lost]
    assert "frames were lost or exchanged" in str(refusal)


def test_exchanged_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    a, b, c = starts(path)[1:4]
    path.write_bytes(data[:a] + data[b:c] + data[a:b] + data[c:])

    assert prefix_or_refusal(path)[0] == BODIES[:1]


def test_zeros_that_a_power_failure_left_are_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    path.write_bytes(data + bytes(5000))
    assert read(path) == BODIES

    long = [*BODIES, b"x" * 3000]
    path.unlink()
    data = write(path, long)
    path.write_bytes(data[:-1500] + bytes(1500))
    assert read(path) == BODIES


def test_a_whole_frame_behind_zeros_means_damage(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    start = starts(path)[-1]
    path.write_bytes(data[:start] + bytes(2000) + data[start:])

    with pytest.raises(DamagedFileError, match=f"one at byte {start + 2000}"):
        read(path)


def test_a_writer_goes_on_behind_the_last_whole_frame(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    path.write_bytes(data[:-3])

    writer = FrameWriter(path, {})
    assert writer.frames == len(BODIES) - 1
    writer.append(frames.EVENT, b"again")
    writer.append_all(frames.EVENT, [])
    writer.close()
    writer.close()

    assert read(path) == [*BODIES[:-1], b"again"]


def test_a_writer_refuses_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = bytearray(write(path, BODIES))
    data[-1] ^= 1
    path.write_bytes(data)

    with pytest.raises(DamagedFileError, match="does not match its CRC"):
        FrameWriter(path, HEADER)
    assert path.read_bytes() == data


def test_the_extent_tells_how_far_a_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    last = starts(path)[-1]
    path.write_bytes(data[:-3])

    with FrameFile(path) as file:
        crc = frames.FRAME.unpack_from(data, starts(path)[-2])[1]
        assert file.extent() == Extent(len(BODIES) - 1, last, crc, len(data) - 3 - last)


def test_what_is_appended_while_a_file_is_read_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    opened = starts(path)[1] + 20
    path.write_bytes(data[:opened])

    with FrameFile(path) as file:
        path.write_bytes(data)
        assert list(file.bodies(frames.EVENT)) == BODIES[:1]
        assert file.extent().torn == 20


def test_a_torn_tail_that_is_cut_off_while_the_file_is_read_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    second = starts(path)[1]
    path.write_bytes(data[: second + 20])

    with FrameFile(path) as file:
        path.write_bytes(data[:second])
        assert list(file.bodies(frames.EVENT)) == BODIES[:1]


@pytest.mark.parametrize("body", [b"", bytes(frames.LARGEST_BODY + 1)], ids=["empty", "too large"])
def test_a_body_that_no_reader_would_take_is_not_written(tmp_path: Path, body: bytes) -> None:
    writer = FrameWriter(tmp_path / "events.kaiju", HEADER)
    with pytest.raises(ValueError, match="a frame's body was"):
        writer.append(frames.EVENT, body)
    writer.close()


def test_a_newer_format_and_a_foreign_file_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "events.kaiju"
    data = write(path, BODIES)
    path.write_bytes(data[:8] + b"\2" + data[9:])
    with pytest.raises(DamagedFileError, match="format version is 2, this program reads 1"):
        FrameFile(path)

    path.write_bytes(b"timestamp,price\n" * 10)
    with pytest.raises(DamagedFileError, match="starts with b'timestam'"):
        FrameFile(path)

    path.write_bytes(b"")
    with pytest.raises(DamagedFileError, match="the file has 0 bytes"):
        FrameFile(path)
