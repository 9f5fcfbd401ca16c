from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import error_curves, smooth
from gpdata.errors import InvalidInput, UnknownColumn

ENGINES = ("duckdb", "polars lazy", "pandas")

SCHEMA = pa.schema([("problem", pa.string()), ("generation", pa.int32()), ("runs", pa.int32()), ("best", pa.float64())])
value = st.sampled_from([None, math.nan, 0.0, 1e6, 1e12]) | st.floats(0, 1000)
groups = st.dictionaries(
    st.sampled_from([None, "odd", "syllables"]), st.dictionaries(st.integers(0, 60), value, max_size=25)
)


def table(groups):
    return pa.Table.from_pylist(
        [
            {"problem": problem, "generation": generation, "runs": 3, "best": best}
            for problem, points in groups.items()
            for generation, best in points.items()
        ],
        SCHEMA,
    )


def expected(groups, window):
    """Use pandas' own rolling window, group by group."""
    rows = []
    for problem in sorted(groups, key=lambda name: (name is not None, name or "")):
        points = sorted(groups[problem].items())
        series = pd.Series([math.nan if best is None else best for _, best in points], dtype=float)
        # pandas subtracts what leaves the window: each window is averaged anew
        means = [part.mean() for part in series.rolling(window, center=True, min_periods=1)]
        centred = [
            series.iloc[max(0, at - window // 2) : at + window - window // 2].mean() for at in range(len(series))
        ]
        assert len(means) == len(centred)
        for (generation, _), mean in zip(points, centred, strict=True):
            known = None if math.isnan(mean) else float(mean)
            rows.append({"problem": problem, "generation": generation, "runs": 3, "best": known})
    return rows


@settings(max_examples=25, deadline=None)
@given(groups=groups, window=st.integers(1, 40) | st.sampled_from([1000, 2**40]))
def test_equals_windows_averaged_one_by_one(engines, rows_of, assert_same, groups, window):
    want = expected(groups, window) if window < 2**40 else expected(groups, 1000)
    for name in ENGINES:
        assert_same(rows_of(smooth(engines[name](table(groups)), window=window)), want)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5, 8, 15, 16, 30, 31, 99])
def test_equals_pandas_rolling(window):
    values = np.random.default_rng(window).normal(size=30)
    curve = pl.DataFrame({"generation": range(30), "best": values})
    want = pd.Series(values).rolling(window, center=True, min_periods=1).mean()
    assert smooth(curve, window=window)["best"].to_list() == pytest.approx(want.to_list(), rel=1e-9)


def test_by_hand(engine, rows_of):
    points = {0: 8.0, 1: 2.0, 2: None, 4: 5.0, 5: 11.0}
    got = rows_of(smooth(engine(table({"odd": points})), window=3))
    assert [row["best"] for row in got] == [5, 5, 3.5, 8, 8]  # cut at both ends; null counts for nothing
    got = rows_of(smooth(engine(table({"odd": points})), window=2))
    assert [row["best"] for row in got] == [8, 5, 2, 5, 8]  # the row itself and the one before


def test_a_great_value_leaves_no_trace_outside_its_window(engine, rows_of):
    points = {0: 1e300, 1: math.inf} | dict.fromkeys(range(2, 40), 0.1)
    got = rows_of(smooth(engine(table({"odd": points})), window=5))
    assert [row["best"] for row in got[:4]] == [math.inf] * 4
    assert [row["best"] for row in got[4:]] == pytest.approx([0.1] * 36, rel=1e-15)


def test_curves_of_analyses(generations_of, runs_of, engine, rows_of, result_types):
    generations = [
        {"run_uuid": run, "generation": generation, "total_error_min": float(10 * (run == "b") + generation)}
        for run in "ab"
        for generation in range(4)
    ]
    runs = [{"run_uuid": "a", "problem": "odd", "parent-selection": None}, {"run_uuid": "b", "problem": "odd"}]
    curve = error_curves(engine(generations_of(generations)), engine(runs_of(runs)), by=["parent-selection", "problem"])
    got = smooth(curve, window=3)
    assert type(got) is type(curve)
    assert result_types(got) == result_types(curve)
    assert [row["best_median"] for row in rows_of(got)] == [5.5, 6, 7, 7.5]
    assert [row["runs"] for row in rows_of(got)] == [2] * 4


def test_columns_groups_and_order_can_be_named(engine, rows_of):
    rows = [
        {"problem": problem, "generation": 9 - at, "runs": at, "best": float(at)} for problem in "xy" for at in (0, 4)
    ]
    curve = engine(pa.Table.from_pylist(rows, SCHEMA))
    got = rows_of(smooth(curve, window=3, columns="generation", by="problem", order="runs"))
    assert [(row["problem"], row["runs"], row["generation"], row["best"]) for row in got] == [
        (problem, at, 7.0, float(at)) for problem in "xy" for at in (0, 4)
    ]
    together = rows_of(smooth(curve, window=99, columns=["best"], by=[]))
    assert [row["best"] for row in together] == [2.0] * 4


def test_no_rows_and_nothing_to_average(engine, rows_of):
    assert rows_of(smooth(engine(table({})), window=5)) == []
    curve = engine(table({"odd": {0: 1.0}}).drop_columns("best"))
    assert rows_of(smooth(curve, window=5)) == [{"problem": "odd", "generation": 0, "runs": 3}]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"window": 0}, InvalidInput, "window=0: give a whole number of rows"),
        ({"window": 2.5}, InvalidInput, "window=2.5"),
        ({"window": 3, "columns": "bst"}, UnknownColumn, "the curve has no column 'bst': did you mean 'best'"),
        ({"window": 3, "order": "time"}, UnknownColumn, "the curve has no column 'time'"),
        ({"window": 3, "columns": "generation"}, InvalidInput, "'generation' is asked for twice"),
    ],
)
def test_says_what_is_wrong(options, error, message):
    with pytest.raises(error, match=message):
        smooth(pl.from_arrow(table({"odd": {0: 1.0}})), **options)


def test_a_frame_is_asked_for():
    with pytest.raises(InvalidInput, match="the curve is a list, which is no frame"):
        smooth([1.0, 2.0], window=3)
