"""How often runs succeed, group by group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any, Literal, get_args

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.formulas import with_formulas
from gpdata.analyses.frames import (
    check_choice,
    check_same_engine,
    give_back,
    group_keys,
    grouped_runs,
    take,
)
from gpdata.analyses.last import last_rows
from gpdata.errors import InvalidInput
from gpdata.schema import GENERATIONS, Column, Type

Unfinished = Literal["drop", "failure"]

_NONE_COUNTED = "no run is counted"
_NO_SUCCESS = "no run of the group succeeded"

SUCCESS_TABLE = (
    Column("runs", Type.INT, "runs of the group", "rows of runs", unit="runs"),
    Column("finished", Type.INT, "runs whose final outcome is not continue", "outcome", unit="runs"),
    Column(
        "successes",
        Type.INT,
        "runs whose final outcome is success; with a threshold, runs whose best_so_far is at most that",
        "outcome, or best_so_far",
        unit="runs",
    ),
    Column(
        "generalising",
        Type.INT,
        "successes whose best of the last generation has error zero on every unseen test case",
        "best_test_errors",
        "no run of the group has test errors",
        "runs",
    ),
    Column("rate", Type.DOUBLE, "successes / counted runs", "computed", _NONE_COUNTED, "share of runs"),
    Column("rate_low", Type.DOUBLE, "lower end of Wilson's interval", "computed", _NONE_COUNTED, "share of runs"),
    Column("rate_high", Type.DOUBLE, "upper end of Wilson's interval", "computed", _NONE_COUNTED, "share of runs"),
    Column(
        "generations_min",
        Type.INT,
        "least last generation of a success",
        "generation",
        _NO_SUCCESS,
        "generation",
    ),
    Column(
        "generations_median",
        Type.DOUBLE,
        "median last generation of successes",
        "generation",
        _NO_SUCCESS,
        "generation",
    ),
    Column(
        "generations_max",
        Type.INT,
        "greatest last generation of a success",
        "generation",
        _NO_SUCCESS,
        "generation",
    ),
)
"""The columns that `success_table` adds to the columns of `by`."""


def with_rates(frame: nw.LazyFrame[Any], successes: str, runs: str, confidence: float, name: str) -> nw.LazyFrame[Any]:
    """Add successes / runs as `name`, and the ends of Wilson's score interval as `{name}_low` and `{name}_high`.

    They are null where `runs` is, which may not be 0. The lower end is exactly 0 for no success; the upper one is 1
    minus the lower end for the failures, so neither leaves [0, 1].
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)

    def low(k: Any, n: Any) -> Any:
        return (2 * k + z * z - z * (z * z + 4 * k * (n - k) / n).sqrt()) / (2 * (n + z * z))

    def rates(column: Callable[[str], Any]) -> dict[str, Any]:
        k, n = column(successes), column(runs)
        return {name: k / n, f"{name}_low": low(k, n), f"{name}_high": 1 - low(n - k, n)}

    return with_formulas(frame, rates)


def success_table(
    last: IntoFrameT,
    runs: IntoFrameT,
    *,
    by: str | Sequence[str],
    threshold: float | None = None,
    unfinished: Unfinished = "drop",
    confidence: float = 0.95,
) -> IntoFrameT:
    """Count runs and successes per group, with the success rate and its Wilson interval.

    Parameters
    ----------
    last : frame
        `last_generation(lab.generations)`. Of whole `generations`, the last of each run is taken.
    runs : frame
        `lab.runs`: the runs that are asked about. A run without a row in `last` is an unfinished one.
    by : str or sequence of str
        Columns of `runs`, keys of the config among them. A run that lacks the key (null) is in a group of its
        own; `[]` makes one group of all runs.
    threshold : float, optional
        None: a success is a run that the sender calls one (`outcome`). A number: a run whose `best_so_far` is
        at most that, whatever its outcome.
    unfinished : {"drop", "failure"}
        What a run that neither finished nor succeeded is for the rate: not counted, or counted as a failure.
    confidence : float
        Confidence of the interval, between 0 and 1.

    Returns
    -------
    frame
        One row per group, ordered by the columns of `by`, nulls first; the columns of `by`, then those of
        `SUCCESS_TABLE`:

        - `runs`, `finished`, `successes`: counts of runs.
        - `generalising`: successes whose best individual has error zero on every unseen test case
          (`best_test_errors` of the last row; the simplified program is not asked); null where no run of the
          group has test errors.
        - `rate`, `rate_low`, `rate_high`: successes / counted runs, and Wilson's interval; null where no run
          is counted. Under "drop" those that finished or succeeded are counted, under "failure" all runs.
        - `generations_min`, `generations_median`, `generations_max`: over successes, the generation at which
          the run ended, counted from 0; null where there is no success. With a threshold too it is the run's
          end, which may come after the generation that first reached the threshold.

    Raises
    ------
    InvalidInput
        An option is not valid, a frame is none, the frames are of different engines, or a column of `by` is
        called like a result column.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Without a threshold every success has finished, so under "drop" the rate is successes / finished. With
    one, a killed run that had reached it counts as a success and one that had not is left out, which favours
    success; "failure" gives the rate that errs on the other side.

    The interval: Wilson, E. B. (1927), "Probable inference, the law of succession, and statistical
    inference", JASA 22:209-212.

    Examples
    --------
    >>> import polars as pl
    >>> last = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a", "b", "c"],
    ...         "generation": [12, 300, 7],
    ...         "outcome": ["success", "failure", "continue"],
    ...         "best_test_errors": [[0.0, 0.0], [1.0, 0.0], None],
    ...     }
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a", "b", "c"], "problem": ["odd", "odd", "odd"]})
    >>> table = success_table(last, runs, by="problem")
    >>> table.select("problem", "runs", "finished", "successes", "generalising", "rate").rows()
    [('odd', 3, 2, 1, 1, 0.5)]
    """
    check_choice("unfinished", unfinished, get_args(Unfinished))
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence={confidence!r}: give a number between 0 and 1, such as 0.95.")
    if threshold is not None and math.isnan(threshold):
        raise InvalidInput("threshold is NaN: give the greatest error that counts as a success, or None.")
    check_same_engine(last=last, runs=runs)

    needed = ["run_uuid", "generation", "outcome", "best_test_errors"]
    ends = last_rows(take(last, GENERATIONS, [*needed, "best_so_far"] if threshold is not None else needed))
    grouped, keys = grouped_runs(runs, by, SUCCESS_TABLE)

    reached = nw.col("outcome") == "success" if threshold is None else nw.col("best_so_far") <= threshold
    finished = nw.col("outcome") != "continue"
    tests = nw.col("best_test_errors").list
    different = tests.unique().list
    # Where it is so the generation, and null elsewhere, is counted: Spark sums no booleans.
    where = {
        "finished": finished,
        "successes": reached,
        "generalising": reached & (different.len() == 1) & (different.min() == 0),
        "tested": tests.len() > 0,
    }
    if unfinished == "drop" and threshold is not None:
        where["known"] = finished | reached
    # Without a threshold every success has finished.
    counted = "runs" if unfinished == "failure" else "known" if "known" in where else "finished"
    table = (
        grouped.join(ends, on="run_uuid", how="left")
        .with_columns(**{name: nw.when(so).then(nw.col("generation")) for name, so in where.items()})
        .with_columns(at=nw.col("successes"))
        .group_by(*group_keys(keys))
        .agg(
            nw.len().alias("runs"),
            *(nw.col(name).count() for name in where),
            nw.col("at").min().alias("generations_min"),
            nw.col("at").median().alias("generations_median"),
            nw.col("at").max().alias("generations_max"),
        )
        .with_columns(
            generalising=nw.when(nw.col("tested") > 0).then(nw.col("generalising")),
            n=nw.when(nw.col(counted) > 0).then(nw.col(counted)),
        )
    )
    table = with_rates(table, "successes", "n", confidence, "rate")
    return give_back(table.sort(*group_keys(keys)), keys, SUCCESS_TABLE, last)
