"""gplearn, recorded: the run is the one that it is without, and parents are those that gplearn keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.upload.adapters.gplearn import Tracker
from tests.upload.adapters.laws import check_laws

parallel_config = pytest.importorskip("joblib").parallel_config
genetic = pytest.importorskip("gplearn.genetic", reason="gplearn is not installed")

Begin = Callable[..., Any]
X = np.random.RandomState(0).uniform(-1, 1, (20, 2))
Y = X[:, 0] ** 2 + X[:, 1]
SHARES = {"p_crossover": 0.5, "p_subtree_mutation": 0.1, "p_hoist_mutation": 0.1, "p_point_mutation": 0.1}


def regressor(**options: Any) -> Any:
    given = {"population_size": 40, "generations": 5, "tournament_size": 3, "stopping_criteria": -1.0}
    return genetic.SymbolicRegressor(**{**given, **SHARES, "random_state": 1, **options})


def texts(estimator: Any) -> list[list[str | None]]:
    return [[program and str(program) for program in programs] for programs in estimator._programs]


def test_parents_agree_with_those_that_gplearn_keeps(begin: Begin) -> None:
    run, estimator = begin(), regressor()
    fitted = Tracker(run.recorder, estimator).fit(X, Y)
    assert fitted is estimator
    populations = run.populations
    check_laws(populations)
    kept = 0
    for before, now, programs in zip(populations, populations[1:], estimator._programs[1:], strict=False):
        for row, program in zip(now, programs, strict=True):
            if program is None:
                continue
            kept += 1
            places = [program.parents[name] for name in ("parent_idx", "donor_idx") if name in program.parents]
            assert row["parent_uuids"] == [before[place]["uuid"] for place in places]
            assert row["genetic_operators"] == [program.parents["method"].lower().replace(" ", "_")]
            assert row["program"] == str(program)
    assert kept > 80
    operators = {operator for each in populations for row in each for operator in row["genetic_operators"]}
    assert operators == {
        "random", "crossover", "subtree_mutation", "hoist_mutation", "point_mutation", "reproduction",
    }  # fmt: skip


def test_what_is_recorded_of_a_program(begin: Begin) -> None:
    run, estimator = begin(), regressor(feature_names=["a", "b"], parsimony_coefficient=0.01)
    Tracker(run.recorder, estimator).fit(X, Y)
    for row, program in zip(run.populations[-1], estimator._programs[-1], strict=True):
        assert row["total_error"] == program.raw_fitness_
        assert (
            row["weighted_error"]
            == program.fitness_
            == pytest.approx(program.raw_fitness_ + 0.01 * len(program.program))
        )
        assert row["genome_size"] == row["program_size"] == program.length_ == len(program.program)
        assert set(row["gene_instruction"]) <= {"a", "b", "add", "sub", "mul", "div"} | {
            gene for gene, kind in zip(row["gene_instruction"], row["gene_type"], strict=True) if kind == "float"
        }
        assert json.loads(row["extra"]) == {"depth": program.depth_}
        assert row["errors"] is None
    best = run.generations[-1]
    assert best["best_program"] == str(estimator._program)
    assert best["best_total_error"] == estimator.run_details_["best_fitness"][-1]
    assert [row["outcome"] for row in run.generations] == ["continue"] * 4 + ["failure"]


def shared_numbers(estimator: Any) -> Any:
    return (
        estimator.random_state.uniform()
        if isinstance(estimator.random_state, np.random.RandomState)
        else np.random.uniform()
    )


@pytest.mark.parametrize("state", ["number", "shared", "global"])
def test_a_tracker_changes_nothing_of_a_run(begin: Begin, state: str) -> None:
    found = []
    for tracked in (False, True):
        np.random.seed(5)
        random_state = {"number": 3, "shared": np.random.RandomState(3), "global": None}[state]
        estimator = regressor(random_state=random_state)
        (Tracker(begin().recorder, estimator) if tracked else estimator).fit(X, Y)
        parameters = {name: value for name, value in estimator.get_params().items() if name != "random_state"}
        assert estimator.random_state is random_state
        found.append((texts(estimator), parameters, estimator.run_details_["best_fitness"], shared_numbers(estimator)))
    assert found[0] == found[1]


def test_evaluation_in_other_processes(begin: Begin) -> None:
    runs = [begin(), begin()]
    for run, n_jobs in zip(runs, (1, 2), strict=True):
        with parallel_config(backend="multiprocessing"):
            Tracker(run.recorder, regressor(n_jobs=n_jobs, generations=3)).fit(X, Y)
        check_laws(run.populations)
    programs = [[row["program"] for each in run.populations for row in each] for run in runs]
    assert programs[0] == programs[1]


def test_a_run_that_reaches_its_stopping_criterion_is_a_success(begin: Begin) -> None:
    run = begin()
    Tracker(run.recorder, regressor(stopping_criteria=0.4, generations=50)).fit(X, Y)
    outcomes = [row["outcome"] for row in run.generations]
    assert outcomes == ["continue"] * (len(outcomes) - 1) + ["success"]
    assert len(outcomes) < 50
    assert run.generations[-1]["best_total_error"] <= 0.4


def test_errors_on_cases_seen_and_unseen(begin: Begin) -> None:
    run, estimator = begin(), regressor(generations=2, max_samples=0.5)
    tracker = Tracker(
        run.recorder,
        estimator,
        errors=lambda program: abs(program.execute(X) - Y),
        test_errors=lambda program: abs(program.execute(X + 1) - Y),
        success=lambda program: True,
        describe=lambda program: {"behaviors": program.execute(X).tolist()},
    )
    tracker.fit(X, Y)
    assert {row["outcome"] for row in run.generations} == {"success"}
    for row, program in zip(run.populations[-1], estimator._programs[-1], strict=True):
        assert row["errors"] == pytest.approx(list(abs(program.execute(X) - Y)))
        assert row["total_error"] == pytest.approx(sum(row["errors"]))
        assert json.loads(row["extra"]) == {
            "depth": program.depth_, "raw_fitness": program.raw_fitness_, "oob_fitness": program.oob_fitness_,
        }  # fmt: skip
        assert len(row["behaviors"]) == 20
    assert len(run.generations[-1]["best_test_errors"]) == 20


def test_what_is_maximised_counts_negatively(begin: Begin) -> None:
    run = begin()
    estimator = genetic.SymbolicTransformer(
        population_size=30, generations=2, hall_of_fame=10, n_components=3, stopping_criteria=2.0, random_state=2
    )
    Tracker(run.recorder, estimator).fit(X, Y)
    assert run.generations[-1]["best_total_error"] == -max(program.raw_fitness_ for program in estimator._programs[-1])
    assert estimator.transform(X).shape == (20, 3)


def test_a_classifier(begin: Begin) -> None:
    run = begin()
    estimator = genetic.SymbolicClassifier(population_size=30, generations=2, stopping_criteria=-1.0, random_state=2)
    Tracker(run.recorder, estimator).fit(X, Y > 0)
    check_laws(run.populations)
    assert estimator.predict(X).shape == (20,)


def test_a_warm_start_goes_on_in_the_same_run(begin: Begin) -> None:
    run, estimator = begin(), regressor(generations=2, warm_start=True)
    tracker = Tracker(run.recorder, estimator)
    tracker.fit(X, Y)
    with pytest.raises(InvalidInput, match=r"generations=2, and 2 are there; valid is more"):
        tracker.fit(X, Y)
    estimator.set_params(generations=5)
    tracker.fit(X, Y)
    check_laws(run.populations)
    assert [row["outcome"] for row in run.generations] == ["continue"] * 5
    assert texts(estimator) == texts(regressor().fit(X, Y))


def test_generations_that_nobody_recorded_are_refused(begin: Begin) -> None:
    estimator = regressor(generations=2).fit(X, Y)
    with pytest.raises(InvalidInput, match=r"has 2 generations to go on from .* and 0 are recorded"):
        Tracker(begin().recorder, estimator.set_params(warm_start=True, generations=4)).fit(X, Y)
    run = begin()
    tracker = Tracker(run.recorder, estimator.set_params(warm_start=False, generations=2))
    tracker.fit(X, Y)  # from the start, as gplearn itself would
    assert len(run.lines) == 2
    with pytest.raises(InvalidInput, match=r"has 0 generations to go on from .* and 2 are recorded"):
        tracker.fit(X, Y)


def test_a_fit_that_fails_leaves_what_was_recorded_and_the_estimator_as_it_was(tmp_path: Any) -> None:
    from gplearn.fitness import make_fitness

    calls = 0

    def error(y: Any, predicted: Any, weight: Any) -> float:
        nonlocal calls
        calls += 1
        if calls > 100:
            raise RuntimeError("the laptop falls")
        return float(np.average(np.abs(y - predicted), weights=weight))

    metric = make_fitness(function=error, greater_is_better=False, wrap=False)
    calls = 0
    estimator = regressor(metric=metric)
    with pytest.raises(RuntimeError, match="falls"), gpdata.record_gplearn(estimator, tmp_path / "lake") as run:
        run.fit(X, Y)
    assert (estimator.generations, estimator.warm_start, estimator.random_state) == (5, False, 1)
    lab = gpdata.open(tmp_path / "lake")
    assert lab.sql("select outcome, population_size from generations order by generation").fetchall() == [
        ("continue", 40),
        ("continue", 40),
    ]


def test_the_parameters_are_the_configuration(tmp_path: Any) -> None:
    with gpdata.record_gplearn(regressor(generations=1), tmp_path / "lake", config={"note": 1}) as run:
        run.fit(X, Y)
    lab = gpdata.open(tmp_path / "lake")
    keys = '"population-size", "random-seed", "p-crossover", "function-set", "estimator", "note", system, version'
    assert lab.sql(f"select {keys} from runs").fetchall() == [
        ("40", "1", "0.5", '["add","sub","mul","div"]', "SymbolicRegressor", "1", "gplearn", "0.4.3")
    ]


def test_what_is_no_estimator_is_refused(begin: Begin) -> None:
    for wrong, said in ((3, "a int was given"), (genetic.SymbolicRegressor, "the class SymbolicRegressor was given")):
        with pytest.raises(
            InvalidInput, match=rf"{said}; valid is .* this adapter knows gplearn 0.4, and .* is installed"
        ):
            Tracker(begin().recorder, wrong)
