"""A Delta table in an object store: each commit is one conditional PUT of the next log entry.

Whoever commits read the version before: entry N + 1 is only written where N was the newest, and what must hold
for the commit held at N. So two writers that both believe to hold the lake's lock cannot commit a batch twice,
nor take a file away twice. Beyond that the log keeps a stale writer out altogether: who takes over the lock from a
holder that did not give it back writes its epoch into each log before it reads anything, and from then on a commit
of a smaller epoch is refused.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError

from gpdata.errors import GpdataError, LakeDamaged
from gpdata.lake.delta import APP_ID, CONFIGURATION, DataFile, Table, entry_bytes
from gpdata.spool import Disk
from gpdata.storage import ObjectPath
from gpdata.storage.lease import Lease, LeaseLost
from gpdata.storage.reading import delta_options

_T = TypeVar("_T")

LEASE_ID = f"{APP_ID}-lock"
"""The Delta transaction under which a log has the epoch of the lake's lock."""


class ObjectTable(Table):
    """A Delta table below a prefix of a bucket.

    Attributes
    ----------
    lease : Lease or None
        The lake's lock while this process holds it; nothing is committed without.
    """

    path: ObjectPath  # type: ignore[assignment]

    def __init__(self, path: ObjectPath, disk: Disk, scratch: Path) -> None:
        super().__init__(path, disk, scratch)  # type: ignore[arg-type]
        self.lease: Lease | None = None

    @property
    def log(self) -> ObjectPath:  # type: ignore[override]
        """The prefix of the Delta log."""
        return self.path / "_delta_log"

    def create(self, schema: pa.Schema, description: str) -> None:
        """Create the table where it does not exist."""

        def make() -> None:
            if not self._exists():
                DeltaTable.create(
                    str(self.path),
                    Schema.from_arrow(schema),
                    name=f"gpdata {self.name}",
                    description=description,
                    configuration=CONFIGURATION,
                    storage_options=delta_options(),
                )

        self._patiently(make)

    def open(self) -> DeltaTable:
        """Return the table as delta-rs reads it, at its newest version."""
        return self._patiently(lambda: DeltaTable(str(self.path), storage_options=delta_options()))

    def committed_batch(self) -> int:
        """Return the number of the newest batch that this table has committed; 0 before the first."""
        return self._patiently(super().committed_batch)

    def files(self) -> list[DataFile]:
        """Return the files of the newest version, in the order of their names."""
        return self._patiently(super().files)

    def epoch(self) -> int:
        """Return the greatest epoch of the lake's lock that this log has; 0 where it has none."""
        return self._patiently(lambda: _epoch(self.open()) if self._exists() else 0)

    def fence(self, lease: Lease) -> None:
        """Keep every earlier holder of the lake's lock from committing; nothing may be read before."""
        while self._patiently(self._exists):
            version, epoch = self._patiently(lambda: _standing(self.open()))
            if epoch >= lease.epoch:
                return
            now = int(time.time() * 1000)
            entry: list[dict[str, Any]] = [
                {"commitInfo": {"timestamp": now, "operation": "FENCE", "engineInfo": "gpdata"}},
                {"txn": {"appId": LEASE_ID, "version": lease.epoch, "lastUpdated": now}},
            ]
            try:
                self._put(version + 1, entry)
            except FileExistsError:
                continue  # the earlier holder was quicker by one entry

    def newest_entry(self) -> str:
        """Return the name of the newest log entry: another one, where anything was committed since."""
        return max(place.name for place in self.log.iterdir() if place.suffix == ".json")

    def settle(self) -> None:
        """Do nothing: an object is durable."""

    def checkpoint(self) -> None:
        """Sum the log up in one object, so that opening the table stays quick."""
        self._patiently(lambda: self.open().create_checkpoint())

    def repair(self) -> list[Path]:
        """Set nothing aside: an object is there whole or not at all."""
        return []

    def _next_version(self, batch: int | None, remove: frozenset[str]) -> int:
        """Return the version that a commit makes, where what it needs holds at the one before."""
        if self.lease is None:
            raise LakeDamaged(f"a commit to {self.path} was tried without the lake's lock; nothing was written")
        self.lease.check()
        return self._patiently(lambda: self._after(self.open(), batch, remove))

    def _after(self, table: DeltaTable, batch: int | None, remove: frozenset[str]) -> int:
        assert self.lease is not None
        if _epoch(table) > self.lease.epoch:
            raise LeaseLost(self._lost("has taken the lake's lock over"))
        if batch is not None and (table.transaction_version(APP_ID) or 0) >= batch:
            raise LeaseLost(self._lost(f"has committed batch {batch}"))
        if remove and remove - set(_paths(table)):
            raise LeaseLost(self._lost("has compacted some of the same files"))
        return table.version() + 1

    def _write_entry(self, version: int, entry: list[dict[str, Any]]) -> None:
        try:
            self._put(version, entry)
        except FileExistsError:
            raise LeaseLost(self._lost(f"has committed version {version}")) from None

    def _put(self, version: int, entry: list[dict[str, Any]]) -> None:
        # Unlike any other entry, so that one whose acknowledgement was lost is told from another writer's.
        mark = {"commitInfo": {**entry[0]["commitInfo"], "gpdataNonce": secrets.token_hex(8)}}
        place = self.log / f"{version:020d}.json"
        place.client.put_new(place.key, entry_bytes([mark, *entry[1:]]))

    def _exists(self) -> bool:
        return bool(DeltaTable.is_deltatable(str(self.path), delta_options()))

    def _patiently(self, call: Callable[[], _T]) -> _T:
        """Call delta-rs; again where the store was away, which its errors do not tell from a damaged log."""
        for last in (False, False, True):
            try:
                return call()
            except GpdataError:
                raise
            except (DeltaError, OSError) as error:
                # Waits for a store that is away, and says so where it stays away, or refuses.
                self.log.client.any(self.log.key)
                if last:
                    raise LakeDamaged(
                        f"the log of table {self.name!r} at {self.path} cannot be read: {error}; "
                        "run 'gpdata verify' on the lake to see what is damaged"
                    ) from error
        raise AssertionError("the last try returns or raises")

    def _lost(self, what: str) -> str:
        return (
            f"another writer {what} in the table {self.name!r} of {self.path.parent}; this one stood still for longer "
            "than the lock is valid, and wrote nothing more. What was recorded is safe in the spool: try again"
        )


def _epoch(table: DeltaTable) -> int:
    return table.transaction_version(LEASE_ID) or 0


def _standing(table: DeltaTable) -> tuple[int, int]:
    return table.version(), _epoch(table)


def _paths(table: DeltaTable) -> Iterable[str]:
    return [str(path) for path in pa.table(table.get_add_actions()).column("path").to_pylist()]
