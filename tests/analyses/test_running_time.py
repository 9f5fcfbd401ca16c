from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.analyses import ECDF, ERT, ecdf, ert
from gpdata.errors import InvalidInput, UnknownColumn
from tests.analyses.histories import evaluations, groups, histories, solved_at, tables

ENGINES = ("duckdb", "polars lazy", "pandas")

asked = given(
    runs=histories,
    by=st.sampled_from([[], ["problem"], ["parent-selection", "problem"]]),
    targets=st.sampled_from([None, 0, [100.0, 2.5, 1e-7, -1.0]]),
)


def listed(targets):
    return targets if isinstance(targets, list) else [targets]


def hit(run, target):
    at = solved_at(run, target)
    return None if at is None else evaluations(run, at)


def expected_ert(runs, by, targets):
    rows = []
    for key, members in groups([run for run in runs if run["generations"]], by).items():
        for target in listed(targets):
            hits = [hit(run, target) for run in members]
            spent = sum(evaluations(run) if at is None else at for run, at in zip(members, hits, strict=True))
            successes = sum(at is not None for at in hits)
            rows.append(
                dict(zip(by, key, strict=True))
                | {"target": None if target is None else float(target), "runs": len(members), "successes": successes}
                | {"evaluations": float(spent), "ert": spent / successes if successes else None}
            )
    return rows


def expected_ecdf(runs, by, targets):
    rows = []
    for key, members in groups([run for run in runs if run["generations"]], by).items():
        hits = [hit(run, target) for run in members for target in listed(targets)]
        reached = [at for at in hits if at is not None]
        for at in sorted({*reached, max(map(evaluations, members))}):
            within = sum(one <= at for one in reached)
            rows.append(
                dict(zip(by, key, strict=True))
                | {"evaluations": float(at), "pairs": len(hits), "reached": within, "share": within / len(hits)}
            )
    return rows


@settings(max_examples=12, deadline=None)
@asked
def test_ert_equals_plain_python(engines, rows_of, assert_same, runs, by, targets):
    for name in ENGINES:
        got = ert(*map(engines[name], tables(runs)), by=by, targets=targets)
        assert_same(rows_of(got), expected_ert(runs, by, targets))


@settings(max_examples=12, deadline=None)
@asked
def test_ecdf_equals_plain_python(engines, rows_of, assert_same, runs, by, targets):
    for name in ENGINES:
        got = ecdf(*map(engines[name], tables(runs)), by=by, targets=targets)
        assert_same(rows_of(got), expected_ecdf(runs, by, targets))


def run(best, outcome="failure", size=100, problem="odd"):
    """Make a run by its best_so_far at each generation; None is a generation that was lost."""
    known = [generation for generation, value in enumerate(best) if value is not None]
    return {"problem": problem, "parent-selection": None, "generations": known, "outcome": outcome} | {
        "best_so_far": [best[generation] for generation in known],
        "sizes": [size] * len(known),
    }


BY_HAND = [
    run([8.0, 3.0, 0.0], "success"),
    run([6.0, 6.0, 6.0, 6.0, 2.0]),
    run([9.0, None, 5.0], "continue"),  # one generation was lost, and then the run was killed
]


def test_by_hand(engine, rows_of):
    frames = list(map(engine, tables(BY_HAND)))
    # 5 is reached after 200, 500 and 300; 2 after 300 and 500, and 300 in vain; 0 after 300, 500 and 300 in vain.
    got = rows_of(ert(*frames, by="problem", targets=[5, 2, 0]))
    assert [(row["target"], row["successes"], row["evaluations"], row["ert"]) for row in got] == [
        (5.0, 3, 1000.0, 1000 / 3),
        (2.0, 2, 1100.0, 550.0),
        (0.0, 1, 1100.0, 1100.0),
    ]
    got = rows_of(ecdf(*frames, by="problem", targets=[5, 2, 0]))
    assert [(row["evaluations"], row["reached"]) for row in got] == [(200.0, 1), (300.0, 4), (500.0, 6)]
    assert got[-1]["share"] == 6 / 9
    (row,) = rows_of(ert(*frames, by="problem"))
    assert (row["target"], row["successes"], row["ert"]) == (None, 1, 1100.0)


def trajectories(runs):
    """The runs as IOHprofiler logs them: the evaluations and the value of each improvement."""
    return pl.DataFrame(
        [
            {"data_id": index, "algorithm_name": run["problem"], "evaluations": evaluations(run, generation)}
            | {"raw_y": value}
            for index, run in enumerate(runs)
            for at, (generation, value) in enumerate(zip(run["generations"], run["best_so_far"], strict=True))
            if at == 0 or value < run["best_so_far"][at - 1]
        ]
    )


FULL_BUDGET = [
    run([80.0, 44.0, 30.0, 30.0, 7.0, 7.0]),
    run([100.0, 100.0, 61.0, 9.0, 9.0, 3.0]),
    run([51.0, 20.0, 20.0, 20.0, 20.0, 20.0]),
    run([90.0, 90.0, 12.0, 1.0, 1.0, 0.0], problem="even"),
    run([70.0, 3.0, 3.0, 2.0, 2.0, 2.0], problem="even"),
]


def test_ert_equals_iohinspector():
    metrics = pytest.importorskip("iohinspector.metrics", reason="pip install iohinspector==0.0.8 for this comparison")
    theirs = metrics.aggregate_running_time(
        trajectories(FULL_BUDGET), f_min=0, f_max=98, scale_f_log=False, eval_max=600, return_as_pandas=False
    )
    theirs = {(row["algorithm_name"], row["raw_y"]): row for row in theirs.to_dicts()}
    targets = sorted({target for _, target in theirs})
    assert len(targets) == 50
    mine = ert(*map(pl.from_arrow, tables(FULL_BUDGET)), by="problem", targets=targets).to_dicts()
    assert len(mine) == len(theirs) == 100
    assert {row["successes"] for row in mine} == {0, 1, 2, 3}
    for row in mine:
        other = theirs[row["problem"], row["target"]]
        assert row["successes"] == other["success_count"]
        assert (math.inf if row["ert"] is None else row["ert"]) == pytest.approx(other["ERT"])


def test_iohinspector_charges_the_longest_budget_and_we_each_runs_own():
    metrics = pytest.importorskip("iohinspector.metrics", reason="pip install iohinspector==0.0.8 for this comparison")
    options = {"f_min": 0, "f_max": 49, "scale_f_log": False, "eval_max": 500, "return_as_pandas": False}
    theirs = metrics.aggregate_running_time(trajectories(BY_HAND), **options)
    (zero,) = theirs.filter(pl.col("raw_y") == 0).to_dicts()
    assert zero["ERT"] == 300 + 500 + 500  # the killed run spent 300
    assert ert(*map(pl.from_arrow, tables(BY_HAND)), by="problem", targets=0)["ert"].item() == 300 + 500 + 300


def test_ecdf_equals_iohinspector():
    """Theirs is the mean of 1 - value / 100: with whole values, the share of a hundred targets between them."""
    metrics = pytest.importorskip("iohinspector.metrics", reason="pip install iohinspector==0.0.8 for this comparison")
    times = [100, 200, 300, 400, 500, 600]
    theirs = metrics.get_data_ecdf(
        trajectories(FULL_BUDGET),
        f_min=0,
        f_max=100,
        scale_f_log=False,
        eval_values=times,
        return_as_pandas=False,
    )
    targets = [value + 0.5 for value in range(100)]
    mine = ecdf(*map(pl.from_arrow, tables(FULL_BUDGET)), by="problem", targets=targets)
    assert theirs.height == 12
    for row in theirs.to_dicts():
        until = mine.filter(pl.col("problem") == row["algorithm_name"], pl.col("evaluations") <= row["evaluations"])
        assert until["share"].max() == pytest.approx(row["eaf"])


@pytest.mark.parametrize(("analysis", "result"), [(ert, ERT), (ecdf, ECDF)])
def test_the_result_is_as_declared_and_of_the_kind_given(engine, result_types, rows_of, analysis, result):
    generations, runs = map(engine, tables([*BY_HAND, run([1.0], problem=None)]))
    for targets in (None, [1.0, 0.5]):
        got = analysis(generations, runs, by=["parent-selection", "problem"], targets=targets)
        assert type(got) is type(generations)
        assert result_types(got) == {"parent-selection": "string", "problem": "string"} | {
            column.name: column.type.value for column in result
        }
        never_null = [column.name for column in result if not column.nullable]
        assert all(row[name] is not None for row in rows_of(got) for name in never_null)
    assert rows_of(analysis(*map(engine, tables([])), by="problem", targets=1)) == []


def test_nothing_is_run_on_a_lazy_engine(engines):
    runs = engines["duckdb"](pl.DataFrame({"run_uuid": ["a"], "problem": ["odd"]}).to_arrow())
    boom = runs.project("run_uuid, 0::int as generation, error('was run')::double best_so_far, 1::int population_size")
    for analysis in (ert, ecdf):
        assert analysis(boom, runs, by="problem", targets=[1, 0]).columns[0] == "problem"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": "problm"}, UnknownColumn, "did you mean 'problem'"),
        ({"by": [], "targets": []}, InvalidInput, r"targets=\[\]: give one error or several"),
        ({"by": [], "targets": [1, math.nan]}, InvalidInput, "finite numbers"),
        ({"by": [], "targets": math.inf}, InvalidInput, "finite numbers"),
    ],
)
def test_says_what_is_wrong(options, error, message):
    for analysis in (ert, ecdf):
        with pytest.raises(error, match=message):
            analysis(*map(pl.from_arrow, tables(BY_HAND)), **options)
