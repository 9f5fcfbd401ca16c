"""Writing the lake's Parquet files: encodings chosen by measurement, durable before they are named.

The choice per column is told in docs/decisions/0003-storage-encodings.md and shown by `make bench-size`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpdata.lake.delta import DataFile
from gpdata.lake.encoding import STORAGE
from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS
from gpdata.spool import Disk
from gpdata.storage import Place, fresh

ROW_GROUP = 20_000
"""Rows of a row group: at 2,000 files grow by a third, above 20,000 no smaller and scans coarser."""
ROW_GROUP_BYTES = 192 << 20
"""Bytes in memory after which a row group ends earlier, so that writing stays within bounds."""
QUICK, SEALED = 3, 19
"""zstd levels: while runs go on, and when a compaction writes a file for good."""

_PAGE = 64 << 20  # one page a column chunk: the compressor then sees all of it at once
_STATISTICS = ("run_uuid", "generation", "batch")

_DICTIONARY = {
    RUNS.name: ["config.key_value.key"],
    GENERATIONS.name: ["run_uuid", "generation", "batch", "outcome", "report.key_value.key"],
    INDIVIDUALS.name: [
        "run_uuid",
        "generation",
        "batch",
        "genetic_operators.list.element",
        "errors.list.element",
        "behaviors.list.element",
        "gene_instruction.list.element",
        "gene_type.list.element",
    ],
}
_ENCODING = {
    RUNS.name: {},
    GENERATIONS.name: {},
    INDIVIDUALS.name: {
        "location": "DELTA_BINARY_PACKED",
        "ids.list.element": "DELTA_LENGTH_BYTE_ARRAY",
        "gene_ids.list.element": "DELTA_LENGTH_BYTE_ARRAY",
        "genome_size": "BYTE_STREAM_SPLIT",
        "gene_close.list.element": "BYTE_STREAM_SPLIT",
    },
}


_BYTE_WIDE = "gene_instruction"
_TWO_TO_THE_SEVENTH = 128


@dataclass(frozen=True, slots=True)
class Profile:
    """How much effort a file is worth."""

    level: int
    row_group: int = ROW_GROUP


class TableWriter:
    """Writes one Parquet file of a table, row groups of bounded size, and counts what pruning needs.

    Parameters
    ----------
    table : str
        The table's name.
    directory : Path or ObjectPath
        The table's directory.
    name : str
        The file's name, final once `close` returns; in an object store with something that makes it unique.
    profile : Profile
        Compression effort.
    disk : Disk
        The file system.
    scratch : Path
        Where the unfinished file lies.
    """

    def __init__(self, table: str, directory: Place, name: str, profile: Profile, disk: Disk, scratch: Path) -> None:
        self._target = fresh(directory / name)
        self._temporary = scratch / f"{table}-{name}.tmp"
        self._disk = disk
        self._profile = profile
        self._schema = STORAGE[table]
        self._file_schema = _with_dictionary(self._schema)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._file: BinaryIO | None = disk.create(self._temporary)
        self._writer = pq.ParquetWriter(
            self._file,
            self._file_schema,
            compression="zstd",
            compression_level=profile.level,
            use_dictionary=_DICTIONARY[table],
            column_encoding=_ENCODING[table] or None,
            data_page_size=_PAGE,
            write_statistics=[name for name in _STATISTICS if name in self._schema.names],
            store_schema=False,
        )
        self._found: DataFile | None = None

    @property
    def rows(self) -> int:
        """Rows given so far."""
        return (self._found.rows if self._found else 0) + self._waiting_rows

    @property
    def bytes(self) -> int:
        """Bytes written so far, without the rows that still wait for their row group to fill."""
        return self._file.tell() if self._file else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):  # the file is dropped: on a full disk its footer need not fit
                self._writer.close()
            self._file.close()
            self._disk.remove(self._temporary)

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Append rows, in storage form."""
        for batch in batches:
            self._waiting.append(batch)
            self._waiting_rows += batch.num_rows
            self._waiting_bytes += batch.nbytes
            while self._waiting_rows >= self._profile.row_group:
                self._flush(self._profile.row_group)
            if self._waiting_bytes >= ROW_GROUP_BYTES:
                self._flush(self._waiting_rows)

    def close(self) -> DataFile:
        """Finish the file, bring it to the disk under its name, and return its statistics."""
        if self._waiting_rows:
            self._flush(self._waiting_rows)
        file = self._file
        assert file is not None, "a file is closed once"
        assert self._found is not None, "a file without rows is not written"
        self._writer.close()
        self._disk.sync(file)
        size = file.tell()
        file.close()
        self._file = None
        self._disk.publish(self._temporary, self._target)
        self._disk.sync_directory(self._target.parent)
        return replace(self._found, path=self._target.name, size=size)

    def _flush(self, rows: int) -> None:
        waiting = pa.Table.from_batches(self._waiting, self._schema)
        group, rest = waiting.slice(0, rows).combine_chunks(), waiting.slice(rows)
        self._waiting, self._waiting_rows = rest.to_batches(), rest.num_rows
        self._waiting_bytes = rest.nbytes
        self._writer.write_table(_byte_wide(group, self._file_schema), row_group_size=rows)
        self._found = _merge(self._found, group)


def _with_dictionary(schema: pa.Schema) -> pa.Schema:
    if _BYTE_WIDE not in schema.names:
        return schema
    field = pa.field(_BYTE_WIDE, pa.list_(pa.dictionary(pa.int32(), pa.string())))
    return schema.set(schema.get_field_index(_BYTE_WIDE), field)


def _byte_wide(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Make the instructions' dictionary indices eight bits wide, with entries that nothing refers to.

    Parquet packs the indices of 17 instructions into 5 bits each; the compressor, which works on bytes, then
    finds a copied stretch of genome only where it lies alike within a byte. Bytes are a fifth smaller in the end.
    """
    if _BYTE_WIDE not in rows.column_names:
        return rows
    position = rows.schema.get_field_index(_BYTE_WIDE)
    genomes = rows.column(position).combine_chunks()
    coded = genomes.values.dictionary_encode()
    unused = [f"\x00{i}" for i in range(_TWO_TO_THE_SEVENTH + 1 - len(coded.dictionary))]
    if len(coded.dictionary) > 1:
        dictionary = pa.concat_arrays([coded.dictionary, pa.array(unused, pa.string())])
        coded = pa.DictionaryArray.from_arrays(coded.indices, dictionary)
    mask = genomes.is_null() if genomes.null_count else None
    lists = pa.ListArray.from_arrays(genomes.offsets, coded, mask=mask)
    return rows.set_column(position, schema.field(position), lists)


def _merge(found: DataFile | None, group: pa.Table) -> DataFile:
    def ends(column: str) -> tuple[Any, Any]:
        values = pc.min_max(group.column(column))
        return values["min"].as_py(), values["max"].as_py()

    runs, batches = ends("run_uuid"), ends("batch")
    generations = ends("generation") if "generation" in group.column_names else (None, None)
    new = DataFile("", 0, group.num_rows, *runs, *batches, *generations)
    if found is None:
        return new
    return DataFile(
        "",
        0,
        found.rows + new.rows,
        min(found.run_min, new.run_min),
        max(found.run_max, new.run_max),
        min(found.batch_min, new.batch_min),
        max(found.batch_max, new.batch_max),
        _either(min, found.generation_min, new.generation_min),
        _either(max, found.generation_max, new.generation_max),
    )


def _either(choose: Callable[[int, int], int], one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else choose(one, other)
