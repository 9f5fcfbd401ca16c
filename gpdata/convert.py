"""Any engine's frame as pandas, Polars or Arrow: here the rows are read and brought into this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import pyarrow as pa

from gpdata.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def to_arrow(frame: Any) -> pa.Table:
    """Bring a frame into this process as an Arrow table.

    Parameters
    ----------
    frame : native frame
        A DuckDB relation, a Polars, pandas or Spark (classic or Connect) frame, or an Arrow table.

    Returns
    -------
    pyarrow.Table
        All rows, in the frame's order where it has one.

    Raises
    ------
    InvalidInput
        It is none of these.

    Examples
    --------
    >>> import duckdb
    >>> to_arrow(duckdb.sql("SELECT 1 AS one")).to_pydict()
    {'one': [1]}
    """
    try:
        known = nw.from_native(frame)
    except TypeError:
        raise InvalidInput(
            f"a {type(frame).__name__} was given; valid are the frames of a lab and what the analyses make of them: "
            "DuckDB relations, Polars, pandas and Spark frames, and Arrow tables"
        ) from None
    if isinstance(known, nw.LazyFrame):
        if hasattr(frame, "toArrow"):  # Spark: narwhals goes by way of pandas, which knows no list of a null
            table: pa.Table = frame.toArrow()
            return table
        return known.collect(backend="pyarrow").to_native()
    return known.to_arrow()


def to_pandas(frame: Any) -> pd.DataFrame:
    """Bring a frame into this process as a pandas data frame.

    Parameters
    ----------
    frame : native frame
        As for `to_arrow`.

    Returns
    -------
    pandas.DataFrame
        All rows. Integer columns with nulls become floating point, as pandas does it; lists become arrays.

    Raises
    ------
    InvalidInput
        It is no frame.

    Examples
    --------
    >>> import duckdb
    >>> to_pandas(duckdb.sql("SELECT 1 AS one"))
       one
    0    1
    """
    table: pd.DataFrame = to_arrow(frame).to_pandas(date_as_object=False)
    return table


def to_polars(frame: Any) -> pl.DataFrame:
    """Bring a frame into this process as a Polars data frame.

    Parameters
    ----------
    frame : native frame
        As for `to_arrow`.

    Returns
    -------
    polars.DataFrame
        All rows; maps become lists of key and value.

    Raises
    ------
    InvalidInput
        It is no frame.

    Examples
    --------
    >>> import duckdb
    >>> to_polars(duckdb.sql("SELECT 1 AS one")).item()
    1
    """
    import polars as pl

    table = pl.from_arrow(to_arrow(frame))
    assert isinstance(table, pl.DataFrame)
    return table
