"""Whether two tables hold the same values, NaN and the sign of zero included."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

_BITS = {pa.float64(): pa.int64(), pa.float32(): pa.int32()}


def same(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables have the same rows in the same order, floats bit for bit.

    Parameters
    ----------
    one, other : pyarrow.Table
        Tables of the same schema.

    Examples
    --------
    >>> nan = pa.table({"x": [[float("nan")], None]})
    >>> same(nan, nan), same(nan, pa.table({"x": [[0.0], None]}))
    (True, False)
    """
    if one.schema != other.schema or one.num_rows != other.num_rows:
        return False
    return all(
        left.equals(right)
        for name in one.column_names
        for left, right in zip(_flat(one.column(name)), _flat(other.column(name)), strict=False)
    )


def _flat(column: pa.ChunkedArray | pa.Array) -> Iterator[pa.Array]:
    """Yield arrays without nesting that say together what a column says."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_list(values.type) or pa.types.is_map(values.type):
        yield pc.list_value_length(values) if pa.types.is_list(values.type) else values.is_valid()
        if pa.types.is_map(values.type):
            values = values.cast(pa.list_(pa.struct([values.type.key_field, values.type.item_field])))
            yield pc.list_value_length(values)
        yield from _flat(values.flatten())
    elif pa.types.is_struct(values.type):
        yield values.is_valid()
        for field in values.flatten():
            yield from _flat(field)
    elif values.type in _BITS:
        yield values.view(_BITS[values.type])
    else:
        yield values
