"""Disks that stop, fill up or are small."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from gpdata.spool import Disk


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[Path]:
    """Mount a file system of so many bytes at a new directory, where this user may; skip the test elsewhere."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root mounts a small file system")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


class Full(Disk):
    """A disk that is full from its n-th change on, until `free` is called."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.hit = 0

    def free(self) -> None:
        """Make room."""
        self.left = 2**62

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.hit += 1
            raise OSError(errno.ENOSPC, "No space left on device")

    def create(self, path: Path) -> BinaryIO:
        self._step()
        return super().create(path)

    def sync(self, file: BinaryIO) -> None:
        self._step()
        super().sync(file)

    def link(self, source: Path, target: Path) -> None:
        self._step()
        super().link(source, target)
