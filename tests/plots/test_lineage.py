from __future__ import annotations

import math
import warnings

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
from matplotlib.collections import LineCollection, PathCollection

from gpdata import plots
from gpdata.analyses import age_error, ancestry, ancestry_counts
from gpdata.errors import UnknownColumn
from gpdata.plots.layout import side_by_side

SCHEMA = {
    "run_uuid": pl.String,
    "generation": pl.Int32,
    "location": pl.Int32,
    "uuid": pl.String,
    "parent_uuids": pl.List(pl.String),
    "genetic_operators": pl.List(pl.String),
    "total_error": pl.Float64,
    "age": pl.Float64,
}
ROWS = [
    ("a", 0, 0, "p", None, ["random"], 900.0, 0.0),
    ("a", 0, 1, "q", None, ["random"], math.inf, 0.0),
    ("a", 1, 0, "r", ["p", "p"], ["alternation"], 3.0, 1.0),
    ("a", 1, 1, "s", ["q", "lost"], ["alternation", "uniform-mutation"], None, 1.0),
    ("a", 1, 2, "none of them", [], ["genesis"], 1.0, 0.0),
    ("a", 2, 0, "w", ["r", "s"], None, 0.0, 2.0),
]


def frame(rows=ROWS):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def marks(ax):
    return sum(len(c.get_offsets()) for c in ax.collections if isinstance(c, PathCollection))


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def random_run(run, generations, size, seed=0):
    chance = np.random.default_rng(seed)
    return [
        (
            run,
            generation,
            location,
            f"{generation}.{location}",
            [f"{generation - 1}.{chance.integers(size)}" for _ in range(2)] if generation else None,
            [f"operator {chance.integers(9)}"] if generation else ["random"],
            float(chance.random()),
            float(generation),
        )
        for generation in range(generations)
        for location in range(size)
    ]


def test_an_ancestry_has_its_marks_edges_and_legend():
    individuals = frame()
    ax = plots.ancestry(ancestry(individuals, of=individuals.filter(uuid="w")), individuals)
    assert marks(ax) == 5
    edges = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert sum(len(c.get_segments()) for c in edges) == 4  # p is twice r's parent, and one line
    assert len({str(c.get_linestyle()) for c in edges}) == 3
    assert texts(ax) == [
        "(operator not sent) (2 edges)",
        "alternation (1 edge)",
        "alternation + uniform-mutation (1 edge)",
        "root",
        "no child here",
        "a parent was not recorded",
    ]
    low, high = ax.get_ylim()
    assert low > 2
    assert high < 0  # the oldest above
    assert ax.figure.axes[1].get_ylabel() == "total error"


def test_one_scale_of_colours():
    individuals = frame([("a", 0, 0, "p", None, None, 9.0, 0.0), ("a", 1, 0, "w", ["p"], None, 3.0, 0.0)])
    ax = plots.ancestry(ancestry(individuals, of=individuals.filter(uuid="w")), individuals)
    coloured = [c for c in ax.collections if isinstance(c, PathCollection) and c.get_array() is not None]
    assert {c.get_clim() for c in coloured} == {(3.0, 9.0)}
    assert len(coloured) == 2  # the root is a square, the other a dot


def test_edges_go_down_from_parent_to_child():
    individuals = frame()
    ax = plots.ancestry(ancestry(individuals, of=individuals.filter(uuid="w")), individuals)
    for collection in ax.collections:
        if isinstance(collection, LineCollection):
            assert all(segment[0][1] < segment[1][1] for segment in collection.get_segments())


def test_many_runs_generations_and_operators():
    individuals = frame([row for run in "abc" for row in random_run(run, 40, 30, ord(run))])
    chosen = individuals.filter(generation=39, location=0)
    graph = ancestry(individuals, of=chosen)
    ax = plots.ancestry(graph, individuals)
    ax.figure.canvas.draw()
    assert marks(ax) == len(graph)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b", "c"]
    assert texts(ax)[5].startswith("4 other operators (")
    assert any(c.get_rasterized() for c in ax.collections)


def test_nothing_to_draw():
    individuals = frame()
    none = individuals.clear()
    for ax in (
        plots.ancestry(ancestry(individuals, of=none), individuals),
        plots.ancestry_counts(ancestry_counts(individuals, of=none)),
        plots.age_error(age_error(none)),
    ):
        ax.figure.canvas.draw()
        assert next(text.get_text() for text in ax.texts).startswith("no ")


def test_a_winner_alone():
    individuals = frame([("a", 0, 0, "w", None, None, None, None)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plots.ancestry(ancestry(individuals, of=individuals), individuals)
        ax.figure.canvas.draw()
    assert marks(ax) == 1
    assert texts(ax) == ["root", "no child here"]


def test_counts_break_where_a_generation_is_missing():
    counts = pl.DataFrame(
        {"generation": [0, 1, 3], "ancestors": [2, 2, 1], "offspring": [4, 3, 0], "ancestor_offspring": [2, 1, 0]}
    )
    ax = plots.ancestry_counts(counts)
    assert [line.get_label() for line in ax.lines] == texts(ax)
    assert np.array_equal(ax.lines[1].get_ydata(), [2, 2, math.nan, 1], equal_nan=True)


def test_ages_are_drawn_and_counted():
    ax = plots.age_error(age_error(frame()))
    assert texts(ax) == ["individuals (n = 3)", "made by genesis (n = 1)", "infinite, not drawn (n = 1)"]
    drawn = sorted(point for line in ax.lines for point in zip(line.get_xdata(), line.get_ydata(), strict=True))
    assert drawn == [(0.0, 1.0), (0.0, 900.0), (1.0, 3.0), (2.0, 0.0)]
    assert ax.get_yscale() == "symlog"


def test_draws_where_it_is_told():
    individuals = frame()
    graph = ancestry(individuals, of=individuals.filter(uuid="w"))
    figure, axes = plt.subplots(1, 3)
    assert plots.ancestry(graph, individuals, ax=axes[0]) is axes[0]
    assert plots.ancestry_counts(ancestry_counts(individuals, of=graph), ax=axes[1]) is axes[1]
    assert plots.age_error(age_error(individuals), ax=axes[2]) is axes[2]
    assert plt.get_fignums() == [figure.number]


def test_names_a_missing_column():
    individuals = frame()
    graph = ancestry(individuals, of=individuals)
    with pytest.raises(UnknownColumn, match="the ancestry has no column 'is_root'"):
        plots.ancestry(graph.drop("is_root"), individuals)
    with pytest.raises(UnknownColumn, match="individuals has no column 'total_error'"):
        plots.ancestry(graph, individuals.drop("total_error"))
    with pytest.raises(UnknownColumn, match="the ancestry_counts has no column 'ancestors'"):
        plots.ancestry_counts(graph)
    with pytest.raises(UnknownColumn, match="the age_error has no column 'age'"):
        plots.age_error(graph)


def crossings(x, layer, parent, child):
    """Count the crossings of edges between the same two layers, pair by pair."""
    return sum(
        (x[parent[a]] - x[parent[b]]) * (x[child[a]] - x[child[b]]) < 0
        for a in range(len(parent))
        for b in range(a)
        if layer[parent[a]] == layer[parent[b]] and layer[child[a]] == layer[child[b]]
    )


def test_the_layout_spaces_rows_evenly_and_crosses_few_edges():
    chance = np.random.default_rng(1)
    layer = np.repeat(np.arange(8), 12)
    parent = np.arange(7 * 12)
    child = 12 * (parent // 12 + 1) + chance.permuted(np.tile(np.arange(12), (7, 1)), axis=1).ravel()
    x, centres = side_by_side(np.zeros(96, dtype=int), layer, parent, child)
    for at in range(8):
        assert np.allclose(np.diff(np.sort(x[layer == at])), 1)
        assert np.isclose(x[layer == at].mean(), centres[0])
    before = crossings(np.tile(np.arange(12), 8), layer, parent, child)
    assert crossings(x, layer, parent, child) < before / 20
    run = np.repeat([0, 1], 48)
    apart, _ = side_by_side(run, layer, parent[:0], child[:0])
    assert apart[run == 0].max() < apart[run == 1].min()
