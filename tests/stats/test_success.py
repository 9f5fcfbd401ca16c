from __future__ import annotations

import math
import pickle
from itertools import combinations

import duckdb
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, hypergeom
from statsmodels.stats.multitest import multipletests

import gpdata as gp
from gpdata.errors import InvalidInput, UnknownColumn
from gpdata.stats import compare_success

# Helmuth, McPhee and Spector, GECCO 2016: successes of 100 runs with lexicase, tournament and SLT selection; and which
# of lexicase and SLT they mark as significantly better than tournament (pairwise chi-squared, Holm, 0.05).
GECCO_2016 = {
    "Count Odds": (8, 0, 5, {"lexicase"}),
    "Double Letters": (6, 0, 4, set()),
    "Mirror Image": (78, 46, 84, {"lexicase", "SLT"}),
    "Negative To Zero": (45, 10, 53, {"lexicase", "SLT"}),
    "Replace Space with Newline": (51, 8, 61, {"lexicase", "SLT"}),
    "String Lengths Backwards": (66, 7, 79, {"lexicase", "SLT"}),
    "Syllables": (18, 1, 13, {"lexicase", "SLT"}),
    "Vector Average": (16, 14, 30, {"SLT"}),
    "X-Word Lines": (8, 0, 4, {"lexicase"}),
}
SELECTIONS = ("lexicase", "tournament", "SLT")
TABLE = pd.DataFrame(
    [
        {"problem": problem, "parent-selection": selection, "successes": successes, "runs": 100}
        for problem, counts in GECCO_2016.items()
        for selection, successes in zip(SELECTIONS, counts, strict=False)
    ]
)
OPTIONS = {"treatment": "parent-selection", "within": "problem"}


def marks(found):
    """Which pairs of which problem differ significantly, and who is better: {(problem, better, worse)}."""
    return {
        (row["problem"], *((one, other) if row["difference"] > 0 else (other, one)))
        for row in found.to_dict("records")
        if row["significant"]
        for one, other in [(row["parent-selection"], row["against"])]
    }


PUBLISHED = {(problem, better, "tournament") for problem, counts in GECCO_2016.items() for better in counts[3]}


def test_every_mark_of_gecco_2016():
    found = compare_success(TABLE, **OPTIONS)
    assert len(found) == 27
    assert len(PUBLISHED) == 13
    assert marks(found) == PUBLISHED
    slt = found[(found["parent-selection"] == "lexicase") & (found["against"] == "SLT")]
    assert len(slt) == 9
    assert not slt["significant"].any()


def test_every_mark_of_gecco_2016_with_tournament_as_control():
    found = compare_success(TABLE, **OPTIONS, control="tournament")
    assert len(found) == 18
    assert set(found["against"]) == {"tournament"}
    assert marks(found) == PUBLISHED
    worse = compare_success(TABLE, **OPTIONS, control="SLT")
    # A family of two is judged less strictly than one of three.
    assert marks(worse) == {mark for mark in PUBLISHED if mark[1] == "SLT"} | {("Vector Average", "SLT", "lexicase")}
    assert (worse[worse["significant"]]["odds_ratio"] < 1).all()


def test_only_the_family_of_each_problem_and_the_correction_of_yates_give_these_marks():
    assert marks(compare_success(TABLE, **OPTIONS, family="all")) < PUBLISHED
    assert marks(compare_success(TABLE, **OPTIONS, correction="none")) > PUBLISHED
    assert marks(compare_success(TABLE, **OPTIONS, test="fisher")) == PUBLISHED
    plain = set()
    for problem, counts in GECCO_2016.items():
        pairs = list(combinations(zip(SELECTIONS, counts, strict=False), 2))
        p_values = [_pearson(one, other) for (_, one), (_, other) in pairs]
        for ((name, one), (other_name, other)), is_significant in zip(
            pairs, multipletests(p_values, 0.05, "holm")[0], strict=True
        ):
            if is_significant:
                plain.add((problem, *((name, other_name) if one > other else (other_name, name))))
    assert plain > PUBLISHED


def _pearson(one, other, yates=0.0):
    """The p-value by the formula for two times 100 runs, with n |ad - bc| lessened by `yates` n / 2."""
    won, lost = one + other, 200 - one - other
    between = max(abs(one * (100 - other) - other * (100 - one)) - yates * 100, 0)
    return chi2.sf(200 * between**2 / (won * lost * 100 * 100), 1) if won * lost else 1.0


def test_the_p_values_are_those_of_the_formulas():
    found = compare_success(TABLE, **OPTIONS).to_dict("records")
    exact = compare_success(TABLE, **OPTIONS, test="fisher").to_dict("records")
    for row, other in zip(found, exact, strict=True):
        one, against = row["successes"], row["against_successes"]
        assert row["p_value"] == pytest.approx(_pearson(one, against, yates=1.0), rel=1e-9)
        draw = hypergeom(200, one + against, 100)
        tail = sum(p for k in range(one + against + 1) if (p := draw.pmf(k)) <= draw.pmf(one) * (1 + 1e-7))
        assert other["p_value"] == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize(
    "native",
    [
        pl.from_pandas,
        lambda frame: pl.from_pandas(frame).lazy(),
        lambda frame: pl.from_pandas(frame).to_arrow(),
        lambda frame: duckdb.from_arrow(pl.from_pandas(frame).to_arrow()),
    ],
)
def test_takes_any_frame(native):
    pd.testing.assert_frame_equal(compare_success(native(TABLE), **OPTIONS), compare_success(TABLE, **OPTIONS))


def test_takes_a_success_table():
    """A killed run is in `runs` and not in `finished`."""
    runs = pl.DataFrame({"run_uuid": [str(at) for at in range(60)], "problem": "odd"}).with_columns(
        pl.Series("parent-selection", ["lexicase", "tournament", None] * 20)
    )
    outcomes = ["success", "failure", "continue"] + ["success", "failure", "failure"] * 19
    last = pl.DataFrame({"run_uuid": runs["run_uuid"], "generation": 5, "outcome": outcomes, "best_test_errors": None})
    table = gp.success_table(last, runs, by=["problem", "parent-selection"])
    found = gp.compare_success(table, **OPTIONS)
    assert found[["problem", "against", "successes", "runs", "against_successes", "against_runs"]].values.tolist() == [
        ["odd", "lexicase", 0, 20, 20, 20],
        ["odd", "tournament", 0, 20, 0, 20],
        ["odd", "tournament", 20, 20, 0, 20],
    ]
    assert found["parent-selection"].tolist() == [None, None, "lexicase"]
    assert found["significant"].tolist() == [True, False, True]
    finished = gp.compare_success(table, **OPTIONS, runs="finished")
    assert finished["runs"].tolist() == [19, 19, 20]


COLUMNS = ["against", "successes", "runs", "against_successes", "against_runs", "difference", "odds_ratio"]
COLUMNS += ["p_value", "p_adjusted", "significant"]

counts = st.integers(0, 30).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs)))
rows = st.dictionaries(st.tuples(st.sampled_from(["x", "y", None]), st.sampled_from(["a", "b", "c", None])), counts)


@settings(max_examples=12, deadline=None)
@given(rows=rows, test=st.sampled_from(["chi2", "fisher"]), family=st.sampled_from(["within", "all"]))
def test_any_counts(rows, test, family):
    table = pl.DataFrame(
        [(problem, selection, won, runs) for (problem, selection), (won, runs) in rows.items()],
        schema={"problem": pl.String, "parent-selection": pl.String, "successes": pl.Int64, "runs": pl.Int64},
        orient="row",
    )
    found = compare_success(table, **OPTIONS, test=test, family=family)
    assert list(found.columns) == ["problem", "parent-selection", *COLUMNS]
    sizes = {problem: sum(one == problem for one, _ in rows) for problem, _ in rows}
    assert len(found) == sum(size * (size - 1) // 2 for size in sizes.values())
    assert found["p_value"].between(0, 1).all()
    assert (found["p_adjusted"] >= found["p_value"] * (1 - 1e-12)).all()
    for row in found.to_dict("records"):
        one, runs, other, other_runs = (row[name] for name in COLUMNS[1:5])
        if runs and other_runs:
            assert row["difference"] == one / runs - other / other_runs
        else:
            assert math.isnan(row["difference"])
        if one * other_runs == other * runs:
            assert row["p_value"] == 1
            assert not row["significant"]
        if row["significant"]:
            assert (row["odds_ratio"] > 1) == (row["difference"] > 0)
    for _, family_rows in found.groupby("problem", dropna=False) if family == "within" else [(None, found)]:
        if len(family_rows):
            rejected, adjusted = multipletests(family_rows["p_value"], 0.05, "holm")[:2]
            assert family_rows["p_adjusted"].tolist() == pytest.approx(adjusted.tolist())
            assert family_rows["significant"].tolist() == rejected.tolist()
    str(found), found.to_latex()


def test_it_says_how_it_was_judged():
    found = compare_success(TABLE, **OPTIONS, control="tournament", alpha=0.01)
    assert found.attrs == {
        "test": "Chi-squared test with Yates' correction",
        "correction": "holm",
        "family": "the comparisons of each problem",
        "alpha": 0.01,
        "treatment": "parent-selection",
        "within": ["problem"],
        "control": "tournament",
        "better": "higher",
        "treatments": ["lexicase", "tournament", "SLT"],
    }
    assert found[found["significant"]].attrs == found.attrs
    assert pickle.loads(pickle.dumps(found)).equals(found)


def test_it_prints_as_the_table_of_the_paper():
    text = str(compare_success(TABLE, **OPTIONS, control="tournament"))
    assert text.splitlines()[0] == (
        "Chi-squared test with Yates' correction, p-values adjusted by Holm's method over the comparisons of each "
        "problem, alpha = 0.05. Cells: successes of 100 runs. + (-): significantly better (worse) than tournament."
    )
    lines = [" ".join(line.split()) for line in text.splitlines()[2:]]
    assert lines[0] == "problem lexicase tournament SLT"
    assert lines[1:] == [
        " ".join(
            [problem, f"{lexicase}{' +' * ('lexicase' in better)}", str(tournament), f"{slt}{' +' * ('SLT' in better)}"]
        )
        for problem, (lexicase, tournament, slt, better) in GECCO_2016.items()
    ]
    against = compare_success(TABLE, **OPTIONS, control="SLT").paper()
    assert against["tournament"].tolist()[2:4] == ["46 -", "10 -"]


def test_letters_where_all_pairs_are_compared():
    paper = compare_success(TABLE, **OPTIONS).paper().set_index("problem")
    assert paper.columns.tolist() == ["lexicase (a)", "tournament (b)", "SLT (c)"]
    assert paper.loc["Mirror Image"].tolist() == ["78 b", "46", "84 b"]
    sizes = TABLE.assign(runs=[100, 200, 100] * 9)
    assert compare_success(sizes, **OPTIONS).paper().iloc[2, 1:].tolist() == ["78/100 b", "46/200", "84/100 b"]


def test_latex():
    table = TABLE.replace({"problem": {"Count Odds": "count_odds & 50 %"}})
    text = compare_success(table, **OPTIONS, control="tournament").to_latex(caption="Successes.", label="tab:gecco")
    assert r"count\_odds \& 50 \% & 8$^{+}$ & 0 & 5 \\" in text
    assert r"Vector Average & 16 & 14 & 30$^{+}$ \\" in text
    assert r"\caption{Successes.}" in text
    assert r"\label{tab:gecco}" in text
    assert r"\begin{tabular}{lrrr}" in text
    assert r"\toprule" in text
    said = compare_success(TABLE, **OPTIONS).to_latex()
    assert r"Holm's method over the comparisons of each problem, alpha = 0.05." in said
    assert r"51$^{b}$ & 8 & 61$^{b}$ \\" in said


def test_nothing_to_compare():
    for table in (TABLE.head(0), TABLE.head(1)):
        found = compare_success(table, **OPTIONS)
        assert list(found.columns) == ["problem", "parent-selection", *COLUMNS]
        assert len(found) == 0
        assert "no comparisons" in str(found)
        assert r"\begin{tabular}" in found.to_latex()


def test_without_families_there_is_one():
    found = compare_success(TABLE.iloc[:3], treatment="parent-selection")
    assert found.attrs["family"] == "all comparisons"
    assert found.columns[0] == "parent-selection"


@pytest.mark.parametrize(
    ("table", "options", "error", "message"),
    [
        (
            TABLE,
            {"treatment": "selection"},
            UnknownColumn,
            "did you mean 'parent-selection'",
        ),
        (TABLE, {**OPTIONS, "runs": "finished"}, UnknownColumn, "table has no column 'finished'"),
        (TABLE, {**OPTIONS, "control": "tornament"}, InvalidInput, "control='tornament' is no value of 'parent-sel"),
        (TABLE.iloc[2:], {**OPTIONS, "control": "lexicase"}, InvalidInput, "not there for problem='Count Odds'"),
        (TABLE, {"treatment": "parent-selection"}, InvalidInput, "has several rows in one group"),
        (TABLE, {**OPTIONS, "test": "chi"}, InvalidInput, "test='chi': did you mean 'chi2'"),
        (TABLE, {**OPTIONS, "correction": "holms"}, InvalidInput, "did you mean 'holm'"),
        (TABLE, {**OPTIONS, "family": "each"}, InvalidInput, "family='each'"),
        (TABLE, {**OPTIONS, "alpha": 5}, InvalidInput, "alpha=5: give a number between 0 and 1"),
        (TABLE, {"treatment": "runs"}, InvalidInput, "'runs' is a column of the result too"),
        (TABLE, {**OPTIONS, "within": ["problem", "parent-selection"]}, InvalidInput, "is also in within"),
        (TABLE.assign(successes=101), OPTIONS, InvalidInput, "101 successes of 100 runs"),
        (TABLE.assign(successes=0.5), OPTIONS, InvalidInput, "valid are whole numbers"),
        (TABLE.assign(successes=None), OPTIONS, InvalidInput, "a count is null"),
        ([1, 2], OPTIONS, InvalidInput, "a list was given; valid are the frames"),
    ],
)
def test_says_what_is_wrong(table, options, error, message):
    with pytest.raises(error, match=message):
        compare_success(table, **options)
