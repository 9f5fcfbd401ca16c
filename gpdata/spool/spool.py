"""The spool: a Maildir of compressed newline-delimited JSON, durable before anything is promised.

`tmp/` holds unfinished files, `new/` complete ones, `meta/` what the channel knows about each, `trash/` what
is being removed. A file is in `new/` only after its bytes and its `meta/` entry are on the disk.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from gpdata.errors import InvalidInput
from gpdata.spool.disk import Disk
from gpdata.spool.frames import Damage, frame, lines

_SUFFIX = ".ndjson.zst"
_FOLDERS = ("tmp", "new", "meta", "trash")


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the channel knows about the lines of one spool file."""

    source: str
    """The way in: import, recorder, upload, plain."""
    owner: str | None = None
    received_at: datetime | None = None
    origin: str | None = None
    """Where the lines came from, for people: a file, an address."""
    line_numbers: tuple[int, ...] | None = None
    """The number of each line in its origin, from 1."""
    raw_bytes: int | None = None
    """Size of the lines before compression; the writer fills it in."""
    receipt: bool = False
    """Whether the writer waits for an account of what became of each line."""


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """A complete spool file."""

    id: str
    path: Path
    size: int
    """Bytes as they lie on the disk."""


class Spool:
    """A spool directory.

    Parameters
    ----------
    path : Path
        The directory; made where it is missing.
    disk : Disk, optional
        The file system; the real one by default.
    clock : callable, optional
        Nanoseconds since the epoch; names and orders files.
    """

    def __init__(self, path: Path, *, disk: Disk | None = None, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = Path(path)
        self.disk = disk or Disk()
        self._clock = clock
        for folder in _FOLDERS:
            if not (self.path / folder).is_dir():
                self.disk.make_directory(self.path / folder)

    def writer(self) -> SpoolWriter:
        """Open a new spool file for writing."""
        # The clock orders files; the random part keeps writers of the same nanosecond apart.
        name = f"{self._clock():020d}-{os.getpid():07d}-{secrets.token_hex(4)}"
        return SpoolWriter(self, name)

    def write(self, data: Iterable[bytes], meta: Meta) -> SpoolFile:
        """Store lines durably: when this returns, they survive a crash.

        Parameters
        ----------
        data : iterable of bytes
            The lines, without their newlines.
        meta : Meta
            What the channel knows about them.

        Returns
        -------
        SpoolFile
            The complete file.
        """
        with self.writer() as writer:
            for line in data:
                writer.add(line)
            return writer.commit(meta)

    def pending(self) -> list[SpoolFile]:
        """Return the complete files, oldest first."""
        found = []
        for path in (self.path / "new").iterdir():
            if path.name.endswith(_SUFFIX):
                with suppress(FileNotFoundError):  # collected in between by the lock's holder
                    found.append(SpoolFile(path.name.removesuffix(_SUFFIX), path, path.stat().st_size))
        return sorted(found, key=lambda file: file.id)

    def file(self, id_: str) -> SpoolFile | None:
        """Return the complete file of that id, or None where it was collected."""
        path = self._new(id_)
        return SpoolFile(id_, path, path.stat().st_size) if path.exists() else None

    def read(self, file: SpoolFile) -> Iterator[bytes | Damage]:
        """Yield the lines of a file, and its damaged stretches where they stand."""
        return lines(file.path.read_bytes())

    def meta(self, file: SpoolFile) -> Meta:
        """Return what the channel knew; a missing or damaged entry reads as an unknown source."""
        try:
            return msgspec.json.decode(self._meta(file.id).read_bytes(), type=Meta)
        except (FileNotFoundError, msgspec.DecodeError):
            return Meta(source="unknown")

    def collect(self, ids: Iterable[str]) -> None:
        """Remove files whose every line is stored elsewhere for good: rename, make durable, then unlink."""
        trash = self.path / "trash"
        moved = []
        for id_ in ids:
            for path in (self._new(id_), self._meta(id_)):
                if path.exists():
                    self.disk.rename(path, trash / path.name)
                    moved.append(trash / path.name)
        if not moved:
            return
        self.disk.sync_directory(self.path / "new")
        self.disk.sync_directory(self.path / "meta")
        self.disk.sync_directory(trash)
        for path in moved:
            self.disk.remove(path)

    def sweep(self, *, older_than: float = 24 * 3600.0) -> None:
        """Finish interrupted collections, and remove what writers left unfinished long ago."""
        for path in (self.path / "trash").iterdir():
            self.disk.remove(path)
        limit = self._clock() / 1e9 - older_than
        for path in (self.path / "tmp").iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    self.disk.remove(path)

    def _new(self, id_: str) -> Path:
        return self.path / "new" / (id_ + _SUFFIX)

    def _meta(self, id_: str) -> Path:
        return self.path / "meta" / (id_ + ".json")


class SpoolWriter:
    """A spool file that is being written; leaving the `with` block without `commit` drops it."""

    def __init__(self, spool: Spool, name: str) -> None:
        self._spool = spool
        self._name = name
        self._path = spool.path / "tmp" / (name + _SUFFIX)
        self._file: BinaryIO | None = spool.disk.create(self._path)
        self.lines = 0
        self.raw_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._spool.disk.remove(self._path)

    def add(self, line: bytes) -> None:
        """Append one line, given without its newline."""
        if b"\n" in line:
            raise InvalidInput("a spool line was given with a newline inside it; give one line at a time")
        self._open().write(frame(line))
        self.lines += 1
        self.raw_bytes += len(line) + 1

    def commit(self, meta: Meta) -> SpoolFile:
        """Make the file durable and visible; after this returns its lines survive a crash."""
        spool, file = self._spool, self._open()
        # A failed sync leaves the `with` block by its exception: the file is dropped, never synced again.
        spool.disk.sync(file)
        file.close()
        self._file = None
        entry = msgspec.json.encode(msgspec.structs.replace(meta, raw_bytes=self.raw_bytes))
        spool.disk.write(spool.path / "meta" / f"{self._name}.json", entry, spool.path / "tmp")
        target = spool.path / "new" / self._path.name
        spool.disk.rename(self._path, target)
        spool.disk.sync_directory(target.parent)
        return SpoolFile(self._name, target, target.stat().st_size)

    def _open(self) -> BinaryIO:
        if self._file is None:
            raise InvalidInput("this spool file is committed; open another writer for more lines")
        return self._file
