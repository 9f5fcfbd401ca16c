"""The transformer: spool files to committed batches, exactly once, whatever dies when.

Order of events for batch N, each durable before the next: manifest; data files and quarantine entries;
the commits of individuals, runs, generations; receipts; removal of the spool files; removal of the manifest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from gpdata.errors import LakeDamaged
from gpdata.lake.batch import COMMIT_ORDER, Account, Batch
from gpdata.lake.index import Index
from gpdata.lake.lake import Lake
from gpdata.schema import GENERATIONS, RUNS
from gpdata.spool import Spool, SpoolFile

BATCH_BYTES = 64 << 20
"""Raw JSON after which a batch is closed: bounds memory, and keeps small files few."""


class Manifest(msgspec.Struct, frozen=True):
    """What batch N is made of; written before its first commit, never changed."""

    batch: int
    spool: str
    """The spool's directory; relative to the lake where it lies inside."""
    files: tuple[str, ...]


class Transformer:
    """Turns a spool's files into batches of a lake.

    Parameters
    ----------
    lake : Lake
        The lake.
    spool : Spool, optional
        The spool; the lake's own by default.
    batch_bytes : int, optional
        Raw JSON after which a batch is closed.
    """

    def __init__(self, lake: Lake, spool: Spool | None = None, *, batch_bytes: int = BATCH_BYTES) -> None:
        self.lake = lake
        self.spool = spool or lake.spool()
        self._batch_bytes = batch_bytes
        self._index: Index | None = None
        self._indexed = 0

    def run(self, *, wait: float | None = None, progress: Callable[[Account], None] | None = None) -> Account:
        """Transform the complete spool files that are there.

        Parameters
        ----------
        wait : float, optional
            Seconds to wait for another holder of the lake's lock; for ever by default.
        progress : callable, optional
            Called with the account of each batch.

        Returns
        -------
        Account
            What became of the lines, those of interrupted earlier batches included.

        Raises
        ------
        LakeBusy
            The lock was held by another process all that time; the files stay in the spool.
        """
        with self.lake.lock(wait):
            return self.drain(progress)

    def drain(self, progress: Callable[[Account], None] | None = None) -> Account:
        """Transform the files that are there now, as `run` does, for a caller that holds the lake's lock."""
        total = Account()
        for account in self._recover():
            total.add(account)
        # Listed once: what others write meanwhile would make a batch of every line, and no end.
        for files in self._batches(self.spool.pending()):
            account = self._new_batch(files)
            total.add(account)
            if progress is not None:
                progress(account)
        return total

    def receipt(self, file: SpoolFile) -> Account | None:
        """Take the account of a spool file that was written with `receipt`; None until it is transformed."""
        path = self._receipt(file.id)
        try:
            account = msgspec.json.decode(path.read_bytes(), type=Account)
        except FileNotFoundError:
            return None
        self.lake.disk.remove(path)
        return account

    def _batches(self, files: list[SpoolFile]) -> Iterator[list[SpoolFile]]:
        chosen: list[SpoolFile] = []
        size = 0
        for file in files:
            raw = self.spool.meta(file).raw_bytes or file.size
            if chosen and size + raw > self._batch_bytes:
                yield chosen
                chosen, size = [], 0
            chosen.append(file)
            size += raw
        if chosen:
            yield chosen

    def _new_batch(self, files: list[SpoolFile]) -> Account:
        number = 1 + max(table.committed_batch() for table in self.lake.tables.values())
        manifest = Manifest(number, self._spool_name(self.spool), tuple(file.id for file in files))
        self.lake.disk.write(self._manifest(number), msgspec.json.encode(manifest), self.lake.scratch)
        return self._make(self.spool, number, files)

    def _recover(self) -> list[Account]:
        """Finish what a crash interrupted; the lake is whole afterwards."""
        for table in self.lake.tables.values():
            table.repair()
        self.spool.sweep()
        return [self._resume(path) for path in sorted((self.lake.path / "manifests").glob("*.json"))]

    def _resume(self, path: Path) -> Account:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        spool = Spool(self.lake.path / manifest.spool, disk=self.lake.disk)
        files = [spool.file(id_) for id_ in manifest.files]
        present = [file for file in files if file is not None]
        committed = [self.lake.tables[name].committed_batch() >= manifest.batch for name in COMMIT_ORDER]
        # Every line that is stored has a row in the table that is committed last; the others may have none of it.
        done = committed[-1]
        missing = len(present) < len(files)  # removed by the collection, which begins after the receipts
        if missing and any(committed) and not done:
            raise LakeDamaged(
                f"batch {manifest.batch} of {self.lake.path} is half committed, and of its spool files in "
                f"{spool.path} {len(files) - len(present)} are gone; put them back, or restore the lake"
            )
        if not present or (missing and done):
            self._finish(spool, manifest.batch, manifest.files)
            return Account()
        return self._make(spool, manifest.batch, present)

    def _make(self, spool: Spool, number: int, files: list[SpoolFile]) -> Account:
        if self._index is None or self._indexed != number - 1:
            tables = self.lake.tables
            self._index = Index(tables[RUNS.name], tables[GENERATIONS.name], before=number)
        index, self._index = self._index, None  # a batch that fails leaves no trace in the index
        batch = Batch(self.lake, spool, number, index)
        batch.make(files)
        for file in files:
            if spool.meta(file).receipt:
                data = msgspec.json.encode(batch.accounts[file.id])
                self.lake.disk.write(self._receipt(file.id), data, self.lake.scratch)
        self._finish(spool, number, [file.id for file in files])
        self._index = index
        self._indexed = max(table.committed_batch() for table in self.lake.tables.values())
        total = Account()
        for account in batch.accounts.values():
            total.add(account)
        return total

    def _finish(self, spool: Spool, number: int, ids: list[str] | tuple[str, ...]) -> None:
        spool.collect(ids)
        self.lake.disk.remove(self._manifest(number))
        self.lake.disk.sync_directory(self._manifest(number).parent)

    def _spool_name(self, spool: Spool) -> str:
        path = spool.path.absolute()
        return os.path.relpath(path, self.lake.path) if path.is_relative_to(self.lake.path) else str(path)

    def _manifest(self, number: int) -> Path:
        return self.lake.path / "manifests" / f"{number:012d}.json"

    def _receipt(self, id_: str) -> Path:
        return self.lake.path / "receipts" / f"{id_}.json"
