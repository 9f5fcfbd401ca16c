"""What the lake holds already: which generations of which runs, by the hash of their line."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.lake.delta import Table
from gpdata.storage import Place
from gpdata.storage.reading import parquet


@dataclass
class KnownRun:
    """A run as the lake knows it."""

    config_sha256: bytes | None = None
    """Hash of the first config; None before the run's row."""
    owner: str | None = None
    lines: dict[int, bytes] = field(default_factory=dict)
    """Hash of the line of each generation."""


class Index:
    """The keys of every batch before a given one; loaded once, and told of each batch that follows.

    A million generations take about 80 MB: hashes lie in Arrow columns, and only the runs that are asked for
    become dictionaries.
    """

    def __init__(self, runs: Table, generations: Table, *, before: int) -> None:
        keys = _rows(generations, ["run_uuid", "generation", "line_sha256", "batch"], before)
        keys = keys.sort_by("run_uuid").combine_chunks()
        self._generation = keys.column("generation")
        self._hash = keys.column("line_sha256")
        ends = pc.value_counts(keys.column("run_uuid"))
        counts = np.asarray(ends.field("counts"))
        stops = np.cumsum(counts)
        self._slices = dict(
            zip(ends.field("values").to_pylist(), zip(stops - counts, counts, strict=True), strict=True)
        )
        heads = _rows(runs, ["run_uuid", "config_sha256", "owner", "batch"], before)
        self._heads = {row["run_uuid"]: (row["config_sha256"], row["owner"]) for row in heads.to_pylist()}
        self._runs: dict[str, KnownRun] = {}

    def run(self, run_uuid: str) -> KnownRun:
        """Return what is known of a run; the caller adds what it stores."""
        known = self._runs.get(run_uuid)
        if known is None:
            known = self._runs[run_uuid] = KnownRun(*self._heads.get(run_uuid, (None, None)))
            start, count = self._slices.get(run_uuid, (0, 0))
            known.lines = dict(
                zip(
                    self._generation.slice(start, count).to_pylist(),
                    self._hash.slice(start, count).to_pylist(),
                    strict=True,
                )
            )
        return known


def _rows(table: Table, columns: list[str], before: int) -> pa.Table:
    files = [file for file in table.files() if file.batch_min < before]
    parts = [_read(table.path / file.path, columns) for file in files]
    if not parts:
        return pa.table({name: [] for name in columns}, schema=pa.schema([_field(n) for n in columns]))
    rows = pa.concat_tables(parts)
    return rows.filter(pc.less(rows.column("batch"), before))


def _read(path: Place, columns: list[str]) -> pa.Table:
    return parquet(path).read(columns=columns).cast(pa.schema([_field(n) for n in columns]))


def _field(name: str) -> pa.Field:
    types = {"generation": pa.int32(), "batch": pa.int64(), "run_uuid": pa.string(), "owner": pa.string()}
    return pa.field(name, types.get(name, pa.binary()))
