from __future__ import annotations

import math

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import ELITE_CASES, LEXICASE_STATS, elite_cases, lexicase_stats
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.schema import ERRORS, INDIVIDUALS
from tests.analyses.populations import table_of

_KEY = ("run_uuid", "generation", "location")
LAZY = st.sampled_from(["duckdb", "polars lazy", "polars", "pandas arrow", "arrow"])
number = st.sampled_from([0.0, -0.0, 1.0, 2.5, -3.0, math.inf, math.nan, None])


def error_rows(populations):
    """Make rows of `errors` from {(run, generation): [error vector, ...]}."""
    return [
        {"run_uuid": run, "generation": at, "location": location, "case": case, "error": error}
        for (run, at), vectors in populations.items()
        for location, vector in enumerate(vectors)
        for case, error in enumerate(vector)
    ]


def vector_rows(populations):
    """Make rows of `individuals` from the same."""
    return [
        {"run_uuid": run, "generation": at, "location": location, "errors": vector}
        for (run, at), vectors in populations.items()
        for location, vector in enumerate(vectors)
    ]


def is_number(error):
    return error is not None and not math.isnan(error)


def expected(populations):
    """Count again, vector by vector, in plain Python."""
    stats, individuals = [], []
    for (run, at), vectors in sorted(populations.items()):
        width = max(map(len, vectors), default=0)
        columns = [[vector[case] for vector in vectors if case < len(vector)] for case in range(width)]
        known = [[error for error in column if is_number(error)] for column in columns]
        least = [min(column, default=None) for column in known]
        stats += [
            {"run_uuid": run, "generation": at, "case": case, "individuals": len(known[case]),
             "least_error": least[case], "elite": known[case].count(least[case]), "zero": known[case].count(0)}
            for case in range(width)
        ]  # fmt: skip
        individuals += [
            {"run_uuid": run, "generation": at, "location": location,
             "cases": sum(map(is_number, vector)),
             "elite_cases": sum(is_number(error) and error == least[case] for case, error in enumerate(vector)),
             "zero_cases": sum(error == 0 for error in vector)}
            for location, vector in enumerate(vectors)
            if vector
        ]  # fmt: skip
    return stats, individuals


@settings(max_examples=25, deadline=None)
@given(
    populations=st.dictionaries(
        st.tuples(st.sampled_from("ab"), st.integers(0, 2)), st.lists(st.lists(number, max_size=4), max_size=5)
    ),
    name=LAZY,
)
def test_equals_plain_python(engines, rows_of, assert_same, populations, name):
    frame = engines[name](table_of(ERRORS, error_rows(populations), ERRORS.names))
    stats, individuals = expected(populations)
    assert_same(rows_of(lexicase_stats(frame)), stats)
    assert_same(rows_of(elite_cases(frame)), individuals)
    frame = engines[name](table_of(INDIVIDUALS, vector_rows(populations), [*_KEY, "errors"]))
    assert_same(rows_of(lexicase_stats(frame)), stats)
    assert_same(rows_of(elite_cases(frame)), individuals)


POPULATION = {("a", 0): [[0.0, 7.0, 3.0], [0.0, 9.0, math.nan], [5.0, 7.0, None]], ("a", 2): [[4.0, 4.0, None]]}


def test_every_engine_gives_the_same(engine, rows_of, assert_same, result_types):
    frame = engine(table_of(ERRORS, error_rows(POPULATION)))
    for analysis, declared, want in zip(
        (lexicase_stats, elite_cases), (LEXICASE_STATS, ELITE_CASES), expected(POPULATION), strict=True
    ):
        got = analysis(frame)
        assert_same(rows_of(got), want)
        assert type(got) is type(frame)
        assert result_types(got) == {column.name: column.type.value for column in declared}
        assert rows_of(analysis(engine(table_of(ERRORS, [], ERRORS.names)))) == []


def test_by_hand(rows_of):
    frame = pl.from_arrow(table_of(ERRORS, error_rows(POPULATION)))
    stats = [tuple(row.values())[1:] for row in rows_of(lexicase_stats(frame))]
    assert stats == [
        (0, 0, 3, 0.0, 2, 2),
        (0, 1, 3, 7.0, 2, 0),
        (0, 2, 1, 3.0, 1, 0),
        (2, 0, 1, 4.0, 1, 0),
        (2, 1, 1, 4.0, 1, 0),
        (2, 2, 0, None, 0, 0),
    ]
    individuals = [tuple(row.values())[1:] for row in rows_of(elite_cases(frame))]
    assert individuals == [(0, 0, 3, 3, 1), (0, 1, 2, 1, 1), (0, 2, 2, 1, 0), (2, 0, 2, 2, 0)]


def test_duckdb_relations_are_not_run():
    errors = duckdb.sql(
        "SELECT 'a' AS run_uuid, 0 AS generation, 0 AS location, 0 AS \"case\", error('was run')::DOUBLE AS error"
    )
    assert lexicase_stats(errors).columns == [column.name for column in LEXICASE_STATS]
    assert elite_cases(errors).columns == [column.name for column in ELITE_CASES]
    vectors = duckdb.sql("SELECT 'a' AS run_uuid, 0 AS generation, 0 AS location, [error('was run')::DOUBLE] AS errors")
    assert lexicase_stats(vectors).columns == [column.name for column in LEXICASE_STATS]
    assert elite_cases(vectors).columns == [column.name for column in ELITE_CASES]


def test_a_table_may_be_called_like_a_step_of_the_query():
    connection = duckdb.connect()
    for name in ("vectors", "keyed", "flat", "apart", "individuals"):
        connection.execute(
            f"CREATE TABLE {name} AS SELECT 'a' AS run_uuid, 0 AS generation, 3 AS location, [0.0] AS errors"
        )
        assert lexicase_stats(connection.sql(f"FROM {name}")).fetchall() == [("a", 0, 0, 1, 0.0, 1, 1)]
        assert elite_cases(connection.table(name)).fetchall() == [("a", 0, 3, 1, 1, 1)]


def test_says_what_is_wrong():
    frame = pl.from_arrow(table_of(ERRORS, error_rows(POPULATION)))
    for analysis in (lexicase_stats, elite_cases):
        with pytest.raises(UnknownColumn, match="errors has no column 'case'"):
            analysis(frame.drop("case"))
        with pytest.raises(InvalidInput, match="is no frame"):
            analysis([1])
