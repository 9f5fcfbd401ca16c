"""Who is elite on which case: what lexicase selection sees of a population."""

from __future__ import annotations

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.cases import case_rows, error_vectors
from gpdata.analyses.frames import give_back, on_duckdb, on_spark
from gpdata.schema import ERRORS, INDIVIDUALS, Column, Type

_CASE = ("run_uuid", "generation", "case")
_KEY = ("run_uuid", "generation", "location")

LEXICASE_STATS = (
    *(ERRORS[name] for name in _CASE),
    Column("individuals", Type.INT, "individuals whose error on the case is a number", "errors", unit="individuals"),
    Column("least_error", Type.DOUBLE, "least error on the case", "errors", "no individual has a number", "error"),
    Column("elite", Type.INT, "individuals that have the least error", "errors", unit="individuals"),
    Column("zero", Type.INT, "individuals whose error is zero", "errors", unit="individuals"),
)
"""The result columns of `lexicase_stats`."""

ELITE_CASES = (
    *(INDIVIDUALS[name] for name in _KEY),
    Column("cases", Type.INT, "cases on which the individual's error is a number", "errors", unit="cases"),
    Column("elite_cases", Type.INT, "cases on which it has the population's least error", "errors", unit="cases"),
    Column("zero_cases", Type.INT, "cases on which its error is zero", "errors", unit="cases"),
)
"""The result columns of `elite_cases`."""


# Spark has what narwhals has not: the count that goes with the least error, and functions over two lists.
_STATS_ON_SPARK = """
WITH alike AS (
  SELECT run_uuid, generation, `case`, error, count(*) AS n FROM {rows} GROUP BY run_uuid, generation, `case`, error)
SELECT run_uuid, generation, `case`, sum(IF(error IS NULL, 0, n)) AS individuals, min(error) AS least_error,
  coalesce(min_by(n, error), 0) AS elite, sum(IF(error = 0, n, 0)) AS zero
FROM alike GROUP BY run_uuid, generation, `case`"""
_ELITE_ON_SPARK = """
WITH least AS (
  SELECT run_uuid, generation, `case`, min(error) AS error
  FROM (SELECT run_uuid, generation, posexplode(errors) AS (`case`, error) FROM {rows})
  GROUP BY run_uuid, generation, `case`),
best AS (
  SELECT run_uuid, generation, transform(array_sort(collect_list(struct(`case`, error))), x -> x.error) AS least
  FROM least GROUP BY run_uuid, generation)
SELECT run_uuid, generation, location, size(array_compact(errors)) AS cases,
  size(filter(zip_with(errors, least, (x, y) -> x = y), x -> x)) AS elite_cases,
  size(filter(errors, x -> x = 0)) AS zero_cases
FROM {rows} JOIN best USING (run_uuid, generation)"""

# A population holds few different error vectors: DuckDB compares each as a whole, once, and takes apart what is left.
# A number stands for run and generation; the numbers are in their order.
_VECTORS_ON_DUCKDB = """
vectors AS MATERIALIZED (
  SELECT run_uuid, generation, errors, {kept} FROM {{rows}} GROUP BY run_uuid, generation, errors),
keyed AS MATERIALIZED (
  SELECT run_uuid, generation, row_number() OVER (ORDER BY run_uuid, generation) AS key
  FROM (SELECT DISTINCT run_uuid, generation FROM vectors)),
flat AS MATERIALIZED (SELECT * EXCLUDE (run_uuid, generation) FROM vectors JOIN keyed USING (run_uuid, generation)),
apart AS (
  SELECT * EXCLUDE (errors, error), IF(isnan(error), NULL, error) AS error
  FROM (SELECT *, generate_subscripts(errors, 1) AS k, unnest(errors) AS error FROM flat))"""
_STATS_ON_DUCKDB = f"""
WITH {_VECTORS_ON_DUCKDB.format(kept="count(*) AS n")},
alike AS (SELECT key, k, error, sum(n) AS n FROM apart GROUP BY key, k, error),
stats AS (
  SELECT key, k, coalesce(sum(n) FILTER (error IS NOT NULL), 0) AS individuals, min(error) AS least_error,
    coalesce(arg_min(n, error), 0) AS elite, coalesce(sum(n) FILTER (error = 0), 0) AS zero
  FROM alike GROUP BY key, k)
SELECT run_uuid, generation, k - 1 AS "case", individuals, least_error, elite, zero
FROM stats JOIN keyed USING (key) ORDER BY key, k"""
_ELITE_ON_DUCKDB = f"""
WITH {_VECTORS_ON_DUCKDB.format(kept="list(location) AS locations")},
least AS (SELECT key, k, min(error) AS error FROM apart GROUP BY key, k),
best AS (SELECT key, list(error ORDER BY k) AS least FROM least GROUP BY key),
counted AS (
  SELECT key, locations, len([x FOR x IN errors IF NOT isnan(x)]) AS cases,
    len([x FOR x, k IN errors IF x = least[k] AND NOT isnan(x)]) AS elite_cases,
    len([x FOR x IN errors IF x = 0]) AS zero_cases
  FROM flat JOIN best USING (key)),
located AS (SELECT * EXCLUDE (locations), unnest(locations) AS location FROM counted)
SELECT run_uuid, generation, location, cases, elite_cases, zero_cases
FROM located JOIN keyed USING (key) ORDER BY key, location"""


def lexicase_stats(errors: IntoFrameT) -> IntoFrameT:
    """Count on each training case the individuals that are elite, and those that solve it.

    Parameters
    ----------
    errors : frame
        `lab.errors`, or `lab.individuals`, whose error vectors are the same. Keep the rows of the runs and
        generations that are asked about: they are many. To keep some of them, filter `lab.individuals`: DuckDB
        answers from whole vectors faster.

    Returns
    -------
    frame
        One row per run, generation and case, ordered so, with the columns of `LEXICASE_STATS`:

        - `run_uuid`, `generation`, `case`: the case is its position in the error vector, from 0.
        - `individuals`: those whose error there is a number; one that is null or NaN is not.
        - `least_error` (error): null where no error is a number.
        - `elite`: the individuals that have the least error, 1 or more where there is one.
        - `zero`: the individuals whose error is 0; equal to `elite` where any is, and 0 otherwise, unless errors
          are negative.

    Raises
    ------
    InvalidInput
        `errors` is not a frame.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Elite is who stays if lexicase selection takes the case first; with an epsilon more would stay. Where training
    cases are drawn anew each generation, as in down-sampled lexicase, a case is another one in each.

    Source: the lexicase report of Clojush; Helmuth, T., McPhee, N. F., Spector, L. (2016), "Lexicase selection for
    program synthesis: a diversity analysis", GPTP XIII.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = {"run_uuid": "a", "generation": 0, "location": [0, 0, 1, 1, 2, 2], "case": [0, 1] * 3}
    >>> errors = pl.DataFrame(individuals | {"error": [0.0, 7.0, 0.0, 9.0, 5.0, 7.0]})
    >>> lexicase_stats(errors).drop("run_uuid").rows()
    [(0, 0, 3, 0.0, 2, 2), (0, 1, 3, 7.0, 2, 0)]
    """
    vectors = error_vectors(errors)
    if vectors is not None and vectors.implementation.is_duckdb():
        return give_back(on_duckdb(_STATS_ON_DUCKDB, rows=vectors), {}, LEXICASE_STATS, errors)
    rows = case_rows(errors)
    if rows.implementation.is_spark_like():
        return give_back(on_spark(_STATS_ON_SPARK, rows=rows).sort(*_CASE), {}, LEXICASE_STATS, errors)
    # Equal errors are counted first: few rows are left for the minimum, and nothing is joined.
    alike = rows.group_by(*_CASE, "error").agg(nw.len().alias("n"))
    alike = alike.with_columns(nw.col("error").min().over(*_CASE).alias("least_error"))
    has, zero, elite = ~nw.col("error").is_null(), nw.col("error") == 0, nw.col("error") == nw.col("least_error")
    counted = alike.with_columns(
        individuals=_counted(has), elite=_counted(elite.fill_null(False)), zero=_counted(zero.fill_null(False))
    )
    stats = counted.group_by(*_CASE).agg(
        nw.col("least_error").min(), *(nw.col(name).sum() for name in ("individuals", "elite", "zero"))
    )
    return give_back(stats.sort(*_CASE), {}, LEXICASE_STATS, errors)


def elite_cases(errors: IntoFrameT) -> IntoFrameT:
    """Count for each individual the training cases on which it is elite, and those that it solves.

    Parameters
    ----------
    errors : frame
        `lab.errors`, or `lab.individuals`, which Spark answers from faster, and DuckDB where rows are filtered: whole
        vectors are compared. With whole populations: who is elite depends on the others.

    Returns
    -------
    frame
        One row per individual that has errors, ordered by run, generation and location, with the columns of
        `ELITE_CASES`:

        - `run_uuid`, `generation`, `location`: the individual.
        - `cases`: those on which its error is a number.
        - `elite_cases`: those on which no individual of its generation has a lesser error.
        - `zero_cases`: those on which its error is 0.

        No count is null.

    Raises
    ------
    InvalidInput
        `errors` is not a frame.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Who is elite on no case is never selected by lexicase selection. What elite means, and the source, are as for
    `lexicase_stats`.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = {"run_uuid": "a", "generation": 0, "location": [0, 0, 1, 1, 2, 2], "case": [0, 1] * 3}
    >>> errors = pl.DataFrame(individuals | {"error": [0.0, 7.0, 0.0, 9.0, 5.0, 7.0]})
    >>> elite_cases(errors).select("location", "cases", "elite_cases", "zero_cases").rows()
    [(0, 2, 2, 1), (1, 2, 1, 1), (2, 2, 1, 0)]
    """
    vectors = error_vectors(errors)
    if vectors is not None:
        if vectors.implementation.is_duckdb():
            return give_back(on_duckdb(_ELITE_ON_DUCKDB, rows=vectors), {}, ELITE_CASES, errors)
        return give_back(on_spark(_ELITE_ON_SPARK, rows=vectors).sort(*_KEY), {}, ELITE_CASES, errors)
    rows = case_rows(errors)
    least = rows.group_by(*_CASE).agg(nw.col("error").min().alias("least_error"))
    has, zero, elite = ~nw.col("error").is_null(), nw.col("error") == 0, nw.col("error") == nw.col("least_error")
    flags = {"cases": has, "elite_cases": elite, "zero_cases": zero}
    counts = (
        rows.join(least, on=list(_CASE), how="inner")
        .with_columns(**{name: flag.fill_null(False).cast(nw.Int32) for name, flag in flags.items()})
        .group_by(*_KEY)
        .agg(*(nw.col(name).sum() for name in flags))
    )
    return give_back(counts.sort(*_KEY), {}, ELITE_CASES, errors)


def _counted(which: nw.Expr) -> nw.Expr:
    return nw.when(which).then(nw.col("n")).otherwise(0)
