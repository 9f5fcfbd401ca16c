"""What a tracked run of DEAP says of itself, and the ways in which runs are made."""

from __future__ import annotations

import array
import copy
import json
import math
import operator
import pickle
import random
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from deap import algorithms, base, creator, gp, tools

from gpdata.errors import InvalidInput
from gpdata.upload.adapters.deap import Solved, Tracker
from gpdata.upload.adapters.deap_code import code
from tests.upload.deap_runs import (
    PRIMITIVES,
    Begin,
    check_laws_of_a_generational_run,
    simple,
    uuids,
)


def bits_toolbox() -> Any:
    toolbox = base.Toolbox()
    toolbox.register("individual", tools.initRepeat, creator.Bits, partial(random.randint, 0, 1), 12)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", lambda bits: (sum(bits),))
    toolbox.register("select", tools.selTournament, tournsize=3)
    toolbox.register("mate", tools.cxTwoPoint)
    toolbox.register("mutate", tools.mutFlipBit, indpb=0.05)
    return toolbox


def test_what_is_maximised_counts_negatively(begin: Begin) -> None:
    random.seed(8)
    run, toolbox = begin(), bits_toolbox()
    tracker = Tracker(run.recorder, toolbox, generations=2)
    population = toolbox.population(n=20)
    simple(population, toolbox, 2, halloffame=tracker)
    rows = run.populations[-1]
    assert [row["total_error"] for row in rows] == [-sum(bits) for bits in population]
    assert [row["errors"] for row in rows] == [[-sum(bits)] for bits in population]
    assert [row["gene_instruction"] for row in rows] == [list(map(str, bits)) for bits in population]
    assert rows[0]["program"] is rows[0]["program_size"] is rows[0]["weighted_error"] is None
    assert run.generations[-1]["best_total_error"] == -max(map(sum, population))


def test_outcomes_follow_the_best(begin: Begin) -> None:
    random.seed(9)
    run, toolbox = begin(), bits_toolbox()
    tracker = Tracker(
        run.recorder,
        toolbox,
        errors=lambda bits: [1 - bit for bit in bits],
        test_errors=lambda bits: np.array([1 - bits[0]]),
        success=lambda bits: all(bits),
        generations=30,
    )
    simple(toolbox.population(n=40), toolbox, 30, halloffame=tracker)
    generations = run.generations
    solved = [row["best_total_error"] == 0 for row in generations]
    first = solved.index(True)
    assert 0 < first < 30
    assert [row["outcome"] for row in generations] == ["continue"] * first + ["success"] * (31 - first)
    assert generations[first]["best_test_errors"] == [0.0]


def test_a_run_can_stop_at_its_success(begin: Begin) -> None:
    random.seed(9)
    run, toolbox, hall = begin(), bits_toolbox(), tools.HallOfFame(1)
    tracker = Tracker(
        run.recorder, toolbox, success=lambda bits: all(bits), generations=30, stop=True, hall_of_fame=hall
    )
    with pytest.raises(Solved):
        simple(toolbox.population(n=40), toolbox, 30, halloffame=tracker)
    outcomes = [row["outcome"] for row in run.generations]
    assert outcomes == ["continue"] * (len(outcomes) - 1) + ["success"]
    assert len(outcomes) < 31
    assert all(hall[0])


@pytest.mark.parametrize(("generations", "last"), [(3, "failure"), (None, "continue")])
def test_a_run_that_is_not_solved(begin: Begin, generations: int | None, last: str) -> None:
    random.seed(10)
    run, toolbox = begin(), bits_toolbox()
    tracker = Tracker(run.recorder, toolbox, success=lambda bits: False, generations=generations)
    simple(toolbox.population(n=10), toolbox, 3, halloffame=tracker)
    assert [row["outcome"] for row in run.generations] == ["continue"] * 3 + [last]


def test_several_weights_and_values_that_are_no_numbers(begin: Begin) -> None:
    run, toolbox = begin(), base.Toolbox()
    tracker = Tracker(run.recorder, toolbox, operators=())
    population = [creator.Pair([n]) for n in range(4)]
    for pair, values in zip(population, [(math.nan, 1), (3, 2), (2, 0), None], strict=True):
        if values is not None:
            pair.fitness.values = values
    tracker.update(population)
    ((row, *_),) = [run.generations]
    rows = run.populations[0]
    assert [each["total_error"] for each in rows[1:]] == [2.0, 2.0, None]
    assert math.isnan(rows[0]["total_error"])
    assert [each["errors"] for each in rows[1:]] == [[3.0, -1.0], [2.0, 0.0], None]
    assert math.copysign(1, rows[2]["errors"][1]) == 1
    assert (row["best_location"], row["best_total_error"]) == (1, 2.0)


def test_loops_of_ones_own(begin: Begin) -> None:
    """Operators in place, results ignored, operators that return nothing, individuals that nobody cloned."""
    random.seed(11)
    run, toolbox = begin(), bits_toolbox()
    toolbox.register("flip", lambda bits: bits.__setitem__(0, 1 - bits[0]))
    tracker = Tracker(run.recorder, toolbox, operators=("mate", "mutate", "flip"))
    a, b, c, d = population = toolbox.population(n=4)
    tracker.update(population)
    first = uuids(run.populations[0])

    copied = [toolbox.clone(each) for each in (a, a, b)]
    toolbox.mate(copied[0], copied[1])
    toolbox.mate(copied[1], copied[2])
    toolbox.flip(copied[2])
    toolbox.mutate(d)
    newcomer = toolbox.individual()
    toolbox.mutate(newcomer)
    tracker.update([*copied, c, c, copy.deepcopy(b), d, newcomer, toolbox.clone(toolbox.clone(a))])
    rows = run.populations[1]
    u, v, w, x = first
    assert [(row["parent_uuids"], row["genetic_operators"]) for row in rows] == [
        ([u, u], ["mate"]),
        ([u, u, v], ["mate", "mate"]),
        ([u, u, v], ["mate", "mate", "flip"]),
        ([w], ["reproduction"]),
        ([w], ["reproduction"]),
        ([v], ["reproduction"]),
        ([x], ["mutate"]),
        (None, ["random"]),
        ([u], ["reproduction"]),
    ]
    assert uuids(rows)[3:6] == [w, w, v]
    assert len({*uuids(rows)[:3], *uuids(rows)[6:]} - set(first)) == 6


def test_copies_behind_the_toolbox_are_individuals_of_their_own(begin: Begin) -> None:
    run, toolbox = begin(), bits_toolbox()
    tracker = Tracker(run.recorder, toolbox)
    population = toolbox.population(n=1)
    tracker.update(population)
    child = toolbox.clone(population[0])
    tracker.update([child, copy.deepcopy(child), child])
    one, two, three = run.populations[1]
    assert one["parent_uuids"] == two["parent_uuids"] == uuids(run.populations[0])
    assert one["uuid"] == three["uuid"] != two["uuid"]


def test_evaluation_in_other_processes(begin: Begin) -> None:
    random.seed(12)
    run, toolbox = begin(), bits_toolbox()
    toolbox.register("evaluate", count)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        toolbox.register("map", executor.map)
        tracker = Tracker(run.recorder, toolbox)
        simple(toolbox.population(n=10), toolbox, 3, halloffame=tracker)
    check_laws_of_a_generational_run(run.populations)


def count(bits: list[int]) -> tuple[int]:
    return (sum(bits),)


@pytest.mark.parametrize("kind", ["Tree", "Bits", "Doubles", "Vector"])
def test_individuals_that_went_through_pickle_keep_their_lineage(begin: Begin, kind: str) -> None:
    random.seed(13)
    run, toolbox = begin(), base.Toolbox()
    toolbox.register("mutate", lambda each: (each,))
    tracker = Tracker(run.recorder, toolbox, operators=("mutate",))
    content = gp.genFull(PRIMITIVES, 1, 2) if kind == "Tree" else [1, 0, 1]
    ancestor = getattr(creator, kind)(content)
    tracker.update([ancestor])
    (child,) = toolbox.mutate(toolbox.clone(ancestor))
    tracker.update([pickle.loads(pickle.dumps(child)), pickle.loads(pickle.dumps(ancestor))])
    (first,), (mutant, survivor) = run.populations
    assert mutant["parent_uuids"] == survivor["parent_uuids"] == [first["uuid"]]
    assert (mutant["genetic_operators"], survivor["uuid"]) == (["mutate"], first["uuid"])


def test_islands_exchange_individuals(begin: Begin) -> None:
    runs = [begin(), begin()]
    toolboxes = [bits_toolbox(), bits_toolbox()]
    trackers = [Tracker(run.recorder, toolbox) for run, toolbox in zip(runs, toolboxes, strict=True)]
    here, there = ([toolbox.individual() for _ in range(2)] for toolbox in toolboxes)
    trackers[0].update(here)
    trackers[1].update(there)
    migrant = pickle.loads(pickle.dumps(here[0]))
    child = toolboxes[1].clone(migrant)
    trackers[1].update([migrant, child])
    came, born = runs[1].populations[1]
    assert came["uuid"] == runs[0].populations[0][0]["uuid"]
    assert (came["parent_uuids"], came["genetic_operators"]) == ([], ["migration"])
    assert (born["parent_uuids"], born["genetic_operators"]) == ([came["uuid"]], ["reproduction"])
    assert came["age"] == born["age"] == 0


def test_one_toolbox_serves_one_run_after_another(begin: Begin) -> None:
    random.seed(14)
    toolbox = bits_toolbox()
    for _ in range(3):
        run = begin()
        with run.recorder as recorder:
            tracker = Tracker(recorder, toolbox)
            with pytest.raises(InvalidInput, match="build a toolbox for each run"):
                Tracker(begin().recorder, toolbox)
            simple(toolbox.population(n=10), toolbox, 3, halloffame=tracker)
        check_laws_of_a_generational_run(run.populations)


def test_a_toolbox_without_the_operator(begin: Begin) -> None:
    with pytest.raises(InvalidInput, match="has no operator 'mate'; register it"):
        Tracker(begin().recorder, base.Toolbox())


def test_a_strategy_that_generates_individuals(begin: Begin) -> None:
    run, toolbox = begin(), base.Toolbox()
    toolbox.register("generate", lambda: [creator.Doubles([random.gauss(0, 1)]) for _ in range(5)])
    toolbox.register("update", lambda population: None)
    toolbox.register("evaluate", lambda each: (abs(each[0]),))
    tracker = Tracker(run.recorder, toolbox, generations=2, operators=())
    algorithms.eaGenerateUpdate(toolbox, 3, halloffame=tracker, verbose=False)
    assert [row["outcome"] for row in run.generations] == ["continue", "continue", "failure"]
    assert {tuple(row["genetic_operators"]) for each in run.populations for row in each} == {("random",)}


def test_more_can_be_said_of_an_individual(begin: Begin) -> None:
    run, toolbox = begin(), bits_toolbox()
    told = {"genome": ["a"], "behaviors": [1, "x"], "age": 9, "depth": 3}
    Tracker(run.recorder, toolbox, describe=lambda bits: told).update(toolbox.population(n=1))
    ((row,),) = run.populations
    assert (row["gene_instruction"], row["behaviors"], row["age"]) == (["a"], ["1", '"x"'], 9.0)
    assert json.loads(row["extra"]) == {"depth": 3}


def test_a_success_in_the_last_generation_is_a_success(begin: Begin) -> None:
    run, toolbox = begin(), bits_toolbox()
    tracker = Tracker(run.recorder, toolbox, success=lambda bits: True, generations=0, stop=True)
    population = toolbox.population(n=1)
    population[0].fitness.values = (3,)
    with suppress(Solved):
        tracker.update(population)
    assert [row["outcome"] for row in run.generations] == ["success"]


def test_code_of_every_kind_of_individual() -> None:
    typed = gp.PrimitiveSetTyped("MAIN", [bool, float], bool)
    typed.addPrimitive(operator.and_, [bool, bool], bool)
    typed.addPrimitive(operator.lt, [float, float], bool)
    typed.addTerminal(True, bool)
    typed.addTerminal(2.5, float)
    typed.addTerminal(np.float64(0.5), float)
    typed.addTerminal(math.pi, float, name="pi")
    tree = gp.PrimitiveTree.from_string("and_(lt(ARG1, pi), and_(True, lt(2.5, ARG1)))", typed)
    genes = ["and_", "lt", "ARG1", "pi", "and_", True, "lt", 2.5, "ARG1"]
    assert code(tree) == {"genome": genes, "program": str(tree), "program_size": 9}
    words = gp.PrimitiveSet("MAIN", 0)
    words.addTerminal("a word")
    word = gp.PrimitiveTree([words.terminals[object][0]])
    assert code(word)["genome"] == ["'a word'"]
    both = code([tree, word])
    assert both == {"genome": [*genes, "'a word'"], "program": [str(tree), str(word)], "program_size": 10}
    assert code(array.array("d", [1, 2])) == {"genome": [1.0, 2.0]}
    assert code(np.array([[1, 2]])) == {"genome": [[1, 2]]}
    assert code({30, 4, 100}) == {"genome": [4, 30, 100]}
    assert code([]) == {"genome": []}
    for other in ({"a": 1}, 3):
        with pytest.raises(InvalidInput, match="describe others with"):
            code(other)
