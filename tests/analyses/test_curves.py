from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import ERROR_CURVES, error_curves
from gpdata.errors import InvalidInput, UnknownColumn

ENGINES = ("duckdb", "polars lazy", "pandas")

error = st.sampled_from([None, math.nan, 0.0, 1e-7, 1.0, 2.5, 7.0, 1e6]) | st.floats(0, 1000)
run = st.fixed_dictionaries(
    {
        "problem": st.sampled_from([None, "odd", "syllables"]),
        "parent-selection": st.sampled_from([None, "lexicase"]),
        "errors": st.dictionaries(st.integers(0, 9), error, max_size=8),  # gaps, and runs without a row
        "outcome": st.sampled_from(["continue", "success", "failure"]),
    }
)


def frames(runs):
    generations, table = [], []
    for index, row in enumerate(runs):
        name = f"run-{index}"
        table.append({"run_uuid": name, "problem": row["problem"], "parent-selection": row["parent-selection"]})
        end = max(row["errors"], default=None)
        generations += [
            {"run_uuid": name, "generation": generation, "total_error_min": best}
            | {"outcome": row["outcome"] if generation == end else "continue"}
            for generation, best in row["errors"].items()
        ]
    return generations, table


def expected(runs, by, stopped):
    """Compute the curves again, point by point, with numpy."""
    groups = {}
    for row in runs:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    curve = []
    for key in sorted(groups, key=lambda key: [(value is not None, value or "") for value in key]):
        for generation in sorted({generation for row in groups[key] for generation in row["errors"]}):
            values = []
            for row in groups[key]:
                end = max(row["errors"], default=math.inf)
                if generation in row["errors"]:
                    values.append(row["errors"][generation])
                elif generation > end and stopped == "carry":
                    values.append(row["errors"][end])
                elif generation > end and stopped == "zero" and row["outcome"] == "success":
                    values.append(0.0)
            known = [value for value in values if value is not None and not math.isnan(value)]
            q1, median, q3 = np.percentile(known, [25, 50, 75]).tolist() if known else (None, None, None)
            curve.append(
                dict(zip(by, key, strict=True))
                | {
                    "generation": generation,
                    "runs": len(known),
                    "best_median": median,
                    "best_q1": q1,
                    "best_q3": q3,
                    "best_mean": math.fsum(known) / len(known) if known else None,
                }
            )
    return curve


@settings(max_examples=40, deadline=None)
@given(
    runs=st.lists(run, max_size=15),
    by=st.sampled_from([[], ["problem"], ["parent-selection", "problem"]]),
    stopped=st.sampled_from(["drop", "carry", "zero"]),
)
def test_equals_numpy(engines, generations_of, runs_of, rows_of, assert_same, runs, by, stopped):
    generations, table = frames(runs)
    want = expected(runs, by, stopped)
    for name in ENGINES:
        frame = engines[name]
        got = error_curves(frame(generations_of(generations)), frame(runs_of(table)), by=by, stopped=stopped)
        assert_same(rows_of(got), want)


RUNS = [
    {"problem": problem, "parent-selection": selection, "errors": errors, "outcome": outcome}
    for problem, selection, errors, outcome in [
        ("odd", None, {0: 8.0, 1: 4.0}, "success"),  # its own threshold: ends above zero
        ("odd", None, {0: 6.0, 1: 5.0, 2: 7.0, 3: 3.0}, "failure"),
        ("odd", None, {0: 9.0, 3: 1.0}, "failure"),  # two generations were lost
        ("odd", None, {0: 10.0}, "continue"),  # killed
        (None, "lexicase", {0: math.nan, 1: None, 2: 2.0}, "continue"),
    ]
]


@pytest.mark.parametrize("stopped", ["drop", "carry", "zero"])
def test_every_engine_gives_the_same(engine, generations_of, runs_of, rows_of, assert_same, stopped):
    generations, table = frames(RUNS)
    got = error_curves(engine(generations_of(generations)), engine(runs_of(table)), by="problem", stopped=stopped)
    assert_same(rows_of(got), expected(RUNS, ["problem"], stopped))


@pytest.mark.parametrize(
    ("stopped", "runs", "medians"),
    [
        ("drop", [4, 2, 1, 2], [8.5, 4.5, 7, 2]),
        ("carry", [4, 3, 3, 4], [8.5, 5, 7, 3.5]),  # the killed run keeps 10, the solved one 4, the gap stays
        ("zero", [4, 2, 2, 3], [8.5, 4.5, 3.5, 1]),  # the killed run leaves, the solved one is at 0
    ],
)
def test_stopped_by_hand(engine, generations_of, runs_of, rows_of, stopped, runs, medians):
    generations, table = frames(RUNS[:4])
    got = rows_of(error_curves(engine(generations_of(generations)), engine(runs_of(table)), by=[], stopped=stopped))
    assert [row["runs"] for row in got] == runs
    assert [row["best_median"] for row in got] == medians


def test_the_result_is_as_declared_and_of_the_kind_given(engine, generations_of, runs_of, result_types):
    generations, table = frames(RUNS)
    generations, runs = engine(generations_of(generations)), engine(runs_of(table))
    got = error_curves(generations, runs, by=["parent-selection", "run_uuid"], stopped="carry")
    assert type(got) is type(generations)
    assert result_types(got) == {"parent-selection": "string", "run_uuid": "string"} | {
        column.name: column.type.value for column in ERROR_CURVES
    }


def test_no_runs_no_rows(engine, generations_of, runs_of, rows_of):
    for stopped in ("drop", "carry", "zero"):
        frames = engine(generations_of([])), engine(runs_of([]))
        assert rows_of(error_curves(*frames, by="problem", stopped=stopped)) == []


def test_only_the_runs_that_are_asked_about(engine, generations_of, runs_of, rows_of):
    generations, table = frames(RUNS)
    one = engine(runs_of(table[1:2]))
    got = rows_of(error_curves(engine(generations_of(generations)), one, by="problem"))
    assert [(row["runs"], row["best_mean"]) for row in got] == [(1, 6.0), (1, 5.0), (1, 7.0), (1, 3.0)]


def test_nothing_is_run_on_a_lazy_engine(engines):
    relation = engines["duckdb"]
    run = relation(pl.DataFrame({"run_uuid": ["a"], "problem": ["odd"]}).to_arrow())
    boom = run.project("run_uuid, 0::int as generation, error('was run') as outcome, 1::double as total_error_min")
    for stopped in ("drop", "carry", "zero"):
        assert error_curves(boom, run, by="problem", stopped=stopped).columns[0] == "problem"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": "parent_selection"}, UnknownColumn, "did you mean 'parent-selection'"),
        ({"by": "generation"}, InvalidInput, "by='generation': the result has a column of that name"),
        ({"by": "problem", "stopped": "carried"}, InvalidInput, "stopped='carried': did you mean 'carry'"),
    ],
)
def test_says_what_is_wrong(generations_of, runs_of, options, error, message):
    generations, table = frames(RUNS)
    runs = pl.from_arrow(runs_of(table)).with_columns(generation=pl.lit(1))
    with pytest.raises(error, match=message):
        error_curves(pl.from_arrow(generations_of(generations)), runs, **options)
