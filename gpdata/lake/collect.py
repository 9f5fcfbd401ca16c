"""Removing transformed spool files after their grace period, once the lake was asked for every line again.

The time is that of the monotonic clock, and counts from when this process first saw the file retired: neither a
clock that is set nor a restart ends a grace period early.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from gpdata.lake.delta import DataFile
from gpdata.lake.lake import Lake
from gpdata.schema import GENERATIONS
from gpdata.spool import Damage, Key, Spool, SpoolFile
from gpdata.storage.reading import parquet
from gpdata.wire import Rejection, identify

_log = logging.getLogger(__name__)


class Collector:
    """Removes the retired files of a spool when their grace period is over.

    Parameters
    ----------
    lake : Lake
        The lake that must hold their lines.
    spool : Spool
        The spool.
    grace : float
        Seconds for which a retired file is kept.
    clock : callable, optional
        Seconds that only ever grow.
    """

    def __init__(
        self, lake: Lake, spool: Spool, grace: float = 0.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lake = lake
        self._spool = spool
        self._grace = grace
        self._clock = clock
        self._seen: dict[str, float] = {}

    def collect_expired(self) -> int:
        """Remove the files whose grace period is over; the caller holds the lake's lock.

        A file with a line that neither the lake nor the quarantine has goes back among those that wait to be
        transformed, and a warning is logged.

        Returns
        -------
        int
            How many were removed.
        """
        now = self._clock()
        retired = self._spool.retired()
        self._seen = {file.id: self._seen.get(file.id, now) for file in retired}
        expired = [file for file in retired if now - self._seen[file.id] >= self._grace]
        if not expired:
            return 0
        whole: list[SpoolFile] = []
        lacking: list[SpoolFile] = []
        stored = _Stored(self._lake, [key for file in expired for key in _keys(self._spool, file)])
        for file in expired:
            (whole if _accounted(self._spool, file, stored) else lacking).append(file)
        self._spool.collect(file.id for file in whole)
        for file in lacking:
            _log.warning(
                "the lake %s lacks a line of the spool file %s, which it had: the file is transformed again; "
                "run 'gpdata verify' on the lake",
                self._lake.path,
                file.id,
            )
            self._spool.disk.rename(file.path, self._spool.path / "new" / file.path.name)
        if lacking:
            self._spool.disk.sync_directory(self._spool.path / "new")
            self._spool.disk.sync_directory(self._spool.path / "done")
        return len(whole)


class _Stored:
    """What the lake's files and its quarantine hold now, read anew, of the runs of some keys."""

    def __init__(self, lake: Lake, keys: Iterable[Key]) -> None:
        self._lake = lake
        self._lines: dict[tuple[str, int], str] = {}
        self._read({key.run_uuid for key in keys})

    def has(self, key: Key) -> bool:
        return self._lines.get((key.run_uuid, key.generation)) == key.sha256

    @cached_property
    def quarantined(self) -> set[str]:
        """The hashes of what is in the quarantine."""
        return {entry.sha256 for entry in self._lake.quarantine.entries()}

    def _read(self, runs: set[str]) -> None:
        if not runs:
            return
        wanted = sorted(runs)
        broken = []
        for table in self._lake.tables.values():
            for file in table.files():
                if not file.may_hold(wanted):
                    continue
                path = table.path / file.path
                if not path.is_file() or path.stat().st_size != file.size:
                    _log.error("the file %s of the lake is gone, or not as long as it was", path)
                    broken.append(file)
                elif table.name == GENERATIONS.name:
                    rows = parquet(path).read(columns=["run_uuid", "generation", "line_sha256"])
                    rows = rows.filter(pc.is_in(rows.column("run_uuid").cast(pa.string()), pa.array(wanted)))
                    self._lines.update(_lines(rows))
        self._lines = {key: line for key, line in self._lines.items() if not any(_concerns(f, key[0]) for f in broken)}


def _lines(rows: pa.Table) -> Iterator[tuple[tuple[str, int], str]]:
    columns = (rows.column(name).to_pylist() for name in ("run_uuid", "generation", "line_sha256"))
    for run, generation, sha256 in zip(*columns, strict=True):
        yield (run, generation), sha256.hex()


def _concerns(file: DataFile, run: str) -> bool:
    return file.run_min <= run <= file.run_max


def _keys(spool: Spool, file: SpoolFile) -> Iterator[Key]:
    """Yield the keys of a file's lines, those that have one."""
    meta = spool.meta(file)
    if meta is not None and meta.keys is not None:
        yield from meta.keys
        return
    for part in spool.read(file):
        if isinstance(part, bytes) and (key := _key(part)) is not None:
            yield key


def _accounted(spool: Spool, file: SpoolFile, stored: _Stored) -> bool:
    keys = spool.keys(file)
    if keys is not None and all(stored.has(key) for key in keys):
        return True
    return all(_kept(part, stored) for part in spool.read(file))


def _kept(part: bytes | Damage, stored: _Stored) -> bool:
    raw = part.raw if isinstance(part, Damage) else part
    if hashlib.sha256(raw).hexdigest() in stored.quarantined:
        return True
    key = _key(part) if isinstance(part, bytes) else None
    return key is not None and stored.has(key)


def _key(line: bytes) -> Key | None:
    found = identify(line)
    return None if isinstance(found, Rejection) else Key(*found, hashlib.sha256(line).hexdigest())
