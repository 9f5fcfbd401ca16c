"""How the best error falls, generation by generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import check_choice, check_same_engine, give_back, group_keys, grouped_runs, take
from gpdata.analyses.last import last_rows
from gpdata.schema import GENERATIONS, Column, Type

Stopped = Literal["drop", "carry", "zero"]

_NO_RUN = "no run contributes a number"

ERROR_CURVES = (
    GENERATIONS["generation"],
    Column("runs", Type.INT, "runs that contribute a number at this generation", "computed", unit="runs"),
    Column(
        "best_median",
        Type.DOUBLE,
        "median over those runs of the best error",
        "total_error_min",
        _NO_RUN,
        "error",
    ),
    Column("best_q1", Type.DOUBLE, "first quartile (linear interpolation)", "total_error_min", _NO_RUN, "error"),
    Column("best_q3", Type.DOUBLE, "third quartile (linear interpolation)", "total_error_min", _NO_RUN, "error"),
    Column(
        "best_mean",
        Type.DOUBLE,
        "mean over those runs of the best error",
        "total_error_min",
        _NO_RUN,
        "error",
    ),
)
"""The columns that `error_curves` adds to the columns of `by`."""


def error_curves(
    generations: IntoFrameT,
    runs: IntoFrameT,
    *,
    by: str | Sequence[str],
    stopped: Stopped = "drop",
) -> IntoFrameT:
    """Summarise over the runs of each group, at each generation, the best error that each run has there.

    A run's best error at a generation is the least total error in that generation's population
    (`total_error_min`), not the least so far: it may rise.

    Parameters
    ----------
    generations : frame
        `lab.generations`.
    runs : frame
        `lab.runs`: the runs that are asked about. Generations of other runs are left out.
    by : str or sequence of str
        Columns of `runs`, keys of the config among them. A run that lacks the key (null) is in a group of its
        own; `[]` makes one group of all runs.
    stopped : {"drop", "carry", "zero"}
        What a run is after its last recorded generation, at generations that other runs of its group have:

        - "drop": nothing. Each point is over the runs that have a row there. Where solved runs stop, the
          rest are the hard ones, and the curve may rise for that reason alone.
        - "carry": its last best error, whatever its outcome.
        - "zero": error 0 where its final outcome is `success`, for a solved problem stays solved; nothing
          otherwise, for how a run that was cut off, by its budget or a kill, would have gone on is not known.

    Returns
    -------
    frame
        One row per group and generation that some run of the group has, ordered by the columns of `by`, nulls
        first, and generation; the columns of `by`, then those of `ERROR_CURVES`:

        - `generation`, and `runs`: the number of runs that contribute there.
        - `best_median`, `best_q1`, `best_q3`, `best_mean`: over those runs, of the best error; quartiles by
          linear interpolation; null where no run contributes a number.

    Raises
    ------
    InvalidInput
        `stopped` is not valid, a frame is none, the frames are of different engines, or a column of `by` is
        called like a result column.
    UnknownColumn
        A column is missing.

    Notes
    -----
    A best error that is null or NaN contributes nothing. A generation lost in the middle of a run is missing
    data, not a stop: it is never filled, and a generation that no run of the group has gets no row.

    Examples
    --------
    >>> import polars as pl
    >>> generations = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a", "a", "b"],
    ...         "generation": [0, 1, 0],
    ...         "outcome": ["continue", "failure", "success"],
    ...         "total_error_min": [9.0, 4.0, 0.0],
    ...     }
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a", "b"], "problem": ["odd", "odd"]})
    >>> curve = error_curves(generations, runs, by="problem", stopped="carry")
    >>> curve.select("problem", "generation", "runs", "best_median", "best_q1").rows()
    [('odd', 0, 2, 4.5, 2.25), ('odd', 1, 2, 2.0, 1.0)]
    """
    check_choice("stopped", stopped, get_args(Stopped))
    check_same_engine(generations=generations, runs=runs)
    grouped, keys = grouped_runs(runs, by, ERROR_CURVES)
    group = group_keys(keys)

    needed = ["run_uuid", "generation", "total_error_min"]
    best = nw.when(~nw.col("total_error_min").is_nan()).then(nw.col("total_error_min"))
    rows = (
        take(generations, GENERATIONS, [*needed, "outcome"] if stopped == "zero" else needed)
        .with_columns(best.alias("best"))
        .join(grouped, on="run_uuid", how="inner")
    )
    points = rows
    if stopped != "drop":
        points = nw.concat([rows.select(*group, "generation", "best"), _after_the_end(rows, group, stopped)])
    curve = (
        points.group_by(*group, "generation")
        .agg(
            nw.col("best").count().alias("runs"),
            nw.col("best").median().alias("best_median"),
            nw.col("best").quantile(0.25, interpolation="linear").alias("best_q1"),
            nw.col("best").quantile(0.75, interpolation="linear").alias("best_q3"),
            nw.col("best").mean().alias("best_mean"),
        )
        .sort(*group, "generation")
    )
    return give_back(curve, keys, ERROR_CURVES, generations)


def _after_the_end(rows: nw.LazyFrame[Any], group: list[str], stopped: Stopped) -> nw.LazyFrame[Any]:
    """What each ended run contributes at the later generations of its group."""
    # A group's keys may be null, which no join matches: its least run_uuid stands for it.
    rows = rows.with_columns(nw.col("run_uuid").min().over(*group).alias("group"))
    ends = last_rows(rows)
    if stopped == "zero":
        ends = ends.filter(nw.col("outcome") == "success").with_columns(nw.lit(0.0).alias("best"))
    present = rows.select("group", nw.col("generation").alias("later")).unique()
    return (
        ends.join(present, on="group", how="inner")
        .filter(nw.col("later") > nw.col("generation"))
        .select(*group, nw.col("later").alias("generation"), "best")
    )
