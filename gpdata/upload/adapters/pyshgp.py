"""PyshGP, unpatched: its taps tell who was selected, what was produced of them, and what was evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from gpdata.errors import InvalidInput
from gpdata.upload.adapters.begin import Lake, begin, least, strange
from gpdata.upload.adapters.lineage import RANDOM, REPRODUCTION
from gpdata.upload.adapters.pyshgp_code import code
from gpdata.upload.adapters.pyshgp_code import config as config_of
from gpdata.upload.adapters.pyshgp_taps import KNOWN, Birth, Births, Taps, individuals
from gpdata.upload.plain import double, plain
from gpdata.upload.recorder import CONTINUE, FAILURE, SUCCESS, Recorder

_UNKNOWN = Birth(None, None, None, False)
_MADE_AT_RANDOM = Birth(None, None, (RANDOM,), False)


class Tracker:
    """Records a run of PyshGP: use it in a ``with`` statement around `fit` of an estimator, or `run` of a search.

    Parameters
    ----------
    recorder : gpdata.Recorder
        The open Recorder of this run.
    producer : pyshgp.gp.estimators.PushEstimator or pyshgp.gp.search.SearchAlgorithm
        Whose run is recorded; others that run meanwhile are not.
    test_errors : callable, optional
        Gives an individual's error on each unseen test case; called for the best of each generation.
    describe : callable, optional
        Gives more fields of an individual, or other values for those that are recorded.
    simplified : bool, optional
        Whether the last generation is recorded when PyshGP has simplified its best, with the simplified one, and
        not before. Killed in between, a process leaves a run without its last generation; an exception does not.

    Raises
    ------
    InvalidInput
        The producer is none of PyshGP's.

    Notes
    -----
    Of each individual are recorded: uuid (PyshGP's own), parent_uuids in the order of their selection (the same
    one twice if so), genetic_operators by the names that PyshGP's users give them, those of a pipeline (umad)
    each; errors and total_error; age, the generations since its genome was made; genome, program, program_size.
    Individuals stand in the order of PyshGP's population, by total error. Generations count from 0.

    A run is a success when an individual's total error is at most `error_threshold`. The simplified best has a
    uuid that is in no population; where PyshGP simplifies an individual of an earlier generation, it is left out.

    A generation is recorded when it is evaluated: the children that PyshGP still makes of the last one, and
    never evaluates, are not.
    """

    def __init__(
        self,
        recorder: Recorder,
        producer: Any,
        *,
        test_errors: Callable[[Any], Sequence[float]] | None = None,
        describe: Callable[[Any], Mapping[str, object]] | None = None,
        simplified: bool = True,
    ) -> None:
        _check(producer)
        self._recorder = recorder
        self._producer = producer
        self._test_errors = test_errors
        self._describe = describe
        self._simplified = simplified
        self._search: Any = None
        self._births = Births()
        self._generation = 0
        self._made: dict[str, int] = {}
        """The generation for which each individual of the last generation was made."""
        self._new: dict[str, Birth] = {}
        self._held: dict[str, Any] | None = None
        self._of_best: Any = None
        self._simplifies = False
        self._taps = Taps(
            {
                "select": (lambda *_, **__: self._if_running(self._births.select), self._selected),
                "produce": (self._produce, self._produced),
                "pyshgp.gp.population.Population.evaluate": (self._evaluate, self._evaluated),
                "pyshgp.gp.population.Population.p_evaluate": (self._evaluate, self._evaluated),
                "pyshgp.gp.search.SearchAlgorithm.run": (self._run, self._ran),
                "pyshgp.gp.genome.GenomeSimplifier.simplify": (self._simplify, None),
            }
        )

    @property
    def recorder(self) -> Recorder:
        """The Recorder of this run."""
        return self._recorder

    def __enter__(self) -> Self:
        self._taps.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taps.close()
        self._search = None
        self._record_held(None)

    def _if_running(self, note: Callable[[], None]) -> None:
        if self._search is not None:
            note()

    def _run(self, search: Any) -> None:
        if search is not self._producer and search is not getattr(self._producer, "search", None):
            return
        if self._generation:
            raise InvalidInput(
                f"run {self._recorder.run_uuid} has {self._generation} generations of an earlier fit; valid is "
                "one fit for each: record the next one as a run of its own"
            )
        self._search = search

    def _selected(self, parents: Any, *_: Any, **__: Any) -> None:
        if self._search is not None:
            self._births.selected(list(parents or ()))  # a base class selects nobody

    def _produce(self, operator: Any, *_: Any, **__: Any) -> None:
        if self._search is not None:
            self._births.produce(operator)

    def _produced(self, child: Any, operator: Any, parents: Any = (), *_: Any, **__: Any) -> None:
        if self._search is not None:
            self._births.produced(parents, child, self._search)

    def _is_ours(self, population: Any) -> bool:
        return self._search is not None and population is self._search.population

    def _evaluate(self, population: Any, *_: Any, **__: Any) -> None:
        """Find out whose births the new individuals are: in evaluation by other processes they are replaced."""
        if not self._is_ours(population):
            return
        births = self._births.take()
        new = [each for each in individuals(population) if str(each.id) not in self._made]
        if self._generation == 0:
            self._new = {str(each.id): _MADE_AT_RANDOM for each in new}
        elif len(new) == len(births):
            self._new = {str(each.id): birth for each, birth in zip(new, births, strict=True)}
        else:
            of = {id(birth.genome): birth for birth in births}
            self._new = {str(each.id): of.get(id(each.genome), _UNKNOWN) for each in new}

    def _evaluated(self, _: None, population: Any, *__: Any, **___: Any) -> None:
        if not self._is_ours(population):
            return
        self._record_held(None)
        search, there = self._search, list(individuals(population))
        made = {}
        rows = []
        for individual in there:
            row, made[str(individual.id)] = self._row(individual)
            rows.append(row)
        position = least(double(plain(individual.total_error)) for individual in there)
        best = None if position is None else there[position]
        solved = best is not None and best.total_error <= search.config.error_threshold
        over = solved or search.generation >= search.config.max_generations
        generation: dict[str, Any] = {
            "individuals": rows,
            "outcome": SUCCESS if solved else FAILURE if over else CONTINUE,
            "best": None if position is None else rows[position],
            "test_errors": self._test_errors(best) if best is not None and self._test_errors else None,
        }
        self._made = made
        self._generation += 1
        if over and self._simplified:
            self._held, self._of_best = generation, best
        else:
            self._recorder.generation(**generation)

    def _row(self, individual: Any) -> tuple[dict[str, object], int]:
        """Return what is recorded of an individual, and the generation for which its genome was made."""
        uuid, now = str(individual.id), self._generation
        birth = self._new.get(uuid)
        if birth is None:
            birth, made = Birth(None, (uuid,), (REPRODUCTION,), True), self._made[uuid]
        else:
            made = self._made.get(birth.parents[0], now) if birth.kept and birth.parents else now
        row: dict[str, object] = {
            "uuid": uuid,
            "parent_uuids": birth.parents,
            "genetic_operators": birth.operators,
            "age": now - made,
            **code(individual),
        }
        return {**row, **({} if self._describe is None else self._describe(individual))}, made

    def _simplify(self, _: Any, genome: Any, *__: Any, **___: Any) -> None:
        if self._held is not None:
            self._simplifies = self._of_best is not None and genome is self._of_best.genome

    def _ran(self, best: Any, search: Any) -> None:
        if search is self._search:
            self._search = None
            self._record_held(best if self._simplifies else None)

    def _record_held(self, simplified: Any) -> None:
        """Record the last generation where it waits, with the simplified best."""
        if self._held is None:
            return
        generation, self._held = self._held, None
        if simplified is not None:
            generation["best"] = {
                **generation["best"],
                "simplified": {"uuid": str(simplified.id), **code(simplified)},
            }
        self._recorder.generation(**generation)


def _check(producer: Any) -> None:
    if isinstance(producer, type) or not (hasattr(producer, "fit") or hasattr(producer, "config")):
        what = f"the class {producer.__name__}" if isinstance(producer, type) else f"a {type(producer).__name__}"
        raise strange(
            f"{what} was given; valid is a PushEstimator, or a search such as GeneticAlgorithm(config)",
            "pyshgp",
            KNOWN,
        )


@contextmanager
def record_pyshgp(
    producer: Any,
    lake: Lake = None,
    *,
    problem: str | None = None,
    config: Mapping[str, object] | None = None,
    label: str | None = None,
    test_errors: Callable[[Any], Sequence[float]] | None = None,
    describe: Callable[[Any], Mapping[str, object]] | None = None,
    simplified: bool = True,
    **recorder: Any,
) -> Iterator[Tracker]:
    """Record a run of PyshGP: call the estimator's `fit`, or the search's `run`, in the ``with`` block.

    Parameters
    ----------
    producer : pyshgp.gp.estimators.PushEstimator or pyshgp.gp.search.SearchAlgorithm
        Whose run is recorded; others that run meanwhile are not.
    lake : str or Path, optional
        The lake's directory or a server's address, as for `Recorder`.
    problem, label : str, optional
        What is run, and a word for it, as for `Recorder`.
    config : mapping, optional
        More arguments of the run, such as its "random-seed". Those of the estimator are there already:
        "population-size", "max-generations", "parent-selection", "genetic-operator-probabilities" and others.
    test_errors : callable, optional
        Gives an individual's error on each unseen test case; called for the best of each generation.
    describe : callable, optional
        Gives more fields of an individual, or other values for those that are recorded.
    simplified : bool, optional
        Whether the last generation waits until PyshGP has simplified its best, and has the simplified one in it.
        Killed in between, a process leaves a run without its last generation; an exception does not.
    recorder
        More keywords of `Recorder`: run_uuid, owner, uuids, clock, token, ...

    Returns
    -------
    context manager
        It gives a Tracker (see `gpdata.upload.adapters.pyshgp`), whose `recorder` is the run's Recorder.

    Raises
    ------
    InvalidInput
        An argument cannot be used, or the producer is none of PyshGP's.

    Examples
    --------
    PyshGP 0.1.8 can be imported by Python 3.10 and newer once `collections` has the name that it looks for there.

    >>> import collections, collections.abc, tempfile
    >>> collections.Sequence = collections.abc.Sequence
    >>> from pyshgp.gp.estimators import PushEstimator
    >>> from pyshgp.gp.genome import GeneSpawner
    >>> from pyshgp.push.instruction_set import InstructionSet
    >>> import gpdata
    >>> spawner = GeneSpawner(1, InstructionSet().register_core_by_stack({"int"}), [1], [])
    >>> estimator = PushEstimator(spawner, population_size=10, max_generations=2, simplification_steps=5)
    >>> with gpdata.record_pyshgp(estimator, tempfile.mkdtemp(), problem="next-square") as run:
    ...     estimator.fit([[x] for x in range(5)], [[(x + 1) ** 2] for x in range(5)])
    [<class 'int'>]
    >>> gpdata.open(run.recorder.lake).sql("select count(*), max(generation) from individuals").fetchall()
    [(20, 1)]
    """
    _check(producer)
    run = begin(
        "pyshgp", "pyshgp", lake,
        problem=problem, config=config, label=label, options=recorder, found=config_of(producer),
    )  # fmt: skip
    with run, Tracker(run, producer, test_errors=test_errors, describe=describe, simplified=simplified) as tracker:
        yield tracker
