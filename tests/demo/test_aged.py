"""Age-fitness Pareto optimisation: ages are inherited, newcomers come in, and who is beaten leaves."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gpdata
from gpdata.demo.aged import NAME, inherit, survivors
from gpdata.demo.evolution import Plan, evolve


def individual(age: int, error: float) -> Any:
    return SimpleNamespace(age=age, fitness=SimpleNamespace(wvalues=(-error,)))


def front(pool: list[Any]) -> set[tuple[int, float]]:
    """Return age and error of those whom nobody beats, by the definition."""
    pairs = {(each.age, -each.fitness.wvalues[0]) for each in pool}
    return {pair for pair in pairs if not any(o != pair and o[0] <= pair[0] and o[1] <= pair[1] for o in pairs)}


@pytest.mark.parametrize("seed", range(20))
def test_the_front_survives_where_there_is_room(seed: int) -> None:
    source = random.Random(seed)
    pool = [individual(source.randrange(8), source.randrange(50)) for _ in range(60)]
    random.seed(seed)
    left = survivors(pool, 20)
    assert len(left) == 20
    assert len({id(each) for each in left}) == 20
    assert all(any(each is other for other in pool) for each in left)
    assert front(pool) <= {(each.age, -each.fitness.wvalues[0]) for each in left}


def test_where_nobody_beats_another_the_greatest_errors_leave() -> None:
    random.seed(1)
    pool = [individual(age, 10 - age) for age in range(10)]
    assert [each.age for each in survivors(pool, 4)] == [9, 8, 7, 6]


def test_children_are_as_old_as_the_older_parent() -> None:
    children = inherit(lambda first, second: (second, first))(individual(3, 0), individual(8, 0))
    assert [child.age for child in children] == [8, 8]


def test_a_run_records_true_ages(tmp_path: Path) -> None:
    evolve(tmp_path, Plan(NAME, 1, population_size=30, max_generations=12))
    rows = gpdata.to_pandas(gpdata.open(tmp_path).individuals).to_dict("records")
    assert {row["generation"] for row in rows} == set(range(13))
    ages: dict[tuple[int, str], float] = {}
    for row in sorted(rows, key=lambda row: row["generation"]):
        parents = row["parent_uuids"]
        if row["generation"] == 0:
            assert parents is None
        else:
            known = [ages[row["generation"] - 1, parent] for parent in parents]
            assert row["age"] == max(known, default=-1) + 1
            assert (len(parents) == 0) == (list(row["genetic_operators"]) == ["genesis"])
        ages[row["generation"], row["uuid"]] = row["age"]
    assert sum(row["generation"] > 0 and row["age"] == 0 for row in rows) == 12
