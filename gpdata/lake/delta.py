"""One Delta table of the lake: its log is written here with our own barrier, and read through delta-rs.

delta-rs syncs nothing, and cannot replace chosen files by others that we encoded; a log entry is a few lines
of JSON (see docs/decisions/0002-own-delta-commits.md). Only the holder of the lake's lock commits.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError

from gpdata.errors import LakeDamaged
from gpdata.spool import Disk

APP_ID = "gpdata"
CHECKPOINT_EVERY = 50
CONFIGURATION = {
    "delta.logRetentionDuration": "interval 7 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}
"""Properties of a new table."""
_NEEDED = ("size_bytes", "num_records", "min.run_uuid", "max.run_uuid", "min.batch", "max.batch")
"""What the log says of each data file."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a table and the statistics that prune it."""

    path: str
    """Name within the table's directory."""
    size: int
    rows: int
    run_min: str
    run_max: str
    batch_min: int
    batch_max: int
    generation_min: int | None = None
    generation_max: int | None = None

    def may_hold(self, runs: Sequence[str] | None) -> bool:
        """Whether the file can hold rows of one of these runs; None stands for every run."""
        return runs is None or any(self.run_min <= run <= self.run_max for run in runs)


class Table:
    """A Delta table in a directory of its own."""

    def __init__(self, path: Path, disk: Disk, scratch: Path) -> None:
        self.path = path
        self.name = path.name
        self._disk = disk
        self._scratch = scratch

    @property
    def log(self) -> Path:
        """The directory of the Delta log."""
        return self.path / "_delta_log"

    def create(self, schema: pa.Schema, description: str) -> None:
        """Create the table where it does not exist, or holds nothing: an attempt that failed left it, perhaps torn."""
        if DeltaTable.is_deltatable(str(self.path)) and self._empty():
            for path in sorted(self.log.glob("[0-9]*[0-9].json")):
                self._set_aside(path)
        if not DeltaTable.is_deltatable(str(self.path)):
            self._disk.make_directory(self.path)
            DeltaTable.create(
                str(self.path),
                Schema.from_arrow(schema),
                name=f"gpdata {self.name}",
                description=description,
                configuration=CONFIGURATION,
            )
        for path in self.log.iterdir():
            self._disk.sync_path(path)
        self._disk.sync_directory(self.log)
        self._disk.sync_directory(self.path)

    def open(self) -> DeltaTable:
        """Return the table as delta-rs reads it, at its newest version."""
        try:
            return DeltaTable(str(self.path))
        except (DeltaError, OSError) as error:
            raise LakeDamaged(
                f"the log of table {self.name!r} at {self.path} cannot be read: {error}; "
                "run 'gpdata verify' on the lake to see what is damaged"
            ) from error

    def committed_batch(self) -> int:
        """Return the number of the newest batch that this table has committed; 0 before the first."""
        return self.open().transaction_version(APP_ID) or 0

    def files(self) -> list[DataFile]:
        """Return the files of the newest version, in the order of their names."""
        actions = pa.table(self.open().get_add_actions(flatten=True))
        rows = actions.to_pylist()
        for row in rows:
            if any(row.get(name) is None for name in _NEEDED):
                raise LakeDamaged(
                    f"the log of table {self.name!r} at {self.path} names the file {row['path']!r} without "
                    f"{', '.join(name for name in _NEEDED if row.get(name) is None)}, which every file has that gpdata "
                    "writes: the log was damaged, or another program wrote to it; restore it from a backup"
                )
        return sorted((_data_file(row) for row in rows), key=lambda file: file.path)

    def commit(
        self,
        operation: str,
        *,
        add: Iterable[DataFile] = (),
        remove: Iterable[DataFile] = (),
        batch: int | None = None,
    ) -> None:
        """Write one durable log entry; the data files must be on the disk already.

        Parameters
        ----------
        operation : str
            What a reader of the log's history sees.
        add, remove : iterable of DataFile
            Files that become, or cease to be, part of the table. With both, the rows are the same.
        batch : int, optional
            The batch that this commits, recorded as the table's transaction.
        """
        now = int(time.time() * 1000)
        remove = list(remove)
        entry: list[dict[str, Any]] = [
            {"commitInfo": {"timestamp": now, "operation": operation, "engineInfo": "gpdata"}}
        ]
        if batch is not None:
            entry.append({"txn": {"appId": APP_ID, "version": batch, "lastUpdated": now}})
        entry += [
            {
                "remove": {
                    "path": file.path,
                    "deletionTimestamp": now,
                    "dataChange": False,
                    "extendedFileMetadata": True,
                    "partitionValues": {},
                    "size": file.size,
                }
            }
            for file in remove
        ]
        entry += [
            {
                "add": {
                    "path": file.path,
                    "partitionValues": {},
                    "size": file.size,
                    "modificationTime": now,
                    "dataChange": not remove,
                    "stats": json.dumps(_statistics(file)),
                }
            }
            for file in add
        ]
        # Cut where a line ends, an entry would still be one: with the batch, perhaps, and without its rows.
        entry[0]["commitInfo"]["actions"] = len(entry)
        remove_names = frozenset(file.path for file in remove)
        version = self._next_version(batch, remove_names)
        self._write_entry(version, entry)
        if version % CHECKPOINT_EVERY == 0:
            self.checkpoint()

    def newest_entry(self) -> str:
        """Return the name of the newest log entry: another one, where anything was committed since."""
        return max(name for name in os.listdir(self.log) if name.endswith(".json"))  # noqa: PTH208

    def _next_version(self, batch: int | None, remove: frozenset[str]) -> int:
        """Return the version that a commit makes; the holder of the lake's lock is alone here."""
        return self.open().version() + 1

    def _write_entry(self, version: int, entry: list[dict[str, Any]]) -> None:
        """Write the log entry of a version, durably, where there is none."""
        data = entry_bytes(entry)
        temporary = self._scratch / f"{self.name}-{version}.json.tmp"
        with self._disk.create(temporary) as file_:
            file_.write(data)
            self._disk.sync(file_)
        # A link fails where the name is taken, so an entry is never overwritten.
        self._disk.link(temporary, self.log / f"{version:020d}.json")
        self._disk.sync_directory(self.log)
        self._disk.remove(temporary)

    def checkpoint(self) -> None:
        """Sum the log up in one file, durably, so that opening the table stays quick."""
        before = set(self.log.glob("*.checkpoint*.parquet"))
        self.open().create_checkpoint()
        try:
            self.settle()
        except OSError:
            # What the kernel made of a failed sync cannot be known, nor would a later one tell.
            for path in {*self.log.glob("*.checkpoint*.parquet")} - before | {self.log / "_last_checkpoint"}:
                with suppress(OSError):
                    self._disk.remove(path)
            raise

    def settle(self) -> None:
        """Bring the log to the disk, also what a process wrote that was killed before its last sync."""
        for path in self.log.glob("*checkpoint*"):
            self._disk.sync_path(path)
        self._disk.sync_directory(self.log)

    def repair(self) -> list[Path]:
        """Set an empty or torn newest log entry, or a torn checkpoint, aside; return what was set aside.

        Only what a crash can leave behind is touched: the newest entry of a table that has older ones, and
        checkpoints, which hold nothing that the log does not. What is there is durable afterwards: who wrote it
        may have been killed before its last sync.
        """
        aside = []
        if self.log.is_dir():
            self._disk.sync_directory(self.log)
        entries = sorted(self.log.glob("[0-9]*[0-9].json"))
        if len(entries) > 1 and not _is_entry(entries[-1]):
            aside.append(self._set_aside(entries[-1]))
        # Newest first: the one before it, and the entries since, are kept by the clean-up for this.
        doubtful = [self.log / "_last_checkpoint", *sorted(self.log.glob("[0-9]*.checkpoint*.parquet"), reverse=True)]
        while True:
            try:
                self.open()
            except LakeDamaged:
                doubtful = [path for path in doubtful if path.exists()]
                if not doubtful:
                    raise
                aside.append(self._set_aside(doubtful.pop(0)))
            else:
                return aside

    def _empty(self) -> bool:
        """Whether no more than the creation was ever written to the log."""
        entries = sorted(self.log.glob("[0-9]*"))
        return [path.name for path in entries] == [f"{0:020d}.json"]

    def _set_aside(self, path: Path) -> Path:
        target = path.with_name(f"set-aside-{time.time_ns()}-{path.name}")
        self._disk.rename(path, target)
        self._disk.sync_directory(self.log)
        return target


def entry_bytes(entry: list[dict[str, Any]]) -> bytes:
    """Return a log entry as it stands in the log: a line of JSON for each action."""
    return "".join(json.dumps(action) + "\n" for action in entry).encode()


def _is_entry(path: Path) -> bool:
    try:
        actions = [json.loads(line) for line in path.read_bytes().splitlines()]
    except ValueError:
        return False
    said = [action["commitInfo"] for action in actions if "commitInfo" in action]
    return bool(actions) and all(info.get("actions", len(actions)) == len(actions) for info in said)


def _statistics(file: DataFile) -> dict[str, Any]:
    least: dict[str, Any] = {"run_uuid": file.run_min, "batch": file.batch_min}
    greatest: dict[str, Any] = {"run_uuid": file.run_max, "batch": file.batch_max}
    if file.generation_min is not None:
        least["generation"], greatest["generation"] = file.generation_min, file.generation_max
    nulls = dict.fromkeys(least, 0)
    return {"numRecords": file.rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}


def _data_file(action: dict[str, Any]) -> DataFile:
    return DataFile(
        path=action["path"],
        size=action["size_bytes"],
        rows=action["num_records"],
        run_min=action["min.run_uuid"],
        run_max=action["max.run_uuid"],
        batch_min=action["min.batch"],
        batch_max=action["max.batch"],
        generation_min=action.get("min.generation"),
        generation_max=action.get("max.generation"),
    )
