"""PyshGP, recorded: parents against a log that is kept without the taps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyrsistent", reason="PyshGP is not installed")
from tests.upload.adapters.pyshgp_runs import X, Y, estimator, spawner

# isort: split
from pyshgp.gp import variation
from pyshgp.gp.evaluation import DatasetEvaluator
from pyshgp.gp.individual import Individual
from pyshgp.gp.search import GeneticAlgorithm, SearchConfiguration, SimulatedAnnealing
from pyshgp.gp.selection import Lexicase
from pyshgp.push.config import PushConfig
from pyshgp.push.program import ProgramSignature
from pyshgp.tap import Tap, TapManager

import gpdata
from gpdata.errors import InvalidInput
from gpdata.upload.adapters.pyshgp import Tracker
from tests.upload.adapters.laws import check_laws

Begin = Callable[..., Any]


def mixed() -> Any:
    strategy = variation.VariationStrategy()
    for operator, share in (("umad", 0.4), ("alternation", 0.3), ("cloning", 0.2)):
        strategy.add(variation.get_variation_operator(operator), share)
    strategy.add(variation.Genesis(size=(5, 15)), 0.1)
    return strategy


class Apart:
    """Logs the parents of each child without taps: on the way of a child from selection to the population."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parents: dict[str, list[str]] = {}

        def make_child(search: Any) -> Any:
            operator, selector = search.config.get_variation_op(), search.config.get_selector()
            chosen = selector.select(search.population, n=operator.num_parents)
            child = Individual(
                operator.produce([each.genome for each in chosen], search.config.spawner), search.config.signature
            )
            self.parents[str(child.id)] = [str(each.id) for each in chosen]
            return child

        monkeypatch.setattr(GeneticAlgorithm, "_make_child", make_child)


def fit(run: Any, of: Any, **options: Any) -> Any:
    with Tracker(run.recorder, of, **options):
        of.fit(X, Y)
    return of


@pytest.mark.parametrize("selector", ["lexicase", "tournament", "roulette", "elite"])
def test_parents_agree_with_a_log_of_their_own(begin: Begin, monkeypatch: pytest.MonkeyPatch, selector: str) -> None:
    np.random.seed(1)
    run, log = begin(), Apart(monkeypatch)
    fit(run, estimator(selector=selector, variation_strategy=mixed()))
    populations = run.populations
    check_laws(populations)
    assert [len(each) for each in populations] == [20] * 4
    for row in (row for each in populations[1:] for row in each):
        assert row["parent_uuids"] == log.parents[row["uuid"]]
        parents = {"alternation": 2, "genesis": 0}.get(row["genetic_operators"][0], 1)
        assert len(row["parent_uuids"]) == parents
    made = {tuple(row["genetic_operators"]) for each in populations for row in each}
    assert made == {("random",), ("addition", "deletion"), ("alternation",), ("genesis",), ("cloning",)}
    assert [row["outcome"] for row in run.generations] == ["continue"] * 3 + ["failure"]


def test_what_is_recorded_of_an_individual(begin: Begin) -> None:
    np.random.seed(2)
    run, seen = begin(), []
    given = estimator()
    fit(run, given, describe=lambda each: (seen.append(each), {"depth": each.program.code.depth()})[1])
    for row, each in zip([row for population in run.populations for row in population], seen, strict=True):
        assert row["uuid"] == str(each.id)
        assert row["errors"] == each.error_vector.tolist()
        assert row["total_error"] == each.total_error
        assert row["program"] == each.program.pretty_str()
        assert row["program_size"] == each.program.code.size()
        assert row["gene_instruction"] == [
            json.dumps(atom.value) if isinstance(getattr(atom, "value", None), bool) else atom.pretty_str()
            for atom in each.genome
        ]
        assert json.loads(row["extra"]) == {"depth": each.program.code.depth()}
    kinds = {kind for each in run.populations for row in each for kind in row["gene_type"]}
    assert kinds == {"string", "int", "bool"}
    assert all("0x" not in gene for row in run.populations[0] for gene in row["gene_instruction"])
    for generation, population in zip(run.generations, run.populations, strict=True):
        assert generation["best_total_error"] == min(row["total_error"] for row in population)


def test_a_tracker_changes_nothing_of_a_run(begin: Begin) -> None:
    found = []
    for tracked in (False, True):
        np.random.seed(3)
        given = estimator(variation_strategy=mixed())
        fit(begin(), given) if tracked else given.fit(X, Y)
        found.append((given.solution.program.pretty_str(), np.random.uniform()))
    assert found[0] == found[1]


def test_children_keep_their_parents_when_other_processes_evaluate(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.random.seed(4)
    run, log = begin(), Apart(monkeypatch)
    fit(run, estimator(parallelism=2, max_generations=3, variation_strategy=mixed()))
    check_laws(run.populations)
    for row in (row for each in run.populations[1:] for row in each):
        assert row["parent_uuids"] == log.parents[row["uuid"]]


def easy(**options: Any) -> Any:
    return estimator(population_size=60, max_generations=30, **options)


@pytest.mark.parametrize("simplified", [True, False])
def test_a_solved_run_is_a_success_with_its_simplified_best(begin: Begin, simplified: bool) -> None:
    np.random.seed(5)
    run, given = begin(), easy()
    with Tracker(run.recorder, given, simplified=simplified, test_errors=lambda best: [best.total_error]):
        given.fit([[x] for x in range(5)], [[x + 1] for x in range(5)])
    outcomes = [row["outcome"] for row in run.generations]
    assert outcomes == ["continue"] * (len(outcomes) - 1) + ["success"]
    last = run.generations[-1]
    assert (last["best_total_error"], last["best_test_errors"]) == (0.0, [0.0])
    assert last["best_location"] is not None
    program = given.solution.program.pretty_str()
    assert last["best_simplified_program"] == (program if simplified else None)
    assert last["best_simplified_total_error"] == (0.0 if simplified else None)


def test_a_run_that_is_broken_off_while_it_simplifies_has_its_last_generation(begin: Begin) -> None:
    class Broken(Tap):
        def pre(self, *_: Any) -> None:
            raise KeyboardInterrupt

    np.random.seed(6)
    run = begin()
    name = "pyshgp.gp.genome.GenomeSimplifier.simplify"
    TapManager.register(name, Broken())
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(run, estimator())
    finally:
        TapManager.unregister(name)
    assert [row["outcome"] for row in run.generations] == ["continue"] * 3 + ["failure"]
    assert run.generations[-1]["best_simplified_program"] is None


def search(kind: type, **options: Any) -> Any:
    given = {"selection": Lexicase(), "variation": variation.get_variation_operator("umad"), "parallelism": False}
    config = SearchConfiguration(
        ProgramSignature(arity=1, output_stacks=["int"], push_config=PushConfig()),
        DatasetEvaluator(X, Y),
        spawner(),
        **{**given, "max_generations": 6, "initial_genome_size": (5, 15), "simplification_steps": 5, **options},
    )
    return kind(config)


def test_simulated_annealing_keeps_or_replaces_its_one_individual(begin: Begin) -> None:
    np.random.seed(7)
    run, given = begin(), search(SimulatedAnnealing, max_generations=20)
    with Tracker(run.recorder, given):
        given.run()
    check_laws(run.populations)
    assert [len(each) for each in run.populations] == [1] * 20
    assert {tuple(row["genetic_operators"]) for each in run.populations for row in each} == {
        ("random",),
        ("reproduction",),
        ("addition", "deletion"),
    }


class Untapped(variation.VariationOperator):
    """An operator of somebody's own, who did not think of taps."""

    def __init__(self) -> None:
        super().__init__(2)

    def produce(self, parents: Any, spawner: Any = None) -> Any:
        return parents[0] + parents[1][:2]


def test_an_operator_without_a_tap_is_not_known_but_its_parents_are(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.random.seed(8)
    run, log = begin(), Apart(monkeypatch)
    given = search(GeneticAlgorithm, variation=Untapped(), population_size=10, max_generations=3)
    with Tracker(run.recorder, given):
        given.run()
    for row in (row for each in run.populations[1:] for row in each):
        assert (row["parent_uuids"], row["genetic_operators"]) == (log.parents[row["uuid"]], None)
    assert len(run.populations) == 3


def test_taps_that_were_there_go_on_and_come_back(begin: Begin) -> None:
    class Count(Tap):
        pre_calls = post_calls = 0

        def pre(self, *_: Any) -> None:
            self.pre_calls += 1

        def post(self, *_: Any) -> None:
            self.post_calls += 1

    name, count = "pyshgp.gp.population.Population.evaluate", Count()
    before = dict(TapManager._taps)
    TapManager.register(name, count)
    try:
        np.random.seed(9)
        fit(begin(), estimator())
        assert TapManager.get(name) is count
        assert (count.pre_calls, count.post_calls) == (4, 4)
    finally:
        TapManager.unregister(name)
    assert TapManager._taps == before


def test_other_searches_and_a_second_fit_are_kept_out(begin: Begin) -> None:
    np.random.seed(10)
    run, given, other = begin(), estimator(max_generations=2), estimator(max_generations=2)
    with Tracker(run.recorder, given):
        other.fit(X, Y)
        assert run.lines == []
        given.fit(X, Y)
        with pytest.raises(InvalidInput, match="has 2 generations of an earlier fit; valid is one fit"):
            given.fit(X, Y)
    assert len(run.lines) == 2


def test_the_arguments_are_the_configuration(tmp_path: Any) -> None:
    np.random.seed(11)
    given = estimator(max_generations=1, variation_strategy={"umad": 1.0}, selector="tournament", tournament_size=4)
    with gpdata.record_pyshgp(given, tmp_path / "lake", problem="square", config={"random-seed": 11}):
        given.fit(X, Y)
    lab = gpdata.open(tmp_path / "lake")
    keys = '"parent-selection", "tournament-size", "population-size", "genetic-operator-probabilities", "random-seed"'
    assert lab.sql(f"select {keys}, system, version, problem from runs").fetchall() == [
        ("tournament", "4", "20", '{"umad":1.0}', "11", "pyshgp", "0.1.8", "square")
    ]


def test_the_configuration_of_a_search(tmp_path: Any) -> None:
    np.random.seed(12)
    given = search(GeneticAlgorithm, population_size=5, max_generations=1, selection=Lexicase(epsilon=True))
    with gpdata.record_pyshgp(given, tmp_path / "lake"):
        given.run()
    lab = gpdata.open(tmp_path / "lake")
    keys = '"parent-selection", epsilon, "genetic-operator-probabilities", search, "error-threshold"'
    assert lab.sql(f"select {keys} from runs").fetchall() == [
        ("lexicase", "true", '{"addition+deletion":1.0}', "GeneticAlgorithm", "0.0")
    ]


def test_what_is_no_estimator_is_refused(begin: Begin) -> None:
    with pytest.raises(InvalidInput, match=r"a int was given; valid is a PushEstimator.* knows pyshgp 0.1"):
        Tracker(begin().recorder, 3)
