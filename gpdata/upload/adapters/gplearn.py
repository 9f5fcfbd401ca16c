"""gplearn, unpatched: its estimators are fitted one generation at a time, and each generation is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gpdata.errors import InvalidInput
from gpdata.upload.adapters.begin import Lake, arguments, begin, strange
from gpdata.upload.adapters.lineage import RANDOM, REPRODUCTION
from gpdata.upload.recorder import CONTINUE, FAILURE, SUCCESS, Recorder

_KNOWN = "0.4"
_TECHNICAL = {"verbose", "n_jobs", "low_memory", "warm_start"}
"""Parameters that change nothing of what is evolved."""


class Tracker:
    """Records a run of gplearn: call its `fit` in place of the estimator's.

    gplearn calls nobody back, and keeps of past generations the ancestors only. So `fit` lets it go on by one
    generation at a time (`warm_start`), and records each when it is whole. What is evolved is the same, to the
    last random number, as without the Tracker; the estimator's parameters are as before at the end. With
    `verbose`, gplearn prints the head of its table again for each generation. An estimator that has `warm_start`
    itself may go on later, in the same run: until it is solved, the run stays unfinished ("continue").

    Parameters
    ----------
    recorder : gpdata.Recorder
        The open Recorder of this run.
    estimator : gplearn.genetic.SymbolicRegressor, SymbolicClassifier or SymbolicTransformer
        What is fitted.
    errors : callable, optional
        Gives a program's error on each training case: ``lambda program: abs(program.execute(X) - y)``. gplearn
        itself has no error on a case: without it errors are null.
    test_errors : callable, optional
        Gives a program's error on each unseen test case; called for the best of each generation.
    success : callable, optional
        Says of the best program of a generation whether it solves the problem. By default it does where gplearn
        stops: its fitness reaches `stopping_criteria`.
    describe : callable, optional
        Gives more fields of a program, or other values for those that are recorded.

    Raises
    ------
    InvalidInput
        The estimator is none of gplearn's, or not as gplearn 0.4 has them.

    Notes
    -----
    Of each program are recorded: uuid, parent_uuids (of a crossover the parent and the donor, the same one
    twice if so), genetic_operators (crossover, subtree_mutation, hoist_mutation, point_mutation or
    reproduction); age, the generations since its program was made; genome in prefix order, program,
    program_size, and in `extra` its depth, and `oob_fitness` where programs see a part of the cases only.

    Let f be the raw fitness, or minus it where greater is better. total_error is f, or the sum of `errors`
    where they are given, with `raw_fitness` in `extra`. weighted_error is the fitness that selection compares,
    the parsimony penalty included, as an error. The best of a generation is the program of least f.
    """

    def __init__(
        self,
        recorder: Recorder,
        estimator: Any,
        *,
        errors: Callable[[Any], Sequence[float]] | None = None,
        test_errors: Callable[[Any], Sequence[float]] | None = None,
        success: Callable[[Any], bool] | None = None,
        describe: Callable[[Any], Mapping[str, object]] | None = None,
    ) -> None:
        _check(estimator)
        self._recorder = recorder
        self._estimator = estimator
        self._errors = errors
        self._test_errors = test_errors
        self._success = success
        self._describe = describe
        self._uuids: list[str] = []
        self._ages: list[int] = []
        self._recorded = 0
        self._solved = False
        self._numbers = np.random.RandomState(0)

    @property
    def recorder(self) -> Recorder:
        """The Recorder of this run."""
        return self._recorder

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: N803
        """Fit the estimator as its own `fit` does, and record each generation when it is evaluated.

        Parameters
        ----------
        X, y, sample_weight
            As for the estimator's `fit`.

        Returns
        -------
        estimator
            The fitted one.

        Raises
        ------
        InvalidInput
            The estimator would go on from generations that this Tracker has not recorded, or is fitted a second
            time without `warm_start`: a run has one Recorder.
        """
        estimator = self._estimator
        given = {name: estimator.get_params()[name] for name in ("generations", "warm_start", "random_state")}
        first = self._first(given)
        numbers = self._numbers if first else _numbers(given["random_state"])
        self._numbers = numbers
        try:
            for generation in range(first, given["generations"]):
                estimator.set_params(
                    generations=generation + 1, warm_start=generation > 0, random_state=_GoingOn(numbers, generation)
                )
                estimator.fit(X, y, sample_weight)
                last = generation + 1 == given["generations"] and not given["warm_start"]
                self._generation(last=last)
                if _stops(estimator):
                    break
        finally:
            estimator.set_params(**given)
        return estimator

    def _first(self, given: Mapping[str, Any]) -> int:
        """Return the number of the generation that is evolved next."""
        there = len(getattr(self._estimator, "_programs", ())) if given["warm_start"] else 0
        if there != self._recorded:
            raise InvalidInput(
                f"the estimator has {there} generations to go on from (warm_start={given['warm_start']}), and "
                f"{self._recorded} are recorded in run {self._recorder.run_uuid}; valid are as many: record an "
                "estimator from its first generation on, and each fit from the start as a run of its own"
            )
        if given["generations"] <= there:
            raise InvalidInput(
                f"generations={given['generations']}, and {there} are there; valid is more: raise it with "
                "estimator.set_params(generations=...)"
            )
        return there

    def _generation(self, *, last: bool) -> None:
        estimator = self._estimator
        programs = estimator._programs[-1]
        best = _best(estimator)
        solved = _stops(estimator) if self._success is None else bool(self._success(programs[best]))
        self._solved = self._solved or solved
        over = last or _stops(estimator)
        before, ages = self._uuids, self._ages
        self._uuids = [self._recorder.new_uuid() for _ in programs]
        self._ages = []
        rows = [self._row(program, uuid, before, ages) for program, uuid in zip(programs, self._uuids, strict=True)]
        self._recorder.generation(
            rows,
            outcome=SUCCESS if self._solved else FAILURE if over else CONTINUE,
            best=rows[best],
            test_errors=None if self._test_errors is None else self._test_errors(programs[best]),
        )
        self._recorded += 1

    def _row(self, program: Any, uuid: str, before: list[str], ages: list[int]) -> dict[str, object]:
        made = program.parents
        age = ages[made["parent_idx"]] + 1 if made and made["method"] == "Reproduction" else 0
        self._ages.append(age)
        sign = -program.metric.sign
        row: dict[str, object] = {
            "uuid": uuid,
            "parent_uuids": made and [before[made[name]] for name in ("parent_idx", "donor_idx") if name in made],
            "genetic_operators": [_operator(made["method"]) if made else RANDOM],
            "age": age,
            "weighted_error": _zero(sign * program.fitness_),
            "genome": _genome(program),
            "program": str(program),
            "program_size": program.length_,
            "depth": program.depth_,
        }
        if self._errors is None:
            row["total_error"] = _zero(sign * program.raw_fitness_)
        else:
            row |= {"errors": self._errors(program), "raw_fitness": program.raw_fitness_}
        if self._estimator.max_samples < 1:
            row["oob_fitness"] = program.oob_fitness_
        return {**row, **({} if self._describe is None else self._describe(program))}


class _GoingOn(np.random.RandomState):
    """Random numbers that go on where the last generation left them.

    With `warm_start`, gplearn draws anew what the generations before have drawn, once for each. These draws are
    left out: so the numbers are those of a fit in one go, whoever else draws from their source in between (gplearn
    itself sets the state of numpy's global numbers while it evaluates).
    """

    def __init__(self, source: np.random.RandomState, left_out: int) -> None:
        super().__init__()
        self._source = source
        self._left_out = left_out

    def randint(self, *args: Any, **options: Any) -> Any:
        if self._left_out:
            self._left_out -= 1
            return None
        return self._source.randint(*args, **options)


def _numbers(random_state: Any) -> np.random.RandomState:
    """Return where a `random_state` draws from, as gplearn takes it."""
    if random_state is None or random_state is np.random:
        shared: np.random.RandomState = np.random.mtrand._rand
        return shared
    return random_state if isinstance(random_state, np.random.RandomState) else np.random.RandomState(random_state)


def _check(estimator: Any) -> None:
    lacking = [
        name for name in ("fit", "set_params", "stopping_criteria", "warm_start") if not hasattr(estimator, name)
    ]
    if lacking or isinstance(estimator, type):
        what = f"the class {estimator.__name__}" if isinstance(estimator, type) else f"a {type(estimator).__name__}"
        raise strange(f"{what} was given; valid is an estimator of gplearn.genetic", "gplearn", _KNOWN)


def _fitness(estimator: Any) -> list[float]:
    return [program.raw_fitness_ for program in estimator._programs[-1]]


def _best(estimator: Any) -> int:
    """Return the position of the program that gplearn takes for the best."""
    greater = estimator._metric.greater_is_better
    return int(np.argmax(_fitness(estimator)) if greater else np.argmin(_fitness(estimator)))


def _stops(estimator: Any) -> bool:
    fitness = _fitness(estimator)[_best(estimator)]
    if estimator._metric.greater_is_better:
        return bool(fitness >= estimator.stopping_criteria)
    return bool(fitness <= estimator.stopping_criteria)


def _operator(method: str) -> str:
    return REPRODUCTION if method == "Reproduction" else method.lower().replace(" ", "_")


def _zero(value: Any) -> float:
    return float(value) + 0.0  # no negative zero


def _genome(program: Any) -> list[object]:
    names = program.feature_names
    genes: list[object] = []
    for node in program.program:
        if hasattr(node, "arity"):
            genes.append(node.name)
        elif isinstance(node, int):
            genes.append(f"X{node}" if names is None else names[node])
        else:
            genes.append(float(node))
    return genes


def _config(estimator: Any) -> dict[str, object]:
    given = {name: value for name, value in estimator.get_params().items() if name not in _TECHNICAL}
    seed = given.pop("random_state", None)
    return {
        "estimator": type(estimator).__name__,
        **arguments(given),
        **({"random-seed": int(seed)} if isinstance(seed, int | np.integer) else {}),
    }


@contextmanager
def record_gplearn(
    estimator: Any,
    lake: Lake = None,
    *,
    problem: str | None = None,
    config: Mapping[str, object] | None = None,
    label: str | None = None,
    errors: Callable[[Any], Sequence[float]] | None = None,
    test_errors: Callable[[Any], Sequence[float]] | None = None,
    success: Callable[[Any], bool] | None = None,
    describe: Callable[[Any], Mapping[str, object]] | None = None,
    **recorder: Any,
) -> Iterator[Tracker]:
    """Record a run of gplearn: call `fit` of what the ``with`` block gets in place of the estimator's.

    Parameters
    ----------
    estimator : gplearn.genetic.SymbolicRegressor, SymbolicClassifier or SymbolicTransformer
        What is fitted.
    lake : str or Path, optional
        The lake's directory or a server's address, as for `Recorder`.
    problem, label : str, optional
        What is run, and a word for it, as for `Recorder`.
    config : mapping, optional
        More arguments of the run. The estimator's parameters are there already, with dashes in their names
        ("population-size"); `random_state` is "random-seed".
    errors : callable, optional
        Gives a program's error on each training case: ``lambda program: abs(program.execute(X) - y)``. gplearn
        itself has no error on a case: without it errors are null.
    test_errors : callable, optional
        Gives a program's error on each unseen test case; called for the best of each generation.
    success : callable, optional
        Says of the best program of a generation whether it solves the problem. By default it does where gplearn
        stops: its fitness reaches `stopping_criteria`.
    describe : callable, optional
        Gives more fields of a program, or other values for those that are recorded.
    recorder
        More keywords of `Recorder`: run_uuid, owner, uuids, clock, token, ...

    Returns
    -------
    context manager
        It gives a Tracker (see `gpdata.upload.adapters.gplearn`) with `fit(X, y, sample_weight)`, which returns
        the fitted estimator; its `recorder` is the run's Recorder.

    Raises
    ------
    InvalidInput
        An argument cannot be used, or the estimator is none of gplearn's.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from gplearn.genetic import SymbolicRegressor
    >>> import gpdata
    >>> X = np.linspace(-1, 1, 20).reshape(-1, 1)
    >>> y = X[:, 0] ** 2 + X[:, 0]
    >>> regressor = SymbolicRegressor(population_size=30, generations=3, stopping_criteria=-1, random_state=1)
    >>> with gpdata.record_gplearn(regressor, tempfile.mkdtemp(), problem="quadratic") as run:
    ...     fitted = run.fit(X, y)
    >>> gpdata.open(run.recorder.lake).sql("select count(*), max(generation) from individuals").fetchall()
    [(90, 2)]
    """
    _check(estimator)
    run = begin(
        "gplearn", "gplearn", lake,
        problem=problem, config=config, label=label, options=recorder, found=_config(estimator),
    )  # fmt: skip
    with run:
        yield Tracker(run, estimator, errors=errors, test_errors=test_errors, success=success, describe=describe)
