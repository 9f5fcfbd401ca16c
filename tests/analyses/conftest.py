"""Frames of every engine from the same rows, and rows back from every engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS, arrow_schema

CONNECTION = duckdb.connect()


def _duckdb(table: pa.Table) -> duckdb.DuckDBPyRelation:
    return CONNECTION.from_arrow(table)


ENGINES: dict[str, Callable[[pa.Table], Any]] = {
    "duckdb": _duckdb,
    "polars": pl.from_arrow,
    "polars lazy": lambda table: pl.from_arrow(table).lazy(),
    "pandas": lambda table: table.to_pandas(),
    "pandas arrow": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "arrow": lambda table: table,
}

NEEDED = ["run_uuid", "generation", "outcome", "best_test_errors", "total_error_min", "best_so_far"]


@pytest.fixture(scope="session", params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Callable[[pa.Table], Any]:
    """Return what makes a frame of one engine."""
    return ENGINES[request.param]


@pytest.fixture(scope="session")
def engines() -> dict[str, Callable[[pa.Table], Any]]:
    """Return what makes a frame of each engine."""
    return ENGINES


@pytest.fixture(scope="session")
def generations_of() -> Callable[[list[dict[str, Any]]], pa.Table]:
    """Return what makes a `generations` table, of the columns that analyses read, from rows."""
    schema = arrow_schema(GENERATIONS)
    return lambda rows: pa.Table.from_pylist(rows, pa.schema([schema.field(name) for name in NEEDED]))


@pytest.fixture(scope="session")
def individuals_of() -> Callable[[list[dict[str, Any]]], pa.Table]:
    """Return what makes an `individuals` table, of the columns that analyses read, from rows."""
    schema = arrow_schema(INDIVIDUALS)
    needed = ["run_uuid", "generation", "location", "uuid", "parent_uuids", "genetic_operators", "total_error", "age"]
    return lambda rows: pa.Table.from_pylist(rows, pa.schema([schema.field(name) for name in needed]))


@pytest.fixture(scope="session")
def runs_of() -> Callable[[list[dict[str, Any]]], pa.Table]:
    """Return what makes a `runs` table with two config keys as columns from rows."""
    schema = arrow_schema(RUNS)
    fields = [schema.field("run_uuid"), schema.field("problem"), ("parent-selection", pa.string())]
    return lambda rows: pa.Table.from_pylist(rows, pa.schema(fields))


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Any], list[dict[str, Any]]]:
    """Return what reads the rows of any frame, every kind of null as None."""

    def value(cell: Any) -> Any:
        if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
            return None
        return cell.item() if isinstance(cell, np.generic) else cell

    def rows(frame: Any) -> list[dict[str, Any]]:
        wrapped = nw.from_native(frame)
        eager = wrapped.collect("pyarrow") if isinstance(wrapped, nw.LazyFrame) else wrapped
        return [{name: value(cell) for name, cell in row.items()} for row in eager.iter_rows(named=True)]

    return rows


@pytest.fixture(scope="session")
def result_types() -> Callable[[Any], dict[str, str]]:
    """Return what reads the columns of any frame and their types, in the words of `gpdata.schema.Type`."""
    words = {nw.String: "string", nw.Int32: "int", nw.Float64: "double", nw.Boolean: "bool", nw.List: "list<string>"}
    words[nw.Object] = "list<string>"  # what pandas calls a list

    def types(frame: Any) -> dict[str, str]:
        return {name: words[type(dtype)] for name, dtype in nw.from_native(frame).collect_schema().items()}

    return types


@pytest.fixture(scope="session")
def assert_same() -> Callable[[list[dict[str, Any]], list[dict[str, Any]]], None]:
    """Return what holds rows to rows: the same columns in the same order, numbers to 12 digits."""

    def equal(mine: Any, theirs: Any) -> bool:
        if isinstance(mine, float) or isinstance(theirs, float):
            return mine is not None and theirs is not None and mine == pytest.approx(theirs, rel=1e-12, abs=1e-12)
        return bool(mine == theirs)

    def check(got: list[dict[str, Any]], want: list[dict[str, Any]]) -> None:
        assert [list(row) for row in got] == [list(row) for row in want]
        for mine, theirs in zip(got, want, strict=True):
            assert all(equal(mine[name], theirs[name]) for name in mine), (mine, theirs)

    return check
