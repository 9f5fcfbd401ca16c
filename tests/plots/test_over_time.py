from __future__ import annotations

import duckdb
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest

from gpdata import analyses, plots
from gpdata.errors import UnknownColumn

BY = ["problem", "parent-selection"]
TARGETS = [1000, 10, 0]


@pytest.fixture
def whole(generations):
    """Add what the pictures need: sizes, and the least error so far."""
    so_far = pl.col("total_error_min").cum_min().over("run_uuid", order_by="generation")
    return generations.with_columns(best_so_far=so_far, population_size=pl.lit(50, pl.Int32))


@pytest.fixture
def frames(whole):
    return {
        "cumulative_success": lambda runs: analyses.cumulative_success(whole, runs, by=BY),
        "computational_effort": lambda runs: analyses.computational_effort(whole, runs, by=BY),
        "ecdf": lambda runs: analyses.ecdf(whole, runs, by=BY, targets=TARGETS),
        "ert": lambda runs: analyses.ert(whole, runs, by=BY, targets=TARGETS),
        "ert by outcome": lambda runs: analyses.ert(whole, runs, by=BY),
    }


def picture(name):
    return getattr(plots, name.split()[0])


def names(ax):
    return [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]


def drawn(ax):
    """Render the picture: what cannot be drawn fails here."""
    ax.figure.canvas.draw()
    return ax


def test_cumulative_success_steps_to_what_the_frame_says(frames, runs):
    curve = frames["cumulative_success"](runs.filter(problem="odd"))
    ax = drawn(plots.cumulative_success(curve, confidence=0.9))
    assert names(ax) == ["odd · lexicase (2 of 3)"]
    assert ax.lines[0].get_ydata().tolist()[:-1] == curve["probability"].to_list()
    assert ax.lines[0].get_drawstyle() == "steps-post"
    assert len(ax.collections) == 1
    assert "90 % Wilson interval" in ax.get_title(loc="left")


def test_effort_marks_its_least(frames, runs):
    effort = frames["computational_effort"](runs)
    ax = drawn(plots.computational_effort(effort))
    least = effort.filter("is_least").select("generation", "individuals").rows()
    dots = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [tuple(point) for (point,) in filter(None, dots)] == [*least]
    assert [name.split(": ", 1)[1] for name in names(ax)] == [
        "none of 1 solved",
        "E = 2,450 at generation 6",
        "E = 1,750 at generation 6",
    ]
    assert ax.get_yscale() == "log"


def test_effort_says_why_there_is_none(whole, runs):
    sizes = whole.with_columns(population_size=pl.col("generation") + 5)
    ax = drawn(plots.computational_effort(analyses.computational_effort(sizes, runs, by=[])))
    assert names(ax) == ["all runs: population sizes differ"]
    assert [text.get_text() for text in ax.texts] == ["no effort"]


def test_ecdf_begins_at_nothing(frames, runs):
    shares = frames["ecdf"](runs)
    ax = drawn(plots.ecdf(shares))
    lines = [line for line in ax.lines if len(line.get_xdata())]
    assert [line.get_ydata()[0] for line in lines] == [0, 0, 0]
    ends = shares.group_by(BY, maintain_order=True).last()["share"].to_list()
    assert [line.get_ydata()[-1] for line in lines] == ends
    assert names(ax)[2] == "odd · lexicase (10 of 12)"


def test_ert_by_target_goes_from_easy_to_hard(frames, runs):
    ax = drawn(plots.ert(frames["ert"](runs)))
    low, high = ax.get_xlim()
    assert low > high
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 3, 3]  # one group never reached 0
    assert names(ax)[2] == "odd · lexicase (n = 4)"


def test_ert_by_outcome_has_a_row_for_each_group(frames, runs):
    times = frames["ert by outcome"](runs)
    ax = drawn(plots.ert(times))
    assert [line.get_xdata()[0] for line in ax.lines] == [ert for ert in times["ert"] if ert is not None]
    texts = [text.get_text() for text in ax.texts]
    assert texts[:-1] == ["0 / 2", "no run succeeded", "1 / 2", "2 / 4"]


NAMES = ["cumulative_success", "computational_effort", "ecdf", "ert", "ert by outcome"]


@pytest.mark.parametrize("name", NAMES)
def test_no_runs_is_said_on_labelled_axes(frames, runs, name):
    ax = drawn(picture(name)(frames[name](runs.clear())))
    assert [text.get_text() for text in ax.texts] == ["no runs"]
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("name", NAMES)
def test_one_run_and_axes_that_are_given(frames, runs, name):
    figure, ax = plt.subplots()
    assert drawn(picture(name)(frames[name](runs.head(1)), ax=ax)) is ax
    assert figure.axes == [ax]


@pytest.mark.parametrize("name", NAMES)
def test_takes_any_frame(frames, runs, name):
    table = frames[name](runs)
    expected = picture(name)(table)
    for native in (table.lazy(), table.to_pandas(), duckdb.from_arrow(table.to_arrow())):
        ax = picture(name)(native)
        assert len(ax.lines) == len(expected.lines)
        for mine, theirs in zip(ax.lines, expected.lines, strict=True):
            np.testing.assert_array_equal(mine.get_xydata(), theirs.get_xydata())


@pytest.mark.parametrize("name", NAMES)
def test_says_which_column_is_missing(frames, runs, name):
    table = frames[name](runs)
    with pytest.raises(UnknownColumn, match=f"Give what gpdata.{name.split()[0]} returned"):
        picture(name)(table.drop(table.columns[-1]))
