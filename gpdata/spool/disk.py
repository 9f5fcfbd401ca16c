"""The calls that change what a disk holds, each durable when it returns.

Every state-changing call of the spool and the lake goes through a `Disk`, so that a test can put one in its
place that fails, stops or forgets at any of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gpdata.storage import Place

_BUFFER = 32 << 10
"""Bytes that are written at once; told, since asking the file for a good number takes system calls."""


class Disk:
    """A local file system with explicit durability barriers."""

    def make_directory(self, path: Place) -> None:
        """Create a directory and its parents, durably."""
        path = _here(path)
        missing = [path, *path.parents]
        missing = missing[: next(i for i, p in enumerate(missing) if p.is_dir())]
        if missing:
            # Who made the one that is there may have been killed before its name was durable.
            with suppress(PermissionError):
                self.sync_directory(missing[-1].parent.parent)
        for directory in reversed(missing):
            directory.mkdir(exist_ok=True)
            self.sync_directory(directory.parent)

    def scratch(self, directory: Place) -> Path:
        """Return where the unfinished files of a directory lie: there, to be renamed within a file system."""
        return _here(directory)

    def create(self, path: Place) -> BinaryIO:
        """Open a new file for writing; an unfinished one of that name is overwritten."""
        return _here(path).open("wb", _BUFFER)

    def sync(self, file: BinaryIO) -> None:
        """Bring a file's bytes to the disk."""
        file.flush()
        os.fsync(file.fileno())

    def sync_path(self, path: Place) -> None:
        """Bring the bytes of a file that something else wrote to the disk."""
        descriptor = os.open(_here(path), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_directory(self, path: Place) -> None:
        """Bring a directory's entries to the disk: creations, renames and removals in it."""
        self.sync_path(path)

    def rename(self, source: Place, target: Place) -> None:
        """Rename a file, replacing the target; durable after `sync_directory` of both parents."""
        source, target = _here(source), _here(target)
        if target.exists() and target.samefile(source):
            source.unlink()  # a crash left both names: renaming one to the other would do nothing
        else:
            source.replace(target)

    def publish(self, source: Place, target: Place) -> None:
        """Give a finished file its final name, which is its alone; durable after `sync_directory` of both parents."""
        self.rename(source, target)

    def link(self, source: Place, target: Place) -> None:
        """Give a file a second name; raises FileExistsError where the target exists."""
        os.link(_here(source), _here(target))

    def remove(self, path: Place) -> None:
        """Remove a file; one that is gone already is fine."""
        _here(path).unlink(missing_ok=True)

    def write(self, path: Place, data: bytes, scratch: Path) -> None:
        """Write a whole file so that it is either there complete or not there, durably.

        Parameters
        ----------
        path : Path
            The file.
        data : bytes
            All of its bytes.
        scratch : Path
            A directory of the same file system for the unfinished file.
        """
        temporary = scratch / f"{path.name}.{os.getpid()}.tmp"
        with self.create(temporary) as file:
            file.write(data)
            self.sync(file)
        self.rename(temporary, path)
        self.sync_directory(path.parent)

    def write_new(self, path: Place, data: bytes, scratch: Path) -> None:
        """Write a whole file as `write` does, where only the holder of a lock makes files of that name."""
        self.write(path, data, scratch)


def _here(place: Place) -> Path:
    assert isinstance(place, Path), f"{place} is in a store, whose calls are those of ObjectDisk"
    return place
