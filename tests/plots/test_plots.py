from __future__ import annotations

import subprocess
import sys

import duckdb
import matplotlib.pyplot as plt
import polars as pl
import pytest
from matplotlib.figure import Figure

import gpdata.analyses as analyses
from gpdata import plots
from gpdata.errors import InvalidInput, UnknownColumn

BY = ["problem", "parent-selection"]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def ticks(ax):
    return [tick.get_text().replace("\n", "") for tick in ax.get_yticklabels()]


def drawn(ax):
    """Render the picture: what cannot be drawn fails here."""
    ax.figure.canvas.draw()
    return ax


GROUPS = [
    "clojush.problems.software.replace_space_with_newline(not set)",
    "clojush.problems.software.replace_space_with_newlinelexicase",
    "odd · lexicase",
]


def test_success_shows_rates_intervals_and_counts(generations, runs):
    table = analyses.success_table(analyses.last_generation(generations), runs, by=BY)
    ax = drawn(plots.success(table))
    assert ticks(ax) == GROUPS
    assert texts(ax)[:3] == ["0 / 1 / 2", "1 / 2 / 2", "2 / 3 / 4"]
    bars = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
    assert [tuple(bar) for bar in bars] == table.select("rate_low", "rate_high").rows()
    assert "95 % Wilson interval" in ax.get_xlabel()
    assert ax.get_ylabel() == "problem · parent-selection"
    assert ax.yaxis_inverted()  # the table's first row is the picture's


def test_success_shows_generalising_runs(generations, runs):
    table = analyses.success_table(analyses.last_generation(generations), runs, by=BY)
    diamonds = [line for line in plots.success(table).lines if line.get_marker() == "D" and len(line.get_xdata())]
    assert [diamond.get_xdata()[0] for diamond in diamonds] == [
        0,
        0,
    ]  # run 5 succeeded and does not generalise
    without = table.with_columns(generalising=pl.lit(None, pl.Int32))
    assert plots.success(without).get_legend() is None


def test_success_of_a_group_without_a_counted_run(generations, runs):
    running = analyses.last_generation(generations).with_columns(outcome=pl.lit("continue"))
    ax = drawn(plots.success(analyses.success_table(running, runs, by="problem")))
    assert texts(ax).count("no run counted") == 2
    assert "0 / 0 / 4" in texts(ax)


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        ("drop", "each run counts until it ends"),
        ("carry", "keep their last error"),
        ("zero", "solved runs count as 0"),
    ],
)
def test_curves_show_medians_quartiles_and_what_stopped_runs_are(generations, runs, stopped, said):
    curve = analyses.error_curves(generations, runs, by="parent-selection", stopped=stopped)
    ax = drawn(plots.error_curves(curve, stopped=stopped))
    assert said in ax.get_title(loc="left")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "(not set) (n = 2)",
        "lexicase (n = 4 to 6)",
    ]
    assert ax.get_yscale() == "symlog"
    medians = curve.filter(pl.col("parent-selection") == "lexicase")
    assert ax.lines[1].get_xdata().tolist() == medians["generation"].to_list()
    assert ax.lines[1].get_ydata().tolist() == medians["best_median"].to_list()
    assert len(ax.collections) == 2  # a band for each line


def test_a_curve_breaks_where_a_generation_is_missing(generations, runs):
    curve = analyses.error_curves(generations, runs.filter(pl.col("parent-selection").is_null()), by=[])
    line = drawn(plots.error_curves(curve)).lines[0]
    assert curve["generation"].to_list() == [0, 1, 2, 4, 5, 6]
    assert [error != error for error in line.get_ydata()] == [generation == 3 for generation in range(7)]


def test_last_generation_shows_every_run(generations, runs):
    ax = drawn(plots.last_generation(analyses.last_generation(generations), runs, by=BY))
    assert ticks(ax) == GROUPS
    assert texts(ax) == ["n = 2", "n = 2", "n = 4"]
    marks = {line.get_label(): len(line.get_xdata()) for line in ax.lines if not line.get_label().startswith("_")}
    assert marks == {"success": 3, "failure": 3, "unfinished": 2}


def test_last_generation_without_an_error_is_not_drawn(generations, runs):
    last = analyses.last_generation(generations).with_columns(
        total_error_min=pl.when(pl.col("run_uuid") == "run-0").then(None).otherwise(pl.col("total_error_min"))
    )
    ax = drawn(plots.last_generation(last, runs, by="problem"))
    assert texts(ax) == ["n = 4", "n = 3"]


@pytest.fixture
def pictures(generations, runs):
    """Return each picture as a function of what runs there are and of how a frame is made native."""

    def last(run_table, native, **options):
        return plots.last_generation(native(analyses.last_generation(generations)), native(run_table), by=BY, **options)

    def success(run_table, native, **options):
        table = analyses.success_table(analyses.last_generation(generations), run_table, by=BY)
        return plots.success(native(table), **options)

    def curves(run_table, native, **options):
        return plots.error_curves(native(analyses.error_curves(generations, run_table, by=BY)), **options)

    return {"success": success, "error_curves": curves, "last_generation": last}


NAMES = ["success", "error_curves", "last_generation"]


@pytest.mark.parametrize("name", NAMES)
def test_no_runs_is_said_on_labelled_axes(pictures, runs, name):
    ax = drawn(pictures[name](runs.clear(), lambda frame: frame))
    assert texts(ax) == ["no runs"]
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "native",
    [
        lambda frame: duckdb.from_arrow(frame.to_arrow()),
        pl.DataFrame.lazy,
        pl.DataFrame.to_pandas,
        pl.DataFrame.to_arrow,
    ],
    ids=["duckdb", "polars lazy", "pandas", "arrow"],
)
def test_frames_of_every_engine(pictures, runs, name, native):
    ax = drawn(pictures[name](runs, native))
    assert len(ax.lines) > 2
    if name != "error_curves":
        assert ticks(ax) == GROUPS


@pytest.mark.parametrize("name", NAMES)
def test_draws_on_the_axes_that_are_given(pictures, runs, name):
    given = Figure().add_subplot()
    assert pictures[name](runs, lambda frame: frame, ax=given) is given
    assert plt.get_fignums() == []


@pytest.mark.parametrize("name", NAMES)
def test_makes_one_figure_and_sets_nothing_for_others(pictures, runs, name):
    before = dict(plt.rcParams)
    ax = pictures[name](runs, lambda frame: frame)
    assert plt.get_fignums() == [ax.figure.number]
    assert dict(plt.rcParams) == before


def test_says_which_column_is_missing(generations, runs):
    table = analyses.success_table(analyses.last_generation(generations), runs, by="problem")
    with pytest.raises(UnknownColumn, match="the success_table has no column 'rate_low'"):
        plots.success(table.drop("rate_low"))
    with pytest.raises(UnknownColumn, match="the error_curves has no column 'generation'"):
        plots.error_curves(table)
    with pytest.raises(UnknownColumn, match="did you mean 'problem'"):
        plots.last_generation(generations, runs, by="problm")
    with pytest.raises(InvalidInput, match="stopped='dropped'"):
        plots.error_curves(table, stopped="dropped")
    with pytest.raises(AttributeError, match="no attribute 'pie'"):
        plots.pie  # noqa: B018


def test_importing_loads_no_matplotlib():
    code = "import sys, gpdata.plots; assert not {'matplotlib', 'seaborn', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
