"""What a generation's population looks like in numbers: the columns of GENERATIONS that gpdata computes itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Doubles: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

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
    (summary,) = summaries(individuals, [individuals.num_rows], genomes_left or {})
    return summary


def summaries(
    individuals: pa.RecordBatch, sizes: Sequence[int], genomes_left: Mapping[int, str]
) -> list[dict[str, float | int | None]]:
    """Compute the summaries of some generations, as `summarize` those of one.

    Parameters
    ----------
    individuals : pyarrow.RecordBatch
        The rows of INDIVIDUALS, a generation after the other.
    sizes : sequence of int
        The number of individuals of each.
    genomes_left : mapping of int to str
        What of a genome no column holds, by row.
    """
    ends = np.cumsum(sizes)
    of = np.repeat(np.arange(len(sizes)), sizes)
    errors = _Numbers(individuals["total_error"], of, len(sizes))
    found: dict[str, Sequence[float | int | None]] = {
        "total_error_min": errors.quantile(0.0),
        "total_error_q1": errors.quantile(0.25),
        "total_error_median": errors.quantile(0.5),
        "total_error_q3": errors.quantile(0.75),
        "total_error_max": errors.quantile(1.0),
        "total_error_mean": errors.mean(),
        "distinct_error_vectors": _distinct(individuals, ["errors"], ends),
        "distinct_total_errors": errors.distinct(),
        "distinct_genomes": _distinct(individuals, GENOME, ends, genomes_left),
        "distinct_programs": _distinct(individuals, ["program"], ends),
        "distinct_behaviors": _distinct(individuals, ["behaviors"], ends),
    }
    for column in ("genome_size", "program_size", "age"):
        values = _Numbers(individuals[column], of, len(sizes))
        found |= {
            f"{column}_min": values.quantile(0.0),
            f"{column}_median": values.quantile(0.5),
            f"{column}_mean": values.mean(),
            f"{column}_max": values.quantile(1.0),
        }
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


class _Numbers:
    """The values of each generation that are numbers, in ascending order.

    Parameters
    ----------
    column : pyarrow.Array
        The values of all.
    of : int array
        The generation of each value.
    generations : int
        How many there are.
    """

    def __init__(self, column: pa.Array, of: Ints, generations: int) -> None:
        self._counts = np.zeros(generations, dtype=np.int64)
        self._values = np.empty(0)
        if column.null_count < len(column):
            values: Doubles = column.to_numpy(zero_copy_only=False).astype(np.float64)  # null is NaN
            numbers = ~np.isnan(values)
            values, of = values[numbers], of[numbers]
            self._values = values[np.lexsort((values, of))]
            self._counts = np.bincount(of, minlength=generations)
        self._starts = np.cumsum(self._counts) - self._counts
        self._some = self._counts > 0

    def quantile(self, share: float) -> list[float | None]:
        """Return a quantile of each generation."""
        counts, starts = self._counts[self._some], self._starts[self._some]
        position = share * (counts - 1)
        below = position.astype(np.int64)
        weight = position - below
        low = self._values[starts + below]
        high = self._values[starts + np.minimum(below + 1, counts - 1)]
        with np.errstate(over="ignore", invalid="ignore"):
            between = np.minimum(np.maximum(low * (1 - weight) + high * weight, low), high)
        return self._each(np.where((weight == 0) | np.isinf(low), low, between))

    def mean(self) -> list[float | None]:
        """Return the mean of each generation."""
        counts, starts = self._counts[self._some].tolist(), self._starts[self._some].tolist()
        with np.errstate(over="ignore", invalid="ignore"):
            sums = [self._values[start : start + count].sum() for start, count in zip(starts, counts, strict=True)]
            return self._each(np.array(sums) / counts)

    def distinct(self) -> list[int | None]:
        """Return the number of different numbers of each generation."""
        first = np.ones(len(self._values), dtype=bool)
        first[1:] = self._values[1:] != self._values[:-1]
        first[self._starts[self._some]] = True
        counted = np.concatenate([[0], np.cumsum(first)])
        starts = self._starts[self._some]
        return self._each(counted[starts + self._counts[self._some]] - counted[starts])

    def _each(self, values: npt.NDArray[Any]) -> list[Any]:
        """Return a value for each generation, None where it has no number."""
        found = np.full(len(self._counts), None, dtype=object)
        found[self._some] = values.tolist()
        return list(found)


def _distinct(
    individuals: pa.RecordBatch, columns: Sequence[str], ends: Ints, left: Mapping[int, str] | None = None
) -> list[int | None]:
    """Count the different rows of some columns in each generation, among the rows where the first is not null."""
    if individuals[columns[0]].null_count == individuals.num_rows:
        return [None] * len(ends)
    present = [individuals[name] for name in columns if individuals[name].null_count < individuals.num_rows]
    keys = [_row_keys(alike) for alike in _alike(present)]
    if left:
        keys.append([left.get(place) for place in range(individuals.num_rows)])
    valid = keys[0]
    rows: Sequence[object] = valid if len(keys) == 1 else list(zip(*keys, strict=True))
    counts = []
    for start, end in pairwise([0, *ends.tolist()]):
        held = [row for row, first in zip(rows[start:end], valid[start:end], strict=True) if first is not None]
        counts.append(len(set(held)) or None)
    return counts


def _alike(columns: Sequence[pa.Array]) -> list[list[pa.Array]]:
    """Put those lists together that are of the same sizes in every row."""
    groups: list[list[pa.Array]] = []
    for column in columns:
        for group in groups:
            if pa.types.is_list(column.type) and _sizes(column).equals(_sizes(group[0])):
                group.append(column)
                break
        else:
            groups.append([column])
    return groups


def _sizes(lists: pa.Array) -> pa.Array:
    return pc.list_value_length(lists)


def _row_keys(alike: Sequence[pa.Array]) -> list[object]:
    """Return for each row a value that is equal for rows equal in all columns; None for null."""
    column = alike[0]
    if not pa.types.is_list(column.type):
        return list(column.dictionary_encode().indices.to_pylist())
    codes = np.stack([_codes(other.flatten()) for other in alike], axis=1)
    text, width = codes.tobytes(), codes.itemsize * len(alike)
    ends = np.cumsum(pc.fill_null(_sizes(column), 0).to_numpy(), dtype=np.int64) * width
    valid = column.is_valid().to_pylist()
    return [
        text[start:end] if is_valid else None
        for (start, end), is_valid in zip(pairwise([0, *ends.tolist()]), valid, strict=True)
    ]


def _codes(values: pa.Array) -> npt.NDArray[np.int32]:
    """Return a number for each value that is the same for equal values only."""
    if pa.types.is_floating(values.type):
        numbers = values.to_numpy(zero_copy_only=False)
        same = np.where(np.isnan(numbers), np.nan, numbers) + 0.0
        values = pa.array(same, mask=np.asarray(values.is_null()))
    codes: npt.NDArray[np.int32] = pc.fill_null(values.dictionary_encode().indices, -1).to_numpy()
    return codes
