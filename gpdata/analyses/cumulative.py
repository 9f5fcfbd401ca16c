"""The share of runs that is solved by each generation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import check_choice, check_same_engine, give_back, group_keys, grouped_runs, take
from gpdata.analyses.success import Unfinished, with_rates
from gpdata.errors import InvalidInput
from gpdata.schema import GENERATIONS, Column, Type

CUMULATIVE_SUCCESS = (
    GENERATIONS["generation"],
    Column("runs", Type.INT, "counted runs of the group, the same at every generation", "computed", unit="runs"),
    Column(
        "solved", Type.INT, "of these, runs that were solved by this generation", "outcome, or best_so_far", unit="runs"
    ),
    Column("probability", Type.DOUBLE, "P(M,i) = solved / runs", "computed", unit="share of runs"),
    Column("probability_low", Type.DOUBLE, "lower end of Wilson's interval", "computed", unit="share of runs"),
    Column("probability_high", Type.DOUBLE, "upper end of Wilson's interval", "computed", unit="share of runs"),
)
"""The columns that `cumulative_success` adds to the columns of `by`."""


def cumulative_success(
    generations: IntoFrameT,
    runs: IntoFrameT,
    *,
    by: str | Sequence[str],
    threshold: float | None = None,
    unfinished: Unfinished = "drop",
    confidence: float = 0.95,
) -> IntoFrameT:
    """Return for each generation the share of runs that is solved by then, with its Wilson interval: Koza's P(M,i).

    Parameters
    ----------
    generations : frame
        `lab.generations`.
    runs : frame
        `lab.runs`: the runs that are asked about.
    by : str or sequence of str
        Columns of `runs`, keys of the config among them. A run that lacks the key (null) is in a group of its
        own; `[]` makes one group of all runs.
    threshold : float, optional
        None: a run is solved at its last generation if the sender calls that a success (`outcome`). A number: at
        the first generation whose `best_so_far` is at most that, whatever its outcome.
    unfinished : {"drop", "failure"}
        What a run that neither finished nor succeeded is: not counted, or counted as a failure at all generations.
    confidence : float
        Confidence of the interval at each generation, between 0 and 1.

    Returns
    -------
    frame
        One row per group and generation that some counted run of the group has, ordered by the columns of `by`,
        nulls first, and generation; the columns of `by`, then those of `CUMULATIVE_SUCCESS`:

        - `generation`, from 0; `runs`: how many are counted; `solved`: how many of them were solved by then.
        - `probability`, `probability_low`, `probability_high`: solved / runs, and Wilson's interval.

        None of them is null. A group of which no run is counted has no row.

    Raises
    ------
    InvalidInput
        An option is not valid, a frame is none, the frames are of different engines, or a column of `by` is called
        like a result column.
    UnknownColumn
        A column is missing.

    Notes
    -----
    P(M,i) = (runs solved at a generation up to i) / (counted runs), for populations of M individuals. A run that was
    solved stays so, and one that ended otherwise stays unsolved: `runs` is the denominator to the end. The interval
    holds for each generation by itself, not for the curve as a whole.

    References
    ----------
    Koza, J. R. (1992), Genetic Programming, MIT Press, chapter 8. Wilson, E. B. (1927), JASA 22:209-212.

    Examples
    --------
    >>> import polars as pl
    >>> generations = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a", "a", "b", "b", "b"],
    ...         "generation": [0, 1, 0, 1, 2],
    ...         "outcome": ["continue", "success", "continue", "continue", "failure"],
    ...     }
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a", "b"], "problem": ["odd", "odd"]})
    >>> curve = cumulative_success(generations, runs, by="problem")
    >>> curve.select("problem", "generation", "runs", "solved", "probability").rows()
    [('odd', 0, 2, 0, 0.0), ('odd', 1, 2, 1, 0.5), ('odd', 2, 2, 1, 0.5)]
    """
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence={confidence!r}: give a number between 0 and 1, such as 0.95.")
    points, keys = solved_by_generation(
        generations, runs, by=by, threshold=threshold, unfinished=unfinished, result=CUMULATIVE_SUCCESS
    )
    curve = with_rates(points, "solved", "runs", confidence, "probability")
    return give_back(curve.sort(*group_keys(keys), "generation"), keys, CUMULATIVE_SUCCESS, generations)


def solved_by_generation(
    generations: Any,
    runs: Any,
    *,
    by: str | Sequence[str],
    threshold: float | None,
    unfinished: Unfinished,
    result: Sequence[Column],
    more: Sequence[str] = (),
) -> tuple[nw.LazyFrame[Any], dict[str, str]]:
    """Count for each group and generation the runs that are solved by then.

    Parameters
    ----------
    generations, runs, by, threshold, unfinished
        As `cumulative_success` takes them.
    result : sequence of Column
        The columns that the analysis adds to `by`.
    more : sequence of str
        Further columns of generations.

    Returns
    -------
    points : narwhals.LazyFrame
        One row per group and generation: the keys, `generation`, `runs`, `solved`; and the least and greatest of each
        of `more`, as `{name}_min` and `{name}_max`.
    keys : dict
        As `grouped_runs` returns them.
    """
    check_choice("unfinished", unfinished, get_args(Unfinished))
    check_threshold(threshold)
    check_same_engine(generations=generations, runs=runs)
    grouped, keys = grouped_runs(runs, by, result)
    group = group_keys(keys)

    needed = ["run_uuid", "generation", "outcome", *more]
    rows = take(generations, GENERATIONS, needed if threshold is None else [*needed, "best_so_far"])
    # What is to be known of a run stands in each of its rows: one pass, and the run's rows are moved once.
    rows = rows.with_columns(end=nw.col("generation").max().over("run_uuid"))
    is_end = nw.col("generation") == nw.col("end")
    of_run = {"final": nw.when(is_end).then(nw.col("outcome")).max().over("run_uuid")}
    counted = nw.col("final") != "continue"
    if threshold is None:
        new = is_end & (nw.col("final") == "success")
    else:
        reached = nw.when(nw.col("best_so_far") <= threshold).then(nw.col("generation"))
        of_run["solved_at"] = reached.min().over("run_uuid")
        new = nw.col("generation") == nw.col("solved_at")
        counted = counted | ~nw.col("solved_at").is_null()
    rows = rows.with_columns(**of_run)
    if unfinished == "drop":
        rows = rows.filter(counted)
    else:  # a run without a row counts too
        grouped = grouped.with_columns(members=nw.len().over(*group))
    points = (
        rows.join(grouped, on="run_uuid", how="inner")
        .with_columns(
            new=nw.when(new).then(nw.col("generation")),
            ended=nw.when(is_end).then(nw.col("generation")),
        )
        .group_by(*group, "generation")
        .agg(
            nw.col("new").count(),
            nw.col("ended").count() if unfinished == "drop" else nw.col("members").max(),
            *(nw.col(name).min().alias(f"{name}_min") for name in more),
            *(nw.col(name).max().alias(f"{name}_max") for name in more),
        )
        .with_columns(
            solved=nw.col("new").cum_sum().over(*group, order_by="generation"),
            runs=nw.col("ended").sum().over(*group) if unfinished == "drop" else nw.col("members"),
        )
    )
    return points, keys


def check_threshold(threshold: float | None) -> None:
    """Raise `InvalidInput` where the threshold of success is not a number."""
    if threshold is not None and math.isnan(threshold):
        raise InvalidInput("threshold is NaN: give the greatest error that counts as a success, or None.")
