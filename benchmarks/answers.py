"""Whether two answers are equal: columns by position, rows in any order, floats nearly, NaN being null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

NEAR = 1e-9
"""The relative difference that two ways of adding up the same floats may have."""
_TINY = 1e-12
_UNKNOWN = -2


@dataclass(frozen=True, slots=True)
class _Pair:
    """A column of both answers as numbers that compare as the values do."""

    exact: bool
    one: npt.NDArray[Any]
    other: npt.NDArray[Any]

    def keys(self, other: bool) -> list[npt.NDArray[Any]]:
        """Return what orders the rows, the most important first."""
        values = self.other if other else self.one
        return [values] if self.exact else [np.isnan(values), values]

    def taken(self, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> _Pair:
        return _Pair(self.exact, self.one[one], self.other[other])

    def same(self) -> npt.NDArray[np.bool_]:
        """Say of each row whether the values are equal."""
        if self.exact:
            return np.asarray(self.one == self.other)
        return np.asarray(np.isclose(self.one, self.other, rtol=NEAR, atol=_TINY, equal_nan=True))


def difference(ours: pa.Table, theirs: pa.Table) -> str | None:
    """Tell how two answers differ; None where they are equal.

    Parameters
    ----------
    ours, theirs : pyarrow.Table
        Their columns stand in the same order; names do not matter, nor do the widths of integers, and an integer may
        stand as a float in one of them. The columns that are no floats should tell the rows apart, as keys do: by
        them the rows of both are put in order.
    """
    if ours.num_columns != theirs.num_columns:
        return f"{ours.num_columns} columns, and {theirs.num_columns}"
    if ours.num_rows != theirs.num_rows:
        return f"{ours.num_rows:,} rows, and {theirs.num_rows:,}"
    pairs = [_pair(*columns) for columns in zip(ours.columns, theirs.columns, strict=True)]
    if all(pair.same().all() for pair in pairs):  # in the same order as they are
        return None
    keys = sorted(pairs, key=lambda pair: not pair.exact)
    one, other = (
        np.lexsort([key for pair in reversed(keys) for key in reversed(pair.keys(which))]) for which in (False, True)
    )
    for name, pair in zip(ours.column_names, (pair.taken(one, other) for pair in pairs), strict=True):
        same = pair.same()
        if not same.all():
            at = int(np.argmin(same))
            rows = [table.slice(int(row[at]), 1).to_pylist()[0] for table, row in ((ours, one), (theirs, other))]
            return f"{np.count_nonzero(~same):,} rows in {name}, such as {rows[0]}, and {rows[1]}"
    return None


def _pair(one: pa.ChunkedArray, other: pa.ChunkedArray) -> _Pair:
    one, other = _plain(one), _plain(other)
    if pa.types.is_string(one.type) or pa.types.is_string(other.type):
        known = pc.unique(pc.drop_null(one.cast(pa.string()))).sort()
        return _Pair(True, _codes(one, known), _codes(other, known))
    # Nulls are numbers that no integer of ours has.
    if pa.types.is_integer(one.type) and pa.types.is_integer(other.type):
        null = np.iinfo(np.int64).min
        return _Pair(True, *(pc.fill_null(column, null).to_numpy() for column in (one, other)))
    return _Pair(False, *(column.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in (one, other)))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """Return an array of texts, of long integers, or of what else there is."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        kind = pa.string()
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        kind = pa.int64()
    plain = column.cast(kind)
    return plain.combine_chunks() if isinstance(plain, pa.ChunkedArray) else plain


def _codes(texts: pa.Array, known: pa.Array) -> npt.NDArray[np.int64]:
    """Number texts by their place among the known ones; null is -1, what is not known another number."""
    places = pc.fill_null(pc.index_in(texts.cast(pa.string()), known), _UNKNOWN)
    found: npt.NDArray[np.int64] = pc.if_else(texts.is_null(), -1, places).to_numpy(zero_copy_only=False)
    return found
