from __future__ import annotations

import math

import pytest
from matplotlib.figure import Figure

from gpdata.plots.axes import colours, label, scale_errors


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([], "linear"),
        ([0.0, 0.0], "linear"),
        ([1.0, 99.0], "linear"),
        ([0.0, 1.0, 50.0], "linear"),
        ([1.0, 100.0], "log"),
        ([0.0, 1.0, 100.0], "symlog"),
        ([-1.0, 1.0, 1e6], "linear"),
        ([1.0, math.inf, math.nan], "linear"),
    ],
)
def test_errors_that_span_magnitudes_get_a_logarithmic_axis(values, scale):
    ax = Figure().add_subplot()
    scale_errors(ax.set_yscale, values)
    assert ax.get_yscale() == scale


def test_zero_stands_on_a_symlog_axis_below_the_least_error():
    ax = Figure().add_subplot()
    scale_errors(ax.set_yscale, [0.0, 0.003, 1e4])
    ax.set_ylim(0, 1e4)
    places = [ax.transData.transform((0, error))[1] for error in (0, 0.003, 1, 1e4)]
    assert places == sorted(places)
    assert places[1] - places[0] > 0.05 * (places[-1] - places[0])


def test_a_label_says_null_and_stays_short():
    assert label(("odd", None)) == "odd · (not set)"
    assert label(("",)) == "(empty)"
    long = label(("x" * 500, "[:lexicase 0.9 :tournament 0.1] " * 20))
    assert len(long.splitlines()) <= 4
    assert max(map(len, long.splitlines())) <= 34
    assert long.count("…") == 2


def test_twelve_groups_get_twelve_colours():
    assert len(colours(12)) == 12
    assert len(set(colours(10))) == 10
