"""One experiment with each library, two configurations of each: the same problem, recorded as its users would."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
from deap import tools

import gpdata
from tests.upload.deap_runs import errors, simple, tree_toolbox

SIZES = (2, 5)
"""The sizes of tournaments that are compared."""
SEEDS = (1, 2)
GENERATIONS, POPULATION = 6, 30
LABEL = "comparison"
LATER: dict[str, Any] = {"label": LABEL, "transform_every": 600}
"""One batch for each run, whatever else the machine does."""


def with_deap(lake: Path, size: int, seed: int) -> None:
    random.seed(seed)
    toolbox = tree_toolbox()
    toolbox.register("select", tools.selTournament, tournsize=size)
    config = {"tournament-size": size, "population-size": POPULATION, "random-seed": seed}
    with gpdata.record_deap(
        toolbox, lake, problem="quadratic", config=config, **LATER, errors=errors, generations=GENERATIONS,
        success=lambda tree: max(errors(tree)) < 1e-9, stop=True,
    ) as hof:  # fmt: skip
        simple(toolbox.population(n=POPULATION), toolbox, GENERATIONS, halloffame=hof)


def with_gplearn(lake: Path, size: int, seed: int) -> None:
    from gplearn.genetic import SymbolicRegressor

    inputs = np.linspace(-1, 1, 9).reshape(-1, 1)
    answers = inputs[:, 0] ** 2 + inputs[:, 0]
    regressor = SymbolicRegressor(
        population_size=POPULATION, generations=GENERATIONS, tournament_size=size, stopping_criteria=1e-9,
        function_set=("add", "mul"), p_crossover=0.7, random_state=seed,
    )  # fmt: skip
    with gpdata.record_gplearn(
        regressor, lake, problem="quadratic", **LATER,
        errors=lambda program: abs(program.execute(inputs) - answers),
    ) as run:  # fmt: skip
        run.fit(inputs, answers)


def with_leap(lake: Path, size: int, seed: int) -> None:
    from leap_ec import Representation, ops
    from leap_ec.algorithm import generational_ea
    from leap_ec.binary_rep.initializers import create_binary_sequence
    from leap_ec.binary_rep.ops import mutate_bitflip
    from leap_ec.binary_rep.problems import MaxOnes

    random.seed(seed)
    np.random.seed(seed)
    config = {"tournament-size": size, "population-size": POPULATION, "random-seed": seed}
    with gpdata.record_leap(
        generational_ea, lake, problem="max-ones", config=config, **LATER,
        errors=lambda each: ~each.genome, success=lambda best: best.genome.all(),
    ) as evolve:  # fmt: skip
        evolve(
            max_generations=GENERATIONS, pop_size=POPULATION, problem=MaxOnes(),
            representation=Representation(create_binary_sequence(10)),
            stop=lambda population: max(population).fitness == 10,
            pipeline=[
                ops.tournament_selection(k=size), ops.clone, mutate_bitflip(expected_num_mutations=1),
                ops.UniformCrossover(p_xover=0.5), ops.evaluate, ops.pool(size=POPULATION),
            ],
        )  # fmt: skip


def with_pyshgp(lake: Path, size: int, seed: int) -> None:
    from tests.upload.adapters.pyshgp_runs import estimator

    np.random.seed(seed)
    push = estimator(
        selector="tournament", tournament_size=size, population_size=POPULATION, max_generations=GENERATIONS
    )
    with gpdata.record_pyshgp(push, lake, problem="successor", **LATER, config={"random-seed": seed}):
        push.fit([[x] for x in range(5)], [[x + 1] for x in range(5)])


EXPERIMENTS: dict[str, Any] = {
    "deap": with_deap,
    "gplearn": with_gplearn,
    "leap": with_leap,
    "pyshgp": with_pyshgp,
}
