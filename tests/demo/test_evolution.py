"""The demo's problem, its lexicase selection, and runs that repeat themselves to the byte."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from deap import base, gp, tools

import gpdata
from gpdata.demo import problem
from gpdata.demo.evolution import SELECTIONS, Plan, evolve, lexicase
from gpdata.demo.runs import run_demo
from gpdata.errors import InvalidInput
from gpdata.lake import Lake

TINY = {"population_size": 30, "max_generations": 3}
SOLUTION = "if_less(score, low, 0, if_less(score, middle, 1, if_less(score, high, 2, 3)))"


def program(text: str) -> gp.PrimitiveTree:
    return gp.PrimitiveTree.from_string(text, problem.primitives())


def test_the_problem_can_be_solved_and_its_cases_are_right() -> None:
    for inputs, answers in problem.cases():
        for *thresholds, score, answer in zip(*inputs, answers, strict=True):
            assert thresholds == sorted(thresholds, reverse=True)
            assert answer == len([threshold for threshold in thresholds if score >= threshold])
        assert not problem.errors(program(SOLUTION), (inputs, answers)).any()


def test_errors_agree_with_deaps_own_compiler() -> None:
    random.seed(1)
    primitives = problem.primitives()
    primitives.context["if_less"] = lambda a, b, then, otherwise: then if a < b else otherwise
    (inputs, answers), _ = problem.cases()
    for _ in range(20):
        tree = gp.PrimitiveTree(gp.genHalfAndHalf(primitives, 0, 3))
        function = gp.compile(tree, primitives)
        expected = [int(function(*case) != answer) for *case, answer in zip(*inputs, answers, strict=True)]
        assert problem.errors(tree, (inputs, answers)).tolist() == expected


def test_lexicase_selects_with_the_exact_probabilities() -> None:
    vectors = [(0, 1, 1), (1, 0, 1), (1, 0, 1), (1, 1, 0), (0, 0, 2), (2, 2, 2)]
    population = [SimpleNamespace(errors=np.array(vector), name=n) for n, vector in enumerate(vectors)]
    expected: Counter[int] = Counter()
    orders = list(itertools.permutations(range(3)))
    for order in orders:
        left = list(range(len(vectors)))
        for case in order:
            least = min(vectors[n][case] for n in left)
            left = [n for n in left if vectors[n][case] == least]
        for n in left:
            expected[n] += 1 / len(left) / len(orders)
    random.seed(2)
    drawn = 20_000
    found = Counter(each.name for each in lexicase(population, drawn))
    assert set(found) == set(expected)
    for name, probability in expected.items():
        assert found[name] / drawn == pytest.approx(probability, abs=5 * (probability / drawn) ** 0.5)


def test_lexicase_agrees_with_deap() -> None:
    class Cases(base.Fitness):
        weights = (-1.0,) * 4

    random.seed(3)
    population = []
    for name in range(8):
        errors = np.array([random.randint(0, 2) for _ in range(4)])
        fitness = Cases()
        fitness.values = errors
        population.append(SimpleNamespace(errors=errors, fitness=fitness, name=name))
    counts = [Counter(each.name for each in select(population, 20_000)) for select in (lexicase, tools.selLexicase)]
    assert set(counts[0]) == set(counts[1])
    for name in counts[0]:
        assert counts[0][name] == pytest.approx(counts[1][name], abs=600)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_run_is_recorded_and_repeats_itself(tmp_path: Path, selection: str) -> None:
    plan = Plan(selection, 1, **TINY)
    account = evolve(tmp_path, plan)
    assert (account.runs, account.generations, account.individuals) == (1, 4, 120)
    again = evolve(tmp_path, plan)
    assert (again.duplicates, again.accepted, again.quarantined) == (4, 0, 0)
    other = evolve(tmp_path, Plan(selection, 2, **TINY))
    assert other.runs == 1
    lab = gpdata.open(tmp_path)
    assert lab.sql(
        'select distinct system, problem, label, "parent-selection", "population-size", config_id is null from runs'
    ).fetchall() == [("deap", "grade", "demo", selection, "30", False)]
    assert lab.sql("select count(distinct config_id) from runs").fetchall() == [(1,)]
    assert lab.sql("select outcome, count(*) from generations where generation = 3 group by all").fetchall() == [
        ("failure", 2)
    ]
    # The best's errors on the test cases are those of its program.
    for text, recorded in lab.sql("select best_program, best_test_errors from generations").fetchall():
        assert recorded == problem.errors(program(text), problem.cases()[1]).tolist()
    lost = """select count(*) from (select run_uuid, generation, unnest(parent_uuids) as parent from individuals) c
              anti join individuals p on p.run_uuid = c.run_uuid and p.generation = c.generation - 1
              and p.uuid = c.parent"""
    assert lab.sql(lost).fetchall() == [(0,)]


def test_a_run_that_is_solved_ends_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.demo.evolution.tools.initIterate", lambda kind, _: kind(program(SOLUTION)))
    evolve(tmp_path, Plan("lexicase", 1, **TINY))
    rows = gpdata.open(tmp_path).sql("select generation, outcome, list_sum(best_test_errors) from generations")
    assert rows.fetchall() == [(0, "success", 0)]


def test_a_run_does_not_depend_on_hash_seeds(tmp_path: Path) -> None:
    code = (
        "import sys; from gpdata.demo.evolution import Plan, evolve;"
        "evolve(sys.argv[1], Plan('lexicase', 5, population_size=40, max_generations=3))"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True)
    assert gpdata.open(tmp_path).sql("select count(*) from generations").fetchall() == [(4,)]
    assert list(Lake.open(tmp_path).quarantine.entries()) == []


def test_run_demo_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="is a file"):
        run_demo(tmp_path / "file", seeds=[1])
