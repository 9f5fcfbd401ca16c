"""Whole populations in NumPy: what is counted over the offsets of lists.

A function is given the rows of whole generations, such as a file of the lake holds, and returns theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Numbers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def diversity(rows: pa.Table) -> pa.Table:
    """Every value is numbered, and pairs of generation and number are counted. A vector is numbered as its bytes."""
    runs, number, at = _generation_numbers(rows)
    errors = rows["errors"].combine_chunks()
    values = errors.values.to_numpy(zero_copy_only=False) + 0.0  # -0.0 is 0
    values[np.isnan(values)] = np.nan
    if errors.values.null_count:  # null is not NaN: other bits
        values.view(np.int64)[np.asarray(errors.values.is_null())] = -1
    bytes_at = pa.py_buffer(errors.offsets.to_numpy().astype(np.int64) * 8)
    packed = pa.Array.from_buffers(pa.large_binary(), len(errors), [None, bytes_at, pa.py_buffer(values)])
    vectors = packed.dictionary_encode().indices.to_numpy().astype(np.int64)
    if errors.null_count:
        vectors[np.asarray(errors.is_null())] = -1
    totals, _ = pd.factorize(rows["total_error"].to_numpy())
    programs = codes_of(rows["program"])
    size = np.bincount(number)
    shares = {
        name: _distinct(number, codes) / size
        for name, codes in (("error_vectors", vectors), ("total_errors", totals), ("programs", programs))
    }
    shares["programs"] = np.where(shares["programs"] > 0, shares["programs"], np.nan)
    frame = pd.DataFrame({"run_uuid": runs, "generation": at, "population_size": size, **shares})
    return pa.Table.from_pandas(frame, preserve_index=False)


def age_error(rows: pa.Table) -> pa.Table:
    """The lists of ids are measured, not looked into."""
    names = ("run_uuid", "generation", "location", "age", "total_error")
    genesis = pc.equal(pc.list_value_length(rows["ids"]), 1)
    genesis = pc.coalesce(genesis, pc.equal(pc.list_value_length(rows["parent_uuids_text"]), 0), False)
    numbers = ~(np.isnan(rows["age"].to_numpy()) | np.isnan(rows["total_error"].to_numpy()))
    found = rows.select(names).append_column("is_genesis", genesis)
    return found if numbers.all() else found.filter(pa.array(numbers))


def lexicase_stats(rows: pa.Table) -> pa.Table:
    """Generations of one shape that stand together are one array."""
    rows = _in_order(rows)
    runs, number, at = _generation_numbers(rows)
    found: list[dict[str, npt.NDArray[Any]]] = []
    for first, _, block in _blocks(rows["errors"].combine_chunks(), number):
        least, absent = _least(block)
        generations, _, cases = block.shape
        found.append(
            {
                "number": np.repeat(np.arange(first, first + generations), cases),
                "case": np.tile(np.arange(cases), generations),
                "individuals": (block.shape[1] - absent).ravel(),
                "least_error": least.ravel(),
                "elite": (block == least[:, None, :]).sum(axis=1, dtype=np.int32).ravel(),
                "zero": (block == 0).sum(axis=1, dtype=np.int32).ravel(),
            }
        )
    columns = {name: np.concatenate([part[name] for part in found]) for name in found[0]} if found else {}
    where = columns.pop("number")
    keys = {"run_uuid": pa.array(runs).take(pa.array(where)), "generation": at[where]}
    least_error = pa.array(columns.pop("least_error"), from_pandas=True)
    return pa.table({**keys, **columns, "least_error": least_error}).select(
        ["run_uuid", "generation", "case", "individuals", "least_error", "elite", "zero"]
    )


def elite_cases(rows: pa.Table) -> pa.Table:
    """The same arrays, counted along the cases."""
    rows = _in_order(rows)
    _, number, _ = _generation_numbers(rows)
    errors = rows["errors"].combine_chunks()
    counts = {name: np.zeros(rows.num_rows, np.int32) for name in ("cases", "elite_cases", "zero_cases")}
    for _, start, block in _blocks(errors, number):
        least, _ = _least(block)
        span = slice(start, start + block.shape[0] * block.shape[1])
        counts["cases"][span] = block.shape[2]
        if np.isnan(block).any():
            counts["cases"][span] -= np.isnan(block).sum(axis=2, dtype=np.int32).ravel()
        counts["elite_cases"][span] = (block == least[:, None, :]).sum(axis=2, dtype=np.int32).ravel()
        counts["zero_cases"][span] = (block == 0).sum(axis=2, dtype=np.int32).ravel()
    found = rows.select(["run_uuid", "generation", "location"])
    for name, values in counts.items():
        found = found.append_column(name, pa.array(values))
    some = lengths_of(errors) > 0
    return found if some.all() else found.filter(pa.array(some))


def genes_counted(file: str) -> pd.DataFrame:
    """Count the genes of a file by run, instruction and stored type.

    Genomes are read as the numbers of the Parquet dictionary, one row group after the other.
    """
    columns = ["run_uuid", "gene_instruction", "gene_type"]
    with pq.ParquetFile(file, read_dictionary=["run_uuid", "gene_instruction.list.element"]) as parquet:
        parts = [
            part
            for group in range(parquet.num_row_groups)
            for batch in parquet.read_row_group(group, columns=columns).to_batches()
            for part in _genes(batch)
        ]
    counts = pd.concat(parts, ignore_index=True)
    return counts.groupby(["run_uuid", "instruction", "type"], dropna=False)["n"].sum().reset_index()


def zeros(lists: pa.ListArray) -> tuple[Numbers, Numbers]:
    """Return the length of each list, and how many of its numbers are 0."""
    lengths = lengths_of(lists)
    flags = np.asarray(pc.fill_null(pc.equal(lists.flatten(), 0), False))
    total = np.concatenate(([0], np.cumsum(flags, dtype=np.int64)))
    ends = np.cumsum(lengths)
    return lengths, np.asarray(total[ends] - total[ends - lengths])


def best(rows: pa.Table) -> Numbers:
    """Return the position of the least total error, of equals the one of the lowest location; none without any."""
    error, location = rows["total_error"].to_numpy(), rows["location"].to_numpy()
    order = np.lexsort((location, error))  # NaN comes last
    return order[: min(1, int(np.count_nonzero(~np.isnan(error))))]


def _genes(batch: pa.RecordBatch) -> Iterator[pd.DataFrame]:
    """Count by run, instruction and stored type, the genomes whose types follow from the instructions apart."""
    stored = batch["gene_type"].is_valid()
    counted = batch.filter(pc.invert(stored)) if pc.any(stored).as_py() else batch
    lists = counted["gene_instruction"]
    genes, runs = lists.flatten(), counted["run_uuid"]
    codes = np.asarray(pc.fill_null(genes.indices, len(genes.dictionary)))
    width = len(genes.dictionary) + 1
    of_run = np.repeat(np.asarray(runs.indices).astype(np.int64) * width, lengths_of(lists))
    n = np.bincount(of_run + codes)
    some = np.flatnonzero(n)
    instructions = np.array([*genes.dictionary.to_pylist(), None], object)
    yield pd.DataFrame(
        {
            "run_uuid": runs.dictionary.to_numpy(zero_copy_only=False)[some // width],
            "instruction": instructions[some % width],
            "type": None,
            "n": n[some],
        }
    )
    if counted is not batch:
        other = batch.filter(stored)
        lists = other["gene_instruction"]
        frame = pd.DataFrame(
            {
                "run_uuid": np.repeat(other["run_uuid"].to_numpy(zero_copy_only=False), lengths_of(lists)),
                "instruction": lists.flatten().to_numpy(zero_copy_only=False),
                "type": other["gene_type"].flatten().to_numpy(zero_copy_only=False),
            }
        )
        yield frame.groupby(list(frame), dropna=False, as_index=False).size().rename(columns={"size": "n"})


def lengths_of(lists: pa.ListArray) -> Numbers:
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)


def codes_of(column: pa.ChunkedArray) -> Numbers:
    """The numbers of a dictionary column, -1 for null."""
    indices = column.combine_chunks().indices
    return np.asarray(pc.fill_null(indices, -1)).astype(np.int64)


def _generation_numbers(rows: pa.Table) -> tuple[npt.NDArray[Any], Numbers, Numbers]:
    """Number the generations as they come: the run of each, the number of each row, the generation of each."""
    dictionary = rows["run_uuid"].combine_chunks().dictionary.to_numpy(zero_copy_only=False)
    generation = rows["generation"].to_numpy().astype(np.int64)
    width = int(generation.max(initial=0)) + 1
    number, keys = pd.factorize(codes_of(rows["run_uuid"]) * width + generation)
    return dictionary[keys // width], number, keys % width


def _distinct(number: Numbers, codes: Numbers) -> Numbers:
    """How many different codes each number has, not counting -1."""
    width = int(codes.max(initial=0)) + 1
    present = codes >= 0
    pairs = pd.unique(number[present] * width + codes[present])
    return np.bincount(pairs // width, minlength=int(number.max(initial=-1)) + 1)


def _in_order(rows: pa.Table) -> pa.Table:
    """The rows with those of a generation together, as the lake keeps them; moved only where it does not."""
    _, number, _ = _generation_numbers(rows)
    return rows if (np.diff(number) >= 0).all() else rows.take(np.argsort(number, kind="stable"))


def _blocks(errors: pa.ListArray, number: Numbers) -> Iterator[tuple[int, int, Doubles]]:
    """Yield neighbouring generations of one shape: the first of them, its first row, and (generation, row, case).

    Where the vectors of a generation differ in length, the shorter ones are filled up with NaN.
    """
    values = errors.flatten().to_numpy(zero_copy_only=False)
    lengths = lengths_of(errors)
    ends = np.cumsum(lengths)
    if not len(number):
        return
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    sizes = np.diff(starts, append=len(number))
    cases = np.maximum.reduceat(lengths, starts)
    even = np.minimum.reduceat(lengths, starts) == cases
    new = (np.diff(sizes, prepend=-1) != 0) | (np.diff(cases, prepend=-1) != 0) | ~even | ~np.roll(even, 1)
    firsts = np.flatnonzero(new)
    for first, after in zip(firsts, [*firsts[1:], len(starts)], strict=True):
        start, size, width = starts[first], sizes[first], cases[first]
        rows = slice(start, start + size * (after - first))
        if even[first]:
            part = values[ends[start] - lengths[start] : ends[rows.stop - 1]]
        else:
            part = np.full((size, width), np.nan)
            part[np.arange(width) < lengths[rows, None]] = values[ends[start] - lengths[start] : ends[rows.stop - 1]]
        if width:
            yield int(first), int(start), part.reshape(after - first, size, width)


def _least(block: Doubles) -> tuple[Doubles, npt.NDArray[np.int32]]:
    """The least number of each case, and how many are none."""
    least = block.min(axis=1)
    if not np.isnan(least).any():
        return least, np.zeros(least.shape, np.int32)
    return np.fmin.reduce(block, axis=1), np.isnan(block).sum(axis=1, dtype=np.int32)
