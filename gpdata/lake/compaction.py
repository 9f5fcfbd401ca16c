"""Compaction: the many small files of batches become few, sorted, and as small as they get."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpdata.errors import LakeDamaged
from gpdata.lake.batch import COMMIT_ORDER
from gpdata.lake.delta import DataFile, Table
from gpdata.lake.encoding import STORAGE
from gpdata.lake.lake import Lake
from gpdata.lake.parquet import SEALED, Profile, TableWriter
from gpdata.lake.transform import Transformer

SMALL = 64 << 20
"""A sealed file below this is taken up again once others can join it."""
_FULL = 128 << 20
_WINDOW = 96 << 20
"""Bytes in memory that are sorted at a time."""
_SEALED = "sealed-"
KEEP = 7 * 24 * 3600.0
"""Seconds for which replaced files stay, so that open labs and cited versions of open sessions read on."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did to one table."""

    table: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def compact(
    lake: Lake,
    *,
    wait: float | None = None,
    keep: float = KEEP,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Compacted]:
    """Rewrite a lake's small files sorted by run, generation and location, at the highest compression.

    What the spool holds is transformed first. The rows of every version stay the same; files that were
    replaced stay for a while for whoever has them open.

    Parameters
    ----------
    lake : Lake
        The lake.
    wait : float, optional
        Seconds to wait for another holder of the lake's lock; for ever by default.
    keep : float, optional
        Seconds for which replaced files stay.
    progress : callable, optional
        Called with the table's name, rows done, and rows in all.

    Returns
    -------
    list of Compacted
        One a table.
    """
    transformer = Transformer(lake)
    with lake.lock(wait):
        transformer.drain()
        done = [_compact_table(lake, lake.tables[name], progress) for name in COMMIT_ORDER]
        _clean(lake, keep)
    return done


def _compact_table(lake: Lake, table: Table, progress: Callable[[str, int, int], None] | None) -> Compacted:
    before = table.files()
    chosen = [file for file in before if file.size < SMALL or not file.path.startswith(_SEALED)]
    if len(chosen) > 1 or any(not file.path.startswith(_SEALED) for file in chosen):
        written = _rewrite(lake, table, chosen, progress)
        _verify(table, chosen, written)
        table.commit("OPTIMIZE", add=written, remove=chosen)
        table.checkpoint()
    after = table.files()
    return Compacted(table.name, len(before), len(after), sum(f.size for f in before), sum(f.size for f in after))


def _rewrite(
    lake: Lake, table: Table, files: list[DataFile], progress: Callable[[str, int, int], None] | None
) -> list[DataFile]:
    version = table.open().version() + 1
    total, done = sum(file.rows for file in files), 0
    written: list[DataFile] = []
    with ExitStack() as stack:
        writer: TableWriter | None = None
        for rows in _sorted_rows(table, files):
            if writer is None:
                name = f"{_SEALED}{version:08d}-{len(written):04d}.parquet"
                writer = stack.enter_context(
                    TableWriter(table.name, table.path, name, Profile(SEALED), lake.disk, lake.scratch)
                )
            writer.add(rows.to_batches())
            done += rows.num_rows
            if progress is not None:
                progress(table.name, done, total)
            if writer.bytes >= _FULL:
                written.append(writer.close())
                writer = None
        if writer is not None:
            written.append(writer.close())
    return written


def _sorted_rows(table: Table, files: list[DataFile]) -> Iterator[pa.Table]:
    """Yield the rows of files in order of their key, in stretches that fit into memory."""
    groups = [group for file in files for group in _row_groups(table, file)]
    order = [
        (name, "ascending") for name in ("run_uuid", "generation", "location") if name in STORAGE[table.name].names
    ]
    if not groups:
        return
    sample = groups[len(groups) // 2].read()
    rows = int(_WINDOW * sample.num_rows / max(1, sample.nbytes))
    del sample
    for window in _windows(groups, rows=max(1, rows)):
        parts = [window.of(group.read()) for group in groups if window.touches(group)]
        yield pa.concat_tables(parts).sort_by(order).combine_chunks()


@dataclass(frozen=True, slots=True)
class _RowGroup:
    path: Path
    number: int
    rows: int
    first: tuple[str, int]
    """Least run, and least generation."""
    last: tuple[str, int]
    schema: pa.Schema

    def read(self, columns: list[str] | None = None) -> pa.Table:
        names = columns or self.schema.names
        schema = pa.schema([self.schema.field(name) for name in names])
        return pq.ParquetFile(self.path).read_row_group(self.number, columns=names).cast(schema)


@dataclass(frozen=True, slots=True)
class _Window:
    """The rows from one (run, generation) to another, both included."""

    first: tuple[str, int]
    last: tuple[str, int]

    def touches(self, group: _RowGroup) -> bool:
        if not (group.first[0] <= self.last[0] and self.first[0] <= group.last[0]):
            return False
        one_run = group.first[0] == group.last[0] == self.first[0] == self.last[0]
        return not one_run or (group.first[1] <= self.last[1] and self.first[1] <= group.last[1])

    def of(self, rows: pa.Table) -> pa.Table:
        run = rows.column("run_uuid")
        keep = pc.and_(pc.greater_equal(run, self.first[0]), pc.less_equal(run, self.last[0]))
        if "generation" in rows.column_names:
            generation = rows.column("generation")
            early = pc.and_(pc.equal(run, self.first[0]), pc.less(generation, self.first[1]))
            late = pc.and_(pc.equal(run, self.last[0]), pc.greater(generation, self.last[1]))
            keep = pc.and_not(pc.and_not(keep, early), late)
        return rows.filter(keep)


def _row_groups(table: Table, file: DataFile) -> Iterator[_RowGroup]:
    path = table.path / file.path
    schema = STORAGE[table.name]
    meta = pq.read_metadata(path)
    position = {meta.schema.column(i).path: i for i in range(meta.num_columns)}
    for number in range(meta.num_row_groups):
        group = meta.row_group(number)
        run = group.column(position["run_uuid"]).statistics
        generation = group.column(position["generation"]).statistics if "generation" in position else None
        yield _RowGroup(
            path,
            number,
            group.num_rows,
            (run.min, generation.min if generation else 0),
            (run.max, generation.max if generation else 0),
            schema,
        )


def _windows(groups: list[_RowGroup], rows: int) -> Iterator[_Window]:
    names = [name for name in ("run_uuid", "generation") if name in groups[0].schema.names]
    counts: dict[tuple[str, int], int] = {}
    for group in groups:
        for row in group.read(names).group_by(names).aggregate([([], "count_all")]).to_pylist():
            key = (row["run_uuid"], row.get("generation", 0))
            counts[key] = counts.get(key, 0) + row["count_all"]
    first: tuple[str, int] | None = None
    last, held = ("", 0), 0
    for key in sorted(counts):
        if first is not None and held + counts[key] > rows:
            yield _Window(first, last)
            first, held = None, 0
        first = first or key
        last, held = key, held + counts[key]
    if first is not None:
        yield _Window(first, last)


def _verify(table: Table, before: list[DataFile], after: list[DataFile]) -> None:
    """Read every written row once more before the old files may go."""
    rows = 0
    for file in after:
        for group in _row_groups(table, file):
            rows += group.read().num_rows
    if rows != (expected := sum(file.rows for file in before)):
        raise LakeDamaged(
            f"compaction of table {table.name!r} wrote {rows} rows of {expected}; nothing was replaced: "
            "run 'gpdata verify' on the lake"
        )


def _clean(lake: Lake, keep: float) -> None:
    """Remove what nothing names any more: replaced files, expired log entries, old receipts and scratch files."""
    for table in lake.tables.values():
        delta = table.open()
        for name in delta.vacuum(int(keep // 3600), dry_run=True, enforce_retention_duration=False):
            lake.disk.remove(table.path / name)
        lake.disk.sync_directory(table.path)
        delta.cleanup_metadata()
        lake.disk.sync_directory(table.log)
    limit = time.time() - keep
    for folder in (lake.scratch, lake.path / "receipts"):
        for path in folder.iterdir():
            if path.stat().st_mtime < limit:
                lake.disk.remove(path)
