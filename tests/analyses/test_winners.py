from __future__ import annotations

import math

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import AGE_ERROR, WINNER, age_error, winner
from gpdata.errors import InvalidInput, UnknownColumn

NAMES = ("run_uuid", "generation", "location", "uuid", "total_error", "age", "parent_uuids")
LAZY = st.sampled_from(["duckdb", "polars lazy", "pandas"])
errors = st.sampled_from([None, math.nan, math.inf, -0.0, 0.0, 1.5, 7.0])


def rows(*values):
    return [dict(zip(NAMES, row, strict=True)) for row in values]


INDIVIDUALS = rows(
    ("a", 0, 0, "p", 0.0, 0.0, None),
    ("a", 1, 3, "s", 2.0, 1.5, ["p"]),
    ("a", 1, 1, "q", 2.0, 1.0, ["p", "p"]),
    ("a", 1, 0, "o", math.nan, 2.0, ["p"]),
    ("a", 1, 2, "r", None, 3.0, ["p"]),
    ("b", 5, 0, "t", 4.0, 0.0, []),
    ("b", 5, 1, "u", 9.0, None, ["t"]),
    ("dumb", 0, 0, "v", None, math.nan, None),
)


def generations(individuals):
    return [{"run_uuid": run, "generation": at} for run, at in {(r["run_uuid"], r["generation"]) for r in individuals}]


def test_the_winner_is_of_least_error_then_lowest_location(engine, individuals_of, generations_of, rows_of):
    frames = engine(individuals_of(INDIVIDUALS)), engine(generations_of(generations(INDIVIDUALS)))
    (row,) = rows_of(winner(*frames, run="a"))
    assert tuple(row.values()) == ("a", 1, 1, "q")
    found = rows_of(winner(*frames, run=["b", "dumb", "a", "not there"]))
    assert [row["uuid"] for row in found] == ["q", "t"]
    assert rows_of(winner(*frames, run="dumb")) == rows_of(winner(*frames, run=[])) == []


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), errors), max_size=25), name=LAZY)
def test_equals_plain_python(engines, individuals_of, generations_of, rows_of, values, name):
    individuals = rows(*((run, at, place, f"u{place}", e, None, None) for place, (run, at, e) in enumerate(values)))
    want = []
    for run in sorted({row["run_uuid"] for row in individuals}):
        last = max(row["generation"] for row in individuals if row["run_uuid"] == run)
        able = [
            (row["total_error"], row["location"])
            for row in individuals
            if (row["run_uuid"], row["generation"]) == (run, last)
            and row["total_error"] is not None
            and not math.isnan(row["total_error"])
        ]
        want += [(run, last, min(able)[1])] if able else []
    frame = engines[name]
    got = winner(frame(individuals_of(individuals)), frame(generations_of(generations(individuals))), run=["a", "b"])
    assert [tuple(row.values())[:3] for row in rows_of(got)] == want


def test_age_error(engine, individuals_of, rows_of):
    frame = engine(individuals_of(INDIVIDUALS))
    found = sorted(tuple(row.values()) for row in rows_of(age_error(frame)))
    assert found == [
        ("a", 0, 0, 0.0, 0.0, False),
        ("a", 1, 1, 1.0, 2.0, False),
        ("a", 1, 3, 1.5, 2.0, False),
        ("b", 5, 0, 0.0, 4.0, True),
    ]
    assert sorted(tuple(row.values()) for row in rows_of(age_error(frame, runs=["b", "x"]))) == found[3:]
    assert rows_of(age_error(frame, runs=[])) == []


def test_the_results_are_as_declared_and_of_the_kind_given(engine, individuals_of, generations_of, result_types):
    individuals, last = engine(individuals_of(INDIVIDUALS)), engine(generations_of(generations(INDIVIDUALS)))
    for got, columns in ((winner(individuals, last, run="a"), WINNER), (age_error(individuals), AGE_ERROR)):
        assert type(got) is type(individuals)
        assert result_types(got) == {column.name: column.type.value for column in columns}


def test_duckdb_relations_are_not_run():
    individuals = duckdb.sql(
        "SELECT 'a' AS run_uuid, 0 AS generation, 0 AS location, error('was run') AS uuid, "
        "1.0 AS total_error, 1.0 AS age, ['p'] AS parent_uuids"
    )
    generations = duckdb.sql("SELECT 'a' AS run_uuid, 0 AS generation")
    assert winner(individuals, generations, run="a").columns == ["run_uuid", "generation", "location", "uuid"]
    assert age_error(individuals).columns == [column.name for column in AGE_ERROR]


def test_says_what_is_wrong(individuals_of, generations_of):
    frame, last = pl.from_arrow(individuals_of(INDIVIDUALS)), pl.from_arrow(generations_of([]))
    for run in (None, 3, ["a", 3]):
        with pytest.raises(InvalidInput, match="valid is the run_uuid of a run, or a list of them"):
            winner(frame, last, run=run)
    with pytest.raises(UnknownColumn, match="individuals has no column 'total_error'"):
        winner(frame.drop("total_error"), last, run="a")
    with pytest.raises(UnknownColumn, match="generations has no column 'run_uuid'"):
        winner(frame, last.drop("run_uuid"), run="a")
    with pytest.raises(InvalidInput, match="an analysis joins frames of one engine"):
        winner(frame, last.to_pandas(), run="a")
    with pytest.raises(UnknownColumn, match="individuals has no column 'age'"):
        age_error(frame.drop("age"))
