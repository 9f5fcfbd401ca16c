"""What the service knows of every run: whose it is, and which generations are on the disk, by their hash.

The lake's tables and the notes of the spool files that wait are its sources; it holds about forty bytes a
generation. It never decides alone what becomes a row: the transform judges again.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.lake import Lake
from gpdata.lake.delta import DataFile, Table
from gpdata.schema import GENERATIONS, RUNS
from gpdata.spool import Damage, Key, Spool, SpoolFile
from gpdata.storage.reading import parquet
from gpdata.wire import KeyFinder, Rejection, identify

_log = logging.getLogger(__name__)

_HASH = 32
_LATER = bytes(_HASH)
"""Stands for the hash of a line that waits and whose file was not read here; no line has it."""


class Claimed(Exception):
    """Another user's upload, still under way, brings the first line of the same run."""


class RunState(msgspec.Struct, frozen=True):
    """What has arrived of one run, as the service answers it."""

    run_uuid: str
    owner: str | None
    generations: int
    first: int
    last: int
    gaps: list[tuple[int, int]]
    in_lake: int
    waiting: int
    last_received_at: datetime | None


class LakeLedger:
    """Knows the lines of a lake and of the spool before it; for any number of threads.

    Parameters
    ----------
    lake : Lake
        The lake.
    spool : Spool
        The spool whose files become the lake's.
    """

    def __init__(self, lake: Lake, spool: Spool) -> None:
        self._lake, self._spool = lake, spool
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._files: dict[str, list[tuple[str, int]]] = {}
        self._claims: dict[str, _Claim] = {}
        self._newest_entry = ""
        self.batch = 0
        """The newest batch that is known here."""

    def refresh(self) -> None:
        """Learn what the lake and the spool hold that is not known yet; quick where nothing changed."""
        with self._refreshing:
            # Files are listed first: one that is missing here was committed before, and is in the tables below.
            pending = {file.id: file for file in self._spool.pending()}
            with self._lock:
                tracked = set(self._files)
            entry = self._generations.newest_entry()
            if entry != self._newest_entry:
                self._read_lake()
                self._newest_entry = entry
            if pending.keys() - tracked:
                self._spool.settle()  # what is known here is answered as durable
            for id_ in pending.keys() - tracked:
                self._learn(pending[id_])
            self._settle(tracked - pending.keys())

    def refusal(self, run_uuid: str, generation: int, owner: str | None) -> Rejection | None:
        """Say why this owner may not add to this run; None where it is new, or theirs."""
        with self._lock:
            claim = self._claims.get(run_uuid)
            if claim is not None and claim.owner != owner:
                return _other_owner(run_uuid, generation)
            return self._refusal(run_uuid, generation, owner)

    def sha256(self, run_uuid: str, generation: int) -> str | None:
        """Return the hash of the line that is durable for this key; None where there is none.

        The spool file of a line that waits is read for it. None, too, where that file is damaged: the line is
        then taken once more, and the transform judges.
        """
        found, file_id = self._found(run_uuid, generation)
        if found == _LATER:
            self._read_hashes(file_id)
            found, _ = self._found(run_uuid, generation)
        return None if found is None or found == _LATER else found.hex()

    def claims(self) -> Claims:
        """Return the ledger for one upload, which holds the runs that are new with it."""
        return Claims(self)

    def committed(self, file_id: str, keys: Iterable[Key], owner: str | None, received_at: datetime | None) -> None:
        """Take note of a spool file that is durable.

        Parameters
        ----------
        file_id : str
            The file's id.
        keys : iterable of Key
            Its lines, as far as they could be told.
        owner : str or None
            Whose they are.
        received_at : datetime or None
            When they came.
        """
        with self._lock:
            waiting = self._files.setdefault(file_id, [])
            for key in keys:
                run = self._runs.get(key.run_uuid)
                if run is None:
                    run = self._runs[key.run_uuid] = _Run(owner)
                if run.owner == owner and run.hash(key.generation) is None:
                    run.put(key.generation, bytes.fromhex(key.sha256) if key.sha256 else _LATER)
                    run.waiting[key.generation] = file_id
                    waiting.append((key.run_uuid, key.generation))
                    run.seen(received_at)

    def run(self, run_uuid: str) -> RunState | None:
        """Return what has arrived of a run; None where nothing has."""
        with self._lock:
            run = self._runs.get(run_uuid)
            return run.state(run_uuid) if run is not None and run.generations else None

    def runs(self, *, owner: str | None = None, after: str = "", limit: int = 100) -> tuple[list[RunState], str | None]:
        """Return runs in the order of their uuids.

        Parameters
        ----------
        owner : str, optional
            Only runs of this user.
        after : str, optional
            Only runs behind this uuid.
        limit : int, optional
            At most so many.

        Returns
        -------
        tuple of (list of RunState, str or None)
            The runs, and the uuid to go on after; None where there are no more.
        """
        with self._lock:
            wanted = (
                uuid
                for uuid, run in self._runs.items()
                if uuid > after and run.generations and (owner is None or run.owner == owner)
            )
            uuids = heapq.nsmallest(limit + 1, wanted)
            shown = [self._runs[uuid].state(uuid) for uuid in uuids[:limit]]
        return shown, uuids[limit - 1] if len(uuids) > limit else None

    @property
    def _generations(self) -> Table:
        return self._lake.tables[GENERATIONS.name]

    def _found(self, run_uuid: str, generation: int) -> tuple[bytes | None, str]:
        """Return the hash that is known for a key, and the spool file where its line waits."""
        with self._lock:
            run = self._runs.get(run_uuid)
            return (None, "") if run is None else (run.hash(generation), run.waiting.get(generation, ""))

    def _read_hashes(self, file_id: str) -> None:
        """Learn the hashes of the lines of a spool file, or what the lake has of them where the file is gone."""
        while (file := self._spool.file(file_id, retired=True)) is not None:
            try:
                keys = self._spool.keys(file) or tuple(_keys(self._spool, file))
            except FileNotFoundError:  # it moves on: from those that wait to the retired ones, and from there away
                continue
            with self._lock:
                for key in keys:
                    run = self._runs.get(key.run_uuid)
                    waits = run is not None and run.waiting.get(key.generation) == file_id
                    if run is not None and waits and key.sha256 and run.hash(key.generation) == _LATER:
                        run.put(key.generation, bytes.fromhex(key.sha256))
            return
        try:
            self.refresh()
        except Exception:  # a lake that cannot be read now must not stop uploads
            _log.exception("the lake cannot be read; uploads go on")

    def _refusal(self, run_uuid: str, generation: int, owner: str | None) -> Rejection | None:
        run = self._runs.get(run_uuid)
        return None if run is None or run.owner == owner else _other_owner(run_uuid, generation)

    def _claim(self, run_uuid: str, generation: int, owner: str | None, held: set[str]) -> Rejection | None:
        with self._lock:
            if run_uuid in self._runs:
                return self._refusal(run_uuid, generation, owner)
            claim = self._claims.setdefault(run_uuid, _Claim(owner, set()))
            if claim.owner != owner:
                raise Claimed(run_uuid)
            claim.holders.add(id(held))
            held.add(run_uuid)
        return None

    def _release(self, held: set[str]) -> None:
        with self._lock:
            for run_uuid in held:
                holders = self._claims[run_uuid].holders
                holders.discard(id(held))
                if not holders:
                    del self._claims[run_uuid]

    def _read_lake(self) -> None:
        # Generations are committed last: what they name is in the other tables already.
        listed = self._generations.files()
        for rows in _new_rows(self._lake.tables[RUNS.name], ["run_uuid", "owner"], self.batch):
            with self._lock:
                for run_uuid, owner in zip(*(rows.column(n).to_pylist() for n in ("run_uuid", "owner")), strict=True):
                    self._runs.setdefault(run_uuid, _Run(owner)).owner = owner
        columns = ["run_uuid", "generation", "line_sha256", "received_at"]
        for rows in _new_rows(self._generations, columns, self.batch, listed):
            with self._lock:
                self._add_rows(rows)
        self.batch = max((file.batch_max for file in listed), default=0)

    def _add_rows(self, rows: pa.RecordBatch) -> None:
        runs = rows.column("run_uuid").cast(pa.string()).dictionary_encode()
        codes = np.asarray(runs.indices)
        numbers = np.asarray(rows.column("generation").cast(pa.int32()))
        order = np.lexsort((numbers, codes))
        codes, numbers = codes[order], numbers[order]
        hashes = rows.column("line_sha256").take(pa.array(order)).cast(pa.binary(_HASH))
        raw = hashes.buffers()[1].to_pybytes()[: _HASH * len(order)]
        received = rows.column("received_at").take(pa.array(order))
        stops = np.flatnonzero(np.diff(codes, append=-1)) + 1
        start = 0
        for stop in stops.tolist():
            run = self._runs[runs.dictionary[codes[start]].as_py()]
            run.put_many(numbers[start:stop], raw[_HASH * start : _HASH * stop])
            run.seen(pc.max(received.slice(start, stop - start)).as_py())
            start = stop

    def _learn(self, file: SpoolFile) -> None:
        """Read the keys of a file that somebody else wrote, or that was there before this service."""
        try:
            meta = self._spool.meta(file)
            if meta is None:
                return
            keys = meta.keys if meta.keys is not None else tuple(_keys(self._spool, file))
        except FileNotFoundError:  # in the lake by now: the next refresh finds it there
            return
        self.committed(file.id, keys, meta.owner, meta.received_at)

    def _settle(self, ids: Iterable[str]) -> None:
        """Forget the lines of files that are transformed, where they did not become rows."""
        with self._lock:
            for id_ in ids:
                for run_uuid, generation in self._files.pop(id_):
                    run = self._runs.get(run_uuid)
                    if run is not None and run.waiting.get(generation) == id_:
                        run.remove(generation)
                        if not run.generations:
                            del self._runs[run_uuid]


class Claims:
    """The ledger as one upload sees it: a run that nobody has yet is held for its owner until the upload is over."""

    def __init__(self, ledger: LakeLedger) -> None:
        self._ledger = ledger
        self._held: set[str] = set()

    def refusal(self, run_uuid: str, generation: int, owner: str | None) -> Rejection | None:
        """Say why this owner may not add to this run.

        Raises
        ------
        Claimed
            The run is new, and another user's upload under way was quicker.
        """
        return self._ledger._claim(run_uuid, generation, owner, self._held)

    def sha256(self, run_uuid: str, generation: int) -> str | None:
        """Return the hash of the line that is durable for this key; None where there is none."""
        return self._ledger.sha256(run_uuid, generation)

    def release(self) -> None:
        """Give up what is held: the upload is over."""
        self._ledger._release(self._held)
        self._held.clear()


def _other_owner(run_uuid: str, generation: int) -> Rejection:
    detail = (
        f"run {run_uuid} belongs to somebody else, its first uploader; "
        "check that each run has a uuid of its own, or upload with the first uploader's token"
    )
    return Rejection("other_owner", detail, run_uuid, generation)


class _Claim(NamedTuple):
    owner: str | None
    holders: set[int]


class _Run:
    __slots__ = ("generations", "hashes", "owner", "received", "waiting")

    def __init__(self, owner: str | None) -> None:
        self.owner = owner
        self.generations = array("i")
        self.hashes = bytearray()
        self.waiting: dict[int, str] = {}
        self.received: float | None = None

    def hash(self, generation: int) -> bytes | None:
        at = bisect_left(self.generations, generation)
        if at == len(self.generations) or self.generations[at] != generation:
            return None
        return bytes(self.hashes[_HASH * at : _HASH * (at + 1)])

    def put(self, generation: int, sha256: bytes) -> None:
        at = bisect_left(self.generations, generation)
        if at < len(self.generations) and self.generations[at] == generation:
            self.hashes[_HASH * at : _HASH * (at + 1)] = sha256
        else:
            self.generations.insert(at, generation)
            self.hashes[_HASH * at : _HASH * at] = sha256

    def put_many(self, generations: np.ndarray[Any, np.dtype[np.int32]], hashes: bytes) -> None:
        """Put rows of the lake, in the order of their generations; they wait no longer."""
        if not self.generations or self.generations[-1] < generations[0]:
            self.generations.frombytes(generations.astype(np.intc).tobytes())
            self.hashes += hashes
            return
        for at, generation in enumerate(generations.tolist()):
            self.put(generation, hashes[_HASH * at : _HASH * (at + 1)])
            self.waiting.pop(generation, None)

    def remove(self, generation: int) -> None:
        at = bisect_left(self.generations, generation)
        del self.generations[at]
        del self.hashes[_HASH * at : _HASH * (at + 1)]
        del self.waiting[generation]

    def seen(self, received_at: datetime | None) -> None:
        if received_at is not None:
            self.received = max(self.received or 0.0, received_at.timestamp())

    def state(self, run_uuid: str) -> RunState:
        gaps, expected = [], 0
        for generation in self.generations:
            if generation > expected:
                gaps.append((expected, generation - 1))
            expected = generation + 1
        count, waiting = len(self.generations), len(self.waiting)
        received = None if self.received is None else datetime.fromtimestamp(self.received, UTC)
        first, last = self.generations[0], self.generations[-1]
        return RunState(run_uuid, self.owner, count, first, last, gaps, count - waiting, waiting, received)


def _new_rows(
    table: Table, columns: list[str], after: int, files: list[DataFile] | None = None
) -> Iterable[pa.RecordBatch]:
    """Yield the rows of the batches behind one, a row group at a time."""
    for file in table.files() if files is None else files:
        if file.batch_max > after:
            opened = parquet(table.path / file.path)
            for rows in opened.iter_batches(columns=[*columns, "batch"]):
                yield rows.filter(pc.greater(rows.column("batch"), after))


def _keys(spool: Spool, file: SpoolFile) -> Iterable[Key]:
    for line in spool.read(file):
        if isinstance(line, Damage):
            continue
        finder = KeyFinder()
        finder.feed(line)
        found = finder.key() or identify(line)
        if not isinstance(found, Rejection):
            yield Key(*found, hashlib.sha256(line).hexdigest())
