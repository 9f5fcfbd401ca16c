"""The calls that change what an object store holds, each acknowledged by it when it returns.

An object is there whole or not at all, and is durable when the store has answered. So what are barriers on a disk
is nothing here, and unfinished files lie in a directory of this machine that nothing depends on.
"""

from __future__ import annotations

import atexit
import io
import mmap
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from gpdata.spool.disk import Disk
from gpdata.storage import ObjectPath, Place


class ObjectDisk(Disk):
    """A store of objects, with unfinished files beside it on this machine."""

    def make_directory(self, path: Place) -> None:
        """Create a directory of this machine; a store has none."""
        if isinstance(path, Path):
            path.mkdir(parents=True, exist_ok=True)

    def scratch(self, directory: Place) -> Path:
        """Return a directory of this machine, and of this process, for unfinished files."""
        return _scratch(os.getpid())

    def create(self, path: Place) -> BinaryIO:
        """Open a new file for writing; an object is there once it is closed."""
        return _NewObject(path) if isinstance(path, ObjectPath) else super().create(path)

    def sync(self, file: BinaryIO) -> None:
        """Bring nothing to the disk: what counts is in the store, or not written yet."""
        file.flush()

    def sync_path(self, path: Place) -> None:
        """Do nothing: an object is durable."""

    def rename(self, source: Place, target: Place) -> None:
        """Give a file another name; of an object first there are both, for a moment or a crash."""
        if not isinstance(target, ObjectPath):
            assert isinstance(source, Path), "nothing is taken out of a store by its name"
            super().rename(source, target)
        elif isinstance(source, ObjectPath):
            source.client.copy(source.key, target.key)
            source.client.remove(source.key)
        else:
            with _Mapped(source) as data:
                target.client.put(target.key, data)
            source.unlink()

    def publish(self, source: Place, target: Place) -> None:
        """Put a finished file under a name that nothing else has: one conditional call, the barrier of a store."""
        if not isinstance(target, ObjectPath):
            super().publish(source, target)
            return
        assert isinstance(source, Path), "what is finished in a store has its name already"
        with _Mapped(source) as data:
            target.client.put_new(target.key, data)
        source.unlink()

    def remove(self, path: Place) -> None:
        """Remove a file or an object; one that is gone already is fine."""
        if isinstance(path, ObjectPath):
            path.client.remove(path.key)
        else:
            super().remove(path)

    def write(self, path: Place, data: bytes, scratch: Path) -> None:
        """Write a whole object, over one that is there."""
        if isinstance(path, ObjectPath):
            path.client.put(path.key, data)
        else:
            super().write(path, data, scratch)

    def write_new(self, path: Place, data: bytes, scratch: Path) -> None:
        """Write a whole object; raises FileExistsError where there is another of its name."""
        if isinstance(path, ObjectPath):
            path.client.put_new(path.key, data)
        else:
            super().write_new(path, data, scratch)


def disk_of(place: Place) -> Disk:
    """Return what changes a place: a disk, or a store."""
    return ObjectDisk() if isinstance(place, ObjectPath) else Disk()


class _NewObject(io.BytesIO):
    def __init__(self, place: ObjectPath) -> None:
        super().__init__()
        self._place = place

    def close(self) -> None:
        if not self.closed:
            self._place.client.put(self._place.key, self.getvalue())
        super().close()


class _Mapped:
    """The bytes of a file, without a copy of them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> memoryview:
        with self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if size else memoryview(b"")
        return self._view

    def __exit__(self, *_: object) -> None:
        self._view.release()


@lru_cache(maxsize=1)
def _scratch(_process: int) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="gpdata-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
