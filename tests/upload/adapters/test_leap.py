"""LEAP, recorded: parents against LEAP's own set of them, and against a log that is kept apart."""

from __future__ import annotations

import json
import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.upload.adapters.leap import Tracker
from tests.upload.adapters.laws import check_laws

pytest.importorskip("leap_ec", reason="leap_ec is not installed")
import networkx as nx
from leap_ec import Individual, Representation, ops
from leap_ec.algorithm import generational_ea, multi_population_ea, random_search
from leap_ec.binary_rep.initializers import create_binary_sequence
from leap_ec.binary_rep.ops import mutate_bitflip
from leap_ec.binary_rep.problems import MaxOnes
from leap_ec.multiobjective.nsga2 import generalized_nsga_2
from leap_ec.multiobjective.problems import MultiObjectiveProblem
from leap_ec.real_rep.initializers import create_real_vector
from leap_ec.real_rep.ops import mutate_gaussian
from leap_ec.real_rep.problems import SpheroidProblem
from toolz import pipe

Begin = Callable[..., Any]
SIZE = 12


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)


def pipeline(p_xover: float = 0.6, evaluate: Any = ops.evaluate) -> list[Any]:
    return [
        ops.tournament_selection,
        ops.clone,
        mutate_bitflip(expected_num_mutations=0.7),
        ops.UniformCrossover(p_xover=p_xover),
        evaluate,
        ops.pool(size=SIZE),
    ]


def arguments(generations: int = 6, **options: Any) -> dict[str, Any]:
    return {
        "max_generations": generations,
        "pop_size": SIZE,
        "problem": MaxOnes(),
        "representation": Representation(initialize=create_binary_sequence(8)),
        "pipeline": pipeline(),
        **options,
    }


class Apart:
    """Individuals that log who was cloned from whom, and with whom they were crossed: without the adapter."""

    def __init__(self) -> None:
        self.clones: dict[str, str] = {}
        self.partner: dict[str, str] = {}

    def individuals(self) -> type[Individual]:
        log = self

        class Logged(Individual):
            def clone(self) -> Any:
                cloned = super().clone()
                log.clones[str(cloned.uuid)] = str(self.uuid)
                return cloned

        return Logged

    def crossover(self, **options: Any) -> Any:
        log = self

        class Logged(ops.UniformCrossover):
            def recombine(self, one: Any, other: Any) -> Any:
                log.partner[str(one.uuid)], log.partner[str(other.uuid)] = str(other.uuid), str(one.uuid)
                return super().recombine(one, other)

        return Logged(**options)

    def parents(self, uuid: str) -> list[str]:
        return [self.clones[uuid], *([self.clones[self.partner[uuid]]] if uuid in self.partner else [])]


def test_parents_are_a_multiset_and_agree_with_leap(begin: Begin) -> None:
    seed(1)
    run, log, of_leap = begin(), Apart(), {}
    watched = pipeline()
    watched[3] = log.crossover(p_xover=0.6)

    def note(population: list[Any]) -> list[Any]:
        of_leap.update({str(each.uuid): set(map(str, each.parents)) for each in population})
        return population

    tracker = Tracker(run.recorder, generational_ea, success=lambda best: best.fitness == 8)
    representation = Representation(create_binary_sequence(8), individual_cls=log.individuals())
    final = tracker(**arguments(8, pipeline=[*watched, note], representation=representation))
    populations = run.populations
    check_laws(populations)
    assert [len(each) for each in populations] == [SIZE] * 9
    assert [row["uuid"] for row in populations[-1]] == [str(each.uuid) for each in final]
    assert [row["gene_instruction"] for row in populations[-1]] == [
        [json.dumps(bool(bit)) for bit in each.genome] for each in final
    ]
    assert [row["total_error"] for row in populations[-1]] == [-each.fitness for each in final]
    twice = made = 0
    for population in populations[1:]:
        for row in population:
            if row["parent_uuids"] == [row["uuid"]]:
                continue
            made += 1
            assert Counter(row["parent_uuids"]) == Counter(log.parents(row["uuid"]))
            assert set(row["parent_uuids"]) == of_leap[row["uuid"]]
            assert row["genetic_operators"].count("Logged") == (row["uuid"] in log.partner)
            twice += len(row["parent_uuids"]) > len(set(row["parent_uuids"]))
    assert made > 60
    assert twice > 0, "LEAP's set would have hidden that both parents were one"
    operators = Counter(operator for each in populations[1:] for row in each for operator in row["genetic_operators"])
    assert set(operators) == {"Logged", "mutate_bitflip", "reproduction"}


def test_a_tracker_changes_nothing_of_a_run(begin: Begin) -> None:
    found = []
    for tracked in (False, True):
        seed(2)
        evolve = Tracker(begin().recorder, generational_ea) if tracked else generational_ea
        found.append([each.genome.tolist() for each in evolve(**arguments())])
    assert found[0] == found[1]


def test_the_elite_stays_with_its_uuid_and_grows_old(begin: Begin) -> None:
    seed(3)
    run = begin()
    Tracker(run.recorder, generational_ea)(**arguments(8, k_elites=3))
    stood = Counter(row["uuid"] for each in run.populations for row in each)
    assert max(stood.values()) > 2
    assert max(row["age"] for row in run.populations[-1]) >= 1


@pytest.mark.parametrize(("goal", "outcome"), [(8, "success"), (9, "failure")])
def test_an_algorithm_ends_with_an_outcome(begin: Begin, goal: int, outcome: str) -> None:
    seed(4)
    run = begin()
    tracker = Tracker(
        run.recorder, generational_ea, success=lambda best: best.fitness >= goal, test_errors=lambda best: [9]
    )
    tracker(**arguments(30, stop=lambda population: max(population).fitness >= goal))
    outcomes = [row["outcome"] for row in run.generations]
    assert outcomes[-1] == outcome
    assert set(outcomes[:-1]) == {"continue"}
    assert [row["best_test_errors"] for row in run.generations] == [[9.0]] * len(outcomes)
    if outcome == "success":
        assert len(outcomes) < 31


def test_errors_of_cases_are_recorded_beside_the_fitness(begin: Begin) -> None:
    seed(5)
    run = begin()
    Tracker(run.recorder, generational_ea, errors=lambda each: ~each.genome)(**arguments(1))
    for row in run.populations[-1]:
        assert row["errors"] == [float(bit == "false") for bit in row["gene_instruction"]]
        assert row["total_error"] == sum(row["errors"]) == 8 + row["weighted_error"]


def test_real_genomes_that_are_minimised(begin: Begin) -> None:
    seed(6)
    run = begin()
    operators = [
        ops.tournament_selection, ops.clone, mutate_gaussian(std=0.1, expected_num_mutations=1),
        ops.NAryCrossover(num_points=1, p_xover=0.5), ops.evaluate, ops.pool(size=SIZE),
    ]  # fmt: skip
    representation = Representation(create_real_vector([(-1, 1)] * 3))
    options = {"problem": SpheroidProblem(maximize=False), "representation": representation, "pipeline": operators}
    final = Tracker(run.recorder, generational_ea)(**arguments(3, **options))
    check_laws(run.populations)
    assert [row["total_error"] for row in run.populations[-1]] == [each.fitness for each in final]
    assert run.generations[-1]["best_total_error"] == min(each.fitness for each in final)


class NearAndFar(MultiObjectiveProblem):
    def __init__(self) -> None:
        super().__init__(maximize=(False, True))

    def evaluate(self, phenome: Any) -> Any:
        return np.array([abs(phenome[0]), abs(phenome[1])])


def test_several_objectives(begin: Begin) -> None:
    seed(7)
    run = begin()
    operators = [
        ops.random_selection, ops.clone, mutate_gaussian(std=0.5, expected_num_mutations=1),
        ops.evaluate, ops.pool(size=SIZE),
    ]  # fmt: skip
    final = Tracker(run.recorder, generalized_nsga_2)(
        max_generations=3, pop_size=SIZE, problem=NearAndFar(), pipeline=operators,
        representation=Representation(create_real_vector([(-10, 10)] * 2)),
    )  # fmt: skip
    check_laws(run.populations)
    assert [row["errors"] for row in run.populations[-1]] == [[each.fitness[0], -each.fitness[1]] for each in final]


def test_islands_are_one_run_with_migrants(begin: Begin) -> None:
    seed(8)
    run = begin()
    migrate = ops.migrate(nx.complete_graph(2), ops.tournament_selection, ops.random_selection, migration_gap=1)
    final = Tracker(run.recorder, multi_population_ea)(
        max_generations=6, num_populations=2, pop_size=SIZE, problem=MaxOnes(),
        representation=Representation(create_binary_sequence(8)), shared_pipeline=[*pipeline(), migrate],
    )  # fmt: skip
    populations = run.populations
    assert [len(each) for each in populations] == [2 * SIZE] * 7
    islands = [[json.loads(row["extra"])["island"] for row in each] for each in populations]
    assert islands == [[0] * SIZE + [1] * SIZE] * 7
    assert [row["uuid"] for row in populations[-1]] == [str(each.uuid) for island in final for each in island]
    where = {
        row["uuid"]: (g, location // SIZE) for g, each in enumerate(populations) for location, row in enumerate(each)
    }
    migrants = [row for each in populations for row in each if row["genetic_operators"] == ["migration"]]
    assert migrants
    for row in migrants:
        if row["parent_uuids"][0] in where:
            assert where[row["parent_uuids"][0]][1] != where[row["uuid"]][1]
    others = [row for each in populations[1:] for row in each if row["genetic_operators"] != ["migration"]]
    assert sum(set(row["parent_uuids"]) <= set(where) for row in others) > 0.9 * len(others)


def ones(genome: Any) -> Any:
    return int(np.sum(genome))


class Elsewhere:
    """Evaluates in other processes, by whole individuals that travel there and back."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def __call__(self, individuals: Iterator[Any]) -> Any:
        there = [next(individuals) for _ in range(SIZE)]
        return list(self._executor.map(evaluated, there))


def evaluated(individual: Any) -> Any:
    individual.evaluate()
    return individual


def test_evaluation_in_other_processes(begin: Begin) -> None:
    seed(9)
    run = begin()
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as executor:
        operators = [*pipeline()[:-2], Elsewhere(executor)]
        Tracker(run.recorder, generational_ea)(**arguments(3, pipeline=operators))
    check_laws(run.populations)
    assert all(len(row["parent_uuids"]) >= 1 for row in run.populations[-1])


def test_a_loop_of_ones_own(begin: Begin) -> None:
    seed(10)
    run = begin()
    tracker = Tracker(run.recorder, generations=4)
    representation = Representation(create_binary_sequence(8))
    parents = Individual.evaluate_population(representation.create_population(SIZE, MaxOnes()))
    operators = tracker.pipeline(pipeline())
    tracker.update(parents)
    for _ in range(4):
        parents = pipe(parents, *operators)
        tracker.update(pickle.loads(pickle.dumps(parents)))
        parents = ops.truncation_selection(parents, size=SIZE)
    assert [row["outcome"] for row in run.generations] == ["continue"] * 4 + ["failure"]
    assert {row["uuid"] for row in run.populations[2]} & {row["uuid"] for row in run.populations[1]} == set()
    with pytest.raises(InvalidInput, match="made without an algorithm"):
        tracker()


def test_without_a_watched_pipeline_the_operators_are_not_known(begin: Begin) -> None:
    seed(11)
    run = begin()
    tracker = Tracker(run.recorder)
    representation = Representation(create_binary_sequence(8))
    parents = Individual.evaluate_population(representation.create_population(SIZE, MaxOnes()))
    tracker.update(parents)
    children = pipe(parents, *pipeline(p_xover=1.0))
    tracker.update(children)
    for row, child in zip(run.populations[1], children, strict=True):
        assert row["genetic_operators"] is None
        assert set(row["parent_uuids"]) == set(map(str, child.parents))


def test_what_cannot_be_followed_is_refused(begin: Begin, tmp_path: Any) -> None:
    with pytest.raises(InvalidInput, match=r"random_pipe was given no pipeline; valid is .* leap_ec 0.8"):
        Tracker(begin().recorder, lambda x: x, describe=None).__class__(begin().recorder, random_pipe)(3)
    with (
        pytest.raises(InvalidInput, match="3 was given; valid is an algorithm"),
        gpdata.record_leap(3, tmp_path / "lake"),
    ):
        pass
    assert not (tmp_path / "lake").exists()


def random_pipe(x: int) -> int:
    return x


def test_random_search_is_a_run_of_single_individuals(begin: Begin) -> None:
    seed(12)
    run = begin()
    tracker = Tracker(run.recorder, random_search)
    operators = [
        ops.cyclic_selection,
        ops.clone,
        mutate_bitflip(expected_num_mutations=1),
        ops.evaluate,
        ops.pool(size=1),
    ]
    tracker(5, MaxOnes(), Representation(create_binary_sequence(8)), operators)
    assert [len(each) for each in run.populations][:-1] == [1] * 4
