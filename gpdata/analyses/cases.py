"""The errors of individuals, case by case."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw

from gpdata.analyses.frames import names_of, take, wrap
from gpdata.schema import ERRORS, INDIVIDUALS
from gpdata.schema.relations import ERROR_VECTORS, other_form

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
    """Take the error vectors of individuals, on DuckDB and Spark, which have functions over lists; else None.

    Parameters
    ----------
    given : frame
        `lab.individuals`, or on DuckDB `lab.errors` itself, nothing filtered.

    Returns
    -------
    narwhals.LazyFrame or None
        The columns `run_uuid`, `generation`, `location` and `errors`, which is never empty. On Spark errors that are
        no numbers are null.
    """
    frame = wrap(given, ERRORS.name)
    if not _has_vectors(given):
        individuals = other_form(given, ERROR_VECTORS) if frame.implementation.is_duckdb() else None
        return None if individuals is None else error_vectors(individuals)
    if frame.implementation.is_polars():
        return None
    rows = take(given, INDIVIDUALS, [*_KEY, "errors"])
    native: Any = rows.to_native()
    if rows.implementation.is_spark_like():
        numbers = "transform(errors, x -> nanvl(x, NULL)) AS errors"
        filled = native.where("size(errors) > 0").selectExpr(*_KEY, numbers)
    else:
        filled = native.filter("len(errors) > 0")
    result: nw.LazyFrame[Any] = nw.from_native(filled)
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
