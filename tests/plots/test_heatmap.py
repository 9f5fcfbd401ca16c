from __future__ import annotations

import duckdb
import matplotlib.pyplot as plt
import polars as pl
import pytest
from matplotlib.figure import Figure

import gpdata as gp
from gpdata import plots
from gpdata.errors import InvalidInput, UnknownColumn

TABLE = pl.DataFrame(
    {
        "population-size": ["1000", "200", "1000", "200", "50"],
        "parent-selection": ["lexicase", "lexicase", "tournament", "tournament", None],
        "rate": [0.9, 0.5, 0.25, 0.0, None],
        "runs": [10, 10, 8, 8, 1],
    }
)
KEYS = {"x": "population-size", "y": "parent-selection"}


def cells(ax):
    return {
        (round(text.get_position()[0] - 0.5), round(text.get_position()[1] - 0.5)): text.get_text() for text in ax.texts
    }


def drawn(ax):
    ax.figure.canvas.draw()
    return ax


def test_each_pair_has_its_cell():
    ax = drawn(plots.heatmap(TABLE, **KEYS))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["50", "200", "1000"]  # as numbers
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["lexicase", "tournament", "(not set)"]
    assert cells(ax) == {
        (2, 0): "0.9\nn = 10", (1, 0): "0.5\nn = 10", (2, 1): "0.25\nn = 8", (1, 1): "0\nn = 8",
    }  # fmt: skip
    assert ax.get_xlabel() == "population-size"
    assert ax.figure.axes[1].get_ylabel() == "success rate (share of runs)"
    assert ax.collections[0].get_clim() == (0, 1)


def test_any_value_over_any_table():
    runs = TABLE.with_columns(run_uuid=pl.concat_str("population-size", pl.lit("-"), pl.int_range(5)))
    last = runs.select("run_uuid", generation=pl.int_range(5, dtype=pl.Int32), outcome=pl.lit("success"))
    last = last.with_columns(best_test_errors=pl.lit(None, pl.List(pl.Float64)))
    table = gp.success_table(last, runs.drop("runs", "rate"), by=list(KEYS.values()))
    ax = drawn(plots.heatmap(table, **KEYS, value="generations_median"))
    assert cells(ax)[2, 0].startswith("0\n")
    assert ax.collections[0].get_clim() == (0, 4)
    for native in (duckdb.from_arrow(table.to_arrow()), table.lazy(), table.to_pandas(), table.to_arrow()):
        assert cells(plots.heatmap(native, **KEYS, value="generations_median")) == cells(ax)


def test_one_cell_none_and_many():
    assert cells(drawn(plots.heatmap(TABLE[:1], **KEYS))) == {(0, 0): "0.9\nn = 10"}
    assert [text.get_text() for text in drawn(plots.heatmap(TABLE.clear(), **KEYS)).texts] == ["no runs"]
    unknown = drawn(plots.heatmap(TABLE[4:], **KEYS))
    assert cells(unknown) == {}
    assert [tick.get_text() for tick in unknown.get_yticklabels()] == ["(not set)"]
    many = pl.DataFrame([{"a": i, "b": j, "rate": 0.5} for i in range(30) for j in range(30)])
    assert cells(drawn(plots.heatmap(many, x="a", y="b"))) == {}


def test_draws_where_it_is_told():
    given = Figure().add_subplot()
    assert plots.heatmap(TABLE, **KEYS, ax=given) is given
    assert plt.get_fignums() == []


def test_refuses_what_it_cannot_draw():
    with pytest.raises(UnknownColumn, match="did you mean 'population-size'"):
        plots.heatmap(TABLE, x="population-sise", y="parent-selection")
    with pytest.raises(InvalidInput, match="has several rows"):
        plots.heatmap(pl.concat([TABLE, TABLE]), **KEYS)
    with pytest.raises(InvalidInput, match="both 'rate'"):
        plots.heatmap(TABLE, x="rate", y="rate")
    with pytest.raises(InvalidInput, match="name a column of numbers"):
        plots.heatmap(TABLE.with_columns(rate=pl.lit("high")), **KEYS)
