from __future__ import annotations

import math
import statistics

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from gpdata.analyses import SUCCESS_TABLE, last_generation, success_table
from gpdata.errors import InvalidInput, UnknownColumn

LAZY = ("duckdb", "polars lazy", "pandas")

test_errors = st.sampled_from(
    [
        None,
        [],
        [0.0],
        [0.0, 0.0],
        [0.0, -0.0],
        [0.0, 3.5],
        [0.0, None],
        [0.0, math.nan],
        [math.nan],
        [math.inf],
    ]
)
run = st.fixed_dictionaries(
    {
        "problem": st.sampled_from([None, "odd", "syllables", ""]),
        "parent-selection": st.sampled_from([None, "lexicase", "tournament"]),
        "generations": st.integers(0, 300) | st.none(),
        "outcome": st.sampled_from(["continue", "success", "failure"]),
        "best_so_far": st.sampled_from([None, 0.0, 1e-5, 1.0, 1.5, 200.0, math.inf]),
        "best_test_errors": test_errors,
    }
)


def frames(runs):
    """Rows of `last` and of `runs`; a run without generations has no row in `last`."""
    names = [f"run-{index}" for index in range(len(runs))]
    last = [
        {"run_uuid": name, "generation": row["generations"]}
        | {key: row[key] for key in ("outcome", "best_so_far", "best_test_errors")}
        for name, row in zip(names, runs, strict=True)
        if row["generations"] is not None
    ]
    table = [
        {"run_uuid": name, "problem": row["problem"], "parent-selection": row["parent-selection"]}
        for name, row in zip(names, runs, strict=True)
    ]
    return last, table


def expected(runs, by, threshold, unfinished):
    """Compute the table again, in plain Python, with statsmodels for the interval."""
    groups = {}
    for row in runs:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    table = []
    for key in sorted(groups, key=lambda key: [(value is not None, value or "") for value in key]):
        group = groups[key]
        seen = [row for row in group if row["generations"] is not None]
        finished = [row for row in seen if row["outcome"] != "continue"]
        if threshold is None:
            won = [row for row in seen if row["outcome"] == "success"]
        else:
            won = [row for row in seen if row["best_so_far"] is not None and row["best_so_far"] <= threshold]
        tested = any(row["best_test_errors"] for row in seen)
        generalising = sum(
            bool(row["best_test_errors"]) and all(error == 0 for error in row["best_test_errors"]) for row in won
        )
        decided = [row for row in seen if row in finished or row in won]
        counted = len(group) if unfinished == "failure" else len(decided)
        low, high = proportion_confint(len(won), counted, method="wilson") if counted else (None, None)
        ends = [row["generations"] for row in won]
        table.append(
            dict(zip(by, key, strict=True))
            | {
                "runs": len(group),
                "finished": len(finished),
                "successes": len(won),
                "generalising": generalising if tested else None,
                "rate": len(won) / counted if counted else None,
                "rate_low": low,
                "rate_high": high,
                "generations_min": min(ends, default=None),
                "generations_median": statistics.median(ends) if ends else None,
                "generations_max": max(ends, default=None),
            }
        )
    return table


@settings(max_examples=40, deadline=None)
@given(
    runs=st.lists(run, max_size=25),
    by=st.sampled_from([[], ["problem"], ["parent-selection", "problem"]]),
    threshold=st.sampled_from([None, 0, 1.0]),
    unfinished=st.sampled_from(["drop", "failure"]),
)
def test_equals_plain_python(engines, generations_of, runs_of, rows_of, assert_same, runs, by, threshold, unfinished):
    last, table = frames(runs)
    want = expected(runs, by, threshold, unfinished)
    for name in LAZY:
        frame = engines[name]
        got = success_table(
            frame(generations_of(last)),
            frame(runs_of(table)),
            by=by,
            threshold=threshold,
            unfinished=unfinished,
        )
        assert_same(rows_of(got), want)


RUNS = [
    dict(zip(("problem", "generations", "outcome", "best_so_far", "best_test_errors"), row, strict=True))
    | {"parent-selection": "lexicase"}
    for row in [
        ("odd", 12, "success", 0.0, None),
        ("odd", 30, "failure", 0.0, None),  # reached zero and went on, by its own rule
        ("odd", 9, "continue", 0.0, None),  # reached zero and was killed
        ("odd", 5, "continue", 3.0, None),
        (None, 300, "failure", 2.0, [1.0]),
        ("syllables", 40, "success", 0.0, [0.0, 0.0]),
        ("syllables", 51, "success", 0.0, [0.0, 1.0]),
    ]
]


def test_every_engine_gives_the_same(engine, generations_of, runs_of, rows_of, assert_same):
    last, table = frames(RUNS)
    for threshold in (None, 0.0):
        got = success_table(engine(generations_of(last)), engine(runs_of(table)), by="problem", threshold=threshold)
        assert_same(rows_of(got), expected(RUNS, ["problem"], threshold, "drop"))


def test_outcome_and_threshold_are_kept_apart(engine, generations_of, runs_of, rows_of):
    last, table = (generations_of(frames(RUNS)[0]), runs_of(frames(RUNS)[1]))

    def odd(**options):
        rows = rows_of(success_table(engine(last), engine(table), by="problem", **options))
        row = next(row for row in rows if row["problem"] == "odd")
        return row["runs"], row["finished"], row["successes"], row["rate"]

    assert odd() == (4, 2, 1, 1 / 2)
    assert odd(unfinished="failure") == (4, 2, 1, 1 / 4)
    assert odd(threshold=0) == (4, 2, 3, 1)
    assert odd(threshold=0, unfinished="failure") == (4, 2, 3, 3 / 4)


def test_the_result_is_as_declared_and_of_the_kind_given(engine, generations_of, runs_of, result_types):
    last, table = (engine(generations_of(frames(RUNS)[0])), engine(runs_of(frames(RUNS)[1])))
    got = success_table(last, table, by=["parent-selection", "problem"])
    assert type(got) is type(last)
    assert result_types(got) == {"parent-selection": "string", "problem": "string"} | {
        column.name: column.type.value for column in SUCCESS_TABLE
    }


def test_no_runs_no_rows(engine, generations_of, runs_of, rows_of):
    last, table = generations_of([]), runs_of([])
    for by in ([], "problem"):
        assert rows_of(success_table(engine(last), engine(table), by=by, threshold=1.0)) == []


def test_takes_the_last_of_whole_generations(engine, generations_of, runs_of, rows_of):
    whole = [
        {"run_uuid": "run-0", "generation": generation, "outcome": outcome}
        for generation, outcome in enumerate(["continue", "continue", "success"])
    ]
    runs = runs_of([{"run_uuid": "run-0", "problem": "odd"}])
    last = rows_of(success_table(last_generation(engine(generations_of(whole))), engine(runs), by="problem"))
    assert rows_of(success_table(engine(generations_of(whole)), engine(runs), by="problem")) == last
    assert last[0]["runs"] == 1


# Success counts of 100 runs: lexicase, tournament and SLT on nine problems (Helmuth et al., GECCO 2016).
GECCO_2016 = [8, 0, 5, 6, 0, 4, 78, 46, 84, 45, 10, 53, 51, 8, 61, 66, 7, 79, 18, 1, 13, 16, 14, 30, 8, 0, 4]


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_wilson_equals_statsmodels(generations_of, runs_of, rows_of, confidence):
    counts = [*GECCO_2016, 100]
    runs = [
        {"problem": f"{number:02}", "generations": 1, "outcome": "success" if index < count else "failure"}
        | {"best_so_far": None, "best_test_errors": None, "parent-selection": None}
        for number, count in enumerate(counts)
        for index in range(100)
    ]
    last, table = frames(runs)
    got = rows_of(
        success_table(
            pl.from_arrow(generations_of(last)),
            pl.from_arrow(runs_of(table)),
            by="problem",
            confidence=confidence,
        )
    )
    for row, count in zip(got, counts, strict=True):
        low, high = proportion_confint(count, 100, alpha=1 - confidence, method="wilson")
        assert row["rate"] == count / 100
        assert (row["rate_low"], row["rate_high"]) == pytest.approx((low, high), rel=1e-12, abs=1e-15)
        assert 0 <= row["rate_low"] <= row["rate"] <= row["rate_high"] <= 1


def test_nothing_is_run_on_a_lazy_engine(engines):
    relation = engines["duckdb"]
    boom = relation(pl.DataFrame({"run_uuid": ["a"]}).to_arrow()).project(
        "run_uuid, 0::int as generation, error('was run') as outcome, null::double[] as best_test_errors"
    )
    runs = relation(pl.DataFrame({"run_uuid": ["a"], "problem": ["odd"]}).to_arrow())
    assert success_table(boom, runs, by="problem").columns[0] == "problem"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": "problm"}, UnknownColumn, "runs has no column 'problm': did you mean 'problem'"),
        ({"by": ["problem", "x"]}, UnknownColumn, "runs has no column 'x': valid are"),
        ({"by": "runs"}, InvalidInput, "by='runs': the result has a column of that name"),
        ({"by": "problem", "unfinished": "fail"}, InvalidInput, "unfinished='fail': did you mean 'failure'"),
        ({"by": "problem", "confidence": 95}, InvalidInput, "confidence=95: give a number between 0 and 1"),
        ({"by": "problem", "threshold": math.nan}, InvalidInput, "threshold is NaN"),
    ],
)
def test_says_what_is_wrong(generations_of, runs_of, options, error, message):
    last, table = frames(RUNS)
    runs = pl.from_arrow(runs_of(table)).with_columns(runs=pl.lit(1))
    with pytest.raises(error, match=message):
        success_table(pl.from_arrow(generations_of(last)), runs, **options)


def test_says_which_column_of_last_is_missing(generations_of, runs_of):
    last, table = frames(RUNS)
    without = pl.from_arrow(generations_of(last)).drop("best_so_far")
    runs = pl.from_arrow(runs_of(table))
    assert len(success_table(without, runs, by="problem")) == 3
    with pytest.raises(UnknownColumn, match="generations has no column 'best_so_far'"):
        success_table(without, runs, by="problem", threshold=0)


def test_says_that_engines_are_mixed(generations_of, runs_of):
    last, table = frames(RUNS)
    with pytest.raises(InvalidInput, match="last is of polars, runs is of pyarrow"):
        success_table(pl.from_arrow(generations_of(last)), runs_of(table), by="problem")
