from __future__ import annotations

import math
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from gpdata.analyses import (
    COMPUTATIONAL_EFFORT,
    CUMULATIVE_SUCCESS,
    computational_effort,
    cumulative_success,
    last_generation,
    success_table,
)
from gpdata.errors import InvalidInput, UnknownColumn
from tests.analyses.histories import counted, groups, histories, needed, solved_at, tables

ENGINES = ("duckdb", "polars lazy", "pandas")

asked = given(
    runs=histories,
    by=st.sampled_from([[], ["problem"], ["parent-selection", "problem"]]),
    threshold=st.sampled_from([None, 0, 1.0]),
    unfinished=st.sampled_from(["drop", "failure"]),
)


def points(runs, by, threshold, unfinished):
    """Yield key, counted runs, generation and number of solved runs, counted one by one."""
    for key, members in groups(runs, by).items():
        chosen = counted(members, threshold, unfinished)
        for generation in sorted({g for run in chosen for g in run["generations"]}):
            solved = [at for run in chosen if (at := solved_at(run, threshold)) is not None]
            yield key, chosen, generation, sum(at <= generation for at in solved)


def expected_curve(runs, by, threshold, unfinished):
    curve = []
    for key, chosen, generation, solved in points(runs, by, threshold, unfinished):
        low, high = proportion_confint(solved, len(chosen), method="wilson")
        curve.append(
            dict(zip(by, key, strict=True))
            | {"generation": generation, "runs": len(chosen), "solved": solved, "probability": solved / len(chosen)}
            | {"probability_low": low, "probability_high": high}
        )
    return curve


def expected_effort(runs, by, threshold, unfinished, z):
    rows = []
    for key, chosen, generation, solved in points(runs, by, threshold, unfinished):
        sizes = {size for run in chosen for size in run["sizes"]}
        size = sizes.pop() if len(sizes) == 1 else None
        times = needed(solved, len(chosen), z)
        rows.append(
            dict(zip(by, key, strict=True))
            | {"generation": generation, "runs": len(chosen), "solved": solved, "probability": solved / len(chosen)}
            | {"population_size": size, "runs_needed": times and float(times)}
            | {"individuals": float(size * (generation + 1) * times) if size and times else None}
        )
    for row in rows:
        group = [other for other in rows if all(other[name] == row[name] for name in by)]
        known = [(other["individuals"], other["generation"]) for other in group if other["individuals"] is not None]
        row["effort"] = min(known)[0] if known else None
        row["is_least"] = bool(known) and min(known)[1] == row["generation"]
    return rows


@settings(max_examples=12, deadline=None)
@asked
def test_cumulative_success_equals_plain_python(engines, rows_of, assert_same, runs, by, threshold, unfinished):
    want = expected_curve(runs, by, threshold, unfinished)
    for name in ENGINES:
        generations, table = map(engines[name], tables(runs))
        got = cumulative_success(generations, table, by=by, threshold=threshold, unfinished=unfinished)
        assert_same(rows_of(got), want)


@settings(max_examples=12, deadline=None)
@asked
def test_effort_equals_fractions(engines, rows_of, assert_same, runs, by, threshold, unfinished):
    want = expected_effort(runs, by, threshold, unfinished, Fraction(99, 100))
    for name in ENGINES:
        generations, table = map(engines[name], tables(runs))
        got = computational_effort(generations, table, by=by, threshold=threshold, unfinished=unfinished)
        assert_same(rows_of(got), want)


def run(ends, outcome="success", problem="odd", size=500, start=0):
    generations = list(range(start, ends + 1))
    so_far = [9.0] * (len(generations) - 1) + [0.0 if outcome == "success" else 3.0]
    return {"problem": problem, "parent-selection": None, "generations": generations, "best_so_far": so_far} | {
        "sizes": [size] * len(generations),
        "outcome": outcome,
    }


def test_koza_by_hand(engine, rows_of):
    """Four runs of 500: one is solved at 1, two at 3; the last fails. Worked out with pencil and logarithms."""
    runs = [run(1), run(3), run(3), run(4, "failure")]
    got = rows_of(computational_effort(*map(engine, tables(runs)), by="problem"))
    assert [row["probability"] for row in got] == [0, 0.25, 0.25, 0.75, 0.75]
    # ln 0.01 / ln 0.75 = 16.008; ln 0.01 / ln 0.25 = 3.32
    assert [row["runs_needed"] for row in got] == [None, 17, 17, 4, 4]
    assert [row["individuals"] for row in got] == [None, 17_000, 25_500, 8_000, 10_000]
    assert {row["effort"] for row in got} == {8_000}
    assert [row["is_least"] for row in got] == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("solved", "runs", "z", "times"),
    [
        (9, 10, 0.99, 2),  # 1 - 0.1^2 = 0.99: the quotient is 2, floating-point numbers are beside it
        (99, 100, 0.99, 1),
        (90, 100, 0.999, 3),
        (999, 1000, 0.99, 1),
        (10, 10, 0.99, 1),
        (1, 2, 0.5, 1),
        (1, 2, 0.9375, 4),
        (1, 1000, 0.99, 4603),
    ],
)
def test_whole_numbers_of_runs(engines, rows_of, solved, runs, z, times):
    assert needed(solved, runs, Fraction(str(z))) == times
    both = [run(0)] * solved + [run(0, "failure")] * (runs - solved)
    for name in ENGINES:
        (row,) = rows_of(computational_effort(*map(engines[name], tables(both)), by=[], z=z))
        assert row["runs_needed"] == times


def test_sizes_that_differ_have_no_effort_unless_one_is_given(engine, rows_of):
    frames = list(map(engine, tables([run(1), run(1, size=300), run(1, problem="even", size=1000)])))
    even, odd = (
        {row[name] for row in rows_of(computational_effort(*frames, by="problem")) if row["problem"] == problem}
        for problem, name in (("even", "effort"), ("odd", "effort"))
    )
    assert (even, odd) == ({2000}, {None})
    given = rows_of(computational_effort(*frames, by="problem", population_size=400))
    assert {row["effort"] for row in given} == {800}
    assert {row["population_size"] for row in given} == {400}


def test_the_curve_ends_where_the_success_table_is(engine, rows_of):
    runs = [run(1), run(3), run(4, "failure"), run(9, "continue"), run(2, problem="even")]
    generations, table = map(engine, tables(runs))
    for options in ({}, {"unfinished": "failure"}, {"threshold": 0.0}, {"threshold": 3, "unfinished": "failure"}):
        ends = {}
        for row in rows_of(cumulative_success(generations, table, by="problem", **options)):
            ends[row["problem"]] = (row["solved"], row["probability"], row["probability_low"], row["probability_high"])
        summary = rows_of(success_table(last_generation(generations), table, by="problem", **options))
        names = ("successes", "rate", "rate_low", "rate_high")
        assert ends == {row["problem"]: tuple(row[name] for name in names) for row in summary}


def test_outcome_and_threshold_are_kept_apart(engine, rows_of):
    went_on = run(5, "failure") | {"best_so_far": [4.0, 0.0, 0.0, 0.0, 0.0, 0.0]}
    frames = list(map(engine, tables([went_on])))
    assert [row["solved"] for row in rows_of(cumulative_success(*frames, by=[]))] == [0] * 6
    assert [row["solved"] for row in rows_of(cumulative_success(*frames, by=[], threshold=0))] == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("analysis", "result"),
    [(cumulative_success, CUMULATIVE_SUCCESS), (computational_effort, COMPUTATIONAL_EFFORT)],
)
def test_the_result_is_as_declared_and_of_the_kind_given(engine, result_types, rows_of, analysis, result):
    generations, runs = map(engine, tables([run(2), run(1, problem=None)]))
    got = analysis(generations, runs, by=["parent-selection", "problem"])
    assert type(got) is type(generations)
    assert result_types(got) == {"parent-selection": "string", "problem": "string"} | {
        column.name: column.type.value for column in result
    }
    never_null = [column.name for column in result if not column.nullable]
    assert all(row[name] is not None for row in rows_of(got) for name in never_null)
    assert rows_of(analysis(*map(engine, tables([])), by="problem")) == []
    assert rows_of(analysis(generations, engine(tables([])[1]), by="problem")) == []


def test_nothing_is_run_on_a_lazy_engine(engines):
    runs = engines["duckdb"](pl.DataFrame({"run_uuid": ["a"], "problem": ["odd"]}).to_arrow())
    boom = runs.project(
        "run_uuid, 0::int as generation, error('was run') as outcome, 1::double as best_so_far, 1::int population_size"
    )
    for analysis in (cumulative_success, computational_effort):
        assert analysis(boom, runs, by="problem", threshold=0).columns[0] == "problem"


@pytest.mark.parametrize(
    ("analysis", "options", "error", "message"),
    [
        (cumulative_success, {"by": "problm"}, UnknownColumn, "runs has no column 'problm': did you mean 'problem'"),
        (cumulative_success, {"by": "x", "confidence": 95}, InvalidInput, "confidence=95: give a number between"),
        (cumulative_success, {"by": [], "threshold": math.nan}, InvalidInput, "threshold is NaN"),
        (cumulative_success, {"by": [], "unfinished": "drp"}, InvalidInput, "unfinished='drp': did you mean 'drop'"),
        (computational_effort, {"by": [], "z": 1}, InvalidInput, "z=1: give a probability"),
        (computational_effort, {"by": [], "population_size": 0}, InvalidInput, "population_size=0"),
    ],
)
def test_says_what_is_wrong(analysis, options, error, message):
    with pytest.raises(error, match=message):
        analysis(*map(pl.from_arrow, tables([run(1)])), **options)


def test_says_which_column_is_missing_or_taken():
    generations, runs = map(pl.from_arrow, tables([run(1)]))
    with pytest.raises(UnknownColumn, match="generations has no column 'population_size'"):
        computational_effort(generations.drop("population_size"), runs, by=[])
    with pytest.raises(InvalidInput, match="by='effort': the result has a column of that name"):
        computational_effort(generations, runs.with_columns(effort=1), by="effort")
