"""Room on a disk, on a real small file system where there may be one."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

import pytest

from gpdata.spool import Disk
from gpdata.spool.room import Room
from tests.lake.disks import small_disk


def test_the_mark_is_asked_of_the_file_system(tmp_path: Path) -> None:
    free = Room(tmp_path).free()
    assert free > 0
    assert Room(tmp_path, 0).enough()
    assert not Room(tmp_path, 2**62).enough()


def test_the_ballast_takes_room_and_gives_it_back(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as path:
        room = Room(path, keep_free=1 << 20)
        before = room.free()
        assert room.ballast(4 << 20)
        assert room.free() <= before - (4 << 20)
        assert room.restore(), "it is there already"
        assert room.release()
        assert not room.release(), "it is gone"
        assert room.free() == before
        assert not room.ballast(before - 1000), "less than the mark would be left"
        assert room.free() == before


def test_a_ballast_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    class Full(Disk):
        def sync(self, file: BinaryIO) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    assert not Room(tmp_path, 0, disk=Full()).ballast(4096)
    assert list(tmp_path.iterdir()) == []


def test_another_error_is_told(tmp_path: Path) -> None:
    class Broken(Disk):
        def sync(self, file: BinaryIO) -> None:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        Room(tmp_path, 0, disk=Broken()).ballast(4096)
    assert list(tmp_path.iterdir()) == []
