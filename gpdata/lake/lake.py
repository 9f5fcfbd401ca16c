"""A lake's directory: its marker, its tables, its lock."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import msgspec

from gpdata.errors import InvalidInput, LakeBusy, LakeDamaged, LakeTooNew, NotALake
from gpdata.lake.delta import Table
from gpdata.lake.encoding import STORAGE
from gpdata.schema import SCHEMA_VERSION, STORED
from gpdata.spool import Disk, Quarantine, Spool

MARKER = "gpdata.json"
_FORMAT = "gpdata lake"
_POLL = 0.05
_LOCKS = {
    "lock": "is being written",
    "compaction.lock": "is being compacted",
    "follow.lock": "is being followed",
}
_FOLDERS = {"spool", "scratch", "manifests", "receipts", "quarantine", "tokens"}
_OWN = frozenset({MARKER, "ballast", "ages.json", *_FOLDERS, *_LOCKS, *(t.name for t in STORED)})


class Lake:
    """A lake on a file system of this machine.

    Use `Lake.open` or `Lake.create`; the constructor checks nothing.

    Attributes
    ----------
    path : Path
        The lake's directory.
    runs, generations, individuals : Table
        The Delta tables.
    quarantine : Quarantine
        What could not become rows.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.disk = disk
        self.scratch = path / "scratch"
        self.tables = {table.name: Table(path / table.name, disk, self.scratch) for table in STORED}
        self.quarantine = Quarantine(path / "quarantine", disk=disk)

    @classmethod
    def open(cls, path: str | Path, *, disk: Disk | None = None) -> Self:
        """Open a lake that exists.

        Raises
        ------
        NotALake
            The path is no directory, or has no `gpdata.json`.
        LakeTooNew
            Its schema is newer than this gpdata's.
        """
        lake = cls(Path(path).absolute(), disk or Disk())
        lake._check()
        return lake

    @classmethod
    def create(cls, path: str | Path, *, disk: Disk | None = None) -> Self:
        """Open a lake, or make one where there is none.

        Raises
        ------
        InvalidInput
            The path is a file, or a directory that holds something else.
        """
        lake = cls(Path(path).absolute(), disk or Disk())
        if not (lake.path / MARKER).exists():
            lake._make()
        lake._check()
        return lake

    def spool(self) -> Spool:
        """Return the lake's own spool, which Recorder and import write."""
        return Spool(self.path / "spool", disk=self.disk)

    @contextmanager
    def lock(self, wait: float | None = None, name: str = "lock") -> Iterator[None]:
        """Hold the lake's lock: one process at a time changes a lake.

        Parameters
        ----------
        wait : float, optional
            Seconds to wait for another holder; for ever by default, 0 to try once.
        name : str
            Another lock than that of writing: `compaction.lock`, or `follow.lock`.

        Raises
        ------
        LakeBusy
            Another process held the lock all that time.
        """
        deadline = None if wait is None else time.monotonic() + wait
        with (self.path / name).open("a+b") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if deadline is not None and time.monotonic() >= deadline:
                        file.seek(0)
                        raise LakeBusy(
                            f"the lake {self.path} {_LOCKS[name]} by process {file.read().decode() or '?'}; "
                            "what was recorded is safe in the spool: wait for that process, or try again"
                        ) from None
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
        """Return the process that holds a lock now; None where none does."""
        try:
            with (self.path / name).open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or b"0")
        except FileNotFoundError:
            pass
        return None

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
            marker = msgspec.json.decode((self.path / MARKER).read_bytes())
            version = marker["schema_version"] if marker["format"] == _FORMAT else None
        except (FileNotFoundError, NotADirectoryError):
            raise NotALake(_not_a_lake(self.path)) from None
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise LakeDamaged(f"{self.path / MARKER} cannot be read ({error}); it should hold JSON such as "
                              f'{{"format": "{_FORMAT}", "schema_version": {SCHEMA_VERSION}}}') from error  # fmt: skip
        if not isinstance(version, int):
            raise NotALake(_not_a_lake(self.path))
        if version > SCHEMA_VERSION:
            raise LakeTooNew(
                f"the lake {self.path} has schema version {version}; this gpdata knows versions up to "
                f"{SCHEMA_VERSION}: upgrade gpdata to read it"
            )


def _not_a_lake(path: Path) -> str:
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
