"""How many individuals must be processed to solve a problem almost surely."""

from __future__ import annotations

import math
from collections.abc import Sequence

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.cumulative import solved_by_generation
from gpdata.analyses.frames import give_back, group_keys
from gpdata.analyses.success import Unfinished
from gpdata.errors import InvalidInput
from gpdata.schema import GENERATIONS, Column, Type

_UNSOLVED = "no run is solved by this generation: no number of runs is enough"
_SIZES = "population sizes of the group differ and none was given"

COMPUTATIONAL_EFFORT = (
    GENERATIONS["generation"],
    Column("runs", Type.INT, "counted runs of the group", "computed", unit="runs"),
    Column(
        "solved", Type.INT, "of these, runs that were solved by this generation", "outcome, or best_so_far", unit="runs"
    ),
    Column("probability", Type.DOUBLE, "P(M,i) = solved / runs", "computed", unit="share of runs"),
    Column("population_size", Type.INT, "M: individuals of a generation", "population_size", _SIZES, "individuals"),
    Column("runs_needed", Type.DOUBLE, "R(z): runs that solve it with probability z", "computed", _UNSOLVED, "runs"),
    Column(
        "individuals",
        Type.DOUBLE,
        "I(M,i,z) = M (i + 1) R(z)",
        "computed",
        f"{_UNSOLVED}; or {_SIZES}",
        "individuals",
    ),
    Column(
        "effort",
        Type.DOUBLE,
        "E: least I(M,i,z) over the generations of the group, the same in each of its rows",
        "computed",
        f"no run of the group is solved; or {_SIZES}",
        "individuals",
    ),
    Column("is_least", Type.BOOL, "whether this is the first generation with I(M,i,z) = E", "computed"),
)
"""The columns that `computational_effort` adds to the columns of `by`."""


def computational_effort(
    generations: IntoFrameT,
    runs: IntoFrameT,
    *,
    by: str | Sequence[str],
    z: float = 0.99,
    threshold: float | None = None,
    unfinished: Unfinished = "drop",
    population_size: int | None = None,
) -> IntoFrameT:
    """Return Koza's I(M,i,z) for each generation, and its least value, the computational effort E.

    Parameters
    ----------
    generations, runs, by, threshold, unfinished
        As `cumulative_success` takes them.
    z : float
        The probability with which the problem shall be solved, between 0 and 1.
    population_size : int, optional
        M, in individuals. When left out it is read from `generations`; the formula has one M, and where those of a
        group differ there is no answer for it (null): put "population-size" into `by`.

    Returns
    -------
    frame
        One row per group and generation that some counted run of the group has, ordered by the columns of `by`,
        nulls first, and generation; the columns of `by`, then those of `COMPUTATIONAL_EFFORT`:

        - `generation`, `runs`, `solved`, `probability`: as `cumulative_success` gives them.
        - `population_size`: M, in individuals; null where those of the group differ.
        - `runs_needed`: R(z), a whole number of runs, each to that generation; null where none is solved by then.
        - `individuals`: I(M,i,z); null where R(z) or M is.
        - `effort`: E, the same in every row of the group; null where no run is solved, or M is null.
        - `is_least`: true in one row of each group that has an E, the first with that value.

    Raises
    ------
    InvalidInput
        An option is not valid, a frame is none, the frames are of different engines, or a column of `by` is called
        like a result column.
    UnknownColumn
        A column is missing.

    Notes
    -----
    With P = P(M,i):

        R(z) = ceil(ln(1 - z) / ln(1 - P)), at least 1; and 1 where P = 1
        I(M,i,z) = M (i + 1) R(z)
        E = min over i of I(M,i,z)

    The quotient is rounded to nine digits before `ceil`: with P = 0.9 and z = 0.99 it is 2, which floating-point
    numbers miss. E is biased where runs are few, and P itself is uncertain (`cumulative_success`): give both.

    References
    ----------
    Koza, J. R. (1992), Genetic Programming, MIT Press, chapter 8. Christensen, S. and Oppacher, F. (2002), "An
    analysis of Koza's computational effort statistic for genetic programming", EuroGP: its bias.

    Examples
    --------
    >>> import polars as pl
    >>> generations = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a", "a", "b", "b"],
    ...         "generation": [0, 1, 0, 1],
    ...         "outcome": ["continue", "success", "continue", "failure"],
    ...         "population_size": [500, 500, 500, 500],
    ...     }
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a", "b"], "problem": ["odd", "odd"]})
    >>> effort = computational_effort(generations, runs, by="problem")
    >>> effort.select("generation", "probability", "runs_needed", "individuals", "is_least").rows()
    [(0, 0.0, None, None, False), (1, 0.5, 7.0, 7000.0, True)]
    """
    if not 0 < z < 1:
        raise InvalidInput(f"z={z!r}: give a probability between 0 and 1, such as 0.99.")
    if population_size is not None and population_size < 1:
        raise InvalidInput(f"population_size={population_size!r}: give the number of individuals of a generation.")
    points, keys = solved_by_generation(
        generations,
        runs,
        by=by,
        threshold=threshold,
        unfinished=unfinished,
        result=COMPUTATIONAL_EFFORT,
        more=["population_size"] if population_size is None else [],
    )
    group = group_keys(keys)
    if population_size is None:
        points = points.with_columns(
            nw.col("population_size_min").min().over(*group), nw.col("population_size_max").max().over(*group)
        )
        same = nw.col("population_size_min") == nw.col("population_size_max")
        size: nw.Expr = nw.when(same).then(nw.col("population_size_max"))
    else:
        size = nw.lit(population_size)

    solved, unsolved = nw.col("solved"), nw.col("runs") - nw.col("solved")
    # Not of 0, which some engines refuse. (runs - solved) / runs is exact where 1 - P is not.
    miss = nw.when((solved > 0) & (unsolved > 0)).then(unsolved.cast(nw.Float64) / nw.col("runs")).log()
    exactly = (math.log1p(-z) / miss).round(9).ceil()
    needed = (
        nw.when(unsolved == 0).then(nw.lit(1.0)).otherwise(nw.when(exactly < 1).then(nw.lit(1.0)).otherwise(exactly))
    )
    curve = (
        points.with_columns(
            probability=solved.cast(nw.Float64) / nw.col("runs"), population_size=size, runs_needed=needed
        )
        .with_columns(
            individuals=nw.col("population_size").cast(nw.Float64) * (nw.col("generation") + 1) * nw.col("runs_needed")
        )
        .with_columns(effort=nw.col("individuals").min().over(*group))
        .with_columns(least_at=nw.when(nw.col("individuals") == nw.col("effort")).then(nw.col("generation")))
        .with_columns(least_at=nw.col("least_at").min().over(*group))
        .with_columns(is_least=(nw.col("generation") == nw.col("least_at")).fill_null(False))
    )
    return give_back(curve.sort(*group, "generation"), keys, COMPUTATIONAL_EFFORT, generations)
