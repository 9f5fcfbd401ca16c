"""Real runs of DEAP that several tests record."""

from __future__ import annotations

import array
import itertools
import math
import operator
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from deap import algorithms, base, creator, gp, tools

Begin = Callable[..., Any]

creator.create("LeastError", base.Fitness, weights=(-1.0,))
creator.create("MostOnes", base.Fitness, weights=(1.0,))
creator.create("Two", base.Fitness, weights=(-1.0, 0.5))
creator.create("Tree", gp.PrimitiveTree, fitness=creator.LeastError)
creator.create("Bits", list, fitness=creator.MostOnes)
creator.create("Doubles", array.array, typecode="d", fitness=creator.LeastError)
creator.create("Vector", np.ndarray, fitness=creator.LeastError)
creator.create("Pair", list, fitness=creator.Two)

PRIMITIVES = gp.PrimitiveSet("MAIN", 1)
PRIMITIVES.addPrimitive(operator.add, 2)
PRIMITIVES.addPrimitive(operator.mul, 2)
PRIMITIVES.addEphemeralConstant("digit", partial(random.randint, -3, 3))
POINTS = [x / 4 for x in range(-4, 5)]


def errors(tree: Any) -> list[float]:
    function = gp.compile(tree, PRIMITIVES)
    return [abs(function(x) - (x * x + x)) for x in POINTS]


def tree_toolbox() -> Any:
    toolbox = base.Toolbox()
    toolbox.register("expression", gp.genHalfAndHalf, pset=PRIMITIVES, min_=1, max_=2)
    toolbox.register("individual", tools.initIterate, creator.Tree, toolbox.expression)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", lambda tree: (math.fsum(errors(tree)),))
    toolbox.register("select", tools.selTournament, tournsize=3)
    toolbox.register("mate", gp.cxOnePoint)
    toolbox.register("branch", gp.genFull, min_=0, max_=1)
    toolbox.register("mutate", gp.mutUniform, expr=toolbox.branch, pset=PRIMITIVES)
    return toolbox


def limit(toolbox: Any) -> None:
    for name in ("mate", "mutate"):
        toolbox.decorate(name, gp.staticLimit(key=len, max_value=12))


def simple(population: list, toolbox: Any, generations: int, **options: Any) -> Any:
    return algorithms.eaSimple(population, toolbox, 0.6, 0.3, generations, verbose=False, **options)


def uuids(population: list[dict]) -> list[str]:
    return [row["uuid"] for row in population]


def check_laws_of_a_generational_run(populations: list[list[dict]]) -> None:
    """Check what holds where every generation is made from the one before, of new individuals only."""
    for row in populations[0]:
        assert (row["parent_uuids"], row["genetic_operators"], row["age"]) == (None, ["random"], 0)
    for before, now in itertools.pairwise(populations):
        alive = {row["uuid"]: row for row in before}
        assert len(set(uuids(now))) == len(now)
        assert not set(uuids(now)) & set(alive)
        for row in now:
            made = row["genetic_operators"]
            assert set(row["parent_uuids"]) <= set(alive)
            assert len(row["parent_uuids"]) == 1 + made.count("mate")
            assert made in (["reproduction"], ["mate"], ["mutate"], ["mate", "mutate"])
            if made == ["reproduction"]:
                parent = alive[row["parent_uuids"][0]]
                assert (row["program"], row["errors"]) == (parent["program"], parent["errors"])
                assert row["age"] == parent["age"] + 1
            else:
                assert row["age"] == 0
