"""Compaction: the many small files of batches become few, sorted, and as small as they get.

The rewriting holds no lock that writers wait for: batches only add files meanwhile, and nothing but a compaction
takes files away, one at a time by a lock of its own. Only the commit is made under the lake's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from gpdata.errors import LakeDamaged
from gpdata.lake.batch import COMMIT_ORDER
from gpdata.lake.cleaning import KEEP, clean
from gpdata.lake.delta import DataFile, Table
from gpdata.lake.encoding import STORAGE
from gpdata.lake.lake import Lake
from gpdata.lake.parquet import SEALED, Profile, TableWriter
from gpdata.lake.same import same
from gpdata.lake.transform import Transformer
from gpdata.storage import Place
from gpdata.storage.reading import parquet

_WINDOW = 96 << 20
"""Bytes in memory that are sorted at a time."""
_SEALED = "sealed-"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large compacted files are.

    Parameters
    ----------
    small : int
        A compacted file below this many bytes is taken up again once others can join it.
    full : int
        A file is closed at this many bytes, unless what is left would make a small one.
    """

    small: int = 64 << 20
    full: int = 128 << 20


SIZES = Sizes()


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
    everything: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
    sizes: Sizes = SIZES,
) -> list[Compacted]:
    """Rewrite a lake's small files sorted by run, generation and location, at the highest compression.

    The rows of every version stay the same; files that were replaced stay for a while for whoever has them open.
    Batches can be written, and lakes be opened, all the while.

    Parameters
    ----------
    lake : Lake
        The lake.
    wait : float, optional
        Seconds to wait for another holder of one of the lake's locks; for ever by default.
    keep : float, optional
        Seconds for which replaced files stay.
    everything : bool, optional
        Whether what the spool holds is transformed first, where no service does that, and every small file is
        rewritten. Otherwise a small
        file that is compacted already is left alone until as many bytes join it as it has: each rewriting of a
        row at least doubles its file, so that a row is written about ten times at most.
    progress : callable, optional
        Called with the table's name, rows done, and rows in all.
    sizes : Sizes, optional
        How large the files become.

    Returns
    -------
    list of Compacted
        One a table.

    Raises
    ------
    LakeBusy
        Another process compacts this lake, or writes to it, all that time.
    LakeDamaged
        What was written does not equal what was read; nothing was replaced.
    """
    with lake.lock(wait, "compaction.lock"):
        if everything and lake.holder("follow.lock") is None:
            Transformer(lake).run(wait=wait)
        done = []
        for name in COMMIT_ORDER:
            chosen = choose(lake.tables[name].files(), everything=everything, sizes=sizes)
            done.append(_compact_table(lake, lake.tables[name], chosen, sizes, wait, progress))
        with lake.lock(wait):
            clean(lake, keep)
    return done


def is_loose(file: DataFile) -> bool:
    """Whether a batch wrote the file, and no compaction has taken it up."""
    return not file.path.startswith(_SEALED)


def choose(files: list[DataFile], *, everything: bool = True, sizes: Sizes = SIZES) -> list[DataFile]:
    """Return the files of a table that a compaction rewrites; none where that would change nothing.

    Parameters
    ----------
    files : list of DataFile
        The table's files.
    everything, sizes : optional
        As for `compact`.
    """
    chosen = [file for file in files if is_loose(file)]
    size = sum(file.size for file in chosen)
    for file in sorted((f for f in files if not is_loose(f) and f.size < sizes.small), key=lambda f: f.size):
        if everything or file.size <= size:
            chosen.append(file)
            size += file.size
    return chosen if len(chosen) > 1 or any(map(is_loose, chosen)) else []


def _compact_table(
    lake: Lake,
    table: Table,
    chosen: list[DataFile],
    sizes: Sizes,
    wait: float | None,
    progress: Callable[[str, int, int], None] | None,
) -> Compacted:
    before = table.files()
    if chosen:
        written = _rewrite(lake, table, chosen, sizes, progress)
        _verify(table, chosen, written)
        with lake.lock(wait):
            before = table.files()
            if gone := {file.path for file in chosen} - {file.path for file in before}:
                raise LakeDamaged(
                    f"{', '.join(sorted(gone)[:3])} left the table {table.name!r} of {lake.path} while it was being "
                    "compacted; nothing was replaced: see which program writes to this lake beside gpdata"
                )
            table.commit("OPTIMIZE", add=written, remove=chosen)
            table.checkpoint()
    after = table.files()
    return Compacted(table.name, len(before), len(after), sum(f.size for f in before), sum(f.size for f in after))


def _rewrite(
    lake: Lake,
    table: Table,
    files: list[DataFile],
    sizes: Sizes,
    progress: Callable[[str, int, int], None] | None,
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
            rest = writer.bytes / writer.rows * (total - done)
            if writer.bytes >= sizes.full and rest > 1.1 * sizes.small:
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
    path: Place
    number: int
    rows: int
    first: tuple[str, int]
    """Least run, and least generation."""
    last: tuple[str, int]
    schema: pa.Schema

    def read(self, columns: list[str] | None = None) -> pa.Table:
        names = columns or self.schema.names
        schema = pa.schema([self.schema.field(name) for name in names])
        return parquet(self.path).read_row_group(self.number, columns=names).cast(schema)


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
    meta = parquet(path).metadata
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
    """Read what was written once more, and hold every value to the old files, before these may go."""
    groups = (group.read() for file in after for group in _row_groups(table, file))
    read = STORAGE[table.name].empty_table()
    rows = 0
    for expected in _sorted_rows(table, before):
        while read.num_rows < expected.num_rows and (group := next(groups, None)) is not None:
            read = pa.concat_tables([read, group])
        if not same(read.slice(0, expected.num_rows), expected):
            break
        read, rows = read.slice(expected.num_rows), rows + expected.num_rows
    if rows != sum(file.rows for file in before) or read.num_rows or next(groups, None) is not None:
        raise LakeDamaged(
            f"compaction of table {table.name!r} wrote other rows than it read, from row {rows} on; nothing was "
            "replaced: run 'gpdata verify' on the lake"
        )
