"""LEAP (leap_ec), unpatched: its algorithms run with watched pipelines, and each population is recorded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gpdata.errors import InvalidInput
from gpdata.upload.adapters.begin import Lake, begin, least, name_of, strange
from gpdata.upload.adapters.leap_pipeline import Watch, parents_of
from gpdata.upload.adapters.lineage import MIGRATION, RANDOM, REPRODUCTION, Lineage, carried, carry
from gpdata.upload.plain import double, plain, total
from gpdata.upload.recorder import CONTINUE, FAILURE, SUCCESS, Recorder

_KNOWN = "0.8"
_PIPELINES = ("pipeline", "shared_pipeline")


class Tracker:
    """Records a run of LEAP: call it in place of the algorithm, or `update` once a generation in your own loop.

    Parameters
    ----------
    recorder : gpdata.Recorder
        The open Recorder of this run.
    algorithm : callable, optional
        `generational_ea`, `multi_population_ea` or `generalized_nsga_2` of LEAP, or a function of yours that
        takes a list of operators as `pipeline`, pipes each population through it, and returns the last one.
    errors : callable, optional
        Gives an individual's error on each training case. By default the errors are the fitness values, or
        minus them where the problem is maximised: less is better.
    test_errors : callable, optional
        Gives an individual's error on each unseen test case; called for the best of each generation.
    success : callable, optional
        Says of the best of a generation whether it solves the problem; nothing does by default.
    generations : int, optional
        For a loop of your own: the number of the last generation. An algorithm's end is known.
    describe : callable, optional
        Gives more fields of an individual, or other values for those that are recorded.

    Notes
    -----
    Every population is recorded as it is when parents are selected from it, the first one and the elite too.
    Of each individual: uuid (LEAP's own), parent_uuids, genetic_operators; errors and total_error, null while it
    is not evaluated; age, the generations since its genome was made; genome. An individual of several
    populations says in `extra` in which of them it lives (`island`).

    LEAP notes parents as a set. The Tracker follows each individual through the pipeline, so that two clones of
    one parent that are crossed have it twice. A crossover counts where it recombines, any other operator where it
    changed the genome; a clone that nothing has changed is a "reproduction".

    Individuals that no watched pipeline made have the parents of LEAP's set, each once, and operators null.
    """

    def __init__(
        self,
        recorder: Recorder,
        algorithm: Callable[..., Any] | None = None,
        *,
        errors: Callable[[Any], Sequence[float]] | None = None,
        test_errors: Callable[[Any], Sequence[float]] | None = None,
        success: Callable[[Any], bool] | None = None,
        generations: int | None = None,
        describe: Callable[[Any], Mapping[str, object]] | None = None,
    ) -> None:
        self._recorder = recorder
        self._algorithm = algorithm
        self._errors = errors
        self._test_errors = test_errors
        self._success = success
        self._last = generations
        self._describe = describe
        self._generation = 0
        self._solved = False
        self._watch = Watch(recorder.run_uuid, lambda: self._generation)
        self._waiting: list[list[Any]] = []

    @property
    def recorder(self) -> Recorder:
        """The Recorder of this run."""
        return self._recorder

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run the algorithm with its own arguments, and record each generation.

        Returns
        -------
        object
            What the algorithm returns: the last population, or the list of last populations.

        Raises
        ------
        InvalidInput
            There is no algorithm, or it was given no pipeline.
        """
        if self._algorithm is None:
            raise InvalidInput(
                "the Tracker was made without an algorithm; valid is Tracker(recorder, generational_ea), or "
                "update(population) once a generation in a loop of your own"
            )
        bound = inspect.signature(self._algorithm).bind(*args, **options)
        name = next((name for name in _PIPELINES if name in bound.arguments), None)
        if name is None:
            raise strange(
                f"{name_of(self._algorithm)} was given no pipeline; valid is an algorithm of generations that "
                "is given `pipeline` or `shared_pipeline`",
                "leap_ec",
                _KNOWN,
            )
        many = bound.arguments.get("num_populations")
        bound.arguments[name] = [self._arrival(many), *self.pipeline(bound.arguments[name])]
        if bound.arguments.get("subpop_pipelines"):
            bound.arguments["subpop_pipelines"] = list(map(self.pipeline, bound.arguments["subpop_pipelines"]))
        population = self._algorithm(*bound.args, **bound.kwargs)
        self._record(population if many is not None else [population], islands=many is not None, last=True)
        return population

    def pipeline(self, operators: Iterable[Any]) -> list[Any]:
        """Return operators that note who comes from whom, for a loop of your own.

        Parameters
        ----------
        operators : iterable
            LEAP's operators, in their order; they stay as they are.

        Returns
        -------
        list
            To be piped through in their place.
        """
        return self._watch.pipeline(operators)

    def update(self, population: Iterable[Any]) -> None:
        """Record a generation, in a loop of your own: the first population too.

        Parameters
        ----------
        population : iterable
            The individuals, in the order of their locations.

        Raises
        ------
        InvalidInput
            A value cannot be recorded, or the run is over.
        """
        self._record([population], islands=False, last=self._generation == self._last)

    def _arrival(self, many: int | None) -> Callable[[list[Any]], list[Any]]:
        """Return the operator that stands before all others, and sees each population of a generation."""

        def arrive(population: list[Any]) -> list[Any]:
            self._waiting.append(population)
            if len(self._waiting) >= (many or 1):
                waiting, self._waiting = self._waiting, []
                self._record(waiting, islands=many is not None, last=False)
            return population

        return arrive

    def _record(self, populations: Iterable[Iterable[Any]], *, islands: bool, last: bool) -> None:
        individuals, rows = [], []
        for number, population in enumerate(populations):
            for individual in population:
                individuals.append(individual)
                rows.append({**({"island": number} if islands else {}), **self._row(individual)})
        position = least(map(_weighted_error, individuals))
        best = None if position is None else individuals[position]
        solved = best is not None and self._success is not None and bool(self._success(best))
        self._solved = self._solved or solved
        self._recorder.generation(
            rows,
            outcome=SUCCESS if self._solved else FAILURE if last else CONTINUE,
            best=None if position is None else rows[position],
            test_errors=self._test_errors(best) if best is not None and self._test_errors else None,
        )
        self._generation += 1

    def _row(self, individual: Any) -> dict[str, object]:
        lineage = self._stand(individual)
        again = lineage.born != self._generation
        row: dict[str, object] = {
            "uuid": lineage.uuid,
            "parent_uuids": [lineage.uuid] if again else lineage.parents,
            "genetic_operators": [REPRODUCTION] if again else lineage.operators,
            "age": self._generation - lineage.made,
            "genome": _genome(individual),
        }
        error = _weighted_error(individual)
        if error is not None and self._errors is not None:
            row |= {"errors": self._errors(individual), "weighted_error": error}
        elif error is not None:
            row |= {"errors": _fitness_errors(individual)}
        if getattr(individual, "exception", None) is not None:
            row["exception"] = repr(individual.exception)
        return {**row, **({} if self._describe is None else self._describe(individual))}

    def _stand(self, individual: Any) -> Lineage:
        """Return the lineage of an individual that stands in this generation, and note that it does."""
        noted, run, now = carried(individual), self._recorder.run_uuid, self._generation
        uuid = str(individual.uuid)
        if noted is None and not parents_of(individual):
            lineage = Lineage(uuid, run, None, (RANDOM,), now, now)
        elif noted is None:
            lineage = Lineage(uuid, run, parents_of(individual), None, now, now)
        elif noted.run != run and noted.uuid == uuid:
            lineage = Lineage(uuid, run, (), (MIGRATION,), now, now)
        else:
            lineage = self._watch.lineage(individual)
            if lineage.born is None:
                operators = (REPRODUCTION,) if lineage.operators == () else lineage.operators
                lineage = lineage._replace(operators=operators, born=now)
        carry(individual, lineage)
        return lineage


def _fitness_errors(individual: Any) -> list[float]:
    """Return the fitness values as errors: minus them where greater is better, as LEAP holds without a word."""
    fitness = np.atleast_1d(np.asarray(individual.fitness, dtype=float))
    maximize = np.atleast_1d(getattr(individual.problem, "maximize", True))
    greater = maximize if maximize.dtype == bool else maximize > 0
    found: list[float] = (np.where(greater, -fitness, fitness) + 0.0).tolist()
    return found


def _weighted_error(individual: Any) -> float | None:
    """Return the sum of the fitness values as errors; None while the individual is not evaluated."""
    if individual.fitness is None:
        return None
    return double(total([plain(error) for error in _fitness_errors(individual)]))


def _genome(individual: Any) -> list[object]:
    genome = individual.genome
    if isinstance(genome, np.ndarray):
        found: list[object] = genome.tolist()
        return found
    if isinstance(genome, list | tuple):
        return list(genome)
    return [str(genome)]


@contextmanager
def record_leap(
    algorithm: Callable[..., Any] | None = None,
    lake: Lake = None,
    *,
    problem: str | None = None,
    config: Mapping[str, object] | None = None,
    label: str | None = None,
    errors: Callable[[Any], Sequence[float]] | None = None,
    test_errors: Callable[[Any], Sequence[float]] | None = None,
    success: Callable[[Any], bool] | None = None,
    generations: int | None = None,
    describe: Callable[[Any], Mapping[str, object]] | None = None,
    **recorder: Any,
) -> Iterator[Tracker]:
    """Record a run of LEAP: what the ``with`` block gets is called in place of the algorithm.

    Parameters
    ----------
    algorithm : callable
        `generational_ea`, `multi_population_ea` or `generalized_nsga_2` of LEAP; None for a loop of your own.
    lake : str or Path, optional
        The lake's directory or a server's address, as for `Recorder`.
    problem, config, label : optional
        What is run, its arguments by name, and a word for it, as for `Recorder`. LEAP has no arguments of a run
        as a whole: name those that you want to group by.
    errors : callable, optional
        Gives an individual's error on each training case. By default the errors are the fitness values, or
        minus them where the problem is maximised: less is better.
    test_errors : callable, optional
        Gives an individual's error on each unseen test case; called for the best of each generation.
    success : callable, optional
        Says of the best of a generation whether it solves the problem; nothing does by default.
    generations : int, optional
        For a loop of your own: the number of the last generation. An algorithm's end is known.
    describe : callable, optional
        Gives more fields of an individual, or other values for those that are recorded.
    recorder
        More keywords of `Recorder`: run_uuid, owner, uuids, clock, token, ...

    Returns
    -------
    context manager
        It gives a Tracker (see `gpdata.upload.adapters.leap`): call it with the algorithm's arguments, and it
        returns what the algorithm returns. In a loop of your own, call its `update` with each population, and
        pipe through its `pipeline(operators)`. Its `recorder` is the run's Recorder.

    Raises
    ------
    InvalidInput
        An argument cannot be used, or the algorithm is none that can be called.

    Examples
    --------
    >>> import tempfile
    >>> from leap_ec import Representation, ops
    >>> from leap_ec.algorithm import generational_ea
    >>> from leap_ec.binary_rep.initializers import create_binary_sequence
    >>> from leap_ec.binary_rep.ops import mutate_bitflip
    >>> from leap_ec.binary_rep.problems import MaxOnes
    >>> import gpdata
    >>> with gpdata.record_leap(generational_ea, tempfile.mkdtemp(), problem="max-ones") as evolve:
    ...     population = evolve(
    ...         max_generations=3, pop_size=10, problem=MaxOnes(),
    ...         representation=Representation(initialize=create_binary_sequence(8)),
    ...         pipeline=[ops.tournament_selection, ops.clone, mutate_bitflip(expected_num_mutations=1),
    ...                   ops.UniformCrossover(), ops.evaluate, ops.pool(size=10)],
    ...     )
    >>> gpdata.open(evolve.recorder.lake).sql("select count(*), max(generation) from individuals").fetchall()
    [(40, 3)]
    """
    if algorithm is not None and not callable(algorithm):
        raise strange(
            f"{algorithm!r} was given; valid is an algorithm such as leap_ec.algorithm.generational_ea, or None",
            "leap_ec",
            _KNOWN,
        )
    found = {} if algorithm is None else {"algorithm": name_of(algorithm)}
    run = begin("leap", "leap_ec", lake, problem=problem, config=config, label=label, options=recorder, found=found)
    with run:
        yield Tracker(
            run,
            algorithm,
            errors=errors,
            test_errors=test_errors,
            success=success,
            generations=generations,
            describe=describe,
        )
