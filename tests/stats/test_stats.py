from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kruskal as scipy_kruskal
from scipy.stats import mannwhitneyu

from gpdata import stats
from gpdata.errors import InvalidInput, UnknownColumn


def test_odds_and_tests_of_empty_margins():
    for test in (stats.chi_squared, stats.fisher_exact):
        assert [test(*counts).p_value for counts in [(0, 9, 0, 5), (9, 9, 5, 5), (0, 0, 3, 5), (0, 0, 0, 0)]] == [1] * 4
        assert test(3, 10, 6, 20).p_value == pytest.approx(1)
    assert stats.odds_ratio(1, 2, 1, 4) == 3
    assert stats.odds_ratio(5, 5, 3, 5) == math.inf
    assert stats.odds_ratio(0, 5, 3, 5) == 0
    assert math.isnan(stats.odds_ratio(5, 5, 5, 5))


def test_a_published_chi_squared():
    """Yates 1934, malocclusion of teeth: 4 of 20 breast-fed and 1 of 22 bottle-fed infants had normal teeth."""
    assert stats.chi_squared(4, 20, 1, 22).statistic == pytest.approx(1.14, abs=0.01)
    assert stats.fisher_exact(4, 20, 1, 22).p_value == pytest.approx(0.1745, abs=5e-5)


@given(st.integers(1, 60).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))))
def test_wilson_solves_its_equation(counts):
    successes, runs = counts
    low, high = stats.wilson(successes, runs)
    rate, z = successes / runs, 1.959963984540054
    for end in (low, high):
        if 0 < end < 1:
            assert (rate - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / runs, abs=1e-9)
    assert 0 <= low <= rate <= high <= 1
    assert all(map(math.isnan, stats.wilson(0, 0)))


def test_holm_by_hand():
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04, which may not come below the one before
    assert stats.holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([]).tolist() == []
    assert stats.holm([0.5, 0.9]).tolist() == [1, 1]
    with pytest.raises(InvalidInput, match="valid are numbers from 0 to 1"):
        stats.holm([0.5, math.nan])


values = st.lists(st.sampled_from([0.0, 1.0, 2.5, math.inf]) | st.floats(0, 10), min_size=1, max_size=12)


@given(values, values)
def test_a12_counts_pairs(one, other):
    pairs = [(x > y) + Fraction(x == y, 2) for x in one for y in other]
    found, reverse = stats.a12(one, other), stats.a12(other, one)
    assert found.a12 == pytest.approx(float(sum(pairs) / len(pairs)))
    assert found.a12 + reverse.a12 == pytest.approx(1)
    assert found.effect == reverse.effect


@pytest.mark.parametrize(
    ("above", "effect"),
    [
        (55, "negligible"),
        (56, "small"),
        (63, "small"),
        (64, "medium"),
        (70, "medium"),
        (71, "large"),
    ],
)
def test_the_reading_of_a12(above, effect):
    low_and_high = [1.0] * above + [-1.0] * (100 - above)
    assert stats.a12(low_and_high, [0.0]) == (above / 100, effect)
    assert stats.a12([0.0], low_and_high) == (pytest.approx(1 - above / 100), effect)


def test_bootstrap_is_seeded_and_covers():
    sample = np.random.default_rng(5).exponential(size=30)
    assert stats.bootstrap(sample) == stats.bootstrap(sample) != stats.bootstrap(sample, seed=1)
    means = np.random.default_rng(0).choice(sample, size=(9999, 30)).mean(axis=1)
    assert stats.bootstrap(sample, statistic="mean") == pytest.approx(np.percentile(means, [2.5, 97.5]), rel=0.02)
    low, high = stats.bootstrap(sample, statistic="mean", method="bca")
    assert stats.bootstrap(sample, statistic="mean")[1] < high  # skewed to the right
    assert low < sample.mean() < high
    narrow = stats.bootstrap(sample, confidence=0.5)
    assert stats.bootstrap(sample)[0] < narrow[0] < narrow[1] < stats.bootstrap(sample)[1]
    assert stats.bootstrap(sample, statistic=lambda x: float(np.min(x)), samples=99)[0] == sample.min()
    assert stats.bootstrap([3.0, 3.0, 3.0]) == (3.0, 3.0)
    assert all(map(math.isnan, stats.bootstrap([3.0])))


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    chance = np.random.default_rng(1)
    ends = [stats.bootstrap(chance.normal(size=40), statistic="mean", samples=299, seed=at) for at in range(200)]
    assert 0.88 <= np.mean([low <= 0 <= high for low, high in ends]) <= 0.98


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.chi_squared(5, 4, 0, 1), "5 successes of 4 runs"),
        (lambda: stats.fisher_exact(-1, 4, 0, 1), "-1 successes of 4 runs"),
        (lambda: stats.odds_ratio(0.5, 1, 0, 1), "valid are whole numbers"),
        (lambda: stats.wilson(1, 2, 95), "confidence=95"),
        (lambda: stats.a12([], [1.0]), "values has 0 values"),
        (lambda: stats.a12([1.0], [math.nan]), "against has 1 values, 1 of them NaN"),
        (lambda: stats.bootstrap([1.0, 2.0], statistic="mode"), "statistic='mode'"),
        (lambda: stats.bootstrap([1.0, 2.0], method="bcaa"), "did you mean 'bca'"),
        (lambda: stats.bootstrap([1.0, 2.0], samples=0), "samples=0"),
    ],
)
def test_says_what_is_wrong(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()


def errors_of_runs(seed=0):
    """Errors of 15 runs for each of two problems and three treatments, with ties, nulls and an infinite one."""
    chance = np.random.default_rng(seed)
    rows = [
        {"problem": problem, "selection": selection, "error": float(round(chance.exponential(scale), 1))}
        for problem in ("odd", "even")
        for selection, scale in (("lexicase", 1), ("tournament", 4), (None, 4))
        for _ in range(15)
    ]
    rows[0]["error"], rows[1]["error"], rows[2]["error"] = None, math.nan, math.inf
    return pl.DataFrame(rows, schema={"problem": pl.String, "selection": pl.String, "error": pl.Float64})


def samples_of(frame, problem, selection):
    rows = frame.filter(pl.col("problem") == problem, pl.col("selection").eq_missing(pl.lit(selection)))["error"]
    return [error for error in rows.to_list() if error is not None and not math.isnan(error)]


def test_values_are_compared_by_mann_whitney():
    frame = errors_of_runs()
    found = stats.compare_values(frame, value="error", treatment="selection", within="problem")
    assert len(found) == 6
    assert found["n"].tolist()[:2] == [13, 13]
    for row in found.to_dict("records"):
        one, other = (samples_of(frame, row["problem"], row[name]) for name in ("selection", "against"))
        assert row["p_value"] == mannwhitneyu(one, other).pvalue
        assert row["a12"] == stats.a12(one, other).a12
        assert (row["median"], row["against_median"]) == (np.median(one), np.median(other))
    adjusted = [stats.holm(found["p_value"][at : at + 3]) for at in (0, 3)]
    assert found["p_adjusted"].tolist() == np.concatenate(adjusted).tolist()
    assert found["significant"].any()
    assert not found["significant"].all()


def test_lower_errors_are_better_and_higher_scores():
    frame = errors_of_runs(1).filter(pl.col("selection").is_not_null())
    options = {"value": "error", "treatment": "selection", "within": "problem", "control": "tournament"}
    lower = stats.compare_values(frame, **options)
    assert lower["significant"].all()
    assert all(cell.endswith(" +") for cell in lower.paper()["lexicase"])
    assert "Cells: median over runs." in str(lower)
    higher = stats.compare_values(frame, **options, better="higher")
    assert all(cell.endswith(" -") for cell in higher.paper()["lexicase"])
    pd.testing.assert_frame_equal(lower, higher)


def test_equal_values_do_not_differ():
    frame = pl.DataFrame({"selection": ["a"] * 5 + ["b"] * 5, "error": 1})
    assert stats.compare_values(frame, value="error", treatment="selection")["p_value"].tolist() == [1]
    assert stats.kruskal(frame, value="error", treatment="selection")["p_value"].tolist() == [1]


def test_kruskal_equals_scipy():
    frame = errors_of_runs()
    found = stats.kruskal(frame, value="error", treatment="selection", within="problem")
    assert found["problem"].tolist() == ["odd", "even"]
    assert found["n"].tolist() == [43, 45]
    for row in found.to_dict("records"):
        samples = [samples_of(frame, row["problem"], selection) for selection in ("lexicase", "tournament", None)]
        assert (row["statistic"], row["p_value"]) == tuple(scipy_kruskal(*samples))
    assert found["p_adjusted"].tolist() == stats.holm(found["p_value"]).tolist()
    assert found.attrs["family"] == "all rows"


def test_curves_are_compared_at_each_generation():
    frame = pl.concat([errors_of_runs().with_columns(generation=pl.lit(generation)) for generation in range(3)])
    options = {"value": "error", "treatment": "selection", "within": ["problem", "generation"]}
    assert len(stats.compare_values(frame, **options)) == 18
    assert stats.kruskal(frame, **options)["generation"].tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(UnknownColumn, match="frame has no column 'eror': did you mean 'error'"):
        stats.compare_values(frame, **options | {"value": "eror"})
    with pytest.raises(InvalidInput, match="'problem' holds texts"):
        stats.compare_values(frame, value="problem", treatment="selection")
    with pytest.raises(InvalidInput, match="better='less'"):
        stats.compare_values(frame, **options, better="less")


def test_nothing_to_compare():
    frame = errors_of_runs().clear()
    found = stats.compare_values(frame, value="error", treatment="selection", within="problem")
    assert len(found) == 0
    assert "no comparisons" in str(found)
    assert len(stats.kruskal(frame, value="error", treatment="selection")) == 0


def test_importing_it_loads_nothing_heavy():
    code = "import sys, gpdata; gpdata.stats; assert not {'scipy', 'statsmodels', 'pandas', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
