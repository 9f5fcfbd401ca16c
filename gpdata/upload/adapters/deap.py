"""DEAP, unpatched: a Tracker records every individual of `eaSimple` and its kin, with parents and operators."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from gpdata.errors import InvalidInput
from gpdata.upload.adapters.begin import Lake, begin, least
from gpdata.upload.adapters.deap_code import code, fitness_errors, individuals_of, weighted_error
from gpdata.upload.adapters.lineage import MIGRATION, RANDOM, REPRODUCTION, Lineage, carried, carry
from gpdata.upload.recorder import CONTINUE, FAILURE, SUCCESS, Recorder

_OPERATORS = ("mate", "mutate")


class Solved(Exception):
    """Raised by a Tracker that was told to stop, to leave DEAP's loop once a success is recorded."""


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
        operators: Sequence[str] = _OPERATORS,
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

    @property
    def recorder(self) -> Recorder:
        """The Recorder of this run."""
        return self._recorder

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
        self._record(list(population), None)

    def update_islands(self, islands: Iterable[Iterable[Any]]) -> None:
        """Record a generation of several populations (demes) that exchange individuals, as one run.

        Parameters
        ----------
        islands : iterable of iterables
            The populations. Locations count through them; each individual says in the field `island`, which
            stands in `extra`, in which it lives, from 0. One that has moved keeps its uuid.

        Raises
        ------
        InvalidInput, Solved
            As `update`.
        """
        parted = [list(island) for island in islands]
        numbers = [number for number, island in enumerate(parted) for _ in island]
        self._record([individual for island in parted for individual in island], numbers)

    def _record(self, individuals: list[Any], islands: list[int] | None) -> None:
        position = least(map(weighted_error, individuals))
        best = None if position is None else individuals[position]
        solved = best is not None and self._success is not None and bool(self._success(best))
        self._solved = self._solved or solved
        self._newborn.clear()
        rows = [self._row(individual) for individual in individuals]
        if islands is not None:
            rows = [{"island": island, **row} for island, row in zip(islands, rows, strict=True)]
        self._recorder.generation(
            rows,
            outcome=self._outcome(),
            best=None if position is None else rows[position],
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
        _check(toolbox, operators)
        toolbox.gpdata_tracker = self
        toolbox.decorate("clone", self._tracked_clone)
        for name in operators:
            toolbox.decorate(name, functools.partial(self._tracked_operator, name))

    def _tracked_clone(self, clone: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(clone)
        def tracked(source: Any, *args: Any, **options: Any) -> Any:
            copy = clone(source, *args, **options)
            lineage = carried(source)
            if lineage is not None and not self._recorder.closed:
                made = lineage.made if lineage.run == self._recorder.run_uuid else self._generation
                self._set(copy, lineage.as_parents, lineage.so_far, made)
            return copy

        return tracked

    def _tracked_operator(self, name: str, operator: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(operator)
        def tracked(*args: Any, **options: Any) -> Any:
            sources = [lineage for lineage in map(carried, args) if lineage is not None]
            children = operator(*args, **options)
            if sources and not self._recorder.closed:
                parents = sum((source.as_parents for source in sources), ())
                operators = (*sum((source.so_far for source in sources), ()), name)
                for child in individuals_of(args if children is None else children):
                    self._set(child, parents, operators, self._generation)
            return children

        return tracked

    def _set(self, individual: Any, parents: tuple[str, ...], operators: tuple[str, ...], made: int) -> None:
        recorder = self._recorder
        carry(individual, Lineage(recorder.new_uuid(), recorder.run_uuid, parents, operators, made))

    def _row(self, individual: Any) -> dict[str, object]:
        lineage = self._stand(individual)
        again = lineage.born != self._generation
        row: dict[str, object] = {
            "uuid": lineage.uuid,
            "parent_uuids": [lineage.uuid] if again else lineage.parents,
            "genetic_operators": [REPRODUCTION] if again else lineage.operators,
            "age": self._generation - lineage.made,
        }
        error = weighted_error(individual)
        if error is not None and self._errors is not None:
            row |= {"errors": self._errors(individual), "weighted_error": error}
        elif error is not None:
            row |= {"errors": fitness_errors(individual)}
        described = {} if self._describe is None else self._describe(individual)
        return {**row, **({} if "genome" in described else code(individual)), **described}

    def _stand(self, individual: Any) -> Lineage:
        """Return the lineage of an individual that stands in this generation, and note that it does."""
        lineage = carried(individual)
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
            lineage = lineage._replace(uuid=uuid, operators=operators, born=now)
        carry(individual, lineage)
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


def _check(toolbox: Any, operators: Sequence[str]) -> None:
    for name in operators:
        if not hasattr(toolbox, name):
            raise InvalidInput(
                f"the toolbox has no operator {name!r}; register it before the Tracker is made, or name "
                "the variation operators that it has: Tracker(..., operators=('mutate',))"
            )


@contextmanager
def record_deap(
    toolbox: Any,
    lake: Lake = None,
    *,
    problem: str | None = None,
    config: Mapping[str, object] | None = None,
    label: str | None = None,
    errors: Callable[[Any], Sequence[float]] | None = None,
    test_errors: Callable[[Any], Sequence[float]] | None = None,
    success: Callable[[Any], bool] | None = None,
    generations: int | None = None,
    stop: bool = False,
    hall_of_fame: Any = None,
    describe: Callable[[Any], Mapping[str, object]] | None = None,
    operators: Sequence[str] = _OPERATORS,
    **recorder: Any,
) -> Iterator[Tracker]:
    """Record a run of DEAP: what the ``with`` block gets is passed to DEAP's algorithms as `halloffame`.

    Parameters
    ----------
    toolbox : deap.base.Toolbox
        The toolbox of this run, its operators registered.
    lake : str or Path, optional
        The lake's directory or a server's address, as for `Recorder`.
    problem, config, label : optional
        What is run, its arguments by name, and a word for it, as for `Recorder`.
    errors : callable, optional
        Gives an individual's error on each training case; called in this process. By default the errors are
        the fitness values, each times minus its weight: less is better.
    test_errors : callable, optional
        Gives an individual's error on each unseen test case; called for the best of each generation.
    success : callable, optional
        Says of the best of a generation whether it solves the problem; nothing does by default.
    generations : int, optional
        The number of the last generation: `ngen` of DEAP's algorithms. Where it is left out, a run that is not
        solved stays unfinished ("continue").
    stop : bool, optional
        Whether to leave the ``with`` block once a success is recorded.
    hall_of_fame : object, optional
        A `deap.tools.HallOfFame` or `ParetoFront` that is updated as well.
    describe : callable, optional
        Gives more fields of an individual, or other values for those that are recorded.
    operators : sequence of str, optional
        The toolbox's names of the variation operators.
    recorder
        More keywords of `Recorder`: run_uuid, owner, uuids, clock, token, ...

    Returns
    -------
    context manager
        It gives a Tracker (see `gpdata.upload.adapters.deap`), whose `recorder` is the run's Recorder; call its
        `update` once a generation in a loop of your own, and `update_islands` with several populations. Also
        when an exception leaves the block, what was recorded is in the lake.

    Raises
    ------
    InvalidInput
        An argument cannot be used, or the toolbox lacks an operator.

    Examples
    --------
    >>> import random, tempfile
    >>> from deap import algorithms, base, creator, tools
    >>> import gpdata
    >>> creator.create("Fewest", base.Fitness, weights=(-1.0,))
    >>> creator.create("FewBits", list, fitness=creator.Fewest)
    >>> toolbox = base.Toolbox()
    >>> toolbox.register("individual", tools.initRepeat, creator.FewBits, lambda: random.randint(0, 1), 10)
    >>> toolbox.register("evaluate", lambda bits: (sum(bits),))
    >>> toolbox.register("mate", tools.cxOnePoint)
    >>> toolbox.register("mutate", tools.mutFlipBit, indpb=0.1)
    >>> toolbox.register("select", tools.selTournament, tournsize=3)
    >>> with gpdata.record_deap(toolbox, tempfile.mkdtemp(), problem="fewest", generations=3) as hof:
    ...     _ = algorithms.eaSimple(
    ...         [toolbox.individual() for _ in range(20)], toolbox, 0.7, 0.2, 3, halloffame=hof, verbose=False
    ...     )
    >>> gpdata.open(hof.recorder.lake).sql("select count(*), max(generation) from individuals").fetchall()
    [(80, 3)]
    """
    _check(toolbox, operators)
    run = begin("deap", "deap", lake, problem=problem, config=config, label=label, options=recorder)
    with run, suppress(Solved):
        yield Tracker(
            run,
            toolbox,
            errors=errors,
            test_errors=test_errors,
            success=success,
            generations=generations,
            stop=stop,
            hall_of_fame=hall_of_fame,
            describe=describe,
            operators=operators,
        )
