"""DEAP by `record_deap`: pools of processes, islands, and runs that break off."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deap import algorithms, base, creator, tools

import gpdata
from gpdata.errors import InvalidInput
from gpdata.lake import Lake, Transformer
from gpdata.upload.adapters.deap import Tracker
from tests.upload.adapters.laws import check_laws
from tests.upload.deap_runs import errors, simple, tree_toolbox, uuids

Begin = Callable[..., Any]


def count(bits: list[int]) -> tuple[int]:
    return (sum(bits),)


def bits_toolbox() -> Any:
    toolbox = base.Toolbox()
    toolbox.register("individual", tools.initRepeat, creator.Bits, lambda: random.randint(0, 1), 12)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", count)
    toolbox.register("select", tools.selTournament, tournsize=3)
    toolbox.register("mate", tools.cxTwoPoint)
    toolbox.register("mutate", tools.mutFlipBit, indpb=0.05)
    return toolbox


def test_a_run_by_the_with_statement(tmp_path: Path) -> None:
    random.seed(1)
    toolbox, best = tree_toolbox(), tools.HallOfFame(1)
    with gpdata.record_deap(
        toolbox, tmp_path / "lake", problem="quadratic", config={"seed": 1}, label="first", errors=errors,
        generations=40, success=lambda tree: max(errors(tree)) < 1e-9, stop=True, hall_of_fame=best,
    ) as hof:  # fmt: skip
        simple(toolbox.population(n=60), toolbox, 40, halloffame=hof)
        pytest.fail("stop=True leaves the block")
    assert hof.recorder.closed
    lab = gpdata.open(tmp_path / "lake")
    assert lab.sql("select system, problem, label, version is not null, seed from runs").fetchall() == [
        ("deap", "quadratic", "first", True, "1")
    ]
    outcomes = [outcome for (outcome,) in lab.sql("select outcome from generations order by generation").fetchall()]
    assert outcomes == ["continue"] * (len(outcomes) - 1) + ["success"]
    assert max(errors(best[0])) < 1e-9


@pytest.mark.parametrize("kind", ["Pool", "joblib"])
def test_individuals_are_evaluated_in_other_processes(begin: Begin, kind: str) -> None:
    random.seed(2)
    run, toolbox = begin(), bits_toolbox()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        if kind == "Pool":
            toolbox.register("map", pool.map)
        else:
            joblib = pytest.importorskip("joblib")

            def spread(function: Any, items: Any) -> list[Any]:
                parallel = joblib.Parallel(n_jobs=2, backend="multiprocessing")
                return parallel(joblib.delayed(function)(each) for each in items)

            toolbox.register("map", spread)
        tracker = Tracker(run.recorder, toolbox)
        population = toolbox.population(n=20)
        simple(population, toolbox, 4, halloffame=tracker)
    check_laws(run.populations)
    assert [row["total_error"] for row in run.populations[-1]] == [-sum(bits) for bits in population]


def whole(bits: Any) -> Any:
    bits.fitness.values = count(bits)
    return bits


def test_whole_individuals_that_come_back_from_a_process_are_the_same_ones(begin: Begin) -> None:
    random.seed(3)
    run, toolbox = begin(), bits_toolbox()
    tracker = Tracker(run.recorder, toolbox)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        population = pool.map(whole, toolbox.population(n=10))
        tracker.update(population)
        for _ in range(3):
            population = pool.map(whole, algorithms.varAnd(toolbox.select(population, 10), toolbox, 0.5, 0.5))
            tracker.update(population)
    check_laws(run.populations)


def test_a_process_that_evaluates_needs_no_gpdata(begin: Begin, tmp_path: Path) -> None:
    run, toolbox = begin(), bits_toolbox()
    tracker = Tracker(run.recorder, toolbox)
    population = toolbox.population(n=1)
    tracker.update(population)
    (tmp_path / "individual").write_bytes(pickle.dumps(vars(toolbox.clone(population[0]))["gpdata_lineage"]))
    code = "import pickle, sys; print(pickle.load(open('individual', 'rb'))[0]); assert 'gpdata' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(done.stdout.strip()) == 36


@pytest.mark.parametrize("replacement", [None, tools.selRandom])
def test_islands_are_one_run(begin: Begin, replacement: Any) -> None:
    random.seed(4)
    run, toolbox = begin(), bits_toolbox()
    toolbox.register("migrate", tools.migRing, k=2, selection=tools.selBest, replacement=replacement)
    tracker = Tracker(run.recorder, toolbox, generations=8)
    islands = [[whole(bits) for bits in toolbox.population(n=10)] for _ in range(3)]
    tracker.update_islands(islands)
    for generation in range(8):
        for island in islands:
            island[:] = [whole(bits) for bits in algorithms.varAnd(toolbox.select(island, 10), toolbox, 0.5, 0.2)]
        if generation % 2:
            toolbox.migrate(islands)
        tracker.update_islands(islands)
    check_laws(run.populations)
    assert [len(each) for each in run.populations] == [30] * 9
    lives = [[json.loads(row["extra"])["island"] for row in each] for each in run.populations]
    assert lives == [[0] * 10 + [1] * 10 + [2] * 10] * 9
    home = [dict(zip(uuids(each), lived, strict=True)) for each, lived in zip(run.populations, lives, strict=True)]
    abroad = sum(
        home[number][parent] != island
        for number, (each, lived) in enumerate(zip(run.populations[1:], lives[1:], strict=True))
        for row, island in zip(each, lived, strict=True)
        for parent in row["parent_uuids"]
    )
    assert abroad > 0
    assert run.generations[-1]["outcome"] == "failure"


def test_islands_that_exchange_now_and_then_are_linked_over_the_time_between(begin: Begin) -> None:
    random.seed(5)
    run, toolbox = begin(), bits_toolbox()
    tracker = Tracker(run.recorder, toolbox)
    islands = [toolbox.population(n=10) for _ in range(2)]
    tracker.update_islands(islands)
    for _ in range(3):
        for island in islands:
            island[:], _ = algorithms.eaSimple(island, toolbox, 0.5, 0.5, 3, verbose=False)
        tools.migRing(islands, 1, tools.selBest)
        tracker.update_islands(islands)
    for before, now in zip(run.populations, run.populations[1:], strict=False):
        for row in now:
            assert set(row["parent_uuids"]) <= set(uuids(before))


def test_an_exception_leaves_what_was_recorded(tmp_path: Path) -> None:
    random.seed(6)
    toolbox, calls = bits_toolbox(), 0

    def evaluate(bits: Any) -> tuple[int]:
        nonlocal calls
        calls += 1
        if calls > 50:
            raise RuntimeError("the laptop falls")
        return count(bits)

    toolbox.register("evaluate", evaluate)
    with pytest.raises(RuntimeError, match="falls"), gpdata.record_deap(toolbox, tmp_path / "lake") as hof:
        simple(toolbox.population(n=20), toolbox, 30, halloffame=hof)
    recorded = gpdata.open(tmp_path / "lake").sql("select count(*), max(outcome) from generations").fetchall()
    assert recorded[0][0] >= 2
    assert recorded[0][1] == "continue"


KILLED = """
import os, random, sys
sys.path[:0] = [{root!r}]
from tests.upload.adapters import test_deap
import gpdata
random.seed(7)
toolbox = test_deap.bits_toolbox()
def update(hof, population, seen=[]):
    type(hof).update(hof, population)
    seen.append(1)
    if len(seen) == 3:
        os.kill(os.getpid(), 9)
with gpdata.record_deap(toolbox, "lake") as hof:
    hof.update = lambda population: update(hof, population)
    test_deap.simple(toolbox.population(n=20), toolbox, 30, halloffame=hof)
"""


def test_a_killed_process_leaves_what_was_recorded(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(root=root)],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    lake = Lake.create(tmp_path / "lake")
    Transformer(lake).run(wait=None)
    lab = gpdata.open(tmp_path / "lake")
    assert lab.sql("select count(*), sum(population_size), max(outcome) from generations").fetchall() == [
        (3, 60, "continue")
    ]


def test_what_cannot_be_recorded_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidInput, match="has no operator 'mate'; register it before"),
        gpdata.record_deap(base.Toolbox(), tmp_path / "no"),
    ):
        pass
    for wrong, said in (({"system": "x"}, "recorded as 'deap'; leave it out"), ({"config": 3}, "config is a int")):
        with pytest.raises(InvalidInput, match=said), gpdata.record_deap(bits_toolbox(), tmp_path / "no", **wrong):
            pass
    assert not (tmp_path / "no").exists()
