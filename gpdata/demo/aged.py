"""Age-fitness Pareto optimisation with DEAP: an algorithm that asks for the age of individuals.

After Schmidt and Lipson, "Age-Fitness Pareto Optimization" (GPTP VIII, 2010). Age counts the generations since the
oldest ancestor was made at random; each generation one newcomer is made, and an individual is replaced only by one
that is at most as old and at least as good. So newcomers have time: they do not compete with who is older and better.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from deap import algorithms

NAME = "age-fitness"
GENESIS: dict[str, object] = {"parent_uuids": [], "genetic_operators": ["genesis"]}
"""How a newcomer is recorded: made from nobody, in the middle of a run."""


def describe(individual: Any) -> dict[str, object]:
    """Return what a Tracker records of an individual beside the usual: its age, and genesis of a newcomer."""
    return {"age": individual.age, **(GENESIS if individual.newcomer else {})}


def inherit(mate: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate crossover: both children are as old as the older parent."""

    def aged(first: Any, second: Any) -> Any:
        children = mate(first, second)
        for child in children:
            child.age = max(first.age, second.age)
        return children

    return aged


def evolve_aged(
    population: list[Any], toolbox: Any, crossover: float, mutation: float, generations: int, tracker: Any
) -> None:
    """Evolve a population in place of DEAP's `eaSimple`.

    Parameters
    ----------
    population : list
        The first generation; individuals have `age`, `newcomer` and a `fitness`.
    toolbox : deap.base.Toolbox
        With `clone`, `individual`, `mate`, `mutate` and `evaluate`.
    crossover, mutation : float
        Probabilities, as of `deap.algorithms.varAnd`.
    generations : int
        How many follow the first.
    tracker : object
        Its `update` is called with each generation; what it raises ends the run.
    """
    _evaluate(population, toolbox)
    tracker.update(population)
    for _ in range(generations):
        children = algorithms.varAnd(random.sample(population, len(population)), toolbox, crossover, mutation)
        for individual in (*population, *children):
            individual.age += 1
            individual.newcomer = False
        newcomer = toolbox.individual()
        newcomer.newcomer = True
        _evaluate([*children, newcomer], toolbox)
        population = survivors([*population, *children], len(population) - 1)
        population.append(newcomer)
        tracker.update(population)


def survivors(pool: list[Any], number: int) -> list[Any]:
    """Return those who stay: random pairs meet, and who is dominated in age and error leaves.

    Parameters
    ----------
    pool : list
        The individuals, in any order.
    number : int
        How many shall stay.

    Returns
    -------
    list
        That many. Of two of the same age and error one leaves, by chance. Where too few pairs dominate each other,
        which is tried as often as the pool is large for each place, the greatest errors leave.
    """
    left = list(pool)
    tries = len(pool) * 10
    while len(left) > number and tries:
        tries -= 1
        one, other = random.sample(range(len(left)), 2)
        loser = other if _at_most(left[one], left[other]) else one if _at_most(left[other], left[one]) else None
        if loser is not None:
            left[loser] = left[-1]
            left.pop()
    return sorted(left, key=lambda individual: -individual.fitness.wvalues[0])[:number]


def _at_most(one: Any, other: Any) -> bool:
    return bool(one.age <= other.age and one.fitness.wvalues[0] >= other.fitness.wvalues[0])


def _evaluate(individuals: list[Any], toolbox: Any) -> None:
    for individual in individuals:
        if not individual.fitness.valid:
            individual.fitness.values = toolbox.evaluate(individual)
