"""Arithmetic over columns: written once, worked out by narwhals, and on Spark as SQL text.

Each operation of an expression is several calls to Spark's JVM, and a division more than twenty; a text is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import narwhals.stable.v2 as nw


def quoted(name: str) -> str:
    """Return a column's name as Spark's SQL takes it.

    Examples
    --------
    >>> quoted("parent-selection")
    '`parent-selection`'
    """
    return "`" + name.replace("`", "``") + "`"


class Text:
    """An expression over doubles as Spark's SQL: what `nw.Expr` is elsewhere.

    Examples
    --------
    >>> (1 - Text("k") / 2).text
    '(1.0D - try_divide(k, 2.0D))'
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def sqrt(self) -> Text:
        """Return the square root."""
        return Text(f"sqrt({self.text})")

    def __add__(self, other: object) -> Text:
        return Text(f"({self.text} + {_text(other)})")

    def __radd__(self, other: object) -> Text:
        return Text(f"({_text(other)} + {self.text})")

    def __sub__(self, other: object) -> Text:
        return Text(f"({self.text} - {_text(other)})")

    def __rsub__(self, other: object) -> Text:
        return Text(f"({_text(other)} - {self.text})")

    def __mul__(self, other: object) -> Text:
        return Text(f"({self.text} * {_text(other)})")

    def __rmul__(self, other: object) -> Text:
        return Text(f"({_text(other)} * {self.text})")

    def __truediv__(self, other: object) -> Text:
        return Text(f"try_divide({self.text}, {_text(other)})")


def _text(value: Any) -> str:
    return value.text if isinstance(value, Text) else f"{float(value)!r}D"  # without D it were a decimal


def with_formulas(
    frame: nw.LazyFrame[Any], formulas: Callable[[Callable[[str], Any]], Mapping[str, Any]]
) -> nw.LazyFrame[Any]:
    """Add columns that are computed by arithmetic.

    Parameters
    ----------
    frame : narwhals.LazyFrame
        Has the columns that are named.
    formulas : callable
        Is given what takes a column by its name, as a double, and returns the new columns, none of which the frame
        has: expressions of `+`, `-`, `*`, `/` and `sqrt`. Nothing may be divided by zero: engines differ in that.

    Returns
    -------
    narwhals.LazyFrame
        The frame with the new columns, null where a column is null.

    Examples
    --------
    >>> import polars as pl
    >>> counts = nw.from_native(pl.LazyFrame({"solved": [1], "runs": [4]}))
    >>> with_formulas(counts, lambda column: {"rate": column("solved") / column("runs")}).collect()["rate"].to_list()
    [0.25]
    """
    if not frame.implementation.is_spark_like():
        return frame.with_columns(**formulas(lambda name: nw.col(name).cast(nw.Float64)))
    texts = formulas(lambda name: Text(f"CAST({quoted(name)} AS DOUBLE)"))
    native: Any = frame.to_native()
    added = (f"{value.text} AS {quoted(name)}" for name, value in texts.items())
    result: nw.LazyFrame[Any] = nw.from_native(native.selectExpr("*", *added))
    return result
