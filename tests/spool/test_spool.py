from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpdata.errors import InvalidInput
from gpdata.spool import Damage, Disk, Meta, Spool, zstd
from gpdata.spool.frames import frame
from gpdata.spool.frames import frames as lines

LINES = st.lists(st.binary(max_size=200).filter(lambda b: b"\n" not in b), max_size=8)


@given(LINES)
def test_frames_give_the_lines_back(given_lines: list[bytes]) -> None:
    assert list(lines(b"".join(map(frame, given_lines)))) == given_lines


@given(LINES.filter(bool), st.data())
def test_damage_costs_the_damaged_frame_only(given_lines: list[bytes], data: st.DataObject) -> None:
    frames = [frame(line) for line in given_lines]
    hit = data.draw(st.integers(0, len(frames) - 1))
    byte = data.draw(st.integers(0, len(frames[hit]) - 1))
    damaged = bytearray(frames[hit])
    damaged[byte] ^= data.draw(st.integers(1, 255))
    found = list(lines(b"".join([*frames[:hit], bytes(damaged), *frames[hit + 1 :]])))
    whole = [item for item in found if not isinstance(item, Damage)]
    assert whole[:hit] == given_lines[:hit]
    # A flipped reserved bit can leave the content as it was; otherwise the damage is told and nothing is invented.
    assert all(item in given_lines for item in whole)
    after = given_lines[hit + 1 :]
    assert not after or whole[-1] == after[-1]


def test_a_cut_off_file_keeps_its_first_lines() -> None:
    data = frame(b"one") + frame(b"two")
    assert [type(item) for item in lines(data[:-5])] == [bytes, Damage]
    assert list(lines(b"")) == []
    assert [type(item) for item in lines(b"\0" * 100)] == [Damage]


def test_a_spool_file_is_plain_zstandard(tmp_path: Path) -> None:
    file = Spool(tmp_path).write([b'{"a":1}', b'{"a":2}'], Meta(source="import"))
    assert zstd.decompress(file.path.read_bytes()) == b'{"a":1}\n{"a":2}\n'


def test_meta_comes_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    meta = Meta("upload", "ada", datetime(2026, 1, 2, tzinfo=UTC), "10.0.0.1", (7,), receipt=True)
    file = spool.write([b"x"], meta)
    found = spool.meta(file)
    assert (found.owner, found.received_at, found.line_numbers, found.raw_bytes) == (
        "ada",
        meta.received_at,
        (7,),
        2,
    )


def test_meta_survives_damage_to_either_of_its_two_notes(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with spool.writer(Meta("upload", "ada")) as writer:
        writer.add(b"x")
        file = writer.commit(Meta("upload", "ada", line_numbers=(7,)))
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:20] + b"?" + whole[21:])
    assert spool.meta(file) == Meta("upload", "ada", line_numbers=(7,), raw_bytes=2)
    assert [part for part in spool.read(file) if isinstance(part, bytes)] == [b"x"]
    file.path.write_bytes(whole[:-40] + b"?" + whole[-39:])
    assert spool.meta(file) == Meta("upload", "ada")
    file.path.write_bytes(whole[:20] + b"?" + whole[21:-40] + b"?" + whole[-39:])
    assert spool.meta(file) is None


def test_a_line_in_pieces_is_the_line(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with spool.writer(Meta("upload")) as writer:
        for piece in (b'{"a"', b":1", b"}"):
            writer.feed(piece)
        assert writer.begun() == b'{"a":1}'
        writer.end()
        writer.feed(b"dropped")
        writer.drop()
        writer.feed(b"begun, seen ")
        assert writer.begun() == b"begun, seen "
        writer.feed(b"and ended")
        with pytest.raises(InvalidInput, match="inside a line"):
            writer.commit()
        writer.end()
        file = writer.commit()
    assert list(spool.read(file)) == [b'{"a":1}', b"begun, seen and ended"]
    meta = spool.meta(file)
    assert meta is not None
    assert meta.raw_bytes == 8 + 22


def test_files_wait_for_their_grace_period(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    files = [spool.write([b"%d" % i], Meta("import")) for i in range(2)]
    spool.retire([file.id for file in files])
    assert spool.pending() == []
    assert [file.id for file in spool.retired()] == [file.id for file in files]
    spool.collect([files[0].id])
    assert [file.id for file in spool.retired()] == [files[1].id]


def test_files_are_listed_in_the_order_of_their_commit_and_collected(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    written = [spool.write([b"%d" % i], Meta("import")) for i in range(5)]
    assert [file.id for file in spool.pending()] == [file.id for file in written]
    spool.collect([written[0].id, written[3].id, "never-there"])
    assert [file.id for file in spool.pending()] == [written[i].id for i in (1, 2, 4)]
    assert not list((tmp_path / "trash").iterdir())
    assert spool.file(written[0].id) is None


def test_an_unfinished_file_is_never_listed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with spool.writer(Meta("import")) as writer:
        writer.add(b"lost on purpose")
        assert spool.pending() == []
    assert spool.pending() == []
    assert not list((tmp_path / "tmp").iterdir())


def test_a_newline_inside_a_line_is_refused(tmp_path: Path) -> None:
    with Spool(tmp_path).writer(Meta("import")) as writer, pytest.raises(InvalidInput, match="newline inside"):
        writer.add(b"a\nb")


def test_a_failed_sync_refuses_the_file(tmp_path: Path) -> None:
    class Failing(Disk):
        def sync(self, file: object) -> None:
            raise OSError(5, "Input/output error")

    spool = Spool(tmp_path, disk=Failing())
    with pytest.raises(OSError, match="Input/output"):
        spool.write([b"x"], Meta("import"))
    assert spool.pending() == []


def test_sweep_removes_old_leftovers_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path, clock=lambda: 10**18)
    fresh = tmp_path / "tmp" / "fresh"
    fresh.write_bytes(b"")
    old = tmp_path / "tmp" / f"{2**22 + 1}-old"
    old.write_bytes(b"")
    os.utime(old, (1, 1))
    ours = tmp_path / "tmp" / f"{os.getpid():07d}-ours"
    ours.write_bytes(b"")
    os.utime(ours, (1, 1))
    os.utime(fresh, (10**9, 10**9))
    spool.sweep()
    assert fresh.exists()
    assert ours.exists()
    assert not old.exists()


@given(LINES, st.integers(0, 10))
def test_skipped_lines_are_counted_and_not_read(given_lines: list[bytes], skip: int) -> None:
    found = list(lines(b"".join(map(frame, given_lines)), skip))
    assert found == [b""] * min(skip, len(given_lines)) + given_lines[skip:]
