"""Room on a disk: a mark below which nothing more is taken in, and a ballast to finish what was begun.

Uploads stop at the mark, long before the disk is full. Where it fills up nevertheless, the ballast is given
up: its bytes are enough for the commits, and the commits free the spool.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from gpdata.spool.disk import Disk

KEEP_FREE: Final = 1 << 30
"""Free bytes below which nothing more is taken in."""
BALLAST: Final = 64 << 20
"""Bytes of the ballast: a batch of this many raw bytes takes less in the lake."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors that room on the disk mends."""


class Room:
    """The room of the file system on which a directory lies.

    Parameters
    ----------
    path : Path
        The directory; it exists. The ballast is its file `ballast`.
    keep_free : int
        Free bytes below which nothing more should be taken in.
    disk : Disk, optional
        The file system; the real one by default.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     room = Room(Path(folder), keep_free=0)
    ...     room.enough(), room.ballast(4096), room.release(), room.release()
    (True, True, True, False)
    """

    def __init__(self, path: Path, keep_free: int = KEEP_FREE, *, disk: Disk | None = None) -> None:
        self.path = Path(path)
        self.keep_free = keep_free
        self._disk = disk or Disk()
        self._size = BALLAST

    def free(self) -> int:
        """Return the bytes that a user without privileges can still write."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def enough(self) -> bool:
        """Whether more may be taken in; one system call."""
        return self.free() >= self.keep_free

    def ballast(self, size: int = BALLAST) -> bool:
        """Reserve bytes that `release` gives back; durable on return.

        Parameters
        ----------
        size : int
            How many; `restore` makes as many again.

        Returns
        -------
        bool
            Whether the ballast is there. It is not made where less than `keep_free` would be left.
        """
        self._size = size
        return self.restore()

    def restore(self) -> bool:
        """Make the ballast where it is missing and there is room for it; return whether it is there."""
        if self._file.exists():
            return True
        if self.free() - self._size < self.keep_free:
            return False
        temporary = self._file.with_suffix(".tmp")
        try:
            with self._disk.create(temporary) as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
                self._disk.sync(file)
        except OSError as error:
            self._disk.remove(temporary)
            if error.errno not in FULL:
                raise
            return False  # somebody else was quicker
        self._disk.rename(temporary, self._file)
        self._disk.sync_directory(self.path)
        return True

    def release(self) -> bool:
        """Give the ballast's bytes back; return whether there were any."""
        there = self._file.exists()
        self._disk.remove(self._file)
        return there

    @property
    def _file(self) -> Path:
        return self.path / "ballast"
