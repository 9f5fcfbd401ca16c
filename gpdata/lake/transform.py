"""The transformer: spool files to committed batches, exactly once, whatever dies when.

Order of events for batch N, each durable before the next: manifest; data files and quarantine entries;
the commits of individuals, runs, generations; receipts; removal (or retirement) of the spool files; removal of
the manifest.

A batch that kills the process which makes it must not stop those behind it. Each try is marked by an empty file
before it begins; one that ends, well or with an error, removes its mark, which a full disk allows. After two
marks, where nothing is committed, its files go one by one; after two more, the lines of such a file are tried in
processes of their own, and those that kill them are set aside.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec

from gpdata.errors import LakeDamaged
from gpdata.lake.batch import COMMIT_ORDER, Account, Batch
from gpdata.lake.index import Index
from gpdata.lake.lake import Lake
from gpdata.lake.trial import heavy_lines
from gpdata.schema import GENERATIONS, RUNS
from gpdata.spool import Spool, SpoolFile
from gpdata.storage import ObjectPath, Place, listed

_log = logging.getLogger(__name__)

BATCH_BYTES = 64 << 20
"""Raw JSON after which a batch is closed: bounds memory, and keeps small files few."""


_TRIES = 2
"""How often a batch may kill the process before it is looked into."""


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What batch N is made of; written before its first commit, the files never changed afterwards."""

    batch: int
    spool: str
    """The spool's directory; relative to the lake where it lies inside."""
    files: tuple[str, ...]
    heavy: dict[str, tuple[int, ...]] | None = None
    """Positions of lines, by file, that are set aside unread; None where the lines were not tried."""


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
    grace : float, optional
        Seconds for which a transformed spool file is kept, until a `gpdata.lake.collect.Collector` removes it;
        with 0 it is removed at once.
    memory : int, optional
        Bytes of memory that this process may take: what a line that killed it is tried with.
    trials : bool, optional
        Whether a batch that had not enough memory is tried again, and looked into.
    """

    def __init__(
        self,
        lake: Lake,
        spool: Spool | None = None,
        *,
        batch_bytes: int = BATCH_BYTES,
        grace: float = 0.0,
        memory: int | None = None,
        trials: bool = True,
    ) -> None:
        self.lake = lake
        self.spool = spool or lake.spool()
        self.batch_bytes = batch_bytes
        self.grace = grace
        self._memory = memory
        self._trials = trials
        self._index: Index | None = None
        self._indexed = 0

    def run(
        self,
        *,
        wait: float | None = None,
        progress: Callable[[Account], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Account:
        """Transform the complete spool files that are there.

        Parameters
        ----------
        wait : float, optional
            Seconds to wait for another holder of the lake's lock; for ever by default.
        progress : callable, optional
            Called with the account of each batch.
        stop : callable, optional
            Asked before each batch whether to leave the rest for later.

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
            return self.drain(progress, stop)

    def drain(
        self,
        progress: Callable[[Account], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Account:
        """Transform the files that are there now, as `run` does, for a caller that holds the lake's lock."""
        total = self._recover()
        # Listed once: what others write meanwhile would make a batch of every line, and no end.
        batches = deque(self._batches(self.spool.pending()))
        while batches and not stop():
            files = batches.popleft()
            try:
                account = self._new_batch(files)
            except MemoryError:
                if not self._trials:
                    raise
                account = self._recover()
                batches.extendleft([file] for file in reversed(files) if file.path.exists())
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
        suspects = self._suspects()
        chosen: list[SpoolFile] = []
        size = 0
        for file in files:
            if file.id in suspects:
                yield [file]
                continue
            meta = self.spool.meta(file)
            raw = (meta and meta.raw_bytes) or file.size
            if chosen and size + raw > self.batch_bytes:
                yield chosen
                chosen, size = [], 0
            chosen.append(file)
            size += raw
        if chosen:
            yield chosen

    def _new_batch(self, files: list[SpoolFile]) -> Account:
        number = 1 + max(table.committed_batch() for table in self.lake.tables.values())
        manifest = Manifest(number, self._spool_name(self.spool), tuple(file.id for file in files))
        self._unmark(number)
        self.lake.still_mine()
        self.lake.disk.write_new(self._manifest(number), msgspec.json.encode(manifest), self.lake.scratch)
        return self._try(self.spool, manifest, files)

    def _recover(self) -> Account:
        """Finish what a crash interrupted; the lake is whole afterwards."""
        for table in self.lake.tables.values():
            table.repair()
        self.spool.sweep()
        total = Account()
        while paths := listed(self.lake.path / "manifests", "*.json"):
            try:
                total.add(self._resume(paths[0]))
            except MemoryError:
                manifest = msgspec.json.decode(paths[0].read_bytes(), type=Manifest)
                if not self._trials or any(self._committed(manifest)):
                    raise
                # The try is counted: what is left of the batch after some more can be made.
        return total

    def _resume(self, path: Place) -> Account:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        spool = self.lake.spool_at(manifest.spool)
        files = [spool.file(id_) for id_ in manifest.files]
        present = [file for file in files if file is not None]
        committed = self._committed(manifest)
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
        if len(self._marks(manifest.batch)) >= _TRIES and not any(committed):
            if len(present) > 1:
                _log.warning("batch %d failed %d times: its files go one by one", manifest.batch, _TRIES)
                self._suspect(self._suspects() | set(manifest.files))
                self._forget(manifest.batch)
                return Account()
            manifest = self._look_into(spool, manifest, present[0])
            self._unmark(manifest.batch)
            self._write(manifest)
        return self._try(spool, manifest, present)

    def _look_into(self, spool: Spool, manifest: Manifest, file: SpoolFile) -> Manifest:
        """Find out which lines kill the process; all of them where they do so only together."""
        if manifest.heavy is None:
            heavy = tuple(sorted(heavy_lines(self.lake, file, memory=self._memory)))
        else:
            heavy = tuple(position for position, _ in enumerate(spool.read(file)))
        _log.warning("the spool file %s failed %d times: %d lines are set aside", file.id, _TRIES, len(heavy))
        return msgspec.structs.replace(manifest, heavy={file.id: heavy})

    def _committed(self, manifest: Manifest) -> list[bool]:
        return [self.lake.tables[name].committed_batch() >= manifest.batch for name in COMMIT_ORDER]

    def _try(self, spool: Spool, manifest: Manifest, files: list[SpoolFile]) -> Account:
        folder = self._manifest(manifest.batch).parent
        mark = folder / f"{manifest.batch:012d}.{len(self._marks(manifest.batch)) + 1}.try"
        self.lake.disk.create(mark).close()
        self.lake.disk.sync_directory(folder)
        try:
            return self._make(spool, manifest, files)
        except MemoryError:
            raise
        except BaseException:
            # An error, Ctrl-C or a full disk says nothing of the lines.
            with suppress(OSError):
                self.lake.disk.remove(mark)
            raise

    def _marks(self, number: int) -> list[Place]:
        return listed(self.lake.path / "manifests", f"{number:012d}.*.try")

    def _unmark(self, number: int) -> None:
        for mark in self._marks(number):
            self.lake.disk.remove(mark)

    def _make(self, spool: Spool, manifest: Manifest, files: list[SpoolFile]) -> Account:
        number = manifest.batch
        if self._index is None or self._indexed != number - 1:
            tables = self.lake.tables
            self._index = Index(tables[RUNS.name], tables[GENERATIONS.name], before=number)
        index, self._index = self._index, None  # a batch that fails leaves no trace in the index
        batch = self._batch(spool, manifest, index)
        batch.make(files, manifest.heavy)
        for file in files:
            meta = spool.meta(file)
            if meta is not None and meta.receipt:
                data = msgspec.json.encode(batch.accounts[file.id])
                self.lake.disk.write(self._receipt(file.id), data, self.lake.scratch)
        self._finish(spool, number, [file.id for file in files])
        self._index = index
        self._indexed = max(table.committed_batch() for table in self.lake.tables.values())
        total = Account()
        for account in batch.accounts.values():
            total.add(account)
        return total

    def _batch(self, spool: Spool, manifest: Manifest, index: Index) -> Batch:
        """Return what makes the batch: here, in this process."""
        return Batch(self.lake, spool, manifest.batch, index)

    def _finish(self, spool: Spool, number: int, ids: list[str] | tuple[str, ...]) -> None:
        self.lake.still_mine()
        if self.grace > 0:
            spool.retire(ids)
        else:
            spool.collect(ids)
        if (suspects := self._suspects()) & set(ids):
            self._suspect(suspects - set(ids))
        self._forget(number)

    def _write(self, manifest: Manifest) -> None:
        self.lake.disk.write(self._manifest(manifest.batch), msgspec.json.encode(manifest), self.lake.scratch)

    def _forget(self, number: int) -> None:
        self._unmark(number)
        self.lake.disk.remove(self._manifest(number))
        self.lake.disk.sync_directory(self._manifest(number).parent)

    def _suspects(self) -> set[str]:
        """Return the ids of the files of batches that failed: each makes a batch of its own."""
        try:
            return msgspec.json.decode(self._suspects_file.read_bytes(), type=set[str])
        except FileNotFoundError:
            return set()

    def _suspect(self, ids: set[str]) -> None:
        if ids:
            self.lake.disk.write(self._suspects_file, msgspec.json.encode(sorted(ids)), self.lake.scratch)
        else:
            self.lake.disk.remove(self._suspects_file)

    @property
    def _suspects_file(self) -> Place:
        return self.lake.path / "manifests" / "suspects"

    def _spool_name(self, spool: Spool) -> str:
        path, lake = spool.path.absolute(), self.lake.path
        if isinstance(path, ObjectPath) or isinstance(lake, ObjectPath):
            inside = isinstance(path, ObjectPath) and path.is_relative_to(lake)
            return str(path.relative_to(lake)) if isinstance(path, ObjectPath) and inside else str(path)
        return os.path.relpath(path, lake) if path.is_relative_to(lake) else str(path)

    def _manifest(self, number: int) -> Place:
        return self.lake.path / "manifests" / f"{number:012d}.json"

    def _receipt(self, id_: str) -> Place:
        return self.lake.path / "receipts" / f"{id_}.json"
