"""A lake's directory: its marker, its tables, its lock."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import msgspec

from gpdata.errors import InvalidInput, LakeBusy, LakeDamaged, LakeTooNew, NotALake
from gpdata.lake.delta import Table
from gpdata.lake.encoding import STORAGE
from gpdata.lake.objects import ObjectTable
from gpdata.schema import SCHEMA_VERSION, STORED
from gpdata.spool import Disk, Quarantine, Spool
from gpdata.spool.object_disk import disk_of
from gpdata.storage import ObjectPath, Place, as_place
from gpdata.storage.lease import Lease, Seen, holder

MARKER = "gpdata.json"
WRITING = "lock"
"""The lock of those who commit."""
_FORMAT = "gpdata lake"
_POLL = 0.05
_LOCKS = {
    "lock": "is being written",
    "compaction.lock": "is being compacted",
    "follow.lock": "is being followed",
    "stream.lock": "is being fed through Spark",
}
_FOLDERS = {"spool", "scratch", "manifests", "receipts", "quarantine", "tokens"}
_OWN = frozenset({MARKER, "ballast", "ages.json", *_FOLDERS, *_LOCKS, *(t.name for t in STORED)})


class Lake:
    """A lake on a file system of this machine, or below a prefix of a bucket.

    Use `Lake.open` or `Lake.create`; the constructor checks nothing.

    Attributes
    ----------
    path : Path or ObjectPath
        The lake's directory, or its prefix.
    runs, generations, individuals : Table
        The Delta tables.
    quarantine : Quarantine
        What could not become rows.
    """

    def __init__(self, path: Place, disk: Disk) -> None:
        self.path = path
        self.disk = disk
        self.scratch = disk.scratch(path / "scratch")
        self.tables: Mapping[str, Table] = {t.name: _table(path / t.name, disk, self.scratch) for t in STORED}
        self.quarantine = Quarantine(path / "quarantine", disk=disk)
        self._seen: dict[ObjectPath, Seen] = {}

    @classmethod
    def open(cls, path: str | Place, *, disk: Disk | None = None) -> Self:
        """Open a lake that exists: at a path of this machine, or at ``s3://bucket/prefix``.

        Raises
        ------
        NotALake
            The path is no directory, or has no `gpdata.json`.
        LakeTooNew
            Its schema is newer than this gpdata's.
        """
        place = as_place(path)
        lake = cls(place, disk or disk_of(place))
        lake._check()
        return lake

    @classmethod
    def create(cls, path: str | Place, *, disk: Disk | None = None) -> Self:
        """Open a lake, or make one where there is none.

        Raises
        ------
        InvalidInput
            The path is a file, or a directory that holds something else.
        """
        place = as_place(path)
        lake = cls(place, disk or disk_of(place))
        if not _has_marker(place):
            lake._make()
        lake._check()
        return lake

    @property
    def room(self) -> Path:
        """The directory whose file system must have room for a batch."""
        return self.scratch if isinstance(self.path, ObjectPath) else self.path

    def spool(self) -> Spool:
        """Return the lake's own spool, which Recorder and import write."""
        return Spool(self.path / "spool", disk=self.disk)

    def spool_at(self, name: str) -> Spool:
        """Return the spool that a manifest names: below the lake, or by its whole path or address."""
        return Spool(as_place(name) if is_whole(name) else self.path / name, disk=self.disk)

    @contextmanager
    def reading(self) -> Iterator[Mapping[str, Table]]:
        """Give the tables to who lists their files; what was committed before is in them."""
        yield self.tables

    @contextmanager
    def lock(self, wait: float | None = None, name: str = "lock") -> Iterator[None]:
        """Hold the lake's lock: one process at a time changes a lake.

        Parameters
        ----------
        wait : float, optional
            Seconds to wait for another holder; for ever by default, 0 to try once.
        name : str
            Another lock than that of writing: `compaction.lock`, `follow.lock`, or `stream.lock`.

        Raises
        ------
        LakeBusy
            Another process held the lock all that time.
        """
        if isinstance(self.path, ObjectPath):
            with self._lease(self.path / name, wait, name):
                yield
            return
        deadline = None if wait is None else time.monotonic() + wait
        with (self.path / name).open("a+b") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if deadline is not None and time.monotonic() >= deadline:
                        file.seek(0)
                        raise LakeBusy(self._busy(name, f"process {file.read().decode() or '?'}")) from None
                    time.sleep(_POLL)
            with suppress(OSError):  # on a full disk the lock is held all the same; the number is for people
                os.ftruncate(file.fileno(), 0)
                os.write(file.fileno(), str(os.getpid()).encode())
            yield

    def repair(self) -> None:
        """Set aside what a crash left of a log entry or a checkpoint; the next transform makes the batch again."""
        with self.lock():
            for table in self.tables.values():
                table.repair()

    def holder(self, name: str = "lock") -> int | None:
        """Return the process that holds a lock now, of whatever machine; None where none does."""
        if isinstance(self.path, ObjectPath):
            found = holder(self.path / name)
            return None if found is None else found.process
        try:
            with (self.path / name).open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or b"0")
        except FileNotFoundError:
            pass
        return None

    @contextmanager
    def _lease(self, place: ObjectPath, wait: float | None, name: str) -> Iterator[None]:
        """Hold a lock that is an object; that of writing keeps every earlier holder from committing."""
        tables = [table for table in self.tables.values() if isinstance(table, ObjectTable)]
        lease = Lease(place, least_epoch=lambda: max(table.epoch() for table in tables), seen=self._seen)
        lease.acquire(wait, lambda record: self._busy(name, f"process {record.process} on {record.host}"))
        try:
            if name == WRITING:
                for table in tables:
                    if lease.stolen:
                        table.fence(lease)
                    table.lease = lease
            yield
        finally:
            if name == WRITING:
                for table in tables:
                    table.lease = None
            lease.release()

    def still_mine(self) -> None:
        """Raise where the lock of writing, which the caller holds, may be another's by now; on a disk it cannot be."""
        for table in self.tables.values():
            if isinstance(table, ObjectTable) and table.lease is not None:
                table.lease.check()

    def _busy(self, name: str, who: str) -> str:
        return (
            f"the lake {self.path} {_LOCKS[name]} by {who}; "
            "what was recorded is safe in the spool: wait for that process, or try again"
        )

    def _make(self) -> None:
        if self.path.exists():
            if not self.path.is_dir():
                raise InvalidInput(f"{self.path} is a file; a lake is a directory: name another path")
            if foreign := sorted({entry.name for entry in self.path.iterdir()} - _OWN):
                raise InvalidInput(
                    f"{self.path} is no gpdata lake and holds other files ({', '.join(foreign[:3])}, ...); "
                    "name an empty directory, or one that does not exist yet"
                )
        self.disk.make_directory(self.path)
        with self.lock():
            if (self.path / MARKER).exists():
                return
            for folder in (self.scratch, self.path / "manifests", self.path / "receipts", self.quarantine.path):
                self.disk.make_directory(folder)
            for table in STORED:
                self.tables[table.name].create(STORAGE[table.name], table.grain)
            self.spool()
            marker = {"format": _FORMAT, "schema_version": SCHEMA_VERSION}
            self.disk.write(self.path / MARKER, json.dumps(marker, indent=1).encode() + b"\n", self.scratch)

    def _check(self) -> None:
        try:
            place = self.path / MARKER
            content = place.read_at_once() if isinstance(place, ObjectPath) else place.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise NotALake(_not_a_lake(self.path)) from None
        if not is_marker(content, self.path):
            raise NotALake(_not_a_lake(self.path))


def is_marker(content: bytes, path: object) -> bool:
    """Whether the marker of a directory says that it is a lake.

    Parameters
    ----------
    content : bytes
        What `gpdata.json` holds.
    path : object
        The directory, for messages.

    Raises
    ------
    LakeDamaged
        It holds something else.
    LakeTooNew
        The lake's schema is newer than this gpdata's.
    """
    try:
        marker = msgspec.json.decode(content)
        version = marker["schema_version"] if marker["format"] == _FORMAT else None
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise LakeDamaged(f"{path}/{MARKER} cannot be read ({error}); it should hold JSON such as "
                          f'{{"format": "{_FORMAT}", "schema_version": {SCHEMA_VERSION}}}') from error  # fmt: skip
    if not isinstance(version, int):
        return False
    if version > SCHEMA_VERSION:
        raise LakeTooNew(
            f"the lake {path} has schema version {version}; this gpdata knows versions up to "
            f"{SCHEMA_VERSION}: upgrade gpdata to read it"
        )
    return True


def is_whole(name: str) -> bool:
    """Whether the name of a spool says all of where it is."""
    return "://" in name or Path(name).is_absolute()


def _table(place: Place, disk: Disk, scratch: Path) -> Table:
    return ObjectTable(place, disk, scratch) if isinstance(place, ObjectPath) else Table(place, disk, scratch)


def _has_marker(place: Place) -> bool:
    marker = place / MARKER
    if not isinstance(marker, ObjectPath):
        return marker.exists()
    try:
        return bool(marker.read_at_once())
    except FileNotFoundError:
        return False


def _not_a_lake(path: Place) -> str:
    if isinstance(path, ObjectPath) and not path.exists():
        return (
            f"there is no lake at {path}: nothing lies below that prefix. Check AWS_ENDPOINT_URL, name a lake that is "
            f"there, or make one with 'gpdata import FILE --lake {path}' or gpdata.Recorder"
        )
    if not path.exists():
        return (
            f"there is no lake at {path}: the directory does not exist. Name one that is there, or "
            "make one with 'gpdata import FILE --lake DIR' or gpdata.Recorder"
        )
    inside = sorted(marker.parent.name for marker in path.glob(f"*/{MARKER}")) if path.is_dir() else []
    hint = f"; it holds the lakes {', '.join(inside)}: name one of them" if inside else ""
    return (
        f"{path} is not a gpdata lake: it has no {MARKER}{hint}. "
        "Name the directory that 'gpdata import --lake' or gpdata.Recorder wrote"
    )
