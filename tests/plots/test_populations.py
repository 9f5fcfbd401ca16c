from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from gpdata import analyses, plots
from gpdata.errors import InvalidInput, UnknownColumn

NAMES = {
    "diversity": "DIVERSITY",
    "homology": "HOMOLOGY",
    "hyperselection": "HYPERSELECTION",
    "instruction_frequency": "INSTRUCTION_FREQUENCY",
    "lexicase_stats": "LEXICASE_STATS",
    "operator_effects": "OPERATOR_EFFECTS",
    "selection_counts": "SELECTION_COUNTS",
    "size_curves": "SIZE_CURVES",
}
POLARS = {"string": pl.String, "int": pl.Int32, "double": pl.Float64, "list<string>": pl.List(pl.String)}


def frame(name, rows):
    """Make a result of an analysis from rows that say some of its columns; the others are 1, or x."""
    schema = {column.name: POLARS[column.type.value] for column in getattr(analyses, NAMES[name])}
    further = {key: pl.String for key in (rows[0] if rows else {}) if key not in schema}
    filled = [
        {
            column: row.get(column, "x" if type_ == pl.String else ["x"] if isinstance(type_, pl.List) else 1)
            for column, type_ in (further | schema).items()
        }
        for row in rows
    ]
    return pl.DataFrame(filled, schema=further | schema)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def ticks(ax):
    return [tick.get_text().replace("\n", " ") for tick in ax.get_yticklabels()]


def drawn(ax):
    ax.figure.canvas.draw()
    return ax


def test_diversity_shows_what_was_recorded_and_breaks_at_gaps():
    rows = [{"generation": at, "genomes": at / 10, "programs": None, "behaviors": None} for at in (0, 1, 3)]
    ax = drawn(plots.diversity(frame("diversity", rows)))
    assert legend(ax) == ["genomes", "error vectors", "total errors"]
    assert np.array_equal(ax.lines[0].get_ydata(), [0, 0.1, math.nan, 0.3], equal_nan=True)
    assert ax.get_title(loc="right") == "one run"


def test_diversity_of_runs_is_their_median():
    rows = [{"run_uuid": run, "genomes": share} for run, share in zip("abc", (0.2, 0.3, 1.0), strict=True)]
    ax = drawn(plots.diversity(frame("diversity", rows)))
    assert ax.lines[0].get_ydata().tolist() == [0.3]
    assert sorted({round(y, 9) for _, y in ax.collections[0].get_paths()[0].vertices}) == [0.25, 0.65]
    assert ax.get_title(loc="right") == "median and quartiles over 3 runs"


def test_homology_of_one_run_and_of_several():
    row = {"distance_mean": 0.4, "distance_q1": 0.1, "distance_median": 0.5, "distance_q3": 0.9}
    one = drawn(plots.homology(frame("homology", [row])))
    assert one.lines[0].get_ydata().tolist() == [0.5]
    assert "over pairs" in one.get_title(loc="left")
    several = drawn(plots.homology(frame("homology", [row, row | {"run_uuid": "y", "distance_mean": 0.6}])))
    assert several.lines[0].get_ydata().tolist() == [0.5]
    assert several.get_title(loc="left") == "mean distance: median and quartiles over 2 runs"


def test_size_curves_show_the_size_that_is_asked_for():
    rows = [
        {"by": by, "generation": at, "runs": 3 - at, "program_size": size, "genome_size": 7.0}
        for by, at, size in [("a", 0, 10.0), ("a", 1, 20.0), ("b", 0, None)]
    ]
    result = frame("size_curves", rows)
    ax = drawn(plots.size_curves(result, of="program_size"))
    assert legend(ax) == ["a (n = 3)"]
    assert ax.get_ylabel() == "mean program size (points)"
    assert ax.lines[0].get_ydata().tolist() == [10.0, 20.0]
    assert legend(plots.size_curves(result)) == ["a (n = 3)", "b (n = 3)"]
    with pytest.raises(InvalidInput, match="of='size'"):
        plots.size_curves(result, of="size")


def test_lexicase_stats_is_a_map_of_shares_with_gaps():
    rows = [
        {"generation": at, "case": case, "individuals": 4 if case < 2 else 0, "elite": case + 1, "zero": 0}
        for at in (5, 7)
        for case in range(3)
    ]
    ax = drawn(plots.lexicase_stats(frame("lexicase_stats", rows)))
    shares = np.ma.filled(ax.collections[0].get_array(), math.nan).reshape(3, 3)
    column = [0.25, 0.5, math.nan]
    assert np.array_equal(shares.T, [column, [math.nan] * 3, column], equal_nan=True)
    assert ax.yaxis_inverted()
    assert ax.get_xlim() == (4.5, 7.5)
    zero = drawn(plots.lexicase_stats(frame("lexicase_stats", rows), of="zero"))
    assert np.nanmax(np.ma.filled(zero.collections[0].get_array(), math.nan)) == 0


def test_lexicase_stats_of_several_runs_wants_one():
    rows = [{"run_uuid": run, "individuals": 4, "elite": elite} for run, elite in (("aa", 1), ("bb", 2))]
    result = frame("lexicase_stats", rows)
    with pytest.raises(InvalidInput, match="has 2 runs: name one, such as run='aa'"):
        plots.lexicase_stats(result)
    with pytest.raises(InvalidInput, match="run='ab' is not in the lexicase_stats; valid are 'aa', 'bb'"):
        plots.lexicase_stats(result, run="ab")
    assert np.nanmax(plots.lexicase_stats(result, run="bb").collections[0].get_array()) == 0.5


def test_selection_counts_is_a_histogram():
    counts = [(0, 0), (0, 0), (0, 3), (1, 0), (1, 0), (None, 9)]
    rows = [{"generation": at, "location": at, "selections": n} for at, n in counts]
    ax = drawn(plots.selection_counts(frame("selection_counts", rows)))
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in ax.patches}
    assert heights == {0: 2, 1: 0, 2: 0, 3: 1}  # the last generation and the lost parent are left out
    assert ax.get_title(loc="left") == "3 individuals, 2 never selected"
    assert ax.get_yscale() == "log"
    wide = drawn(plots.selection_counts(frame("selection_counts", [{"selections": n} for n in (1, 99, 100)])))
    assert [bar.get_height() for bar in wide.patches if bar.get_height()] == [1, 2]
    assert wide.get_title(loc="left").endswith("each bar 3 counts")


def test_hyperselection_has_a_line_for_each_percent():
    rows = [{"percent": p, "individuals": n, "generation": 0} for p, n in ((1.0, 9), (2.5, 4), (10.0, 0))]
    ax = drawn(plots.hyperselection(frame("hyperselection", rows)))
    assert legend(ax) == ["1 % or more", "2.5 % or more", "10 % or more"]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[9.0], [4.0], [0.0]]


def test_operator_effects_are_bars_that_add_up():
    rows = [
        {"genetic_operators": ["x", "y"], "compared": 10, "improved": 1, "same": 2, "worse": 7},
        {"genetic_operators": ["random"], "compared": 0},
        {"genetic_operators": None, "compared": 2, "improved": 2, "same": 0, "worse": 0,
         "genome_size_change_median": None},
    ]  # fmt: skip
    ax = drawn(plots.operator_effects(frame("operator_effects", rows)))
    assert ticks(ax) == ["x + y", "(operator not sent)"]
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == pytest.approx([0.1, 1, 0.2, 0, 0.7, 0])
    assert [text.get_text() for text in ax.texts][:2] == ["10 / +1", "2 / ?"]
    assert legend(ax) == ["improved", "same", "worse"]


def test_instruction_frequency_shows_the_most_frequent():
    shares = {("a", "exec_if"): 0.5, ("a", "x"): 0.3, ("a", "$"): 0.2, ("b", "x"): 1.0}
    rows = [
        {"by": by, "instruction": name, "type": "string", "share": share, "genes": round(100 * share)}
        for (by, name), share in shares.items()
    ]
    ax = drawn(plots.instruction_frequency(frame("instruction_frequency", rows), most=2))
    assert ticks(ax) == ["x", "exec_if"]
    assert legend(ax) == ["a (100 genes, 20 % others)", "b (100 genes)"]
    assert [line.get_xdata().tolist() for line in ax.lines[:2]] == [[0.3, 0.5], [1.0, 0.0]]
    constants = [{"instruction": "1", "type": kind} for kind in ("int", "string")]
    assert ticks(drawn(plots.instruction_frequency(frame("instruction_frequency", constants)))) == ["1 (int)", "1"]
    with pytest.raises(InvalidInput, match="give the number of instructions to draw"):
        plots.instruction_frequency(frame("instruction_frequency", rows), most=0)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_draw_is_said_on_labelled_axes(name):
    ax = drawn(getattr(plots, name)(frame(name, [])))
    assert [text.get_text()[:3] for text in ax.texts] == ["no "]
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("name", NAMES)
def test_draws_on_the_axes_that_are_given_and_names_missing_columns(name):
    result = frame(name, [{}])
    given = Figure().add_subplot()
    assert getattr(plots, name)(result, ax=given) is given
    assert plt.get_fignums() == []
    assert getattr(plots, name)(result.to_arrow()).figure.number == 1
    for native in (result.lazy(), result.to_pandas()):
        assert drawn(getattr(plots, name)(native))
    last = result.columns[-1]
    with pytest.raises(UnknownColumn, match=f"the {name} has no column '{last}'"):
        getattr(plots, name)(result.drop(last))


def test_a_name_stays_a_function_after_its_first_use():
    for name in NAMES:
        assert callable(getattr(plots, name))
        assert callable(getattr(plots, name))
