"""The Tracker on real DEAP runs: parents against DEAP's own History, and laws that hold for every run."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from deap import algorithms, tools

from gpdata.upload import seeded_uuids
from gpdata.upload.adapters.deap import Tracker
from tests.upload.deap_runs import (
    Begin,
    check_laws_of_a_generational_run,
    errors,
    limit,
    simple,
    tree_toolbox,
    uuids,
)


@pytest.mark.parametrize("limited", ["not limited", "limited before", "limited after"])
def test_every_parent_lived_in_the_generation_before(begin: Begin, limited: str) -> None:
    random.seed(2)
    run, toolbox = begin(), tree_toolbox()
    if limited == "limited before":
        limit(toolbox)
    tracker = Tracker(run.recorder, toolbox, errors=errors, generations=6)
    if limited == "limited after":
        limit(toolbox)
    population = toolbox.population(n=40)
    simple(population, toolbox, 6, halloffame=tracker)
    populations = run.populations
    assert [len(each) for each in populations] == [40] * 7
    check_laws_of_a_generational_run(populations)
    for row, tree in zip(populations[-1], population, strict=True):
        assert row["program"] == str(tree)
        assert row["program_size"] == row["genome_size"] == len(tree)
        assert row["errors"] == pytest.approx(errors(tree))
        assert row["total_error"] == pytest.approx(tree.fitness.values[0])
        assert row["weighted_error"] == pytest.approx(tree.fitness.values[0])
    assert {row["extra"] for each in populations for row in each} == {None}
    assert [(row["extra"], row["flags"]) for row in run.generations] == [(None, [])] * 7
    mates = Counter(tuple(row["genetic_operators"]) for each in populations[1:] for row in each)
    assert len(mates) == 4


@pytest.mark.parametrize("first", ["history first", "tracker first"])
def test_parents_agree_with_the_history_of_deap(begin: Begin, first: str) -> None:
    random.seed(3)
    run, toolbox, history = begin(), tree_toolbox(), tools.History()

    def track() -> Tracker:
        return Tracker(run.recorder, toolbox, describe=lambda tree: {"history": {"index": tree.history_index}})

    def decorate() -> None:
        toolbox.decorate("mate", history.decorator)
        toolbox.decorate("mutate", history.decorator)

    if first == "history first":
        decorate()
    tracker = track()
    if first == "tracker first":
        decorate()
    population = toolbox.population(n=30)
    history.update(population)
    simple(population, toolbox, 5, halloffame=tracker)

    populations = run.populations
    index_of = {row["uuid"]: json.loads(row["extra"])["history"]["index"] for each in populations for row in each}
    for before, now in itertools.pairwise(populations):
        alive = {index_of[uuid] for uuid in uuids(before)}

        def parents(index: int, alive: set[int] = alive) -> list[int]:
            if index in alive:
                return [index]
            return [parent for step in history.genealogy_tree[index] for parent in parents(step)]

        for row in now:
            assert Counter(parents(index_of[row["uuid"]])) == Counter(map(index_of.get, row["parent_uuids"]))


def test_a_tracker_changes_nothing_of_a_run(begin: Begin) -> None:
    found = []
    for tracked in (False, True):
        random.seed(4)
        toolbox, hall = tree_toolbox(), tools.HallOfFame(3)
        statistics = tools.Statistics(lambda tree: tree.fitness.values[0])
        statistics.register("min", min)
        population = toolbox.population(n=30)
        watcher = Tracker(begin().recorder, toolbox, hall_of_fame=hall) if tracked else hall
        _, logbook = simple(population, toolbox, 5, halloffame=watcher, stats=statistics)
        found.append(([str(tree) for tree in population], [str(tree) for tree in hall], list(logbook)))
    assert found[0] == found[1]


def test_a_seeded_run_is_the_same_to_the_byte(begin: Begin) -> None:
    from datetime import UTC, datetime

    lines = []
    for _ in range(2):
        random.seed(5)
        run = begin(uuids=seeded_uuids(5), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        toolbox = tree_toolbox()
        tracker = Tracker(run.recorder, toolbox)
        simple(toolbox.population(n=20), toolbox, 4, halloffame=tracker)
        lines.append(run.lines)
    assert lines[0] == lines[1]


def test_offspring_of_mu_plus_lambda(begin: Begin) -> None:
    random.seed(6)
    run, toolbox = begin(), tree_toolbox()
    tracker = Tracker(run.recorder, toolbox)
    algorithms.eaMuPlusLambda(toolbox.population(n=20), toolbox, 20, 30, 0.4, 0.3, 8, halloffame=tracker, verbose=False)
    populations = run.populations
    assert [len(each) for each in populations] == [20] + [30] * 8
    before: dict[str, str] = {}
    again = 0
    for population in populations:
        for row in population:
            if row["uuid"] in before:
                again += 1
                assert before[row["uuid"]] == row["program"]
                assert (row["parent_uuids"], row["genetic_operators"]) == ([row["uuid"]], ["reproduction"])
            else:
                assert set(row["parent_uuids"] or []) <= set(before)
        before |= {row["uuid"]: row["program"] for row in population}
    assert again > 0


@pytest.mark.parametrize("algorithm", [algorithms.eaMuPlusLambda, algorithms.eaMuCommaLambda])
def test_selected_populations_of_mu_and_lambda(begin: Begin, algorithm: Callable[..., Any]) -> None:
    random.seed(7)
    run, toolbox = begin(), tree_toolbox()
    toolbox.register("select", tools.selBest)
    tracker = Tracker(run.recorder, toolbox)
    statistics = tools.Statistics(lambda tree: tree.fitness.values[0])
    statistics.register("best", min)
    population, logbook = algorithm(
        toolbox.population(n=20),
        toolbox,
        20,
        40,
        0.5,
        0.4,
        8,
        stats=tracker.statistics(statistics),
        verbose=False,
    )
    populations = run.populations
    assert [len(each) for each in populations] == [20] * 9
    assert logbook.select("best") == [row["best_total_error"] for row in run.generations]
    assert [row["program"] for row in populations[-1]] == [str(tree) for tree in population]
    made_in: dict[str, int] = {row["uuid"]: 0 for row in populations[0]}
    for number, (before, now) in enumerate(itertools.pairwise(populations), 1):
        alive = set(uuids(before))
        for row in now:
            assert set(row["parent_uuids"]) <= alive
            if row["uuid"] in alive:
                assert row["parent_uuids"] == [row["uuid"]]
            assert row["age"] == number - made_in.setdefault(row["uuid"], number)
    survived = Counter(uuid for each in populations for uuid in set(uuids(each))).values()
    assert max(survived) > 2
