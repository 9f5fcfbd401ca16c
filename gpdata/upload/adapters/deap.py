"""DEAP, unpatched: a Tracker records every individual of `eaSimple` and its kin, with parents and operators.

Examples
--------
>>> import random, tempfile
>>> from deap import algorithms, base, creator, tools
>>> import gpdata
>>> from gpdata.upload.adapters import deap as gpdeap
>>> creator.create("Ones", base.Fitness, weights=(1.0,))
>>> creator.create("BitString", list, fitness=creator.Ones)
>>> toolbox = base.Toolbox()
>>> toolbox.register("individual", tools.initRepeat, creator.BitString, lambda: random.randint(0, 1), 10)
>>> toolbox.register("evaluate", lambda bits: (sum(bits),))
>>> toolbox.register("mate", tools.cxOnePoint)
>>> toolbox.register("mutate", tools.mutFlipBit, indpb=0.1)
>>> toolbox.register("select", tools.selTournament, tournsize=3)
>>> population = [toolbox.individual() for _ in range(20)]
>>> with gpdata.Recorder(tempfile.mkdtemp(), system="deap", problem="onemax") as run:
...     tracker = gpdeap.Tracker(run, toolbox, errors=lambda bits: [1 - bit for bit in bits], generations=3)
...     _ = algorithms.eaSimple(population, toolbox, 0.7, 0.2, ngen=3, halloffame=tracker, verbose=False)
>>> gpdata.open(run.lake).sql("select count(*), max(generation) from individuals").fetchall()
[(80, 3)]
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from gpdata.errors import InvalidInput
from gpdata.upload.adapters.deap_code import code
from gpdata.upload.plain import Plain, double, total
from gpdata.upload.recorder import CONTINUE, FAILURE, SUCCESS, Recorder

RANDOM, REPRODUCTION, MIGRATION = "random", "reproduction", "migration"
"""What no operator did: an individual made at random, kept or copied as it was, come from another run."""
_ATTRIBUTE = "gpdata_lineage"


class Solved(Exception):
    """Raised by a Tracker that was told to stop, to leave DEAP's loop once a success is recorded."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where an individual comes from; an attribute of it, which copies, pickles and other processes keep."""

    uuid: str
    run: str
    parents: tuple[str, ...] | None
    operators: tuple[str, ...]
    made: int
    """The generation for which its program was made."""
    born: int | None = None
    """The generation in which it was recorded first; None while it stood in none."""

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    @property
    def as_parents(self) -> tuple[str, ...]:
        """What a child of it has as parents: it, or its own parents while it is only on its way."""
        return self.parents or () if self.born is None else (self.uuid,)

    @property
    def so_far(self) -> tuple[str, ...]:
        """The operators that a child of it went through already."""
        return self.operators if self.born is None else ()


class Tracker:
    """Records a DEAP run: pass it as `halloffame` to DEAP's algorithms, or call `update` in your own loop.

    From then on the toolbox's `clone`, `mate` and `mutate` keep track of who comes from whom: a child of
    `mate` has both parents (the same one twice if so), a mutant keeps its parents, a copy that is neither
    mated nor mutated is a "reproduction" of one parent. The operators are called by their names in the
    toolbox, in order. An individual that stands in one generation after another keeps its uuid, and is its
    own parent from the second on. Individuals that no tracked operator made are "random", with parents null.

    Parameters
    ----------
    recorder : gpdata.Recorder
        The open Recorder of this run.
    toolbox : deap.base.Toolbox
        The toolbox of this run, its operators registered and, where they are, decorated.
    errors : callable, optional
        Gives an individual's error on each training case. By default the errors are the fitness values, each
        times minus its weight, so that less is better: a value to be maximised counts negatively.
    test_errors : callable, optional
        Gives an individual's error on each unseen test case; called for the best of each generation.
    success : callable, optional
        Says of the best of a generation whether it solves the problem; nothing does by default.
    generations : int, optional
        The number of the last generation: `ngen` of DEAP's algorithms (`ngen - 1` of eaGenerateUpdate). Where
        it is left out, a run that is not solved stays unfinished ("continue").
    stop : bool, optional
        Whether to raise `Solved` once a success is recorded. DEAP's algorithms go on otherwise; each later
        generation is recorded as "success" then, solved or not.
    hall_of_fame : object, optional
        A `deap.tools.HallOfFame` or `ParetoFront` that is updated as well.
    describe : callable, optional
        Gives more fields of an individual, or other values for those that are recorded: a mapping as
        `Recorder.generation` takes it.
    operators : sequence of str, optional
        The toolbox's names of the variation operators.

    Raises
    ------
    InvalidInput
        The toolbox lacks an operator, or still serves a run that is being recorded.

    Notes
    -----
    Of each individual are recorded: uuid, parent_uuids, genetic_operators; errors and total_error, null while
    the fitness is not valid; age, the generations since its program was made; genome, and for trees program
    and program_size (see `gpdata.upload.adapters.deap_code.code`). Let e be minus the sum of weight times
    fitness value. Without `errors`, total_error is e; with them it is their sum, and e is recorded as
    weighted_error. The best of a generation is the individual of least e, the first of equals.

    A child that `gp.staticLimit` replaces by its parent is a reproduction where the limit is decorated after
    the Tracker is made; where it is decorated before, the Tracker takes the replacement for the operator's own.

    eaMuPlusLambda and eaMuCommaLambda give the hall of fame the offspring of each generation, before the next
    population is selected: every individual is recorded when it is made. To record the selected populations
    instead, pass `stats=tracker.statistics()` and no `halloffame`.
    """

    def __init__(
        self,
        recorder: Recorder,
        toolbox: Any,
        *,
        errors: Callable[[Any], Sequence[float]] | None = None,
        test_errors: Callable[[Any], Sequence[float]] | None = None,
        success: Callable[[Any], bool] | None = None,
        generations: int | None = None,
        stop: bool = False,
        hall_of_fame: Any = None,
        describe: Callable[[Any], Mapping[str, object]] | None = None,
        operators: Sequence[str] = ("mate", "mutate"),
    ) -> None:
        self._recorder = recorder
        self._errors = errors
        self._test_errors = test_errors
        self._success = success
        self._last = generations
        self._stop = stop
        self._hall_of_fame = hall_of_fame
        self._describe = describe
        self._generation = 0
        self._newborn: set[str] = set()
        self._solved = False
        self._track(toolbox, operators)

    def update(self, population: Iterable[Any]) -> None:
        """Record a generation: all of its individuals, evaluated.

        Parameters
        ----------
        population : iterable
            The individuals, in the order of their locations.

        Raises
        ------
        InvalidInput
            A value cannot be recorded, or the run is over.
        Solved
            The best solves the problem, and the Tracker was told to stop.
        """
        individuals = list(population)
        best = _least(individuals)
        solved = best is not None and self._success is not None and bool(self._success(best))
        self._solved = self._solved or solved
        self._newborn.clear()
        rows = [self._row(individual) for individual in individuals]
        self._recorder.generation(
            rows,
            outcome=self._outcome(),
            best=next((row for row, each in zip(rows, individuals, strict=True) if each is best), None),
            test_errors=self._test_errors(best) if best is not None and self._test_errors else None,
        )
        self._generation += 1
        if self._hall_of_fame is not None:
            self._hall_of_fame.update(individuals)
        if solved and self._stop:
            raise Solved

    def statistics(self, statistics: Any = None) -> Any:
        """Return what records the populations as `stats` of DEAP's algorithms, in place of `halloffame`.

        Parameters
        ----------
        statistics : deap.tools.Statistics or MultiStatistics, optional
            Statistics that go to the logbook, as they would without the Tracker.

        Returns
        -------
        object
            To be passed as `stats`.
        """
        return _Statistics(self, statistics)

    def _track(self, toolbox: Any, operators: Sequence[str]) -> None:
        before = getattr(toolbox, "gpdata_tracker", None)
        if before is not None and not before._recorder.closed:
            raise InvalidInput(
                f"the toolbox serves run {before._recorder.run_uuid}, which is still being recorded; "
                "build a toolbox for each run, or close the other Recorder first"
            )
        for name in operators:
            if not hasattr(toolbox, name):
                raise InvalidInput(
                    f"the toolbox has no operator {name!r}; register it before the Tracker is made, or name "
                    "the variation operators that it has: Tracker(..., operators=('mutate',))"
                )
        toolbox.gpdata_tracker = self
        toolbox.decorate("clone", self._tracked_clone)
        for name in operators:
            toolbox.decorate(name, functools.partial(self._tracked_operator, name))

    def _tracked_clone(self, clone: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(clone)
        def tracked(source: Any, *args: Any, **options: Any) -> Any:
            copy = clone(source, *args, **options)
            lineage = _lineage(source)
            if lineage is not None and not self._recorder.closed:
                made = lineage.made if lineage.run == self._recorder.run_uuid else self._generation
                self._set(copy, lineage.as_parents, lineage.so_far, made)
            return copy

        return tracked

    def _tracked_operator(self, name: str, operator: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(operator)
        def tracked(*args: Any, **options: Any) -> Any:
            sources = [lineage for lineage in map(_lineage, args) if lineage is not None]
            children = operator(*args, **options)
            if sources and not self._recorder.closed:
                parents = sum((source.as_parents for source in sources), ())
                operators = (*sum((source.so_far for source in sources), ()), name)
                for child in _individuals(args if children is None else children):
                    self._set(child, parents, operators, self._generation)
            return children

        return tracked

    def _set(self, individual: Any, parents: tuple[str, ...], operators: tuple[str, ...], made: int) -> None:
        recorder = self._recorder
        lineage = Lineage(recorder.new_uuid(), recorder.run_uuid, parents, operators, made)
        setattr(individual, _ATTRIBUTE, lineage)

    def _row(self, individual: Any) -> dict[str, object]:
        lineage = self._stand(individual)
        again = lineage.born != self._generation
        row: dict[str, object] = {
            "uuid": lineage.uuid,
            "parent_uuids": [lineage.uuid] if again else lineage.parents,
            "genetic_operators": [REPRODUCTION] if again else lineage.operators,
            "age": self._generation - lineage.made,
        }
        error = _weighted_error(individual)
        if error is not None and self._errors is not None:
            row |= {"errors": self._errors(individual), "weighted_error": error}
        elif error is not None:
            row |= {"errors": _fitness_errors(individual)}
        described = {} if self._describe is None else self._describe(individual)
        return {**row, **({} if "genome" in described else code(individual)), **described}

    def _stand(self, individual: Any) -> Lineage:
        """Return the lineage of an individual that stands in this generation, and note that it does."""
        lineage = _lineage(individual)
        run, now = self._recorder.run_uuid, self._generation
        if lineage is None:
            lineage = Lineage(self._recorder.new_uuid(), run, None, (RANDOM,), now, now)
        elif lineage.run != run:
            lineage = Lineage(lineage.uuid, run, (), (MIGRATION,), now, now)
        elif lineage.born is None:
            # Copies that were made behind the toolbox's back, as gp.staticLimit does, are individuals too.
            uuid = self._recorder.new_uuid() if lineage.uuid in self._newborn else lineage.uuid
            self._newborn.add(uuid)
            operators = lineage.operators or (REPRODUCTION,)
            lineage = replace(lineage, uuid=uuid, operators=operators, born=now)
        setattr(individual, _ATTRIBUTE, lineage)
        return lineage

    def _outcome(self) -> str:
        if self._solved:
            return SUCCESS
        return FAILURE if self._last is not None and self._generation >= self._last else CONTINUE


class _Statistics:
    """Shaped as `deap.tools.Statistics`: DEAP's algorithms show it each population once."""

    def __init__(self, tracker: Tracker, statistics: Any) -> None:
        self._tracker = tracker
        self._statistics = statistics

    @property
    def fields(self) -> list[str]:
        """The names of the statistics, for the logbook's header."""
        return [] if self._statistics is None else self._statistics.fields

    def compile(self, population: Iterable[Any]) -> dict[str, Any]:
        """Record the population, and return the statistics of it."""
        self._tracker.update(population)
        return {} if self._statistics is None else self._statistics.compile(population)


def _lineage(individual: Any) -> Lineage | None:
    return getattr(individual, _ATTRIBUTE, None)


def _individuals(made: Any) -> list[Any]:
    """Return the individuals among what an operator returned, or was given where it returned nothing."""
    return [made] if hasattr(made, "fitness") else [each for each in made if hasattr(each, "fitness")]


def _fitness_errors(individual: Any) -> list[Plain]:
    return [0.0 - value for value in individual.fitness.wvalues]  # 0.0 - 0.0 is no negative zero


def _weighted_error(individual: Any) -> float | None:
    """Return minus the sum of weight times fitness value; None while the fitness is not valid."""
    return double(total(_fitness_errors(individual))) if individual.fitness.valid else None


def _least(individuals: list[Any]) -> Any:
    """Return the individual of least weighted error, the first of equals; None where none has a number."""
    errors = ((_weighted_error(individual), position) for position, individual in enumerate(individuals))
    least = min((pair for pair in errors if pair[0] is not None and not math.isnan(pair[0])), default=None)
    return None if least is None else individuals[least[1]]
