"""The errors of individuals, case by case."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw

from gpdata.analyses.frames import names_of, take, wrap
from gpdata.schema import ERRORS, INDIVIDUALS

_KEY = ["run_uuid", "generation", "location"]


def case_rows(given: Any) -> nw.LazyFrame[Any]:
    """Take a row for each individual and case: the columns of `lab.errors`, an error that is no number as null.

    Parameters
    ----------
    given : frame
        `lab.errors`, or `lab.individuals`.

    Returns
    -------
    narwhals.LazyFrame
        The same for both. An individual without errors has no row.

    Examples
    --------
    >>> import polars as pl
    >>> row = {"run_uuid": ["a"], "generation": [0], "location": [0], "errors": [[0.5, float("nan")]]}
    >>> case_rows(pl.DataFrame(row)).collect().rows()
    [('a', 0, 0, 0, 0.5), ('a', 0, 0, 1, None)]
    """
    rows = take(_exploded(given) if _has_vectors(given) else given, ERRORS, ERRORS.names)
    return rows.with_columns(nw.when(~nw.col("error").is_nan()).then(nw.col("error")).alias("error"))


def error_vectors(given: Any) -> nw.LazyFrame[Any] | None:
    """Take the error vectors of `lab.individuals` on Spark, errors that are no numbers as null; else None."""
    if not _has_vectors(given) or not wrap(given, INDIVIDUALS.name).implementation.is_spark_like():
        return None
    rows: Any = take(given, INDIVIDUALS, [*_KEY, "errors"]).to_native()
    numbers = "transform(errors, x -> nanvl(x, NULL)) AS errors"
    result: nw.LazyFrame[Any] = nw.from_native(rows.where("size(errors) > 0").selectExpr(*_KEY, numbers))
    return result


def _has_vectors(given: Any) -> bool:
    return "errors" in names_of(wrap(given, ERRORS.name))


def _exploded(individuals: Any) -> Any:
    """Make rows of error vectors: each engine has its own way to number them, and narwhals none."""
    rows: Any = take(individuals, INDIVIDUALS, [*_KEY, "errors"]).to_native()
    kind = nw.from_native(rows).implementation
    if kind.is_spark_like():
        return rows.selectExpr(*_KEY, "posexplode(errors) AS (`case`, error)")
    if kind.is_duckdb():
        return rows.select(f'{", ".join(_KEY)}, generate_subscripts(errors, 1) - 1 AS "case", unnest(errors) AS error')
    pl: Any = nw.get_native_namespace(nw.from_native(rows))
    filled = rows.filter(pl.col("errors").list.len() > 0)
    return (
        filled.with_columns(case=pl.int_ranges(pl.col("errors").list.len()))
        .explode("errors", "case")
        .rename({"errors": "error"})
    )
