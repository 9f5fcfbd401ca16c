"""One run of the demo, DEAP's own generational algorithm, or of the example lake; recorded by a Tracker."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from deap import algorithms, base, gp, tools

from gpdata.demo import aged, problem
from gpdata.lake import Account
from gpdata.upload import seeded_uuids
from gpdata.upload.adapters.deap import record_deap

_START = datetime(2026, 1, 1, tzinfo=UTC)
"""The demo's clock stands still, so that a run that is repeated is the same to the byte."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The arguments of a run; they are recorded under the names that Clojush uses."""

    parent_selection: str
    random_seed: int
    population_size: int = 300
    max_generations: int = 40
    tournament_size: int = 7
    crossover_probability: float = 0.7
    mutation_probability: float = 0.2
    max_height: int = 5

    @property
    def config(self) -> dict[str, object]:
        """The configuration as it is recorded."""
        return {name.replace("_", "-"): value for name, value in asdict(self).items()}


class Error(base.Fitness):  # type: ignore[misc]
    """The number of training cases that a program gets wrong, to be minimised."""

    weights = (-1.0,)


class Program(gp.PrimitiveTree):  # type: ignore[misc]
    """A program, its fitness, its error on each training case once it is evaluated, and what `aged` knows of it."""

    def __init__(self, content: Any) -> None:
        super().__init__(content)
        self.fitness = Error()
        self.errors = np.empty(0, np.int8)
        self.age = 0
        self.newcomer = False


def evolve(
    lake: str | Path, plan: Plan, *, owner: str | None = None, label: str = "demo", start: datetime = _START
) -> Account:
    """Evolve one run until it is solved or its generations are used up, and record it live.

    Parameters
    ----------
    lake : str or Path
        The lake.
    plan : Plan
        The arguments; the same ones give the same run, to the byte. Python's random numbers, which DEAP draws
        from, are seeded.
    owner, label : str, optional
        Whose run it is, and what it belongs to.
    start : datetime, optional
        When it says that it was run.

    Returns
    -------
    Account
        What became of the generations: those that the lake had already are duplicates.
    """
    training, test = problem.cases()
    uuids = seeded_uuids(json.dumps([problem.NAME, version("deap"), plan.config]))
    random.seed(next(uuids))
    toolbox = _toolbox(plan, training)
    with record_deap(
        toolbox,
        lake,
        problem=problem.NAME,
        config=plan.config,
        label=label,
        owner=owner,
        uuids=uuids,
        clock=lambda: start,
        errors=attrgetter("errors"),
        test_errors=lambda program: problem.errors(program, test).tolist(),
        success=lambda program: not program.errors.any(),
        generations=plan.max_generations,
        stop=True,
        describe=aged.describe if plan.parent_selection == aged.NAME else None,
    ) as tracker:
        for operator in ("mate", "mutate"):
            toolbox.decorate(operator, gp.staticLimit(key=attrgetter("height"), max_value=plan.max_height))
        population = [toolbox.individual() for _ in range(plan.population_size)]
        chances = plan.crossover_probability, plan.mutation_probability
        if plan.parent_selection == aged.NAME:
            toolbox.decorate("mate", aged.inherit)
            aged.evolve_aged(population, toolbox, *chances, plan.max_generations, tracker)
        else:
            algorithms.eaSimple(population, toolbox, *chances, plan.max_generations, halloffame=tracker, verbose=False)
    return tracker.recorder.account


def lexicase(population: list[Any], number: int) -> list[Any]:
    """Select parents by lexicase selection, as `deap.tools.selLexicase` does, many times faster.

    Parameters
    ----------
    population : list
        Individuals with an array of `errors`.
    number : int
        How many to select.

    Returns
    -------
    list
        The selected ones, with repetitions. Each time the cases are shuffled, and of those who are left only
        the best on the next case stay; individuals of equal errors stand or fall together, so that one vector
        of errors stands for all who have it.
    """
    vectors, group = np.unique([each.errors for each in population], axis=0, return_inverse=True)
    members = [np.flatnonzero(group.ravel() == number).tolist() for number in range(len(vectors))]
    cases = list(range(vectors.shape[1]))
    chosen = []
    for _ in range(number):
        random.shuffle(cases)
        left = np.arange(len(vectors))
        for case in cases:
            if len(left) == 1:
                break
            errors = vectors[left, case]
            left = left[errors == errors.min()]
        chosen.append(population[random.choice(members[left[0]])])
    return chosen


_SELECTIONS: dict[str, Callable[[Any, Plan], None]] = {
    "lexicase": lambda toolbox, plan: toolbox.register("select", lexicase),
    "tournament": lambda toolbox, plan: toolbox.register("select", tools.selTournament, tournsize=plan.tournament_size),
}
SELECTIONS = tuple(_SELECTIONS)
"""The methods of parent selection that the demo compares."""


def _toolbox(plan: Plan, training: problem.Cases) -> Any:
    primitives = problem.primitives()

    def evaluate(program: Program) -> tuple[int]:
        program.errors = problem.errors(program, training)
        return (int(program.errors.sum()),)

    toolbox = base.Toolbox()
    toolbox.register("expression", gp.genHalfAndHalf, pset=primitives, min_=1, max_=3)
    toolbox.register("individual", tools.initIterate, Program, toolbox.expression)
    toolbox.register("evaluate", evaluate)
    toolbox.register("mate", gp.cxOnePoint)
    toolbox.register("branch", gp.genFull, min_=0, max_=2)
    toolbox.register("mutate", gp.mutUniform, expr=toolbox.branch, pset=primitives)
    if plan.parent_selection != aged.NAME:  # which takes its parents by chance, and selects who stays
        _SELECTIONS[plan.parent_selection](toolbox, plan)
    return toolbox
