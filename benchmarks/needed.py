"""Which bytes of a lake's files the answer to a question needs: the pages of its columns, after pruning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contests import CONTESTS

_KEY = ("run_uuid", "generation", "location")
_PARENTS = ("ids", "parent_uuids_text")
_GROUP = ("run_uuid", "config")
NEEDED: dict[str, dict[str, tuple[str, ...]]] = {
    "last_generation": {"generations": ("run_uuid", "generation", "outcome", "total_error_min")},
    "success_table": {"generations": ("run_uuid", "generation", "outcome", "best_test_errors"), "runs": _GROUP},
    "cumulative_success": {"generations": ("run_uuid", "generation", "outcome"), "runs": _GROUP},
    "error_curves": {"generations": ("run_uuid", "generation", "total_error_min"), "runs": _GROUP},
    "size_curves": {
        "generations": ("run_uuid", "generation", "genome_size_mean", "program_size_mean", "report"),
        "runs": _GROUP,
    },
    "ert": {"generations": ("run_uuid", "generation", "outcome", "population_size"), "runs": _GROUP},
    "diversity": {"individuals": ("run_uuid", "generation", "errors", "total_error", "program")},
    "age_error": {"individuals": (*_KEY, "age", "total_error", *_PARENTS)},
    "lexicase_stats": {"individuals": ("run_uuid", "generation", "errors")},
    "elite_cases": {"individuals": (*_KEY, "errors")},
    "instruction_frequency": {"individuals": ("run_uuid", "gene_instruction", "gene_type"), "runs": _GROUP},
    "winner": {"generations": ("run_uuid", "generation"), "individuals": (*_KEY, "total_error")},
    "ancestry": {
        "generations": ("run_uuid", "generation"),
        "individuals": (*_KEY, "total_error", "uuid_text", *_PARENTS),
    },
}
"""The stored columns of each question."""

_ZSTD = b"\x28\xb5\x2f\xfd"
"""What a compressed page begins with."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column of a row group: where its pages are."""

    path: str
    start: int
    length: int
    plain: int
    """Bytes when decompressed, with the pages' headers."""


def chunks(lab: Any, contest: str, run: str) -> list[Chunk]:
    """Return what a question needs of a lake.

    Parameters
    ----------
    lab : Lab
        The lake, opened.
    contest : str
        A question of `benchmarks.contests`.
    run : str
        The run that a question of one run is about: row groups that cannot hold it are left out, and for its winner
        those without its last generation.
    """
    of_run = next(one for one in CONTESTS if one.name == contest).reads == "run"
    last = None
    if contest == "winner":
        ((last,),) = lab.sql(f"SELECT max(generation) FROM generations WHERE run_uuid = '{run}'").fetchall()
    found: list[Chunk] = []
    for table, columns in NEEDED[contest].items():
        asked = {"run_uuid": run} if of_run else {}
        if last is not None and table == "individuals":
            asked["generation"] = last
        for path in lab.files(table):
            footer = pq.read_metadata(path)
            for group in range(footer.num_row_groups):
                found += _of_group(path, footer.row_group(group), columns, asked)
    return found


def _of_group(path: str, group: Any, columns: tuple[str, ...], asked: dict[str, Any]) -> Iterator[Chunk]:
    described = [group.column(index) for index in range(group.num_columns)]
    bounds = {column.path_in_schema: column.statistics for column in described if column.path_in_schema in asked}
    if any(bounds[name].has_min_max and not bounds[name].min <= value <= bounds[name].max
           for name, value in asked.items()):  # fmt: skip
        return
    for column in described:
        if column.path_in_schema.split(".")[0] in columns:
            first = column.data_page_offset
            if column.has_dictionary_page and column.dictionary_page_offset:
                first = min(first, column.dictionary_page_offset)
            yield Chunk(path, first, column.total_compressed_size, column.total_uncompressed_size)


def pages(chunk: Chunk) -> Iterator[tuple[pa.Buffer, int]]:
    """Yield the compressed bytes of each page of a chunk, and its length when decompressed.

    A page is a header in Thrift's compact protocol, whose first fields are kind, length and compressed length, and a
    frame of zstd. Data pages of version 2, whose levels stand before the frame uncompressed, are not expected.
    """
    with Path(chunk.path).open("rb") as file:
        file.seek(chunk.start)
        content = file.read(chunk.length)
    buffer, at = pa.py_buffer(content), 0
    while at < len(content):
        numbers, place = [], at
        for _ in range(3):
            if content[place] != 0x15:  # the next field, an i32
                raise SystemExit(f"{chunk.path}: no page begins at {chunk.start + at}")
            number, place = _varint(content, place + 1)
            numbers.append(number >> 1)  # zigzag; none of them is negative
        _, plain, packed = numbers
        at = content.index(_ZSTD, place)
        yield buffer.slice(at, packed), plain
        at += packed


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; return it and the place after it."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
