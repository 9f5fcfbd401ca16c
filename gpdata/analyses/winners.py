"""The winner of a run."""

from __future__ import annotations

from collections.abc import Sequence

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import check_same_engine, give_back, on_spark, only_runs, run_names, take
from gpdata.analyses.last import last_rows
from gpdata.schema import GENERATIONS, INDIVIDUALS

WINNER = tuple(INDIVIDUALS[name] for name in ("run_uuid", "generation", "location", "uuid"))
"""The result columns of `winner`."""

# The least of each run in one pass, and nothing moved but the best of each file. A uuid that nobody asks for is not
# written out: it is an aggregate of its own.
_ON_SPARK = """
SELECT run_uuid, generation, min(struct(total_error, location)).location AS location,
  min_by(uuid, struct(total_error, location)) AS uuid FROM {individuals}
JOIN (SELECT run_uuid, max(generation) AS generation FROM {generations} GROUP BY run_uuid)
USING (run_uuid, generation)
WHERE total_error IS NOT NULL AND NOT isnan(total_error) GROUP BY run_uuid, generation ORDER BY run_uuid"""
# Of one run: its last generation is known before the files are read, and nothing is grouped or joined.
_ONE_ON_SPARK = """
SELECT run_uuid, generation, location, uuid FROM {individuals}
WHERE generation = (SELECT max(generation) FROM {generations}) AND total_error IS NOT NULL AND NOT isnan(total_error)
ORDER BY total_error, location LIMIT 1"""


def winner(individuals: IntoFrameT, generations: IntoFrameT, *, run: str | Sequence[str]) -> IntoFrameT:
    """Return the individual of least total error in a run's last generation.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`.
    generations : frame
        `lab.generations`: says which generation is a run's last.
    run : str or sequence of str
        The `run_uuid` of the run, or of several.

    Returns
    -------
    frame
        One row per run, ordered by run, with the columns of `WINNER`: `run_uuid`, `generation`, `location` and
        `uuid`. Of several individuals of the same least error it is the one of the lowest location. A total
        error that is null or NaN never wins.

    Raises
    ------
    InvalidInput
        `run` is neither a text nor a list of texts, a frame is none, or the frames are of different engines.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Lazy where the engine is, so that nothing can be said yet of a run that is not there: it has no row, as has a
    run of whose last generation no individual has a total error. The winner need not have solved the problem, and
    need not be who the sender calls best (`best_uuid` of generations).

    Examples
    --------
    >>> import polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 4,
    ...         "generation": [0, 1, 1, 1],
    ...         "location": [0, 0, 1, 2],
    ...         "uuid": ["p", "q", "r", "s"],
    ...         "total_error": [0.0, 7.0, 2.0, 2.0],
    ...     }
    ... )
    >>> generations = pl.DataFrame({"run_uuid": ["a", "a"], "generation": [0, 1]})
    >>> winner(individuals, generations, run="a").rows()
    [('a', 1, 1, 'r')]
    """
    runs = run_names("run", run)
    check_same_engine(individuals=individuals, generations=generations)
    known = take(only_runs(generations, GENERATIONS, runs), GENERATIONS, ["run_uuid", "generation"])
    rows = take(only_runs(individuals, INDIVIDUALS, runs), INDIVIDUALS, [c.name for c in WINNER] + ["total_error"])
    if rows.implementation.is_spark_like():
        best = on_spark(_ONE_ON_SPARK if len(runs) == 1 else _ON_SPARK, individuals=rows, generations=known)
        return give_back(best, {}, WINNER, individuals)
    if len(runs) == 1:
        best = rows.join(known.select(nw.col("generation").max()), on="generation", how="semi")
        best = best.filter(~nw.col("total_error").is_nan()).sort("total_error", "location").head(1)
        return give_back(best, {}, WINNER, individuals)
    best = rows.join(last_rows(known), on=["run_uuid", "generation"], how="semi")
    best = best.filter(~nw.col("total_error").is_nan())
    for least in ("total_error", "location"):
        best = best.filter(nw.col(least) == nw.col(least).min().over("run_uuid"))
    return give_back(best.sort("run_uuid"), {}, WINNER, individuals)
