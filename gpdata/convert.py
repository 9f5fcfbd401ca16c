"""Any engine's frame as pandas, Polars or Arrow: here the rows are read and brought into this process.

How much memory they take is known before, or while they come: what does not fit is an error, not the kernel's end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pyarrow as pa

from gpdata.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


_PANDAS = 3
"""How many times Arrow's bytes a pandas frame takes beside them: each text and each list is an object."""
_DUCKDB_ROWS = 100_000
"""In a batch that DuckDB hands over."""


def to_arrow(frame: Any, *, most: float | None = None) -> pa.Table:
    """Bring a frame into this process as an Arrow table.

    Parameters
    ----------
    frame : native frame
        A DuckDB relation, a Polars, pandas or Spark (classic or Connect) frame, or an Arrow table.
    most : float, optional
        How many bytes the rows may take; a share of the free memory where it is left out, `math.inf` for no limit.

    Returns
    -------
    pyarrow.Table
        All rows, in the frame's order where it has one.

    Raises
    ------
    InvalidInput
        It is none of these; or its rows take more than allowed: the message says what to do instead.

    Examples
    --------
    >>> import duckdb
    >>> to_arrow(duckdb.sql("SELECT 1 AS one")).to_pydict()
    {'one': [1]}
    """
    return _arrow(frame, most, 1)


def _arrow(frame: Any, most: float | None, needs: int) -> pa.Table:
    try:
        known = nw.from_native(frame)
    except TypeError:
        raise InvalidInput(
            f"a {type(frame).__name__} was given; valid are the frames of a lab and what the analyses make of them: "
            "DuckDB relations, Polars, pandas and Spark frames, and Arrow tables"
        ) from None
    if isinstance(known, nw.LazyFrame):
        from gpdata.sessions.local_size import collected, fetch

        if hasattr(frame, "toArrow"):  # Spark: narwhals goes by way of pandas, which knows no list of a null
            return fetch(frame, _budget(most, needs), needs)
        if known.implementation.is_duckdb():
            reader: pa.RecordBatchReader = frame.to_arrow_reader(_DUCKDB_ROWS)
            return collected(reader.schema, reader, _budget(most, needs), needs)
        return known.collect(backend="pyarrow").to_native()
    return known.to_arrow()


def _budget(most: float | None, needs: int) -> float:
    """Return how many bytes of Arrow are allowed where `needs` times as many are taken in the end."""
    from gpdata.sessions.local_memory import SHARE, free_memory

    if most is not None:
        return most / needs
    free = free_memory()
    return math.inf if free is None else free * SHARE / needs


def to_pandas(frame: Any, *, most: float | None = None) -> pd.DataFrame:
    """Bring a frame into this process as a pandas data frame.

    Parameters
    ----------
    frame : native frame
        As for `to_arrow`.
    most : float, optional
        How many bytes the data frame may take, with the Arrow table that it is made from; as for `to_arrow`.

    Returns
    -------
    pandas.DataFrame
        All rows. Integer columns with nulls become floating point, as pandas does it; lists become arrays.

    Raises
    ------
    InvalidInput
        It is no frame, or its rows take more than allowed.

    Examples
    --------
    >>> import duckdb
    >>> to_pandas(duckdb.sql("SELECT 1 AS one"))
       one
    0    1
    """
    table: pd.DataFrame = _arrow(frame, most, 1 + _PANDAS).to_pandas(date_as_object=False)
    return table


def to_polars(frame: Any, *, most: float | None = None) -> pl.DataFrame:
    """Bring a frame into this process as a Polars data frame.

    Parameters
    ----------
    frame : native frame
        As for `to_arrow`.
    most : float, optional
        As for `to_arrow`.

    Returns
    -------
    polars.DataFrame
        All rows; maps become lists of key and value.

    Raises
    ------
    InvalidInput
        It is no frame, or its rows take more than allowed.

    Examples
    --------
    >>> import duckdb
    >>> to_polars(duckdb.sql("SELECT 1 AS one")).item()
    1
    """
    import polars as pl

    table = pl.from_arrow(_arrow(frame, most, 1))
    assert isinstance(table, pl.DataFrame)
    return table
