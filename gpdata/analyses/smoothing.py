"""Moving averages of curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import check_columns, give_back, wrap
from gpdata.errors import InvalidInput

_MOST = 2**30
"""A longer window than any group has rows averages the group, however long."""


def smooth(
    curve: IntoFrameT,
    *,
    window: int,
    columns: str | Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
    order: str = "generation",
) -> IntoFrameT:
    """Replace the values of a curve by their moving average over a window of rows, group by group.

    Parameters
    ----------
    curve : frame
        What `error_curves`, `cumulative_success` or another analysis returned; or `lab.generations`.
    window : int
        How many rows are averaged, from 1: the row itself, (window - 1) / 2 before it and as many after it. An even
        window has one more before than after.
    columns : str or sequence of str, optional
        What is averaged; when left out, every column of floating-point numbers that is not one of `by`. Quartiles and
        bounds are averaged each by itself.
    by : str or sequence of str, optional
        The columns whose values make a group; null is a value like any other. When left out, those that stand before
        `order`, which are the groups in the results of all analyses, and the run in `lab.generations`.
    order : str
        The column that the points of a group are ordered by.

    Returns
    -------
    frame
        One row per row of `curve`, ordered by the columns of `by`, nulls first, and `order`; all columns of `curve`,
        in its order. Those that are averaged are doubles, in the unit they had, null where no row of the window has a
        number.

    Raises
    ------
    InvalidInput
        `window` is not a whole number from 1, a column is asked for twice, or `curve` is not a frame.
    UnknownColumn
        A column is missing.

    Notes
    -----
    For row t of a group of n rows, counted from 0, and w = window, the mean of the values at

        max(0, t - floor(w / 2)) ... min(n - 1, t + ceil(w / 2) - 1)

    At both ends the window is cut: the average is over the rows that there are, and nothing is made up beyond them. A
    value that is null or NaN contributes nothing. The window counts rows: a generation that is missing is passed over.

    The time does not depend on the window. Rows are cut into blocks of w; a window is the end of one block and the
    beginning of the next, and running sums from both sides of each block give their sums without a subtraction, so
    that a great value leaves no rounding error in the windows without it (van Herk 1992, for sums).

    References
    ----------
    van Herk, M. (1992), "A fast algorithm for local minimum and maximum filters on rectangular and octagonal kernels",
    Pattern Recognition Letters 13:517-521.

    Examples
    --------
    >>> import polars as pl
    >>> curve = pl.DataFrame({"problem": ["odd"] * 4, "generation": [0, 1, 2, 3], "best_median": [8.0, 2.0, 5.0, 2.0]})
    >>> smooth(curve, window=3)["best_median"].to_list()
    [5.0, 5.0, 3.0, 3.5]
    """
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise InvalidInput(f"window={window!r}: give a whole number of rows, from 1.")
    wrapped = wrap(curve, "the curve")
    schema = wrapped.collect_schema()
    names = schema.names()
    keys = _columns(by, names[: names.index(order)] if order in names else [])
    averaged = _columns(
        columns, [name for name, kind in schema.items() if kind.is_float() and name not in (*keys, order)]
    )
    check_columns([order, *keys, *averaged], names, "the curve", "Name columns of the frame that was given.")
    twice = {order, *keys} & set(averaged) | {order} & set(keys)
    if twice:
        raise InvalidInput(f"{sorted(twice)[0]!r} is asked for twice, in by, order or columns: name each column once.")

    at = {name: f"c{index}" for index, name in enumerate(names)}
    group = [at[name] for name in keys] or ["all"]
    frame = _lazy(wrapped, at).with_columns(all=nw.lit(0))
    sums = (
        frame
        if not averaged
        else _window_sums(frame, [at[name] for name in averaged], group, at[order], min(window, _MOST))
    )
    means = {
        at[name]: nw.col(f"sum_{at[name]}") / nw.when(nw.col(f"n_{at[name]}") > 0).then(nw.col(f"n_{at[name]}"))
        for name in averaged
    }
    smoothed = (sums.with_columns(**means) if means else sums).sort(*group, at[order])
    return give_back(smoothed, {new: name for name, new in at.items()}, (), curve)


def _window_sums(
    frame: nw.LazyFrame[Any], columns: Sequence[str], group: Sequence[str], order: str, window: int
) -> nw.LazyFrame[Any]:
    """Add for each column the sum of its numbers in each row's window, `sum_{column}`, and how many, `n_{column}`."""
    before, after = window // 2, window - 1 - window // 2
    rows = frame.with_columns(
        row=nw.col(order).cum_count().over(*group, order_by=order).cast(nw.Int64) - 1,
        rows=nw.len().over(*group).cast(nw.Int64),
    ).with_columns(block=nw.col("row") // window, last_block=(nw.col("rows") - 1) // window)
    parts = []
    for column in columns:
        value = nw.col(column).cast(nw.Float64)
        number = nw.when(~value.is_nan()).then(value)
        rows = rows.with_columns(number.fill_null(0.0).alias(f"sum_{column}"))
        rows = rows.with_columns((~number.is_null()).fill_null(False).cast(nw.Float64).alias(f"n_{column}"))
        parts += [f"sum_{column}", f"n_{column}"]

    running, ends = {}, {}
    for part in parts:
        value, last = nw.col(part), nw.when(nw.col("block") == nw.col("last_block")).then(nw.col(part))
        running[f"to_{part}"] = value.cum_sum().over(*group, "block", order_by=order)
        running[f"from_{part}"] = value.cum_sum(reverse=True).over(*group, "block", order_by=order)
        running[f"tail_{part}"] = last.sum().over(*group)
        running[f"all_{part}"] = value.sum().over(*group)
        ends[f"to_{part}"] = nw.col(f"to_{part}").shift(-after).over(*group, order_by=order)
        ends[f"from_{part}"] = nw.col(f"from_{part}").shift(before).over(*group, order_by=order)
    rows = rows.with_columns(**running).with_columns(**ends)

    first, is_cut = nw.col("row") - before, nw.col("row") + after >= nw.col("rows")
    # A window that begins with its block is that block; otherwise it ends in the next one, if there is a next one.
    one_block = (first % window == 0) | (is_cut & (first // window == nw.col("last_block")))
    return rows.with_columns(
        nw.when(first < 0)
        .then(nw.when(is_cut).then(nw.col(f"all_{part}")).otherwise(nw.col(f"to_{part}")))
        .otherwise(
            nw.when(one_block)
            .then(nw.col(f"from_{part}"))
            .otherwise(
                nw.col(f"from_{part}") + nw.when(is_cut).then(nw.col(f"tail_{part}")).otherwise(nw.col(f"to_{part}"))
            )
        )
        .alias(part)
        for part in parts
    )


def _lazy(wrapped: Any, at: dict[str, str]) -> nw.LazyFrame[Any]:
    """Take every column under its new name, lazily; pandas and Arrow frames are read by DuckDB."""
    renamed = wrapped.select(*(nw.col(name).alias(new) for name, new in at.items()))
    if isinstance(renamed, nw.LazyFrame):
        return renamed
    if renamed.implementation.is_polars():
        lazy: nw.LazyFrame[Any] = renamed.lazy()
        return lazy
    # Selected again: Arrow would keep the index of a pandas frame that was filtered.
    arrow: nw.DataFrame[Any] = nw.from_native(renamed.to_arrow().select(list(at.values())))
    return arrow.lazy("duckdb")


def _columns(given: str | Sequence[str] | None, default: list[str]) -> list[str]:
    return default if given is None else [given] if isinstance(given, str) else list(dict.fromkeys(given))
