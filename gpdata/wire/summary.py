"""What a generation's population looks like in numbers: the columns of GENERATIONS that gpdata computes itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Doubles: TypeAlias = npt.NDArray[np.float64]

GENOME = (
    "gene_instruction",
    "gene_type",
    "gene_close",
    "gene_silent",
    "gene_uuid",
    "gene_parent_uuid",
    "gene_random_insertion",
)
"""The columns that make a genome."""


def summarize(individuals: pa.RecordBatch, genomes_left: dict[int, str] | None = None) -> dict[str, float | int | None]:
    """Compute the summaries of one generation.

    Parameters
    ----------
    individuals : pyarrow.RecordBatch
        The rows of INDIVIDUALS of one generation.
    genomes_left : dict of int to str, optional
        What of a genome no column holds, by location: genomes that differ in it only are different.

    Returns
    -------
    dict
        The value of each computed column of GENERATIONS but `best_so_far`. NaN is no number and is left out;
        +inf and -inf count. Quartiles are interpolated linearly (Hyndman and Fan 1996, type 7). None where no
        individual has the value. Two error vectors are equal when all their numbers are: 0 and 0.0 are one
        number, and so are 0.0 and -0.0; NaN is equal to NaN.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from gpdata.schema import INDIVIDUALS, arrow_schema
    >>> schema = arrow_schema(INDIVIDUALS)
    >>> rows = [{"run_uuid": "r", "generation": 0, "location": i, "total_error": e} for i, e in enumerate([4, 1, 1])]
    >>> summary = summarize(pa.RecordBatch.from_pylist(rows, schema))
    >>> summary["total_error_min"], summary["total_error_q3"], summary["distinct_total_errors"]
    (1.0, 2.5, 2)
    """
    errors = _numbers(individuals["total_error"])
    summary: dict[str, float | int | None] = {
        "total_error_min": _quantile(errors, 0.0),
        "total_error_q1": _quantile(errors, 0.25),
        "total_error_median": _quantile(errors, 0.5),
        "total_error_q3": _quantile(errors, 0.75),
        "total_error_max": _quantile(errors, 1.0),
        "total_error_mean": _mean(errors),
        "distinct_error_vectors": _distinct(individuals, ["errors"]),
        "distinct_total_errors": len(np.unique(errors)) or None,
        "distinct_genomes": _distinct(individuals, GENOME, genomes_left),
        "distinct_programs": _distinct(individuals, ["program"]),
        "distinct_behaviors": _distinct(individuals, ["behaviors"]),
    }
    for column in ("genome_size", "program_size", "age"):
        values = _numbers(individuals[column])
        summary |= {
            f"{column}_min": _quantile(values, 0.0),
            f"{column}_median": _quantile(values, 0.5),
            f"{column}_mean": _mean(values),
            f"{column}_max": _quantile(values, 1.0),
        }
    return summary


def _numbers(column: pa.Array) -> Doubles:
    """Return the values that are numbers, in ascending order."""
    values: Doubles = column.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
    return np.sort(values[~np.isnan(values)])


def _quantile(ascending: Doubles, share: float) -> float | None:
    if not ascending.size:
        return None
    position = share * (ascending.size - 1)
    below = int(position)
    low, weight = float(ascending[below]), position - below
    if not weight or math.isinf(low):
        return low
    high = float(ascending[below + 1])
    return min(max(low * (1 - weight) + high * weight, low), high)


def _mean(values: Doubles) -> float | None:
    if not values.size:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean(values))


def _distinct(individuals: pa.RecordBatch, columns: Sequence[str], left: dict[int, str] | None = None) -> int | None:
    """Count the different rows of some columns, among the rows where the first of them is not null."""
    if individuals[columns[0]].null_count == individuals.num_rows:
        return None
    keys = [_row_keys(individuals[column]) for column in columns]
    if left:
        keys.append([left.get(place) for place in range(individuals.num_rows)])
    return len({key for key in zip(*keys, strict=True) if key[0] is not None})


def _row_keys(column: pa.Array) -> list[object]:
    """Return for each row a value that is equal for equal rows; None for null."""
    if not pa.types.is_list(column.type):
        return list(column.to_pylist())
    if column.null_count == len(column):
        return [None] * len(column)
    rows = column.offsets.to_numpy()
    keys: list[list[object]] = [np.diff(rows).tolist()]
    for data, starts in _pieces(column.values):
        keys.append([bytes(data[start:end]) for start, end in pairwise(starts[rows].tolist())])
    valid = column.is_valid().to_pylist()
    return [key if is_valid else None for key, is_valid in zip(zip(*keys, strict=True), valid, strict=True)]


def _pieces(values: pa.Array) -> list[tuple[memoryview, npt.NDArray[np.int64]]]:
    """Return the bytes of some values, and where each value's bytes begin and the last one's end."""
    if not len(values):
        return []
    places = np.arange(len(values) + 1)
    if pa.types.is_string(values.type):
        lengths = pc.fill_null(pc.binary_length(values), -1).to_numpy()
        _, offsets, text = values.buffers()
        starts = np.frombuffer(offsets, dtype=np.int32)[values.offset :][: len(places)]
        return [(memoryview(text or b""), starts), (memoryview(lengths.tobytes()), places * lengths.itemsize)]
    numbers = values.fill_null(False if pa.types.is_boolean(values.type) else 0).to_numpy(zero_copy_only=False)
    if pa.types.is_floating(values.type):
        numbers = np.where(np.isnan(numbers), np.nan, numbers) + 0.0
    pieces = [(memoryview(numbers.tobytes()), places * numbers.itemsize)]
    if values.null_count:
        pieces.append((memoryview(values.is_valid().to_numpy(zero_copy_only=False).tobytes()), places))
    return pieces
